// Reading ELF sections and symbol names, see elf.hpp. The structures are those of <elf.h>.
#include "fatbin/elf.hpp"

#include <elf.h>

namespace gpusim::fatbin {
namespace {

constexpr std::uint32_t kMaxSections = 1 << 20;

/// The NUL-terminated string at `offset` of a string table, empty where it does not end in it.
std::string_view string_at(std::span<const std::byte> table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const char* begin = reinterpret_cast<const char*>(table.data()) + offset;
  const std::size_t room = table.size() - offset;
  const std::size_t length = strnlen(begin, room);
  return length < room ? std::string_view(begin, length) : std::string_view();
}

}  // namespace

bool is_elf(std::span<const std::byte> file) {
  Elf64_Ehdr header;
  return read_at(file, 0, header) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB;
}

std::vector<ElfSection> elf_sections(std::span<const std::byte> file) {
  Elf64_Ehdr header;
  if (!is_elf(file) || !read_at(file, 0, header)) return {};
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return {};
  Elf64_Shdr first;
  if (!read_at(file, header.e_shoff, first)) return {};
  // Files with more than 65280 sections keep both numbers in the first section header.
  const std::uint64_t count = header.e_shnum != 0 ? header.e_shnum : first.sh_size;
  const std::uint32_t names = header.e_shstrndx != SHN_XINDEX ? header.e_shstrndx : first.sh_link;
  if (count > kMaxSections || count > file.size() / sizeof(Elf64_Shdr)) return {};

  std::vector<ElfSection> sections(count);
  std::vector<std::uint32_t> name_offsets(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    Elf64_Shdr raw;
    if (!read_at(file, header.e_shoff + i * sizeof raw, raw)) return {};
    sections[i].type = raw.sh_type;
    sections[i].link = raw.sh_link;
    sections[i].info = raw.sh_info;
    name_offsets[i] = raw.sh_name;
    if (raw.sh_type == SHT_NOBITS || raw.sh_size == 0) continue;
    if (raw.sh_offset > file.size() || file.size() - raw.sh_offset < raw.sh_size) return {};
    sections[i].bytes = file.subspan(raw.sh_offset, raw.sh_size);
  }
  if (names >= count) return {};
  for (std::uint64_t i = 0; i < count; ++i) {
    sections[i].name = string_at(sections[names].bytes, name_offsets[i]);
  }
  return sections;
}

std::vector<std::string_view> elf_symbol_names(const std::vector<ElfSection>& sections) {
  std::vector<std::string_view> names;
  for (const ElfSection& section : sections) {
    if (section.type != SHT_SYMTAB) continue;
    if (section.link >= sections.size()) return {};
    const std::size_t count = section.bytes.size() / sizeof(Elf64_Sym);
    names.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      Elf64_Sym symbol;
      if (!read_at(section.bytes, i * sizeof symbol, symbol)) break;
      names.push_back(string_at(sections[section.link].bytes, symbol.st_name));
    }
    break;
  }
  return names;
}

}  // namespace gpusim::fatbin
