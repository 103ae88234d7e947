#include "runtime/data/token_dataset.hpp"

#include <gmock/gmock.h>

#include <random>

#include "runtime/data/token_writer.hpp"
#include "tests/runtime/data/temporary_folder.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

TokenHeader header_of(std::int64_t vocabulary) {
  TokenHeader header;
  header.vocabulary = vocabulary;
  header.end_of_text = 2;
  header.tokenizer = std::string(200000, 'x') + "end";  // longer than an HDF5 attribute can be
  header.source = "book.txt";
  header.source_checksum = "0123456789abcdef";
  return header;
}

TEST(TokenDataset, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const std::int64_t vocabulary : {256, 65536, 65537, 128256}) {
    std::vector<std::uint32_t> tokens(300000);
    for (auto& token : tokens) token = random() % static_cast<std::uint32_t>(vocabulary);
    const std::vector<std::uint64_t> documents = {0, 1, 1000, 299999};
    const std::string path = folder.file("set.h5");
    write_token_dataset(path, header_of(vocabulary), tokens, documents);

    const TokenDataset set = TokenDataset::open(path);
    EXPECT_EQ(set.size(), 300000);
    EXPECT_EQ(set.vocabulary(), vocabulary);
    EXPECT_EQ(set.token_bytes(), vocabulary > 65536 ? 4 : 2);
    EXPECT_EQ(set.header().end_of_text, 2U);
    EXPECT_EQ(set.header().tokenizer, header_of(vocabulary).tokenizer);
    EXPECT_EQ(set.header().source, "book.txt");
    EXPECT_EQ(set.header().source_checksum, "0123456789abcdef");
    std::vector<std::int32_t> all(300000);
    set.copy(0, all);
    EXPECT_TRUE(std::equal(all.begin(), all.end(), tokens.begin()));
    ASSERT_EQ(set.document_count(), 4);
    EXPECT_EQ(set.document_start(2), 1000);
    EXPECT_EQ(set.document_end(2), 299999);
    EXPECT_EQ(set.document_end(3), 300000);
    EXPECT_EQ(set.document_at(0), 0);
    EXPECT_EQ(set.document_at(1), 1);
    EXPECT_EQ(set.document_at(999), 1);
    EXPECT_EQ(set.document_at(1000), 2);
    EXPECT_EQ(set.document_at(299999), 3);
  }
  EXPECT_EQ(folder.count(), 1U) << "temporary files are gone";
}

TEST(TokenDataset, EqualContentsGiveEqualFiles) {
  const TemporaryFolder folder;
  const std::vector<std::uint32_t> tokens = {1, 2, 3};
  write_token_dataset(folder.file("a.h5"), header_of(10), tokens, std::vector<std::uint64_t>{0});
  write_token_dataset(folder.file("b.h5"), header_of(10), tokens, std::vector<std::uint64_t>{0});
  EXPECT_EQ(folder.read("a.h5"), folder.read("b.h5"));
}

TEST(TokenDataset, IsReadableWithH5py) {
  const TemporaryFolder folder;
  const std::vector<std::uint32_t> tokens = {5, 6, 7, 8};
  write_token_dataset(folder.file("set.h5"), header_of(300), tokens,
                      std::vector<std::uint64_t>{0, 3});
  EXPECT_TRUE(run_python(folder, R"(
import h5py, sys
with h5py.File(sys.argv[1], "r") as f:
    assert f["tokens"].dtype == "uint16" and list(f["tokens"]) == [5, 6, 7, 8]
    assert f["documents"].dtype == "uint64" and list(f["documents"]) == [0, 3]
    assert f.attrs["kind"] == b"tokens" and f.attrs["vocabulary"] == 300
    assert bytes(f["tokenizer"][()]).endswith(b"xend")
)",
                         folder.file("set.h5")));
}

TEST(TokenDataset, RefusesTokensOutsideTheVocabulary) {
  const TemporaryFolder folder;
  TokenWriter writer(folder.file("set.h5"), header_of(10));
  const std::vector<std::uint32_t> tokens = {1, 2, 10};
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { writer.append(tokens); }),
              HasSubstr("is 10, outside the vocabulary of 10"));
}

TEST(TokenDataset, NoticesEveryChangedByteOfItsData) {
  const TemporaryFolder folder;
  const std::vector<std::uint32_t> tokens(1000, 7);
  write_token_dataset(folder.file("set.h5"), header_of(256), tokens, std::vector<std::uint64_t>{0});
  std::string bytes = folder.read("set.h5");
  const std::size_t data = bytes.find(std::string("\7\0\7\0\7\0", 6));
  ASSERT_NE(data, std::string::npos);
  bytes[data + 500] = 9;
  const std::string path = folder.write("changed.h5", bytes);
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TokenDataset::open(path); }),
              HasSubstr("damaged"));
}

TEST(TokenDataset, NoticesThatTheFileIsTruncatedAnywhere) {
  const TemporaryFolder folder;
  write_token_dataset(folder.file("set.h5"), header_of(256), std::vector<std::uint32_t>(1000, 7),
                      std::vector<std::uint64_t>{0});
  const std::string bytes = folder.read("set.h5");
  for (const double part : {0.0, 0.001, 0.01, 0.5, 0.999}) {
    const auto size = static_cast<std::size_t>(part * static_cast<double>(bytes.size()));
    const std::string path = folder.write("short.h5", bytes.substr(0, size));
    error_of(ExitCode::kBadData, [&] { TokenDataset::open(path); });
  }
}

TEST(TokenDataset, LeavesNothingBehindWhenItCannotWrite) {
  const TemporaryFolder folder;
  const std::vector<std::uint32_t> tokens = {1};
  const std::vector<std::uint64_t> documents = {0};
  error_of(ExitCode::kCannotWrite, [&] {
    write_token_dataset(folder.file("missing/set.h5"), header_of(10), tokens, documents);
  });
  {
    TokenWriter writer(folder.file("set.h5"), header_of(10));
    writer.append(tokens);
  }
  EXPECT_EQ(folder.count(), 0U) << "without commit() there is no file";
}

TEST(MapFile, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { map_file(folder.file("none")); }),
              HasSubstr("cannot open"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { map_file(folder.file("")); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { map_file("/dev/null"); }),
              HasSubstr("regular file"));
}

TEST(ValidationPath, StandsBeforeTheExtension) {
  EXPECT_EQ(validation_path("data/text.h5"), "data/text.validation.h5");
  EXPECT_EQ(validation_path("a.b/text"), "a.b/text.validation");
}

}  // namespace
}  // namespace ingot
