// Feeds bytes to the readers of data sets. Checksums of metadata are not compared, so that
// mutations reach what lies behind them; anything but Error(kBadData) is a bug.
#include <cstdint>
#include <cstdlib>

#include "ops/base/error.hpp"
#include "runtime/data/table_dataset.hpp"
#include "runtime/data/token_dataset.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ingot::FileBytes bytes{"input", std::as_bytes(std::span(data, size)), nullptr};
  try {
    const ingot::DatasetFile file(bytes, false);
    if (file.kind() == ingot::DataKind::kTokens) {
      const auto set = ingot::TokenDataset::from_file(file);
      if (set.size() > 0) set.document_at(set.size() - 1);
    } else {
      ingot::TableDataset::from_file(file);
    }
  } catch (const ingot::Error& error) {
    if (error.code() != ingot::ExitCode::kBadData) std::abort();
  }
  return 0;
}
