// Shared by the importers: the inputs with their checksum, which documents are validation, and the
// two writers of a token import.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/data/file_bytes.hpp"
#include "runtime/data/import.hpp"
#include "runtime/data/token_writer.hpp"

namespace ingot {

/// All input files, mapped. Error(kBadData) when there is none or one is empty.
struct ImportInputs {
  std::vector<FileBytes> files;
  std::string source;    ///< file names without folders, comma-separated
  std::string checksum;  ///< of all bytes in order
};
ImportInputs open_inputs(const std::vector<std::string>& paths);

/// Decides which of `count` documents or rows are validation.
class ValidationSplit {
 public:
  /// Error(kUsage) for a fraction outside [0, 1).
  ValidationSplit(const ImportOptions& options, std::int64_t count);
  bool contains(std::int64_t item) const;
  std::int64_t size() const { return size_; }

 private:
  std::int64_t count_;
  std::int64_t size_ = 0;
  SplitRule rule_;
  std::uint64_t seed_;
};

/// A document as a range of a file, in bytes or tokens.
struct DocumentRange {
  std::size_t file = 0;
  std::size_t begin = 0;
  std::size_t size = 0;
};

/// Encodes each document into the training or the validation set and writes both. `encode` fills
/// its second argument with a document's tokens.
ImportReport write_documents(
    const std::string& out, TokenHeader header, const std::vector<DocumentRange>& documents,
    const ImportOptions& options,
    const std::function<void(const DocumentRange&, std::vector<std::uint32_t>&)>& encode);

/// Where to cut a lone document of `size` items, so that the rest is validation; size: nowhere.
std::size_t cut_of_lone_document(std::size_t size, double validation);

/// Removes a validation set that an earlier import left under the name that `out` implies: it would
/// silently be evaluated on.
void remove_stale_validation(const std::string& out);

}  // namespace ingot
