#include "runtime/data/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>

#include "runtime/data/table_dataset.hpp"
#include "runtime/data/token_dataset.hpp"
#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kShownTokens = 64;
constexpr std::size_t kShownCategories = 8;

/// Bytes as a terminal may see them: control characters escaped.
std::string printable(std::string_view text) {
  std::string result;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '\n') {
      result += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", byte);
    } else {
      result += character;
    }
  }
  return result;
}

void add_length_histogram(const TokenDataset& set, std::string& report) {
  std::array<std::int64_t, 64> bins{};  // bin b: lengths of [2^b, 2^(b+1))
  std::int64_t longest = 0;
  for (std::int64_t d = 0; d < set.document_count(); ++d) {
    const std::int64_t length = set.document_end(d) - set.document_start(d);
    longest = std::max(longest, length);
    ++bins[static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(length)) - 1)];
  }
  const std::int64_t most = *std::ranges::max_element(bins);
  auto out = std::back_inserter(report);
  fmt::format_to(out, "document lengths, in tokens (longest {})\n", longest);
  for (std::size_t b = 0; b < bins.size(); ++b) {
    if (bins[b] == 0) continue;
    const auto stars = static_cast<std::size_t>(1 + 39 * bins[b] / most);
    fmt::format_to(out, "  {:>11} .. {:<11} {:>10} {}\n", std::uint64_t{1} << b,
                   (std::uint64_t{2} << b) - 1, bins[b], std::string(stars, '*'));
  }
}

std::string describe_tokens(const DatasetFile& file) {
  const TokenDataset set = TokenDataset::from_file(file);
  const TokenHeader& header = set.header();
  std::string report;
  auto out = std::back_inserter(report);
  fmt::format_to(out, "kind             tokens\n");
  fmt::format_to(out, "tokens           {} (uint{})\n", set.size(), 8 * set.token_bytes());
  fmt::format_to(out, "documents        {}\n", set.document_count());
  fmt::format_to(out, "vocabulary       {}\n", header.vocabulary);
  fmt::format_to(out, "end of text      {}\n",
                 header.end_of_text ? std::to_string(*header.end_of_text) : "none");
  std::unique_ptr<Tokenizer> tokenizer;
  if (!header.tokenizer.empty()) {
    tokenizer = restore_tokenizer(header.tokenizer, file.path());
  }
  fmt::format_to(out, "tokenizer        {}\n",
                 tokenizer ? tokenizer->kind() : "not stored (text cannot be decoded)");
  fmt::format_to(out, "checksum         {}\n", set.checksum());
  fmt::format_to(out, "source           {}\n", printable(header.source));
  fmt::format_to(out, "source checksum  {}\n", printable(header.source_checksum));
  if (set.size() == 0) return report;
  add_length_histogram(set, report);
  std::vector<std::int32_t> first(static_cast<std::size_t>(std::min(kShownTokens, set.size())));
  set.copy(0, first);
  if (tokenizer) {
    const std::vector<std::uint32_t> ids(first.begin(), first.end());
    fmt::format_to(out, "starts with      {}\n", printable(tokenizer->decode(ids)));
  } else {
    fmt::format_to(out, "starts with      {}\n", fmt::join(first, " "));
  }
  return report;
}

std::string describe_table(const DatasetFile& file) {
  const TableDataset set = TableDataset::from_file(file);
  const TableHeader& header = set.header();
  std::string report;
  auto out = std::back_inserter(report);
  fmt::format_to(out, "kind             table\n");
  fmt::format_to(out, "rows             {}\n", set.rows());
  fmt::format_to(out, "checksum         {}\n", set.checksum());
  fmt::format_to(out, "source           {}\n", printable(header.source));
  fmt::format_to(out, "source checksum  {}\n", printable(header.source_checksum));
  const auto rows = static_cast<double>(std::max<std::int64_t>(set.rows(), 1));
  fmt::format_to(out, "\n{:<24} {:>13} {:>13} {:>13} {:>13}\n", "numeric column", "mean",
                 "deviation", "least", "greatest");
  for (std::int64_t f = 0; f < set.feature_count(); ++f) {
    double mean = 0;
    double squares = 0;
    float least = set.rows() > 0 ? set.feature(0, f) : 0;
    float greatest = least;
    for (std::int64_t row = 0; row < set.rows(); ++row) {
      const float value = set.feature(row, f);
      const double difference = value - mean;
      mean += difference / static_cast<double>(row + 1);
      squares += difference * (value - mean);
      least = std::min(least, value);
      greatest = std::max(greatest, value);
    }
    fmt::format_to(out, "{:<24} {:>13.6g} {:>13.6g} {:>13.6g} {:>13.6g}\n",
                   printable(header.features[static_cast<std::size_t>(f)]), mean,
                   std::sqrt(squares / rows), least, greatest);
  }
  if (set.category_count() > 0) {
    fmt::format_to(out, "\n{:<24} {:>8} {:>8}  {}\n", "category column", "values", "unknown",
                   "first values");
  }
  for (std::int64_t k = 0; k < set.category_count(); ++k) {
    const CategoryColumn& column = header.categories[static_cast<std::size_t>(k)];
    std::int64_t unknown = 0;
    for (std::int64_t row = 0; row < set.rows(); ++row) unknown += set.category(row, k) == 0;
    std::string values;
    for (std::size_t v = 0; v < std::min(kShownCategories, column.values.size()); ++v) {
      values += (v == 0 ? "" : ", ") + printable(column.values[v]);
    }
    fmt::format_to(out, "{:<24} {:>8} {:>8}  {}\n", printable(column.name), column.values.size(),
                   unknown, values);
  }
  std::vector<std::int64_t> balance(header.classes.size());
  for (std::int64_t row = 0; row < set.rows(); ++row) {
    ++balance[static_cast<std::size_t>(set.label(row))];
  }
  fmt::format_to(out, "\n{:<24} {:>10} {:>8}\n", "label " + printable(header.label), "rows", "%");
  for (std::size_t c = 0; c < balance.size(); ++c) {
    fmt::format_to(out, "{:<24} {:>10} {:>8.3f}\n", printable(header.classes[c]), balance[c],
                   100.0 * static_cast<double>(balance[c]) / rows);
  }
  return report;
}

}  // namespace

std::string inspect_dataset(const std::string& path) {
  const DatasetFile file(map_file(path));
  return file.kind() == DataKind::kTokens ? describe_tokens(file) : describe_table(file);
}

}  // namespace ingot
