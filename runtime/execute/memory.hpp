// All device memory of a run: named buffers and the arena that programs share. Everything is
// allocated while the run starts; afterwards nothing is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/device/device.hpp"
#include "runtime/execute/host_transfer.hpp"
#include "runtime/program/program.hpp"
#include "runtime/program/update.hpp"

namespace ingot {

class Memory {
 public:
  /// Bytes of a buffer that was asked for with less.
  static constexpr std::int64_t kSmallestBuffer = 64;

  explicit Memory(Device& device)
      : device_(device), transfer_(std::make_unique<HostTransfer>(device)) {}

  /// Allocates a named buffer, zero; asking for a name again returns it if it is large enough, and
  /// is an internal error otherwise.
  TensorView allocate(const std::string& name, const TensorType& type);
  /// Makes `name` another name of an existing buffer's memory.
  void alias(const std::string& name, const std::string& existing);
  bool has(const std::string& name) const { return views_.contains(name); }
  const TensorView& view(const std::string& name) const;
  /// Allocates every kBuffer operand of the program that does not exist yet: it begins at offset 0
  /// then and is as large as it will be.
  void allocate_buffers(const Program& program);
  /// Makes the arena at least this large; before any program is bound to it.
  void reserve_arena(std::int64_t bytes);
  void allocate_arena();
  /// Address of an operand.
  TensorView resolve(const Operand& operand) const;
  void* arena_at(std::int64_t offset, std::int64_t bytes) const { return arena_.at(offset, bytes); }

  std::int64_t arena_bytes() const { return arena_bytes_; }
  /// The memory behind a name, whole; and the arena.
  const Buffer& buffer(const std::string& name) const;
  const Buffer& arena() const { return arena_; }
  /// How the host reads and writes contents outside of steps.
  HostTransfer& transfer() const { return *transfer_; }
  Device& device() const { return device_; }
  /// Bytes of each buffer by name, aliases left out, arena last.
  std::vector<std::pair<std::string, std::int64_t>> table() const;

 private:
  Device& device_;
  std::unique_ptr<HostTransfer> transfer_;
  std::map<std::string, Buffer> buffers_;
  std::map<std::string, TensorView> views_;
  std::map<std::string, std::string> aliases_;
  Buffer arena_;
  std::int64_t arena_bytes_ = 0;
};

}  // namespace ingot
