// Copies and fills in up to three dimensions, over memory of devices, pinned and ordinary memory.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>
#include <string>
#include <vector>

#include "cudart/operation.hpp"
#include "memory/address_space.hpp"

namespace gpusim::cudart {

/// Rows of `width` bytes; `height` rows a slice; `depth` slices.
struct CopyExtent {
  std::size_t width = 0, height = 1, depth = 1;
  bool empty() const { return width == 0 || height == 0 || depth == 0; }
};

/// Where one side of a copy lies: the address of its first byte and the distances of rows and
/// slices.
struct CopySide {
  const void* pointer = nullptr;
  std::size_t pitch = 0;
  std::size_t slice = 0;  ///< bytes
};

class CopyOperation : public Operation {
 public:
  CopyOperation(std::string name, CopySide destination, CopySide source, CopyExtent extent,
                cudaMemcpyKind kind)
      : name_(std::move(name)),
        destination_(destination),
        source_(source),
        extent_(extent),
        kind_(kind) {}
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeMemcpy; }
  std::string name() const override { return name_; }
  /// Reads the source now, into memory of its own: the caller may reuse it at once.
  void stage();

  const CopySide& destination() const { return destination_; }
  const CopySide& source() const { return source_; }
  const CopyExtent& extent() const { return extent_; }
  cudaMemcpyKind kind() const { return kind_; }
  cudaMemcpy3DParms parameters() const;

 private:
  std::string name_;
  CopySide destination_, source_;
  CopyExtent extent_;
  cudaMemcpyKind kind_;
  std::vector<std::byte> staged_;
};

class FillOperation : public Operation {
 public:
  FillOperation(std::string name, CopySide destination, CopyExtent extent, unsigned value,
                unsigned element_bytes)
      : name_(std::move(name)),
        destination_(destination),
        extent_(extent),
        value_(value),
        element_bytes_(element_bytes) {}
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeMemset; }
  std::string name() const override { return name_; }
  cudaMemsetParams parameters() const;

 private:
  std::string name_;
  CopySide destination_;
  CopyExtent extent_;  ///< width in bytes
  unsigned value_;
  unsigned element_bytes_;
};

/// What kind of memory a pointer leads to.
enum class Residence { kPageable, kPinned, kManaged, kDevice };
Residence residence_of(const void* pointer);

/// Checks both sides against the blocks they lie in and `kind` against where they lie; fails and
/// explains. Null for an empty extent.
std::shared_ptr<CopyOperation> make_copy(std::string name, CopySide destination, CopySide source,
                                         CopyExtent extent, cudaMemcpyKind kind);
std::shared_ptr<FillOperation> make_fill(std::string name, CopySide destination, CopyExtent extent,
                                         unsigned value, unsigned element_bytes);
/// The same from the structure of 3-D copies and of memset nodes.
std::shared_ptr<CopyOperation> make_copy(std::string name, const cudaMemcpy3DParms& parameters);
std::shared_ptr<FillOperation> make_fill(std::string name, const cudaMemsetParams& parameters);

/// Enqueues a copy as cudaMemcpy (synchronous) or cudaMemcpyAsync does it, with their rules on
/// pageable memory.
void submit_copy(std::shared_ptr<CopyOperation> copy, cudaStream_t stream, bool synchronous);
void submit_fill(std::shared_ptr<FillOperation> fill, cudaStream_t stream, bool synchronous);

}  // namespace gpusim::cudart
