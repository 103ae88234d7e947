// The little of ELF that fat binaries need: sections and symbols of 64-bit little-endian files.
// Everything is checked against the size of the file; a file that is wrong has no sections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace gpusim::fatbin {

/// Reads a T at byte `at`; false where it does not lie within `bytes`.
template <typename T>
bool read_at(std::span<const std::byte> bytes, std::uint64_t at, T& value) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return false;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return true;
}

struct ElfSection {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint32_t link = 0;
  std::uint32_t info = 0;
  std::span<const std::byte> bytes;  ///< empty for sections without content
};

bool is_elf(std::span<const std::byte> file);
std::vector<ElfSection> elf_sections(std::span<const std::byte> file);
/// Names of the symbols of the (first) symbol table, by index.
std::vector<std::string_view> elf_symbol_names(const std::vector<ElfSection>& sections);

}  // namespace gpusim::fatbin
