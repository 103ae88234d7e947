#include "ops/base/checksum.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include "ops/base/error.hpp"

namespace ingot {

namespace {

Checksum128 from_hash(XXH128_hash_t hash) {
  return {hash.high64, hash.low64};
}

XXH3_state_t* state_of(void* state) {
  return static_cast<XXH3_state_t*>(state);
}

// xxhash aligns its state itself, so it is made and freed by xxhash.
std::unique_ptr<void, void (*)(void*)> make_state() {
  std::unique_ptr<void, void (*)(void*)> state(XXH3_createState(),
                                               [](void* s) { XXH3_freeState(state_of(s)); });
  ensure(state != nullptr, "memory for the state of a checksum");
  return state;
}

}  // namespace

std::string Checksum128::text() const {
  return fmt::format("{:016x}{:016x}", high, low);
}

std::string checksum64_text(std::uint64_t checksum) {
  return fmt::format("{:016x}", checksum);
}

std::uint64_t checksum64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Checksum128 checksum128(std::span<const std::byte> bytes) {
  return from_hash(XXH3_128bits(bytes.data(), bytes.size()));
}

StreamingChecksum64::StreamingChecksum64() : state_(make_state()) {
  XXH3_64bits_reset(state_of(state_.get()));
}
void StreamingChecksum64::add(std::span<const std::byte> bytes) {
  add(bytes.data(), bytes.size());
}
void StreamingChecksum64::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(state_of(state_.get()), data, bytes);
}
std::uint64_t StreamingChecksum64::digest() const {
  return XXH3_64bits_digest(state_of(state_.get()));
}

StreamingChecksum128::StreamingChecksum128() : state_(make_state()) {
  XXH3_128bits_reset(state_of(state_.get()));
}
void StreamingChecksum128::add(std::span<const std::byte> bytes) {
  add(bytes.data(), bytes.size());
}
void StreamingChecksum128::add(const void* data, std::size_t bytes) {
  XXH3_128bits_update(state_of(state_.get()), data, bytes);
}
Checksum128 StreamingChecksum128::digest() const {
  return from_hash(XXH3_128bits_digest(state_of(state_.get())));
}

}  // namespace ingot
