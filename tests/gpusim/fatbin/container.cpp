// The containers: registered wrappers, files, fat binaries and their entries. The layout was read
// off what nvcc 13 writes; sizes of headers are taken from the headers, which grew before.
#include <algorithm>
#include <cstring>

#include "fatbin/elf.hpp"
#include "fatbin/fatbin.hpp"

namespace gpusim::fatbin {
namespace {

constexpr std::uint32_t kWrapperMagic = 0x466243b1;
constexpr std::uint32_t kFatbinMagic = 0xba55ed50;
constexpr std::uint32_t kMaxUnits = 1 << 16;

struct Wrapper {
  std::uint32_t magic;
  std::uint32_t version;  ///< 2: filename_or_fatbins is a null-terminated array
  const std::byte* data;
  const void* filename_or_fatbins;
};

struct FatbinHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header_bytes;
  std::uint64_t payload_bytes;
};
static_assert(sizeof(FatbinHeader) == 16);

struct EntryHeader {
  std::uint16_t kind;
  std::uint16_t version;
  std::uint32_t header_bytes;
  std::uint64_t payload_bytes;  ///< padded
  std::uint32_t compressed_bytes;
  std::uint32_t unknown;
  std::uint16_t minor;
  std::uint16_t major;
  std::uint32_t architecture;
  std::uint32_t name_offset;
  std::uint32_t name_bytes;
  std::uint64_t flags;
  std::uint64_t zero;
  std::uint64_t unpacked_bytes;
};
static_assert(sizeof(EntryHeader) == 64);

constexpr std::uint64_t kFlagLz4 = 0x2000;
constexpr std::uint64_t kFlagZstd = 0x8000;
constexpr std::uint64_t kFlagSpecific = 0x100000;
constexpr std::uint64_t kFlagFamily = 0x200000;

[[noreturn]] void malformed(const std::string& what) {
  throw FatbinError(FatbinError::Kind::kMalformed, "fat binary: " + what);
}

FatbinHeader read_header(std::span<const std::byte> bytes) {
  FatbinHeader header;
  if (!read_at(bytes, 0, header)) malformed("shorter than its header");
  if (header.magic != kFatbinMagic) malformed("does not begin with its magic number");
  if (header.header_bytes < sizeof header) malformed("states a header of impossible size");
  return header;
}

Entry read_entry(std::span<const std::byte> bytes, std::uint64_t& used) {
  EntryHeader header;
  if (!read_at(bytes, 0, header)) malformed("an entry is cut off");
  if (header.header_bytes < sizeof header || header.header_bytes > bytes.size() ||
      header.payload_bytes > bytes.size() - header.header_bytes) {
    malformed("an entry is larger than what holds it");
  }
  Entry entry;
  if (header.kind == 1) entry.kind = Entry::Kind::kPtx;
  if (header.kind == 2) entry.kind = Entry::Kind::kCubin;
  entry.architecture = static_cast<int>(header.architecture);
  entry.specific = (header.flags & kFlagSpecific) != 0;
  entry.family = (header.flags & kFlagFamily) != 0;
  entry.payload = bytes.subspan(header.header_bytes, header.payload_bytes);
  entry.unpacked_bytes = header.payload_bytes;
  if ((header.flags & (kFlagLz4 | kFlagZstd)) != 0) {
    entry.compression =
        (header.flags & kFlagZstd) != 0 ? Entry::Compression::kZstd : Entry::Compression::kLz4;
    if (header.compressed_bytes > header.payload_bytes) {
      malformed("an entry's compressed size exceeds its payload");
    }
    entry.payload = entry.payload.first(header.compressed_bytes);
    entry.unpacked_bytes = header.unpacked_bytes;
  }
  if (header.name_bytes > 0 && header.name_offset <= header.header_bytes &&
      header.name_bytes <= header.header_bytes - header.name_offset) {
    const char* name = reinterpret_cast<const char*>(bytes.data()) + header.name_offset;
    entry.name.assign(name, strnlen(name, header.name_bytes));
  }
  used = header.header_bytes + header.payload_bytes;
  return entry;
}

/// A registered fat binary in memory states its own size.
Unit read_registered(const std::byte* data) {
  if (data == nullptr) malformed("a registered one is a null pointer");
  const FatbinHeader header = read_header(std::span(data, sizeof(FatbinHeader)));
  return read_unit(std::span(data, header.header_bytes + header.payload_bytes));
}

/// Fat binaries one after another, each aligned to 8 bytes.
void read_all(std::span<const std::byte> bytes, std::vector<Unit>& units) {
  while (bytes.size() >= sizeof(FatbinHeader)) {
    std::uint64_t word = 0;
    if (read_at(bytes, 0, word) && word == 0) {
      bytes = bytes.subspan(sizeof word);
      continue;
    }
    std::size_t used = 0;
    units.push_back(read_unit(bytes, &used));
    bytes = bytes.subspan(std::min<std::size_t>((used + 7) / 8 * 8, bytes.size()));
  }
}

}  // namespace

Unit read_unit(std::span<const std::byte> bytes, std::size_t* used) {
  const FatbinHeader header = read_header(bytes);
  if (header.header_bytes > bytes.size() ||
      header.payload_bytes > bytes.size() - header.header_bytes) {
    malformed("is cut off");
  }
  Unit unit;
  std::span<const std::byte> rest = bytes.subspan(header.header_bytes, header.payload_bytes);
  while (!rest.empty()) {
    std::uint64_t entry_bytes = 0;
    unit.entries.push_back(read_entry(rest, entry_bytes));
    rest = rest.subspan(entry_bytes);
  }
  if (used != nullptr) *used = header.header_bytes + header.payload_bytes;
  return unit;
}

std::vector<Unit> units_of_wrapper(const void* pointer) {
  if (pointer == nullptr) malformed("the registered wrapper is a null pointer");
  const Wrapper& wrapper = *static_cast<const Wrapper*>(pointer);
  if (wrapper.magic != kWrapperMagic) malformed("the registered wrapper has no magic number");
  std::vector<Unit> units;
  if (wrapper.version == 1) {
    units.push_back(read_registered(wrapper.data));
  } else if (wrapper.version == 2) {
    // `data` is what nvcc has linked already, as machine code: kept for its register counts.
    if (wrapper.data != nullptr) {
      Unit linked = read_registered(wrapper.data);
      std::erase_if(linked.entries,
                    [](const Entry& entry) { return entry.kind != Entry::Kind::kCubin; });
      if (!linked.entries.empty()) units.push_back(std::move(linked));
    }
    auto* const* fatbins = static_cast<const std::byte* const*>(wrapper.filename_or_fatbins);
    for (std::uint32_t i = 0; fatbins != nullptr && fatbins[i] != nullptr; ++i) {
      if (i == kMaxUnits) malformed("the list of translation units does not end");
      units.push_back(read_registered(fatbins[i]));
    }
  } else {
    malformed("the registered wrapper has unknown version " + std::to_string(wrapper.version));
  }
  return units;
}

std::vector<Unit> units_of_file(std::span<const std::byte> bytes, const std::string& name) {
  std::vector<Unit> units;
  try {
    if (!is_elf(bytes)) {
      read_all(bytes, units);
    } else {
      for (const ElfSection& section : elf_sections(bytes)) {
        if (section.name == ".nv_fatbin" || section.name == "__nv_relfatbin") {
          read_all(section.bytes, units);
        }
      }
    }
  } catch (const FatbinError& error) {
    throw FatbinError(error.kind(), name + ": " + error.what());
  }
  return units;
}

}  // namespace gpusim::fatbin
