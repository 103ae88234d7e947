// Register counts of kernels from cubins, which are ELF files. Before sm_90 the count is the upper
// byte of sh_info of section .text.<kernel>; since then it is an attribute in section .nv.info.
#include <algorithm>

#include "fatbin/elf.hpp"
#include "fatbin/fatbin.hpp"

namespace gpusim::fatbin {
namespace {

constexpr std::uint8_t kFormatSized = 4;  ///< the others hold their value in the header
constexpr std::uint8_t kAttributeRegisterCount = 0x2f;
constexpr std::string_view kTextPrefix = ".text.";

struct AttributeHeader {
  std::uint8_t format = 0;
  std::uint8_t attribute = 0;
  std::uint16_t size_or_value = 0;
};

struct RegisterCount {
  std::uint32_t symbol = 0;
  std::uint32_t registers = 0;
};

void counts_of_attributes(std::span<const std::byte> info,
                          const std::vector<std::string_view>& symbols,
                          std::map<std::string, int>& counts) {
  std::uint64_t at = 0;
  AttributeHeader header;
  while (read_at(info, at, header)) {
    at += sizeof header;
    if (header.format != kFormatSized) continue;
    RegisterCount count;
    if (header.attribute == kAttributeRegisterCount && header.size_or_value >= sizeof count &&
        read_at(info, at, count) && count.symbol < symbols.size()) {
      counts[std::string(symbols[count.symbol])] = static_cast<int>(count.registers);
    }
    at += header.size_or_value;
  }
}

const Entry* choose_cubin(const Unit& unit, int architecture) {
  const Entry* best = nullptr;
  for (const Entry& entry : unit.entries) {
    if (entry.kind != Entry::Kind::kCubin || entry.architecture > architecture) continue;
    if (entry.architecture / 10 != architecture / 10) continue;
    if (best == nullptr || entry.architecture > best->architecture) best = &entry;
  }
  return best;
}

}  // namespace

std::map<std::string, int> register_counts_of_cubin(std::span<const std::byte> cubin) {
  std::map<std::string, int> counts;
  const std::vector<ElfSection> sections = elf_sections(cubin);
  const std::vector<std::string_view> symbols = elf_symbol_names(sections);
  for (const ElfSection& section : sections) {
    if (section.name.starts_with(kTextPrefix)) {
      const int registers = static_cast<int>(section.info >> 24);
      if (registers > 0) counts[std::string(section.name.substr(kTextPrefix.size()))] = registers;
    }
  }
  for (const ElfSection& section : sections) {
    if (section.name == ".nv.info") counts_of_attributes(section.bytes, symbols, counts);
  }
  return counts;
}

std::map<std::string, int> register_counts(const std::vector<Unit>& units, int architecture) {
  std::map<std::string, int> counts;
  for (const Unit& unit : units) {
    const Entry* cubin = choose_cubin(unit, architecture);
    if (cubin == nullptr) continue;
    try {
      const std::string bytes = unpack(*cubin);
      counts.merge(register_counts_of_cubin(std::as_bytes(std::span(bytes))));
    } catch (const FatbinError&) {
      // Only a refinement is lost.
    }
  }
  return counts;
}

std::map<std::string, int> register_counts(const void* wrapper, int architecture) {
  try {
    return register_counts(units_of_wrapper(wrapper), architecture);
  } catch (const FatbinError&) {
    return {};
  }
}

}  // namespace gpusim::fatbin
