// Decompression of entries and the choice of the PTX that a device runs.
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "fatbin/fatbin.hpp"

namespace gpusim::fatbin {
namespace {

/// Larger than any library's PTX; what a damaged size may make us allocate.
constexpr std::size_t kMaxUnpackedBytes = std::size_t{1} << 30;
constexpr std::size_t kLz4MaxRatio = 256;

[[noreturn]] void malformed(const Entry& entry, const std::string& what) {
  throw FatbinError(FatbinError::Kind::kMalformed,
                    "fat binary: entry for sm_" + std::to_string(entry.architecture) + " " + what);
}

std::string unpack_lz4(const Entry& entry) {
  // LZ4 cannot expand further than this, so that a false size is found before it is allocated.
  if (entry.payload.size() > std::numeric_limits<int>::max() ||
      entry.unpacked_bytes / kLz4MaxRatio > entry.payload.size()) {
    malformed(entry, "states an impossible size for its LZ4 data");
  }
  std::string text(entry.unpacked_bytes, '\0');
  const int bytes =
      LZ4_decompress_safe(reinterpret_cast<const char*>(entry.payload.data()), text.data(),
                          static_cast<int>(entry.payload.size()), static_cast<int>(text.size()));
  if (bytes < 0 || static_cast<std::size_t>(bytes) != text.size()) {
    malformed(entry, "holds damaged LZ4 data");
  }
  return text;
}

std::string unpack_zstd(const Entry& entry) {
  const unsigned long long stated =
      ZSTD_getFrameContentSize(entry.payload.data(), entry.payload.size());
  if (stated != entry.unpacked_bytes && stated != ZSTD_CONTENTSIZE_UNKNOWN) {
    malformed(entry, "states another size than its zstd data");
  }
  std::string text(entry.unpacked_bytes, '\0');
  const std::size_t bytes =
      ZSTD_decompress(text.data(), text.size(), entry.payload.data(), entry.payload.size());
  if (ZSTD_isError(bytes) != 0 || bytes != text.size()) {
    malformed(entry, "holds damaged zstd data");
  }
  return text;
}

std::string architecture_name(const Entry& entry) {
  return "sm_" + std::to_string(entry.architecture) +
         (entry.specific ? "a"
          : entry.family ? "f"
                         : "");
}

bool runs_on(const Entry& entry, int architecture, bool specific) {
  if (entry.specific) return specific && entry.architecture == architecture;
  if (entry.architecture > architecture) return false;
  return !entry.family || entry.architecture / 10 == architecture / 10;
}

/// Why a unit has no PTX for a device, and what would give it some.
std::string reason(const Unit& unit, int architecture) {
  std::string found;
  bool ptx = false;
  for (const Entry& entry : unit.entries) {
    if (entry.kind == Entry::Kind::kOther) continue;
    ptx |= entry.kind == Entry::Kind::kPtx;
    found += (found.empty() ? "" : ", ") + architecture_name(entry) +
             (entry.kind == Entry::Kind::kPtx ? " PTX" : " machine code");
  }
  const std::string number = std::to_string(architecture);
  return (ptx ? "no PTX that an sm_" + number + " device can run" : "no PTX") +
         " (found: " + (found.empty() ? "nothing" : found) +
         "); compile with -gencode arch=compute_" + number + ",code=compute_" + number;
}

}  // namespace

std::string unpack(const Entry& entry) {
  if (entry.unpacked_bytes > kMaxUnpackedBytes) malformed(entry, "states a size above 1 GiB");
  std::string text;
  switch (entry.compression) {
    case Entry::Compression::kNone:
      text.assign(reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size());
      break;
    case Entry::Compression::kLz4:
      text = unpack_lz4(entry);
      break;
    case Entry::Compression::kZstd:
      text = unpack_zstd(entry);
      break;
  }
  if (entry.kind == Entry::Kind::kPtx) text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

const Entry* choose_ptx(const Unit& unit, int architecture, bool specific) {
  const Entry* best = nullptr;
  auto rank = [](const Entry& entry) {
    return entry.architecture * 4 + (entry.specific ? 2 : entry.family ? 1 : 0);
  };
  for (const Entry& entry : unit.entries) {
    if (entry.kind != Entry::Kind::kPtx || !runs_on(entry, architecture, specific)) continue;
    if (best == nullptr || rank(entry) > rank(*best)) best = &entry;
  }
  return best;
}

Selection select_ptx(const std::vector<Unit>& units, int architecture, bool specific,
                     const std::string& program) {
  Selection selection;
  bool any_ptx = false;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    std::string name = program;
    if (units.size() > 1) name += "[" + std::to_string(i) + "]";
    for (const Entry& entry : unit.entries) {
      any_ptx |= entry.kind == Entry::Kind::kPtx;
      if (!entry.name.empty()) name = entry.name;
    }
    const Entry* entry = choose_ptx(unit, architecture, specific);
    if (entry == nullptr) {
      selection.skipped.push_back(name + ": " + reason(unit, architecture));
      continue;
    }
    selection.texts.push_back({name, unpack(*entry), entry->architecture});
  }
  if (selection.texts.empty()) {
    throw FatbinError(
        any_ptx ? FatbinError::Kind::kTooNew : FatbinError::Kind::kNoPtx,
        selection.skipped.empty() ? program + ": no device code" : selection.skipped.back());
  }
  return selection;
}

Selection select_ptx(const void* wrapper, int architecture, bool specific,
                     const std::string& program) {
  return select_ptx(units_of_wrapper(wrapper), architecture, specific, program);
}

}  // namespace gpusim::fatbin
