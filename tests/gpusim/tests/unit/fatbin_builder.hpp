// Builds fat binaries as nvcc lays them out, for tests.
#pragma once

#include <lz4.h>
#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace gpusim::fatbin {

class FatbinBuilder {
 public:
  struct Options {
    std::uint16_t kind = 1;
    std::uint32_t architecture = 90;
    std::uint64_t flags = 0x11;
    std::string name = std::string();
  };

  FatbinBuilder& add(const std::string& content, const Options& options) {
    std::string payload = content;
    if ((options.flags & 0x2000) != 0) {
      payload.resize(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(content.size()))));
      payload.resize(static_cast<std::size_t>(
          LZ4_compress_default(content.data(), payload.data(), static_cast<int>(content.size()),
                               static_cast<int>(payload.size()))));
    } else if ((options.flags & 0x8000) != 0) {
      payload.resize(ZSTD_compressBound(content.size()));
      payload.resize(
          ZSTD_compress(payload.data(), payload.size(), content.data(), content.size(), 3));
    }
    const bool compressed = payload.size() != content.size() || (options.flags & 0xa000) != 0;
    const std::size_t padded = (payload.size() + 7) / 8 * 8;
    const std::size_t name_bytes = options.name.empty() ? 0 : options.name.size() + 1;
    const std::size_t header = 64 + (name_bytes + 7) / 8 * 8;
    put<std::uint16_t>(options.kind);
    put<std::uint16_t>(0x0101);
    put(static_cast<std::uint32_t>(header));
    put<std::uint64_t>(padded);
    put(compressed ? static_cast<std::uint32_t>(payload.size()) : 0U);
    put<std::uint32_t>(0x40);
    put<std::uint16_t>(0);
    put<std::uint16_t>(9);
    put(options.architecture);
    put(name_bytes == 0 ? 0U : 64U);
    put(static_cast<std::uint32_t>(name_bytes));
    put(options.flags);
    put<std::uint64_t>(0);
    put<std::uint64_t>(compressed ? content.size() : 0);
    append(options.name, header - 64);
    append(payload, padded);
    return *this;
  }

  /// The whole fat binary, aligned like the compiler's.
  std::vector<std::uint64_t> build() const {
    std::string bytes("\x50\xed\x55\xba\x01\x00\x10\x00", 8);
    const std::uint64_t size = entries_.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes += entries_;
    std::vector<std::uint64_t> words((bytes.size() + 7) / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    return words;
  }

 private:
  template <typename T>
  void put(T value) {
    entries_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void append(std::string text, std::size_t bytes) {
    text.resize(bytes, '\0');
    entries_ += text;
  }

  std::string entries_;
};

/// What nvcc's start-up code registers.
struct Wrapper {
  std::uint32_t magic = 0x466243b1;
  std::uint32_t version = 1;
  const void* data = nullptr;
  const void* fatbins = nullptr;
};

}  // namespace gpusim::fatbin
