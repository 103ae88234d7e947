// The tuning file: what `ingot bench ops` and `ingot bench collectives` measured on a machine, so
// that later runs can say what share of it they reach. Keyed by processor (or GPU), instruction set
// and threads, never by host name: the nodes of a cluster share one file. It also keeps which
// algorithm of cuBLASLt runs measured to be the fastest for a matrix product, so that the next run
// computes the same without measuring.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/linear/matrix_algorithms.hpp"
#include "ops/tensor.hpp"
#include "runtime/config/config.hpp"

namespace ingot {

/// One op at one size.
struct OpFigure {
  std::string op;
  std::string type;         ///< "f32", "bf16"
  std::string size;         ///< its first input, "[4, 256, 384]"
  double seconds = 0;       ///< of one execution, the median
  double share = 0;         ///< of `of`, 0 to 1
  std::string of = "copy";  ///< "matrix" or "copy": which of the machine's figures bounds the op

  friend bool operator==(const OpFigure&, const OpFigure&) = default;
};

/// One collective operation at one size among some ranks.
struct CollectiveFigure {
  std::string transport;  ///< "mpi"
  std::int64_t ranks = 2;
  std::int64_t nodes = 1;
  bool shared = true;  ///< in memory that peers may reach directly
  std::string operation;
  std::string type;
  std::int64_t bytes = 0;  ///< of a rank's larger buffer
  double seconds = 0;      ///< of a call among others back to back, on the slowest rank

  friend bool operator==(const CollectiveFigure&, const CollectiveFigure&) = default;
};

/// What one processor does with some number of threads, or one GPU.
struct MachineFigures {
  std::string processor;     ///< as the system or the GPU's driver names its model
  std::string isa;           ///< instruction set that matrix products use; of a GPU: "sm_90"
  std::int64_t threads = 1;  ///< 1 for a GPU
  double matrix_f32 = 0;     ///< FLOP/s; 0: not measured
  double matrix_bf16 = 0;    ///< FLOP/s
  double copy = 0;           ///< bytes read and written per second by a large copy
  std::vector<OpFigure> ops;
  std::vector<CollectiveFigure> collectives;

  friend bool operator==(const MachineFigures&, const MachineFigures&) = default;
};

/// The key of this machine's processor, figures empty.
MachineFigures this_machine(int threads);

/// "AVX-512", what oneDNN uses here.
std::string instruction_set_name();

/// The file that a configuration's `tuning` names; empty: $XDG_CACHE_HOME/ingot/tuning.yaml or
/// ~/.cache/ingot/tuning.yaml.
std::string tuning_path(const std::string& configured);

/// All machines of the file; none where it does not exist. The file is untrusted:
/// Error(kConfiguration) with line and column where it is not one.
std::vector<MachineFigures> read_tuning(const std::string& path);

/// Puts what `ingot bench ops` measured, all but `collectives`, into the file in place of what it
/// has of the same key; atomic. A file that cannot be read as one is refused, not overwritten.
void write_tuning(const std::string& path, const MachineFigures& figures);

/// Puts the collectives of `figures` into the file in place of those of the same machine that
/// differ in their seconds alone; otherwise as write_tuning.
void write_collectives(const std::string& path, const MachineFigures& figures);

/// Collectives that the file knows of the machine with this key; otherwise as read_tuning.
std::vector<CollectiveFigure> measured_collectives(const std::string& path,
                                                   const MachineFigures& machine);

/// The algorithms of matrix products on all GPUs that the file knows; otherwise as read_tuning.
MatrixAlgorithms::Table read_algorithms(const std::string& path);

/// Adds the algorithms, in place of those of the same products; otherwise as write_tuning.
void write_algorithms(const std::string& path, const MatrixAlgorithms::Table& algorithms);

/// FLOP/s of matrix products of this element type on the machine with this key; nothing where they
/// were not measured.
std::optional<double> matrix_peak(const std::string& path, DType type,
                                  const MachineFigures& machine);

/// The same for a run, 0 where unknown. A damaged default file counts as none: it is a cache; one
/// that the configuration names is an error.
double measured_matrix_peak(const Config& config, DType type, const MachineFigures& machine);

}  // namespace ingot
