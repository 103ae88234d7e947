// Bob Jenkins' lookup3 hash (public domain, 2006), which HDF5 puts behind each piece of metadata.
#include <array>
#include <bit>

#include "runtime/data/hdf5_reader.hpp"

namespace ingot {

std::uint32_t hdf5_checksum(std::span<const std::byte> bytes) {
  std::uint32_t a = 0xdeadbeefU + static_cast<std::uint32_t>(bytes.size());
  std::uint32_t b = a;
  std::uint32_t c = a;
  if (bytes.empty()) return c;
  // The last block of 1 to 12 bytes is filled up with zeros and mixed differently.
  while (true) {
    std::array<std::uint32_t, 3> words{};
    const std::size_t length = bytes.size() < 12 ? bytes.size() : 12;
    std::memcpy(words.data(), bytes.data(), length);
    bytes = bytes.subspan(length);
    a += words[0];
    b += words[1];
    c += words[2];
    if (bytes.empty()) break;
    a = (a - c) ^ std::rotl(c, 4);
    c += b;
    b = (b - a) ^ std::rotl(a, 6);
    a += c;
    c = (c - b) ^ std::rotl(b, 8);
    b += a;
    a = (a - c) ^ std::rotl(c, 16);
    c += b;
    b = (b - a) ^ std::rotl(a, 19);
    a += c;
    c = (c - b) ^ std::rotl(b, 4);
    b += a;
  }
  c = (c ^ b) - std::rotl(b, 14);
  a = (a ^ c) - std::rotl(c, 11);
  b = (b ^ a) - std::rotl(a, 25);
  c = (c ^ b) - std::rotl(b, 16);
  a = (a ^ c) - std::rotl(c, 4);
  b = (b ^ a) - std::rotl(a, 14);
  c = (c ^ b) - std::rotl(b, 24);
  return c;
}

}  // namespace ingot
