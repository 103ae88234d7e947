// The algorithms that the simulated cuBLASLt offers. They differ as real ones do: in the alignment
// and workspace that they need and, where K is split, in the last bits of their results.
#pragma once

#include <cublasLt.h>

#include <span>
#include <vector>

#include "cublaslt/objects.hpp"
#include "cublaslt/problem.hpp"

namespace gpusim::blas {

struct AlgorithmKind {
  int id;
  bool needs_alignment;  ///< 16 bytes, of pointers and leading dimensions
  bool splits;           ///< SPLITK_NUM may be above 1
  std::uint32_t reductions;
  std::uint32_t tile, stages;
  int custom_options;  ///< the largest CUSTOM_OPTION
};
std::span<const AlgorithmKind> algorithm_kinds();
const AlgorithmKind* find_kind(int id);

/// Bytes to which the four matrices are aligned.
struct Alignments {
  std::uint64_t a = 256, b = 256, c = 256, d = 256;
};

/// An algorithm for these types, as AlgoInit gives it.
Algorithm make_algorithm(const AlgorithmKind& kind, std::int32_t compute_type,
                         std::int32_t scale_type, std::int64_t a, std::int64_t b, std::int64_t c,
                         std::int64_t d);

/// Whether the algorithm can do it; the workspace that it needs then.
Verdict check_algorithm(const Algorithm& algorithm, const ProductDescription& description,
                        const Layouts& layouts, const ProductCall& call,
                        const Alignments& alignments, std::uint64_t& workspace_bytes);

struct Candidate {
  Algorithm algorithm;
  std::uint64_t workspace_bytes = 0;
  float waves = 0;
};
/// Those that fit, most promising first.
std::vector<Candidate> candidates(const ProductDescription& description, const Layouts& layouts,
                                  const ProductCall& call, const Preference& preference);
float waves_of(const Algorithm& algorithm, const ProductCall& call);

}  // namespace gpusim::blas
