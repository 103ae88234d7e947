// XXH3 checksums, 64 and 128 bits wide: fast enough for every file that is written or read. They
// find damage, not forgery: whoever can change a file can change its checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ingot {

struct Checksum128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  std::string text() const;  ///< 32 lower-case hexadecimal digits, high word first
  friend bool operator==(const Checksum128&, const Checksum128&) = default;
};

std::uint64_t checksum64(std::span<const std::byte> bytes);
Checksum128 checksum128(std::span<const std::byte> bytes);

/// 16 lower-case hexadecimal digits.
std::string checksum64_text(std::uint64_t checksum);

/// A 64-bit checksum over bytes that arrive in pieces; equal to checksum64 of the whole, wherever
/// they are cut.
class StreamingChecksum64 {
 public:
  StreamingChecksum64();
  void add(std::span<const std::byte> bytes);
  void add(const void* data, std::size_t bytes);
  std::uint64_t digest() const;

 private:
  std::unique_ptr<void, void (*)(void*)> state_;
};

/// The same, 128 bits wide.
class StreamingChecksum128 {
 public:
  StreamingChecksum128();
  void add(std::span<const std::byte> bytes);
  void add(const void* data, std::size_t bytes);
  Checksum128 digest() const;

 private:
  std::unique_ptr<void, void (*)(void*)> state_;
};

}  // namespace ingot
