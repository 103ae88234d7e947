#include "runtime/train/agreed_algorithms.hpp"

#include "ops/base/error.hpp"
#include "runtime/metrics/tuning.hpp"

namespace ingot {

namespace {

/// Writes down what was measured here. The file is a cache: a run goes on without.
void keep_measured(const MatrixAlgorithms& algorithms, const MatrixAlgorithms::Table& known,
                   const AlgorithmSource& source, Logger& log) {
  MatrixAlgorithms::Table fresh;
  std::size_t found = 0;
  for (const auto& [product, algorithm] : algorithms.used()) {
    if (known.contains(product)) {
      ++found;
    } else if (algorithm.exists() && algorithm.seconds > 0) {
      fresh.emplace(product, algorithm);
    }
  }
  const std::string path = tuning_path(source.tuning);
  if (found + fresh.size() > 0) {
    log.info("algorithms of matrix products: {} from {}, {} measured", found, path, fresh.size());
  }
  if (fresh.empty()) return;
  try {
    write_algorithms(path, fresh);
  } catch (const Error& error) {
    log.warning("the measured algorithms are not kept for the next run: {}", error.what());
  }
}

}  // namespace

MatrixAlgorithms::Table load_algorithms(MatrixAlgorithms& algorithms, const std::string& tuning,
                                        Logger& log) {
  try {
    MatrixAlgorithms::Table known = read_algorithms(tuning_path(tuning));
    for (const auto& [product, algorithm] : known) algorithms.import_one(product, algorithm);
    return known;
  } catch (const Error& error) {
    if (!tuning.empty()) throw;
    log.warning("the tuning file is passed over: {}", error.what());
    return {};
  }
}

void prepare_with_agreed_algorithms(MatrixAlgorithms& algorithms, const AlgorithmSource& source,
                                    RankExchange& exchange, Logger& log,
                                    const std::function<void()>& prepare) {
  MatrixAlgorithms::Table known;
  const std::string table = agreed_text(exchange, [&] {
    known = load_algorithms(algorithms, source.tuning, log);
    const ChoiceScope scope(algorithms, source.choice);
    prepare();
    return algorithms.export_text();
  });
  if (exchange.rank() == 0) {
    if (source.choice == AlgorithmChoice::kMeasure) keep_measured(algorithms, known, source, log);
    return;
  }
  algorithms.import_text(table);
  // A product that rank 0 does not know belongs to another kind of GPU: ranks that have one must
  // choose alike, so not by the clock.
  algorithms.set_choice(AlgorithmChoice::kHeuristic);
  prepare();
}

}  // namespace ingot
