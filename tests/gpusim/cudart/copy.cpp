// Copies and fills. Addresses are checked when the call is made and looked up again when the work
// runs: a block that was freed meanwhile is reported then.
#include "cudart/copy.hpp"

#include <cstring>
#include <sstream>

#include "cudart/api.hpp"

namespace gpusim::cudart {
namespace {

std::uint64_t address_of(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

/// Bytes from the first to behind the last one of a side.
std::uint64_t span_of(const CopySide& side, const CopyExtent& extent) {
  return (extent.depth - 1) * side.slice + (extent.height - 1) * side.pitch + extent.width;
}

bool in_device_range(std::uint64_t address) {
  return address - kAddressBase < (4ULL << 40);
}

struct Span {
  Allocation* block = nullptr;  ///< null: ordinary memory of the host
  std::byte* host = nullptr;    ///< of the side's first byte
};

/// Finds the memory of one side. False with `why` where it may not be touched.
bool resolve(const CopySide& side, const CopyExtent& extent, Span& span, std::string& why) {
  const std::uint64_t address = address_of(side.pointer);
  AddressSpace& space = AddressSpace::instance();
  Allocation* block = space.find(address);
  if (block == nullptr && !in_device_range(address)) {
    span.host = static_cast<std::byte*>(const_cast<void*>(side.pointer));
    return true;
  }
  const std::uint64_t bytes = span_of(side, extent);
  const bool live = block != nullptr && block->live.load();
  if (!live || !block->contains(address, bytes)) {
    std::ostringstream text;
    text << bytes << " bytes from 0x" << std::hex << address << std::dec << ", "
         << space.describe(address) << (live ? ": more than the block holds" : "");
    why = text.str();
    return false;
  }
  span.block = block;
  span.host = block->at(address);
  return true;
}

template <typename Visit>
void for_rows(const CopySide& side, const CopyExtent& extent, Visit visit) {
  // Rows without gaps are one.
  if (extent.height * extent.depth == 1 ||
      (side.pitch == extent.width &&
       (extent.depth == 1 || side.slice == extent.height * extent.width))) {
    visit(std::size_t{0}, extent.width * extent.height * extent.depth);
    return;
  }
  for (std::size_t z = 0; z < extent.depth; ++z) {
    for (std::size_t y = 0; y < extent.height; ++y) {
      visit(z * side.slice + y * side.pitch, extent.width);
    }
  }
}

void note_access(const CopySide& side, const CopyExtent& extent, const Span& span, bool write,
                 AccessSet& accesses) {
  if (span.block == nullptr || !options().check_streams) return;
  for_rows(side, extent, [&](std::size_t offset, std::size_t bytes) {
    if (write) {
      accesses.write(address_of(side.pointer) + offset, bytes);
    } else {
      accesses.read(address_of(side.pointer) + offset, bytes);
    }
  });
}

/// The destination's bytes count as written where the source's do.
void copy_shadow(const Span& to, std::uint64_t to_address, const Span& from,
                 std::uint64_t from_address, std::size_t bytes) {
  if (to.block == nullptr || to.block->initialised == nullptr) return;
  if (from.block == nullptr || from.block->initialised == nullptr ||
      from.block->is_initialised(from_address, bytes)) {
    to.block->mark_initialised(to_address, bytes);
    return;
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (from.block->is_initialised(from_address + i, 1)) {
      to.block->mark_initialised(to_address + i, 1);
    }
  }
}

Outcome invalid(const std::string& name, const std::string& why) {
  Outcome outcome;
  outcome.fault = Fault::kIllegalAddress;
  outcome.message = name + ": " + why;
  return outcome;
}

CopySide packed(const CopyExtent& extent) {
  return {nullptr, extent.width, extent.width * extent.height};
}

}  // namespace

Residence residence_of(const void* pointer) {
  const Allocation* block = AddressSpace::instance().find(address_of(pointer));
  if (block == nullptr) {
    return in_device_range(address_of(pointer)) ? Residence::kDevice : Residence::kPageable;
  }
  switch (block->kind) {
    case MemoryKind::kPinned:
    case MemoryKind::kRegistered:
      return Residence::kPinned;
    case MemoryKind::kManaged:
      return Residence::kManaged;
    default:
      return Residence::kDevice;
  }
}

void CopyOperation::stage() {
  staged_.resize(extent_.width * extent_.height * extent_.depth);
  std::size_t at = 0;
  const auto* base = static_cast<const std::byte*>(source_.pointer);
  for_rows(source_, extent_, [&](std::size_t offset, std::size_t bytes) {
    std::memcpy(staged_.data() + at, base + offset, bytes);
    at += bytes;
  });
}

Outcome CopyOperation::run(const RunContext&) const {
  Outcome outcome;
  Span to, from;
  CopySide source = source_;
  std::string why;
  if (!staged_.empty()) {
    source = packed(extent_);
    from.host = const_cast<std::byte*>(staged_.data());
  } else if (!resolve(source_, extent_, from, why)) {
    return invalid(name_ + " reads memory that is no longer there", why);
  }
  if (!resolve(destination_, extent_, to, why)) {
    return invalid(name_ + " writes memory that is no longer there", why);
  }
  const std::uint64_t to_address = address_of(destination_.pointer);
  const std::uint64_t from_address = address_of(source_.pointer);
  auto row = [&](std::size_t to_offset, std::size_t from_offset, std::size_t bytes) {
    std::memmove(to.host + to_offset, from.host + from_offset, bytes);
    copy_shadow(to, to_address + to_offset, from, from_address + from_offset, bytes);
  };
  if (extent_.height == 1 && extent_.depth == 1) {
    row(0, 0, extent_.width);
  } else {
    for (std::size_t z = 0; z < extent_.depth; ++z) {
      for (std::size_t y = 0; y < extent_.height; ++y) {
        row(z * destination_.slice + y * destination_.pitch, z * source.slice + y * source.pitch,
            extent_.width);
      }
    }
  }
  if (staged_.empty()) note_access(source_, extent_, from, false, outcome.accesses);
  note_access(destination_, extent_, to, true, outcome.accesses);
  return outcome;
}

cudaMemcpy3DParms CopyOperation::parameters() const {
  cudaMemcpy3DParms result = {};
  auto side = [&](const CopySide& s) {
    cudaPitchedPtr pointer = {};
    pointer.ptr = const_cast<void*>(s.pointer);
    pointer.pitch = s.pitch;
    pointer.xsize = extent_.width;
    pointer.ysize = s.pitch != 0 ? s.slice / s.pitch : extent_.height;
    return pointer;
  };
  result.srcPtr = side(source_);
  result.dstPtr = side(destination_);
  result.extent = {extent_.width, extent_.height, extent_.depth};
  result.kind = kind_;
  return result;
}

Outcome FillOperation::run(const RunContext&) const {
  Outcome outcome;
  Span to;
  std::string why;
  if (!resolve(destination_, extent_, to, why)) {
    return invalid(name_ + " writes memory that is no longer there", why);
  }
  for_rows(destination_, extent_, [&](std::size_t offset, std::size_t bytes) {
    std::byte* row = to.host + offset;
    if (element_bytes_ == 1) {
      std::memset(row, static_cast<int>(value_ & 0xFF), bytes);
    } else {
      for (std::size_t i = 0; i + element_bytes_ <= bytes; i += element_bytes_) {
        std::memcpy(row + i, &value_, element_bytes_);
      }
    }
    if (to.block != nullptr) {
      to.block->mark_initialised(address_of(destination_.pointer) + offset, bytes);
    }
  });
  note_access(destination_, extent_, to, true, outcome.accesses);
  return outcome;
}

cudaMemsetParams FillOperation::parameters() const {
  cudaMemsetParams result = {};
  result.dst = const_cast<void*>(destination_.pointer);
  result.pitch = destination_.pitch;
  result.value = value_;
  result.elementSize = element_bytes_;
  result.width = extent_.width / element_bytes_;
  result.height = extent_.height;
  return result;
}

namespace {

const char* side_name(Residence residence) {
  switch (residence) {
    case Residence::kPageable:
      return "ordinary host memory";
    case Residence::kPinned:
      return "pinned host memory";
    case Residence::kManaged:
      return "managed memory";
    case Residence::kDevice:
      return "memory of a device";
  }
  return "";
}

/// Pinned and managed memory is both; ordinary memory is the host's, cudaMalloc's the device's.
void check_side(const std::string& name, const char* side, const void* pointer, bool as_device) {
  const Residence residence = residence_of(pointer);
  const bool wrong =
      as_device ? residence == Residence::kPageable : residence == Residence::kDevice;
  if (!wrong) return;
  report_problem("copy direction", name + ": the " + side + " is " + side_name(residence) +
                                       ", the kind of the copy says " +
                                       (as_device ? "device" : "host"));
  fail(cudaErrorInvalidValue);
}

void check_bounds(const std::string& name, const char* verb, const CopySide& side,
                  const CopyExtent& extent) {
  require(side.pointer != nullptr, cudaErrorInvalidValue);
  Span span;
  std::string why;
  if (resolve(side, extent, span, why)) return;
  report_problem("illegal address", name + " " + verb + " " + why);
  fail(cudaErrorInvalidValue);
}

}  // namespace

std::shared_ptr<CopyOperation> make_copy(std::string name, CopySide destination, CopySide source,
                                         CopyExtent extent, cudaMemcpyKind kind) {
  require(kind >= cudaMemcpyHostToHost && kind <= cudaMemcpyDefault,
          cudaErrorInvalidMemcpyDirection);
  if (extent.empty()) return nullptr;
  if (extent.height > 1 || extent.depth > 1) {
    require(destination.pitch >= extent.width && source.pitch >= extent.width,
            cudaErrorInvalidPitchValue);
  }
  if (kind != cudaMemcpyDefault) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    check_side(name, "destination", destination.pointer, to_device);
    check_side(name, "source", source.pointer, from_device);
  }
  check_bounds(name, "reads", source, extent);
  check_bounds(name, "writes", destination, extent);
  return std::make_shared<CopyOperation>(std::move(name), destination, source, extent, kind);
}

std::shared_ptr<FillOperation> make_fill(std::string name, CopySide destination, CopyExtent extent,
                                         unsigned value, unsigned element_bytes) {
  if (extent.empty()) return nullptr;
  require(element_bytes == 1 || element_bytes == 2 || element_bytes == 4, cudaErrorInvalidValue);
  if (extent.height > 1 || extent.depth > 1) {
    require(destination.pitch >= extent.width, cudaErrorInvalidPitchValue);
  }
  if (residence_of(destination.pointer) == Residence::kPageable) {
    explain(name + ": the destination is ordinary host memory");
    fail(cudaErrorInvalidValue);
  }
  check_bounds(name, "writes", destination, extent);
  return std::make_shared<FillOperation>(std::move(name), destination, extent, value,
                                         element_bytes);
}

std::shared_ptr<CopyOperation> make_copy(std::string name, const cudaMemcpy3DParms& p) {
  if (p.srcArray != nullptr || p.dstArray != nullptr) {
    explain(name + ": arrays and textures are not supported by the simulator");
    fail(cudaErrorNotSupported);
  }
  auto side = [](const cudaPitchedPtr& pointer, const cudaPos& position) {
    CopySide result;
    result.pitch = pointer.pitch;
    result.slice = pointer.pitch * pointer.ysize;
    result.pointer = static_cast<const std::byte*>(pointer.ptr) + position.z * result.slice +
                     position.y * result.pitch + position.x;
    return result;
  };
  return make_copy(std::move(name), side(p.dstPtr, p.dstPos), side(p.srcPtr, p.srcPos),
                   {p.extent.width, p.extent.height, p.extent.depth}, p.kind);
}

std::shared_ptr<FillOperation> make_fill(std::string name, const cudaMemsetParams& p) {
  CopySide side{p.dst, p.pitch, p.pitch * p.height};
  return make_fill(std::move(name), side, {p.width * p.elementSize, p.height, 1}, p.value,
                   p.elementSize);
}

}  // namespace gpusim::cudart
