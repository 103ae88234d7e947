// A bounds-checked little-endian cursor over HDF5 metadata. Running past the end is an error of the
// file, reported with the name of the structure being read.
#pragma once

#include <bit>
#include <cstdint>

#include "ops/base/error.hpp"
#include "runtime/data/file_bytes.hpp"

namespace ingot {

class Hdf5Cursor {
 public:
  static_assert(std::endian::native == std::endian::little, "ingot runs on little-endian machines");

  /// `what` lives as long as the cursor.
  Hdf5Cursor(const std::string& path, std::string_view what, std::span<const std::byte> bytes)
      : path_(&path), what_(what), rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > rest_.size()) {
      fail(
          ExitCode::kBadData,
          "{}: damaged HDF5 file: its {} ends after {} bytes, expected {}; copy or import it again",
          *path_, what_, rest_.size(), count);
    }
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(static_cast<std::size_t>(count));
    return taken;
  }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

  /// An unsigned number of 1, 2, 4 or 8 bytes.
  std::uint64_t sized(int bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(static_cast<std::uint64_t>(bytes)).data(),
                static_cast<std::size_t>(bytes));
    return value;
  }

  std::string text(std::uint64_t count) {
    const auto bytes = take(count);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    // Padding and terminators are no part of the name.
    if (const auto end = text.find('\0'); end != std::string::npos) text.resize(end);
    return text;
  }

 private:
  const std::string* path_;
  std::string_view what_;
  std::span<const std::byte> rest_;
};

}  // namespace ingot
