#include "cublaslt/algorithms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "cudart/internal.hpp"
#include "machine/machine.hpp"

namespace gpusim::blas {

namespace {

constexpr int kAligned = 6, kAny = 1, kSplit = 21, kSplitInPlace = 24;

constexpr std::array kKinds{
    AlgorithmKind{kAligned, true, false, 0, CUBLASLT_MATMUL_TILE_128x128,
                  CUBLASLT_MATMUL_STAGES_32x3, 0},
    AlgorithmKind{kSplit, false, true,
                  CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE,
                  CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_16x3, 1},
    AlgorithmKind{kAny, false, false, 0, CUBLASLT_MATMUL_TILE_64x64,
                  CUBLASLT_MATMUL_STAGES_UNDEFINED, 0},
    AlgorithmKind{kSplitInPlace, true, true, CUBLASLT_REDUCTION_SCHEME_INPLACE,
                  CUBLASLT_MATMUL_TILE_128x64, CUBLASLT_MATMUL_STAGES_32x3, 0},
};

std::int64_t tiles_of(const Algorithm& algorithm, const ProductCall& call) {
  std::int64_t rows = 64, columns = 64;
  if (algorithm.tile == CUBLASLT_MATMUL_TILE_128x128) rows = columns = 128;
  if (algorithm.tile == CUBLASLT_MATMUL_TILE_128x64) rows = 128;
  return (call.m + rows - 1) / rows * ((call.n + columns - 1) / columns) * call.batch;
}

std::uint64_t workspace_of(const Algorithm& algorithm, const ProductCall& call) {
  if (algorithm.splits <= 1) return 0;
  if (algorithm.reduction == CUBLASLT_REDUCTION_SCHEME_INPLACE) {
    return static_cast<std::uint64_t>(tiles_of(algorithm, call)) * 4;  // a counter per tile
  }
  const std::int64_t accumulator = call.arithmetic == Arithmetic::kF64 ? 8 : 4;
  const std::int64_t element = algorithm.reduction == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE
                                   ? size_of(call.d.type)
                                   : accumulator;
  return static_cast<std::uint64_t>(algorithm.splits * call.m * call.n * call.batch * element);
}

bool aligned(const Layout& layout, std::uint64_t alignment) {
  const std::int64_t element = size_of(*element_of(layout.type));
  const bool batches = layout.batch_count == 1 ||
                       layout.batch_mode == CUBLASLT_BATCH_MODE_POINTER_ARRAY ||
                       layout.batch_stride * element % 16 == 0;
  return alignment >= 16 && layout.leading * element % 16 == 0 && batches;
}

}  // namespace

std::span<const AlgorithmKind> algorithm_kinds() {
  return kKinds;
}

const AlgorithmKind* find_kind(int id) {
  for (const AlgorithmKind& kind : kKinds) {
    if (kind.id == id) return &kind;
  }
  return nullptr;
}

Algorithm make_algorithm(const AlgorithmKind& kind, std::int32_t compute_type,
                         std::int32_t scale_type, std::int64_t a, std::int64_t b, std::int64_t c,
                         std::int64_t d) {
  Algorithm algorithm;
  algorithm.id = kind.id;
  algorithm.tile = kind.tile;
  algorithm.stages = kind.stages;
  const auto small = [](std::int64_t value) { return static_cast<std::uint8_t>(value); };
  algorithm.compute_type = small(compute_type);
  algorithm.scale_type = small(scale_type);
  algorithm.a_type = small(a);
  algorithm.b_type = small(b);
  algorithm.c_type = small(c);
  algorithm.d_type = small(d);
  return algorithm;
}

Verdict check_algorithm(const Algorithm& algorithm, const ProductDescription& description,
                        const Layouts& layouts, const ProductCall& call,
                        const Alignments& alignments, std::uint64_t& workspace_bytes) {
  const AlgorithmKind* kind = find_kind(algorithm.id);
  if (kind == nullptr) return invalid("an unknown algorithm");
  const Algorithm same =
      make_algorithm(*kind, description.compute_type, description.scale_type, layouts.a->type,
                     layouts.b->type, layouts.c->type, layouts.d->type);
  if (algorithm.compute_type != same.compute_type || algorithm.scale_type != same.scale_type ||
      algorithm.a_type != same.a_type || algorithm.b_type != same.b_type ||
      algorithm.c_type != same.c_type || algorithm.d_type != same.d_type) {
    return invalid("the algorithm was made for other types");
  }
  if (algorithm.splits > 1) {
    if (!kind->splits || algorithm.splits > call.k) {
      return unsupported("the algorithm cannot split this depth");
    }
    if ((algorithm.reduction & kind->reductions) == 0) {
      return unsupported("the algorithm lacks this reduction scheme");
    }
  }
  if (kind->needs_alignment &&
      !(aligned(*layouts.a, alignments.a) && aligned(*layouts.b, alignments.b) &&
        aligned(*layouts.c, alignments.c) && aligned(*layouts.d, alignments.d))) {
    return unsupported("the algorithm needs 16-byte alignment");
  }
  workspace_bytes = workspace_of(algorithm, call);
  return {};
}

float waves_of(const Algorithm& algorithm, const ProductCall& call) {
  const auto device = static_cast<std::size_t>(std::max(0, cudart::current_device()));
  const auto& devices = machine().devices;
  const int multiprocessors = device < devices.size() ? devices[device].multiprocessors : 1;
  return static_cast<float>(tiles_of(algorithm, call) * algorithm.splits) /
         static_cast<float>(multiprocessors);
}

std::vector<Candidate> candidates(const ProductDescription& description, const Layouts& layouts,
                                  const ProductCall& call, const Preference& preference) {
  const Alignments alignments{preference.alignment_a, preference.alignment_b,
                              preference.alignment_c, preference.alignment_d};
  std::vector<Candidate> found;
  for (const AlgorithmKind& kind : kKinds) {
    Candidate candidate;
    candidate.algorithm =
        make_algorithm(kind, description.compute_type, description.scale_type, layouts.a->type,
                       layouts.b->type, layouts.c->type, layouts.d->type);
    if (kind.splits) {
      candidate.algorithm.splits = kind.id == kSplit ? 4 : 2;
      candidate.algorithm.reduction =
          kind.reductions & preference.reduction_mask &
          (CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_INPLACE);
    }
    const Verdict verdict = check_algorithm(candidate.algorithm, description, layouts, call,
                                            alignments, candidate.workspace_bytes);
    if (!verdict.ok() || candidate.workspace_bytes > preference.workspace_bytes) continue;
    candidate.waves = waves_of(candidate.algorithm, call);
    if (preference.waves > 0 && candidate.waves > preference.waves) continue;
    found.push_back(candidate);
  }
  return found;
}

}  // namespace gpusim::blas
