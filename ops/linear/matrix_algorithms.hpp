// Which algorithm of the vendor's library computes each matrix product: chosen once per product and
// GPU, then the same for the whole run and on all ranks, since algorithms differ in the last bits
// of their results. The choice is made while kernels are prepared, and comes, in this order, from
//
//   this table     filled from the tuning file, or from what rank 0 broadcasts;
//   measurement    with AlgorithmChoice::kMeasure: every candidate is timed on scratch memory;
//                  on CPUs, what was measured to suit the number of threads (matrix_product.hpp);
//   the library    with kHeuristic: the first that its heuristic names (parallel.reduction:
//   ordered).
//
// So rank 0 prepares its programs, exports the table and broadcasts it; the others import it and
// prepare theirs. Nothing here knows CUDA: the bytes of an algorithm are the library's own.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace ingot {

enum class AlgorithmChoice : std::uint8_t { kHeuristic, kMeasure };

struct MatrixAlgorithm {
  /// cublasLtMatmulAlgo_t as it is; all zero: the library has no algorithm for this product, and
  /// the op goes another way.
  std::array<std::uint64_t, 8> bytes{};
  double seconds = 0;  ///< of one execution; 0: not measured

  bool exists() const { return bytes != std::array<std::uint64_t, 8>{}; }
  friend bool operator==(const MatrixAlgorithm&, const MatrixAlgorithm&) = default;
};

/// The bytes as 128 hexadecimal digits, and back; nothing where the text is anything else.
std::string digits_of(const MatrixAlgorithm& algorithm);
std::optional<MatrixAlgorithm> algorithm_of_digits(std::string_view digits);

/// Safe to use from several threads.
class MatrixAlgorithms {
 public:
  /// A key names GPU, library version, shape, types and epilogue, in words.
  using Table = std::map<std::string, MatrixAlgorithm>;

  AlgorithmChoice choice() const;
  void set_choice(AlgorithmChoice choice);

  /// For a product of this process: it counts as used.
  std::optional<MatrixAlgorithm> find(const std::string& key);
  /// Keeps what is there already: an algorithm never changes within a run. Returns what stands.
  MatrixAlgorithm add(const std::string& key, const MatrixAlgorithm& algorithm);
  Table table() const;
  /// Those that were found or added here, and not merely imported.
  Table used() const;
  /// Of which products use which algorithms, 16 hexadecimal digits: equal bits need equal ones.
  std::string used_checksum() const;
  void clear();

  /// One line per product: "key = <128 hexadecimal digits> <seconds>".
  std::string export_text() const;
  /// Replaces the algorithms of the products that the text names. The text is not trusted: throws
  /// Error(kBadData) with the line where it is not such a text, and changes nothing then. An
  /// algorithm that the library refuses is found out when its kernel is prepared.
  void import_text(std::string_view text);
  /// The same for one product, from a file that was read.
  void import_one(const std::string& key, const MatrixAlgorithm& algorithm);

 private:
  mutable std::mutex mutex_;
  AlgorithmChoice choice_ = AlgorithmChoice::kHeuristic;
  Table table_;
  std::set<std::string> used_;
};

/// Another choice while it lives.
class ChoiceScope {
 public:
  ChoiceScope(MatrixAlgorithms& algorithms, AlgorithmChoice choice)
      : algorithms_(algorithms), before_(algorithms.choice()) {
    algorithms_.set_choice(choice);
  }
  ~ChoiceScope() { algorithms_.set_choice(before_); }
  ChoiceScope(const ChoiceScope&) = delete;
  ChoiceScope& operator=(const ChoiceScope&) = delete;

 private:
  MatrixAlgorithms& algorithms_;
  const AlgorithmChoice before_;
};

/// The table of this process: what is fast is a property of the machine, not of one program.
MatrixAlgorithms& matrix_algorithms();

}  // namespace ingot
