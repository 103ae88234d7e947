// Which PTX a device gets, and the messages where there is none.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fatbin/fatbin.hpp"
#include "fatbin_builder.hpp"

namespace gpusim::fatbin {
namespace {

class Selecting : public testing::Test {
 protected:
  std::string choose(const FatbinBuilder& builder, int architecture, bool specific = false) {
    words_ = builder.build();
    const Unit unit = read_unit(std::as_bytes(std::span(words_)));
    const Entry* entry = choose_ptx(unit, architecture, specific);
    return entry == nullptr ? "" : unpack(*entry);
  }
  Selection select(const FatbinBuilder& builder, int architecture) {
    words_ = builder.build();
    return select_ptx({read_unit(std::as_bytes(std::span(words_)))}, architecture, false, "prog");
  }
  std::vector<std::uint64_t> words_;
};

TEST_F(Selecting, TakesTheHighestThatTheDeviceRuns) {
  FatbinBuilder builder;
  builder.add("80", {.architecture = 80}).add("100", {.architecture = 100}).add("90", {});
  EXPECT_EQ(choose(builder, 80), "80");
  EXPECT_EQ(choose(builder, 89), "80");
  EXPECT_EQ(choose(builder, 90), "90");
  EXPECT_EQ(choose(builder, 120), "100");
  EXPECT_EQ(choose(builder, 75), "");
}

TEST_F(Selecting, TakesSpecificTextOnlyForItsArchitecture) {
  FatbinBuilder builder;
  builder.add("90", {}).add("90a", {.flags = 0x100011});
  EXPECT_EQ(choose(builder, 90, true), "90a");
  EXPECT_EQ(choose(builder, 90, false), "90");
  EXPECT_EQ(choose(builder, 100, true), "90");
}

TEST_F(Selecting, TakesFamilyTextWithinItsMajorNumber) {
  FatbinBuilder builder;
  builder.add("90", {}).add("100f", {.architecture = 100, .flags = 0x200011});
  EXPECT_EQ(choose(builder, 100), "100f");
  EXPECT_EQ(choose(builder, 103), "100f");
  EXPECT_EQ(choose(builder, 120), "90");
}

TEST_F(Selecting, SaysWhatToCompileWithWhereThereIsNoPtx) {
  FatbinBuilder builder;
  builder.add("cubin", {.kind = 2, .architecture = 90});
  try {
    select(builder, 90);
    ADD_FAILURE() << "found PTX in machine code";
  } catch (const FatbinError& error) {
    EXPECT_EQ(error.kind(), FatbinError::Kind::kNoPtx);
    EXPECT_STREQ(error.what(),
                 "prog: no PTX (found: sm_90 machine code); compile with -gencode "
                 "arch=compute_90,code=compute_90");
  }
}

TEST_F(Selecting, SaysThatAllPtxIsTooNew) {
  FatbinBuilder builder;
  builder.add("100", {.architecture = 100});
  try {
    select(builder, 80);
    ADD_FAILURE() << "chose PTX that is too new";
  } catch (const FatbinError& error) {
    EXPECT_EQ(error.kind(), FatbinError::Kind::kTooNew);
    EXPECT_THAT(error.what(), testing::HasSubstr("sm_100 PTX"));
  }
}

TEST_F(Selecting, SkipsUnitsWithoutPtxWhereOthersHaveSome) {
  const auto good = FatbinBuilder().add("good", {.name = "good.cu"}).build();
  const auto runtime = FatbinBuilder().add("121", {.architecture = 121}).build();
  const Selection selection = select_ptx(
      {read_unit(std::as_bytes(std::span(good))), read_unit(std::as_bytes(std::span(runtime)))}, 90,
      false, "prog");
  ASSERT_EQ(selection.texts.size(), 1U);
  EXPECT_EQ(selection.texts[0].name, "good.cu");
  EXPECT_EQ(selection.texts[0].text, "good");
  ASSERT_EQ(selection.skipped.size(), 1U);
  EXPECT_THAT(selection.skipped[0], testing::StartsWith("prog[1]: "));
}

/// An ELF file with one kernel, whose register count stands where the architecture keeps it.
std::string cubin(bool attribute, int registers) {
  const std::string names("\0.shstrtab\0.strtab\0.symtab\0.nv.info\0.text.kernel\0", 49);
  const std::string symbols("\0kernel\0", 8);
  std::string table(sizeof(Elf64_Sym), '\0');
  Elf64_Sym symbol{};
  symbol.st_name = 1;
  table.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
  std::string info("\x04\x11\x04\x00zzzz\x03\x1b\xff\x00", 12);
  if (attribute) {
    const std::uint32_t count[] = {1, static_cast<std::uint32_t>(registers)};
    info.append("\x04\x2f\x08\x00", 4);
    info.append(reinterpret_cast<const char*>(count), sizeof count);
  }
  struct Part {
    std::size_t name;
    std::uint32_t type;
    std::uint32_t link;
    std::uint32_t info;
    std::string bytes;
  };
  const std::vector<Part> parts{
      {0, SHT_NULL, 0, 0, ""},
      {1, SHT_STRTAB, 0, 0, names},
      {11, SHT_STRTAB, 0, 0, symbols},
      {19, SHT_SYMTAB, 2, 0, table},
      {27, SHT_PROGBITS, 0, 0, info},
      {36, SHT_PROGBITS, 0, attribute ? 5U : static_cast<std::uint32_t>(registers) << 24 | 5U,
       "code"}};
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<Elf64_Half>(parts.size());
  header.e_shstrndx = 1;
  std::string content;
  std::string sections;
  for (const Part& part : parts) {
    Elf64_Shdr section{};
    section.sh_name = static_cast<Elf64_Word>(part.name);
    section.sh_type = part.type;
    section.sh_link = part.link;
    section.sh_info = part.info;
    section.sh_offset = sizeof header + content.size();
    section.sh_size = part.bytes.size();
    content += part.bytes;
    sections.append(reinterpret_cast<const char*>(&section), sizeof section);
  }
  header.e_shoff = sizeof header + content.size();
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + content + sections;
}

TEST(RegisterCounts, AreReadFromBothKindsOfCubin) {
  for (const bool attribute : {false, true}) {
    const std::string file = cubin(attribute, 134);
    const auto counts = register_counts_of_cubin(std::as_bytes(std::span(file)));
    EXPECT_THAT(counts, testing::ElementsAre(testing::Pair("kernel", 134)));
  }
}

TEST(RegisterCounts, ComeFromTheCubinOfTheArchitecture) {
  const auto words = FatbinBuilder()
                         .add(cubin(true, 40), {.kind = 2, .architecture = 90})
                         .add(cubin(false, 32), {.kind = 2, .architecture = 80})
                         .build();
  const std::vector<Unit> units{read_unit(std::as_bytes(std::span(words)))};
  EXPECT_EQ(register_counts(units, 90).at("kernel"), 40);
  EXPECT_EQ(register_counts(units, 86).at("kernel"), 32);
  EXPECT_TRUE(register_counts(units, 100).empty());
}

TEST(RegisterCounts, OfADamagedCubinAreNone) {
  std::string file = cubin(true, 40);
  file.resize(file.size() / 2);
  EXPECT_TRUE(register_counts_of_cubin(std::as_bytes(std::span(file))).empty());
  EXPECT_TRUE(register_counts_of_cubin({}).empty());
}

}  // namespace
}  // namespace gpusim::fatbin
