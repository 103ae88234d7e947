// How all ranks come to the same algorithms of matrix products: rank 0 prepares its programs, with
// what the tuning file knows and by measuring the rest; the others take over its table and prepare
// theirs. Only for devices that compute products by a vendor's library: GPUs.
#pragma once

#include <functional>
#include <string>

#include "ops/base/log.hpp"
#include "ops/linear/matrix_algorithms.hpp"
#include "runtime/checkpoint/rank_exchange.hpp"

namespace ingot {

struct AlgorithmSource {
  std::string tuning;  ///< as Config::tuning
  /// kMeasure: what is measured is also kept in the tuning file, by rank 0.
  AlgorithmChoice choice = AlgorithmChoice::kHeuristic;
};

/// Takes over what a tuning file (as Config::tuning) knows, and returns it. A damaged default file
/// is passed over with a warning, as it is a cache; one that the configuration names is an error.
MatrixAlgorithms::Table load_algorithms(MatrixAlgorithms& algorithms, const std::string& tuning,
                                        Logger& log);

/// Calls `prepare`, which may use no collective operation, once. Collective; an Error of rank 0 is
/// everybody's. Afterwards nothing is measured any more.
void prepare_with_agreed_algorithms(MatrixAlgorithms& algorithms, const AlgorithmSource& source,
                                    RankExchange& exchange, Logger& log,
                                    const std::function<void()>& prepare);

}  // namespace ingot
