#include "runtime/execute/host_transfer.hpp"

#include <algorithm>
#include <cstring>

namespace ingot {
namespace {

/// Long enough that a copy runs at the bus's speed.
constexpr std::int64_t kStagingBytes = 4 << 20;

std::byte* at(void* data, std::int64_t offset) {
  return static_cast<std::byte*>(data) + offset;
}
const std::byte* at(const void* data, std::int64_t offset) {
  return static_cast<const std::byte*>(data) + offset;
}

}  // namespace

HostTransfer::HostTransfer(Device& device) : device_(device) {
  if (device.host_visible()) return;
  staging_ = device.allocate_host(kStagingBytes, "staging");
  stream_ = device.create_stream("transfer");
}

void HostTransfer::write(void* device_memory, const void* from, std::int64_t bytes) {
  if (bytes == 0) return;
  if (!stream_) {
    std::memcpy(device_memory, from, static_cast<std::size_t>(bytes));
    return;
  }
  for (std::int64_t done = 0; done < bytes; done += kStagingBytes) {
    const std::int64_t piece = std::min(kStagingBytes, bytes - done);
    std::memcpy(staging_.data(), at(from, done), static_cast<std::size_t>(piece));
    device_.copy(*stream_, at(device_memory, done), staging_.data(), piece);
    stream_->synchronize();
  }
}

void HostTransfer::read(void* to, const void* device_memory, std::int64_t bytes) {
  if (bytes == 0) return;
  if (!stream_) {
    std::memcpy(to, device_memory, static_cast<std::size_t>(bytes));
    return;
  }
  for (std::int64_t done = 0; done < bytes; done += kStagingBytes) {
    const std::int64_t piece = std::min(kStagingBytes, bytes - done);
    device_.copy(*stream_, staging_.data(), at(device_memory, done), piece);
    stream_->synchronize();
    std::memcpy(at(to, done), staging_.data(), static_cast<std::size_t>(piece));
  }
}

void HostTransfer::copy(void* to, const void* from, std::int64_t bytes) {
  if (bytes == 0) return;
  if (!stream_) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
    return;
  }
  device_.copy(*stream_, to, from, bytes);
  stream_->synchronize();
}

void HostTransfer::zero(void* device_memory, std::int64_t bytes) {
  if (bytes == 0) return;
  if (!stream_) {
    std::memset(device_memory, 0, static_cast<std::size_t>(bytes));
    return;
  }
  device_.fill_zero(*stream_, device_memory, bytes);
  stream_->synchronize();
}

}  // namespace ingot
