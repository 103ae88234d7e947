// Text and JSON lines to tokens. Inputs are mapped; first the documents are found, then each is
// encoded, so that the split is known before anything is written.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ops/base/error.hpp"
#include "runtime/data/import_common.hpp"

namespace ingot {
namespace {

TokenHeader header_of(const ImportInputs& inputs, const Tokenizer& tokenizer) {
  TokenHeader header;
  header.vocabulary = tokenizer.vocabulary();
  header.end_of_text = tokenizer.end_of_text();
  header.tokenizer = tokenizer.serialise();
  header.source = inputs.source;
  header.source_checksum = inputs.checksum;
  return header;
}

void encode_document(const Tokenizer& tokenizer, std::string_view text,
                     std::vector<std::uint32_t>& tokens) {
  tokens = tokenizer.encode(text);
  if (tokens.empty()) return;
  if (const auto end = tokenizer.end_of_text()) tokens.push_back(*end);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

/// Ranges between separators that hold more than white space.
void split_text(std::string_view text, std::size_t file, std::string_view separator,
                std::vector<DocumentRange>& documents) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t found =
        separator.empty() ? std::string_view::npos : text.find(separator, begin);
    const std::size_t end = std::min(found, text.size());
    if (!is_blank(text.substr(begin, end - begin))) {
      documents.push_back({file, begin, end - begin});
    }
    if (found == std::string_view::npos) break;
    begin = found + separator.size();
  }
}

/// Cuts a lone document into a part for training and one for validation, at a line's end where one
/// is near enough, else between characters.
void cut_lone_document(std::string_view text, double validation,
                       std::vector<DocumentRange>& documents) {
  const DocumentRange whole = documents.front();
  std::size_t cut = cut_of_lone_document(whole.size, validation);
  const std::string_view document = text.substr(whole.begin, whole.size);
  const std::size_t line_end = document.find('\n', cut);
  if (line_end != std::string_view::npos && line_end + 1 < document.size()) {
    cut = line_end + 1;
  } else {
    const auto continues = [&](std::size_t i) {
      return (static_cast<unsigned char>(document[i]) & 0xc0U) == 0x80U;
    };
    while (cut < document.size() && continues(cut)) ++cut;
  }
  if (cut == 0 || cut >= whole.size) return;
  documents = {{whole.file, whole.begin, cut}, {whole.file, whole.begin + cut, whole.size - cut}};
}

}  // namespace

ImportReport import_text(const std::vector<std::string>& files, const std::string& out,
                         const Tokenizer& tokenizer, const ImportOptions& options) {
  const ImportInputs inputs = open_inputs(files);
  std::vector<DocumentRange> documents;
  for (std::size_t file = 0; file < inputs.files.size(); ++file) {
    split_text(inputs.files[file].text(), file, options.document_separator, documents);
  }
  if (documents.empty()) {
    fail(ExitCode::kBadData, "{}: only white space, expected text", inputs.source);
  }
  ImportOptions effective = options;
  if (documents.size() == 1) {
    cut_lone_document(inputs.files[documents[0].file].text(), options.validation, documents);
    effective.split = SplitRule::kEnd;
  }
  return write_documents(out, header_of(inputs, tokenizer), documents, effective,
                         [&](const DocumentRange& range, std::vector<std::uint32_t>& tokens) {
                           const auto text = inputs.files[range.file].text();
                           encode_document(tokenizer, text.substr(range.begin, range.size), tokens);
                         });
}

ImportReport import_json_lines(const std::vector<std::string>& files, const std::string& out,
                               const Tokenizer& tokenizer, const ImportOptions& options) {
  const ImportInputs inputs = open_inputs(files);
  std::vector<DocumentRange> documents;
  for (std::size_t file = 0; file < inputs.files.size(); ++file) {
    split_text(inputs.files[file].text(), file, "\n", documents);
  }
  if (documents.empty()) {
    fail(ExitCode::kBadData, "{}: only white space, expected JSON lines", inputs.source);
  }
  const auto refuse = [&](const DocumentRange& range, std::string_view problem) {
    const auto before = inputs.files[range.file].text().substr(0, range.begin);
    fail(ExitCode::kBadData, "{}:{}: {}, expected one JSON object per line with a text \"{}\"",
         inputs.files[range.file].path, 1 + std::ranges::count(before, '\n'), problem,
         options.text_field);
  };
  return write_documents(
      out, header_of(inputs, tokenizer), documents, options,
      [&](const DocumentRange& range, std::vector<std::uint32_t>& tokens) {
        const auto line = inputs.files[range.file].text().substr(range.begin, range.size);
        nlohmann::json object;
        try {
          object = nlohmann::json::parse(line);
        } catch (const nlohmann::json::exception& error) {
          refuse(range, fmt::format("not JSON ({})", error.what()));
        }
        if (!object.is_object()) refuse(range, "no object");
        const auto field = object.find(options.text_field);
        if (field == object.end()) {
          refuse(range, fmt::format("no field \"{}\"", options.text_field));
        }
        if (!field->is_string()) {
          refuse(range,
                 fmt::format("\"{}\" is of type {}", options.text_field, field->type_name()));
        }
        encode_document(tokenizer, field->get_ref<const std::string&>(), tokens);
      });
}

}  // namespace ingot
