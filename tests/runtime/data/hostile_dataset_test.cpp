// Files made to hurt: each is written with h5py by a few lines of Python and has to be refused with
// a message that says why.
#include <gmock/gmock.h>

#include <random>

#include "runtime/data/table_dataset.hpp"
#include "runtime/data/token_dataset.hpp"
#include "tests/runtime/data/temporary_folder.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

/// Opens `f` (a new HDF5 file with valid attributes and documents), np and h5py for the script.
std::string message_of(const TemporaryFolder& folder, const std::string& script) {
  const std::string path = folder.file("hostile.h5");
  const bool written = run_python(folder,
                                  "import h5py, numpy as np, sys, os\n"
                                  "f = h5py.File(sys.argv[1], 'w', libver='latest')\n"
                                  "f.attrs['format_version'] = 1\n"
                                  "f.attrs['kind'] = 'tokens'\n"
                                  "f.attrs['vocabulary'] = 100\n"
                                  "f['documents'] = np.array([0], dtype='uint64')\n"
                                  "tokens = np.arange(50, dtype='uint16')\n" +
                                      script,
                                  path);
  EXPECT_TRUE(written) << script;
  return error_of(ExitCode::kBadData, [&] { TokenDataset::open(path); });
}

TEST(HostileDataset, APlainFileOfH5pyIsRead) {
  const TemporaryFolder folder;
  ASSERT_TRUE(run_python(folder, R"(
import h5py, numpy as np, sys
with h5py.File(sys.argv[1], "w", libver="latest") as f:
    f.attrs["format_version"] = 1
    f.attrs["kind"] = "tokens"
    f.attrs["vocabulary"] = np.int32(100)
    f.attrs["end_of_text"] = np.uint8(99)
    f.attrs["source"] = "caf\u00e9"
    f.attrs["note"] = [1, 2, 3]
    f["tokens"] = np.arange(50, dtype="uint32")
    f["documents"] = np.array([0, 10], dtype="uint64")
)",
                         folder.file("plain.h5")));
  const TokenDataset set = TokenDataset::open(folder.file("plain.h5"));
  EXPECT_EQ(set.size(), 50);
  EXPECT_EQ(set.header().end_of_text, 99U);
  EXPECT_EQ(set.header().source, "café");
}

TEST(HostileDataset, ForeignStorageIsRefused) {
  const TemporaryFolder folder;
  const std::string vds = R"(
layout = h5py.VirtualLayout((50,), dtype='uint16')
layout[:] = h5py.VirtualSource('/etc/passwd', 'x', (50,))
f.create_virtual_dataset('tokens', layout)
)";
  EXPECT_THAT(message_of(folder, vds), HasSubstr("/tokens is virtual storage"));
  EXPECT_THAT(message_of(folder, "f.create_dataset('tokens', data=tokens, chunks=(10,))"),
              HasSubstr("chunked storage"));
  EXPECT_THAT(message_of(folder, "f.create_dataset('tokens', data=tokens, compression='gzip')"),
              HasSubstr("filters"));
  EXPECT_THAT(message_of(folder, R"(
f.create_dataset('tokens', (50,), 'uint16', external=[('/etc/passwd', 0, 100)])
)"),
              HasSubstr("external files"));
  EXPECT_THAT(message_of(folder, R"(
p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
p.set_layout(h5py.h5d.COMPACT)
s = h5py.h5s.create_simple((50,))
h5py.h5d.create(f.id, b'tokens', h5py.h5t.STD_U16LE, s, p)
)"),
              HasSubstr("compact storage"));
  EXPECT_THAT(message_of(folder, "f.create_dataset('tokens', (50,), 'uint16')"),
              HasSubstr("without storage"));
}

