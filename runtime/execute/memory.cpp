#include "runtime/execute/memory.hpp"

#include <algorithm>

namespace ingot {

TensorView Memory::allocate(const std::string& name, const TensorType& type) {
  const auto found = views_.find(name);
  if (found != views_.end()) {
    ensure(found->second.type.bytes() >= type.bytes(), "a buffer that is as large as before");
    return {found->second.data, type};
  }
  Buffer buffer = device_.allocate_shared(std::max(type.bytes(), kSmallestBuffer), name);
  if (!device_.host_visible()) transfer_->zero(buffer.data(), buffer.bytes());
  const TensorView view{buffer.data(), type};
  buffers_.emplace(name, std::move(buffer));
  views_.emplace(name, view);
  return view;
}

void Memory::alias(const std::string& name, const std::string& existing) {
  views_[name] = view(existing);
  aliases_[name] = existing;
}

const Buffer& Memory::buffer(const std::string& name) const {
  const auto alias = aliases_.find(name);
  const auto found = buffers_.find(alias == aliases_.end() ? name : alias->second);
  if (found == buffers_.end()) fail(ExitCode::kInternal, "there is no buffer '{}'", name);
  return found->second;
}

const TensorView& Memory::view(const std::string& name) const {
  const auto found = views_.find(name);
  if (found == views_.end()) fail(ExitCode::kInternal, "there is no buffer '{}'", name);
  return found->second;
}

void Memory::allocate_buffers(const Program& program) {
  for (const Instruction& instruction : program.instructions) {
    for (const auto* operands : {&instruction.inputs, &instruction.outputs}) {
      for (const Operand& operand : *operands) {
        if (operand.space == Space::kBuffer && !has(operand.buffer)) {
          ensure(operand.offset == 0, "a buffer that is allocated before its parts are named");
          allocate(operand.buffer, operand.type);
        }
      }
    }
  }
}

void Memory::reserve_arena(std::int64_t bytes) {
  ensure(arena_.data() == nullptr, "an arena that is not allocated yet");
  arena_bytes_ = std::max(arena_bytes_, bytes);
}

void Memory::allocate_arena() {
  if (arena_bytes_ > 0) arena_ = device_.allocate_shared(arena_bytes_, "arena");
}

TensorView Memory::resolve(const Operand& operand) const {
  const auto at = [&](const char* name) {
    const TensorView& flat = view(name);
    const std::int64_t element = size_of(operand.type.dtype);
    ensure(flat.type.dtype == operand.type.dtype &&
               operand.offset + operand.type.count() <= flat.count(),
           "an operand inside its flat buffer");
    return TensorView{static_cast<std::byte*>(flat.data) + operand.offset * element, operand.type};
  };
  switch (operand.space) {
    case Space::kArena:
      return {arena_.at(operand.offset, operand.type.bytes()), operand.type};
    case Space::kWeights:
      return at(store::kWeights);
    case Space::kGradients:
      return at(store::kGradients);
    case Space::kBuffer: {
      const TensorView& buffer = view(operand.buffer);
      ensure(operand.offset + operand.type.bytes() <= buffer.type.bytes(),
             "an operand inside its buffer");
      return {static_cast<std::byte*>(buffer.data) + operand.offset, operand.type};
    }
    case Space::kNone:
      break;
  }
  return {nullptr, operand.type};
}

std::vector<std::pair<std::string, std::int64_t>> Memory::table() const {
  std::vector<std::pair<std::string, std::int64_t>> rows;
  for (const auto& [name, buffer] : buffers_) rows.emplace_back(name, buffer.bytes());
  rows.emplace_back("arena", arena_bytes_);
  return rows;
}

}  // namespace ingot
