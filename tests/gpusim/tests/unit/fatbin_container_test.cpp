// Reading fat binaries: entries, compression, wrappers, and what damage leads to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fatbin/fatbin.hpp"
#include "fatbin_builder.hpp"

namespace gpusim::fatbin {
namespace {

std::string long_text() {
  std::string text = "\n\n.version 9.0\n.target sm_90\n";
  for (int i = 0; i < 500; ++i) text += "// line " + std::to_string(i) + "\n";
  return text;
}

std::span<const std::byte> bytes_of(const std::vector<std::uint64_t>& words) {
  return std::as_bytes(std::span(words));
}

TEST(Container, ReadsPlainAndCompressedText) {
  for (const std::uint64_t flags : {0x11ULL, 0x2011ULL, 0x8011ULL}) {
    const auto words = FatbinBuilder().add(long_text(), {.flags = flags}).build();
    const Unit unit = read_unit(bytes_of(words));
    ASSERT_EQ(unit.entries.size(), 1U);
    EXPECT_EQ(unit.entries[0].kind, Entry::Kind::kPtx);
    EXPECT_EQ(unit.entries[0].architecture, 90);
    EXPECT_EQ(unpack(unit.entries[0]), long_text()) << "flags " << flags;
  }
}

TEST(Container, ReadsSeveralEntriesWithTheirNames) {
  const auto words = FatbinBuilder()
                         .add("first", {.architecture = 80, .name = "source.cu"})
                         .add(
                             "\x7f"
                             "ELF",
                             {.kind = 2, .architecture = 80})
                         .add("second", {.flags = 0x100011})
                         .add("third", {.architecture = 100, .flags = 0x200011})
                         .build();
  const Unit unit = read_unit(bytes_of(words));
  ASSERT_EQ(unit.entries.size(), 4U);
  EXPECT_EQ(unit.entries[0].name, "source.cu");
  EXPECT_EQ(unpack(unit.entries[0]), "first");
  EXPECT_EQ(unit.entries[1].kind, Entry::Kind::kCubin);
  EXPECT_TRUE(unit.entries[2].specific);
  EXPECT_TRUE(unit.entries[3].family);
}

TEST(Container, ReadsARegisteredWrapper) {
  const auto words = FatbinBuilder().add("text", {}).build();
  Wrapper wrapper;
  wrapper.data = words.data();
  const auto units = units_of_wrapper(&wrapper);
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(unpack(units[0].entries.at(0)), "text");
}

TEST(Container, ReadsTheUnitsOfRelocatableCode) {
  const auto linked = FatbinBuilder().build();
  const auto first = FatbinBuilder().add("one", {}).build();
  const auto second = FatbinBuilder().add("two", {}).build();
  const void* list[] = {first.data(), second.data(), nullptr};
  Wrapper wrapper;
  wrapper.version = 2;
  wrapper.data = linked.data();
  wrapper.fatbins = list;
  const auto units = units_of_wrapper(&wrapper);
  ASSERT_EQ(units.size(), 2U);
  EXPECT_EQ(unpack(units[1].entries.at(0)), "two");
}

TEST(Container, ReadsAFileOfSeveral) {
  auto words = FatbinBuilder().add("one", {}).build();
  const auto more = FatbinBuilder().add("two", {}).build();
  words.push_back(0);
  words.insert(words.end(), more.begin(), more.end());
  EXPECT_EQ(units_of_file(bytes_of(words), "file").size(), 2U);
}

TEST(Container, NamesWhatIsDamaged) {
  auto words = FatbinBuilder().add(long_text(), {.flags = 0x8011}).build();
  auto expect_malformed = [](std::span<const std::byte> bytes) {
    try {
      for (const Entry& entry : read_unit(bytes).entries) unpack(entry);
      ADD_FAILURE() << "accepted";
    } catch (const FatbinError& error) {
      EXPECT_EQ(error.kind(), FatbinError::Kind::kMalformed);
    }
  };
  expect_malformed(bytes_of(words).first(8));
  expect_malformed(bytes_of(words).first(100));
  auto broken = words;
  broken[0] = 1;
  expect_malformed(bytes_of(broken));
  broken = words;
  broken[9] = std::uint64_t{1} << 50;  // the unpacked size
  expect_malformed(bytes_of(broken));
  broken = words;
  broken[12] ^= 0xff00;  // within the compressed text
  expect_malformed(bytes_of(broken));
  Wrapper wrapper;
  wrapper.magic = 7;
  EXPECT_THROW(units_of_wrapper(&wrapper), FatbinError);
  EXPECT_THROW(units_of_wrapper(nullptr), FatbinError);
}

TEST(Container, SurvivesRandomDamage) {
  const auto words = FatbinBuilder()
                         .add(long_text(), {.flags = 0x8011})
                         .add(long_text(), {.flags = 0x2011})
                         .add(long_text(), {.kind = 2, .name = "cubin"})
                         .build();
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    auto damaged = words;
    auto* bytes = reinterpret_cast<unsigned char*>(damaged.data());
    const std::size_t range = round % 2 == 0 ? 100 : damaged.size() * 8;
    for (int i = 0; i < 3; ++i) bytes[random() % range] = static_cast<unsigned char>(random());
    try {
      const Unit unit = read_unit(bytes_of(damaged));
      for (const Entry& entry : unit.entries) {
        const std::string text = unpack(entry);
        register_counts_of_cubin(std::as_bytes(std::span(text)));
      }
    } catch (const FatbinError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace gpusim::fatbin