TEST(HostileDataset, LinksOutAndGroupsAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(folder, "f['tokens'] = h5py.ExternalLink('/etc/passwd', 'tokens')"),
              HasSubstr("/tokens is an external link"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = h5py.SoftLink('/documents')"),
              HasSubstr("/tokens is a soft link"));
  EXPECT_THAT(message_of(folder, "f.create_group('tokens')"), HasSubstr("/tokens is a group"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = f['/']"), HasSubstr("/tokens is a group"));
  EXPECT_THAT(message_of(folder, "for i in range(100): f['x%d' % i] = tokens"),
              HasSubstr("more datasets than"));
}

TEST(HostileDataset, ForeignTypesAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(folder, "f['tokens'] = np.zeros(50, dtype=[('a', 'u2'), ('b', 'f4')])"),
              HasSubstr("a compound type"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens.astype('>u2')"), HasSubstr("big-endian"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens.astype('float32')"),
              HasSubstr("/tokens holds float32, expected uint16 or uint32"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens.astype('float16')"),
              HasSubstr("a float type of 2 bytes"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = np.array([b'ab', b'cd'])"),
              HasSubstr("a string type"));
  EXPECT_THAT(message_of(folder, R"(
f['t'] = np.dtype('uint16')
f.create_dataset('tokens', data=tokens, dtype=f['t'])
)"),
              testing::AnyOf(HasSubstr("named (committed) type"), HasSubstr("/t is no dataset")));
}

TEST(HostileDataset, WrongShapesAndContentsAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens.reshape(5, 10)"),
              HasSubstr("/tokens has 2 dimensions, expected 1"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = np.uint16(3)"),
              HasSubstr("/tokens has 0 dimensions"));
  EXPECT_THAT(message_of(folder, ""), HasSubstr("has no /tokens"));
  EXPECT_THAT(message_of(folder, "tokens[7] = 100; f['tokens'] = tokens"),
              HasSubstr("/tokens[7] is 100, outside the vocabulary of 100"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; del f.attrs['vocabulary']"),
              HasSubstr("vocabulary is missing"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; f.attrs['vocabulary'] = 2**40"),
              HasSubstr("vocabulary is 1099511627776"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; f.attrs['vocabulary'] = 'many'"),
              HasSubstr("vocabulary is not one integer"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; f.attrs['kind'] = 'table'"),
              HasSubstr("holds a table"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; f.attrs['format_version'] = 9"),
              HasSubstr("format version 9"));
  EXPECT_THAT(message_of(folder, "f['tokens'] = tokens; f['documents'][0] = 1"),
              HasSubstr("/documents starts with 1"));
  for (const std::string documents : {"[0, 5, 5]", "[0, 6, 5]", "[0, 50]", "[0, 2**63]"}) {
    EXPECT_THAT(message_of(folder,
                           "f['tokens'] = tokens; del f['documents']; f['documents'] = "
                           "np.array(" +
                               documents + ", dtype='uint64')"),
                HasSubstr("strictly ascending"));
  }
}

TEST(HostileDataset, HugeExtentsAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(folder, "f.create_dataset('tokens', (2**40, 2**20), 'uint16')"),
              HasSubstr("without storage"));
  EXPECT_THAT(message_of(folder, "f.create_dataset('tokens', (1,)*20, 'uint16')"),
              HasSubstr("20 dimensions"));
}

TEST(HostileDataset, WhatIsNoDataSetIsRefused) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.write("foreign.h5", bytes);
    return error_of(ExitCode::kBadData, [&] { TokenDataset::open(path); });
  };
  EXPECT_THAT(message(""), HasSubstr("not an HDF5 file"));
  EXPECT_THAT(message("some text"), HasSubstr("not an HDF5 file"));
  ASSERT_TRUE(run_python(folder, R"(
import h5py, sys
h5py.File(sys.argv[1] + ".old", "w")["tokens"] = [1]
h5py.File(sys.argv[1] + ".new", "w", libver="latest")["tokens"] = [1]
)",
                         folder.file("x")));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TokenDataset::open(folder.file("x.old")); }),
              HasSubstr("libver=\"latest\""));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TokenDataset::open(folder.file("x.new")); }),
              HasSubstr("no data set of ingot"));
}

TEST(HostileDataset, HeadersThatLeadInCirclesEnd) {
  const TemporaryFolder folder;
  // An object header whose one chunk is followed by a continuation that holds itself.
  std::string bytes = "\x89HDF\r\n\x1a\n";
  const auto put = [&](auto value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const auto put_continuation = [&] {
    for (const std::uint8_t byte : {0x10, 16, 0, 0}) put(byte);
    put(std::uint64_t{79});  // where OCHK lies
    put(std::uint64_t{28});
  };
  for (const std::uint8_t byte : {2, 8, 8, 0}) put(byte);
  for (const std::uint64_t word : {0ULL, ~0ULL, 107ULL, 48ULL}) put(word);
  put(std::uint32_t{0});
  bytes += "OHDR";
  for (const std::uint8_t byte : {2, 0, 20}) put(byte);
  put_continuation();
  put(std::uint32_t{0});
  ASSERT_EQ(bytes.size(), 79U);
  bytes += "OCHK";
  put_continuation();
  put(std::uint32_t{0});
  ASSERT_EQ(bytes.size(), 107U);
  const FileBytes file{"circle", std::as_bytes(std::span(bytes)), nullptr};
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { read_hdf5(file, false); }),
              HasSubstr("bytes of object headers"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { read_hdf5(file); }), HasSubstr("checksum"));
}

// What a fuzzer does, in small: no change of bytes may do more than raise Error(kBadData).
TEST(HostileDataset, NoChangedByteDoesHarm) {
  const TemporaryFolder folder;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  TokenHeader header;
  header.vocabulary = 300;
  header.tokenizer = "bytes";
  write_token_dataset(folder.file("set.h5"), header, std::vector<std::uint32_t>(20, 5),
                      std::vector<std::uint64_t>{0, 7});
  const std::string good = folder.read("set.h5");
  // Metadata are where bytes are not zero; most of the file is padding.
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (good[i] != 0) places.push_back(i);
  }
  int refused = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    std::string bytes = good;
    for (unsigned change = 0; change < 1 + random() % 3; ++change) {
      const std::size_t near = places[random() % places.size()] + random() % 3;
      bytes[std::min(near, bytes.size() - 1)] = static_cast<char>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const FileBytes file{"mutant", std::as_bytes(std::span(bytes)), nullptr};
    try {
      TokenDataset::from_file(DatasetFile(file, false));
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ExitCode::kBadData) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace ingot
