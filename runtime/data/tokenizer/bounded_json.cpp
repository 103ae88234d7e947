// Reading JSON that nobody vouches for; see the header for what is refused.
#include "runtime/data/tokenizer/bounded_json.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

using nlohmann::json;

/// Builds the value from the parser's events. Own instead of the library's, which recurses into
/// no limit and lets the last of two equal keys win.
class BoundedBuilder {
 public:
  BoundedBuilder(const std::string& origin, const JsonLimits& limits)
      : origin_(origin), limits_(limits) {}

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(json::number_integer_t value) { return scalar(value); }
  bool number_unsigned(json::number_unsigned_t value) { return scalar(value); }
  bool number_float(json::number_float_t value, const std::string&) { return scalar(value); }
  bool string(std::string& value) { return scalar(std::move(value)); }
  bool binary(json::binary_t&) { return false; }  // does not occur in JSON text

  bool start_object(std::size_t) { return open(json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [place, added] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!added) fail(ExitCode::kBadData, "{}: the key \"{}\" occurs twice", origin_, name);
    member_ = &place->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& error) {
    fail(ExitCode::kBadData, "{}: not valid JSON at byte {}: {}", origin_, position, error.what());
  }

  json take() { return std::move(root_); }

 private:
  bool scalar(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json value) {
    if (static_cast<std::int64_t>(open_.size()) >= limits_.depth) {
      fail(ExitCode::kBadData, "{}: nested deeper than {} levels", origin_, limits_.depth);
    }
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// Puts a value where the next one belongs. Pointers in open_ stay valid: an array grows only
  /// while none of its elements is open.
  json* place(json value) {
    if (++values_ > limits_.values) {
      fail(ExitCode::kBadData, "{}: holds more than {} values", origin_, limits_.values);
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& elements = open_.back()->get_ref<json::array_t&>();
      elements.push_back(std::move(value));
      return &elements.back();
    }
    *member_ = std::move(value);
    return member_;
  }

  const std::string& origin_;
  const JsonLimits& limits_;
  json root_;
  std::vector<json*> open_;
  json* member_ = nullptr;
  std::int64_t values_ = 0;
};

}  // namespace

std::string read_bounded_file(const std::string& path, const JsonLimits& limits) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    fail(ExitCode::kBadData, "{}: {}", path, error ? error.message() : "not a regular file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ExitCode::kBadData, "{}: cannot open: {}", path, std::strerror(errno));
  std::string content;
  // Read in pieces: the size that the file system states may change meanwhile.
  std::vector<char> piece(std::size_t{1} << 20);
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
    content.append(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (static_cast<std::int64_t>(content.size()) > limits.bytes) {
      fail(ExitCode::kBadData, "{}: larger than {} bytes, which no tokenizer file is", path,
           limits.bytes);
    }
  }
  if (file.bad()) fail(ExitCode::kBadData, "{}: cannot read: {}", path, std::strerror(errno));
  return content;
}

nlohmann::json parse_bounded_json(std::string_view text, const std::string& origin,
                                  const JsonLimits& limits) {
  if (static_cast<std::int64_t>(text.size()) > limits.bytes) {
    fail(ExitCode::kBadData, "{}: larger than {} bytes", origin, limits.bytes);
  }
  BoundedBuilder builder(origin, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace ingot
