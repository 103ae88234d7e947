// Token files of llm.c and nanoGPT to a data set. llm.c puts the end-of-text token in front of each
// document, nanoGPT behind it.
#include <array>

#include "ops/base/error.hpp"
#include "runtime/data/import_common.hpp"

namespace ingot {
namespace {

constexpr std::size_t kHeaderNumbers = 256;  // int32
constexpr std::int32_t kGpt2Magic = 20240520;
constexpr std::int32_t kLlama3Magic = 20240801;

/// How one file's tokens lie.
struct TokenFile {
  std::span<const std::byte> data;
  std::size_t token_bytes = 2;
  std::int64_t vocabulary = 0;               // of the format; 0: unknown
  std::optional<std::uint32_t> end_of_text;  // of the format

  std::size_t count() const { return data.size() / token_bytes; }
  std::uint32_t token(std::size_t index) const {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data() + index * token_bytes, token_bytes);
    return value;
  }
};

TokenFile read_llmc(const FileBytes& file) {
  std::array<std::int32_t, kHeaderNumbers> header{};
  if (file.bytes.size() < sizeof(header)) {
    fail(ExitCode::kBadData, "{}: {} bytes, expected llm.c's header of {} bytes", file.path,
         file.bytes.size(), sizeof(header));
  }
  std::memcpy(header.data(), file.bytes.data(), sizeof(header));
  TokenFile tokens;
  if (header[0] == kGpt2Magic && header[1] == 1) {
    tokens = {file.bytes.subspan(sizeof(header)), 2, 50257, 50256};
  } else if (header[0] == kLlama3Magic && header[1] == 7) {
    tokens = {file.bytes.subspan(sizeof(header)), 4, 128256, 128000};
  } else {
    fail(ExitCode::kBadData,
         "{}: magic {} and version {}, expected llm.c's {} and 1 (GPT-2) or {} and 7 (Llama 3)",
         file.path, header[0], header[1], kGpt2Magic, kLlama3Magic);
  }
  if (header[2] < 0 ||
      static_cast<std::size_t>(header[2]) * tokens.token_bytes != tokens.data.size()) {
    fail(ExitCode::kBadData, "{}: the header says {} tokens, the file holds {}; copy it again",
         file.path, header[2], tokens.count());
  }
  return tokens;
}

TokenFile read_nanogpt(const FileBytes& file, const ImportOptions& options) {
  if (file.bytes.size() % 2 != 0) {
    fail(ExitCode::kBadData, "{}: {} bytes, expected uint16 tokens, an even number", file.path,
         file.bytes.size());
  }
  if (options.vocabulary < 1 || options.vocabulary > 65536) {
    fail(ExitCode::kUsage,
         "{}: a file of nanoGPT does not say its vocabulary; give it (GPT-2: 50257), 1 to 65536",
         file.path);
  }
  return {file.bytes, 2, 0, std::nullopt};
}

void split_documents(const TokenFile& tokens, std::size_t file,
                     std::optional<std::uint32_t> end_of_text, bool in_front,
                     std::vector<DocumentRange>& documents) {
  std::size_t begin = 0;
  for (std::size_t i = 0; end_of_text && i < tokens.count(); ++i) {
    if (tokens.token(i) != *end_of_text) continue;
    const std::size_t boundary = in_front ? i : i + 1;
    if (boundary > begin) documents.push_back({file, begin, boundary - begin});
    begin = boundary;
  }
  if (begin < tokens.count()) documents.push_back({file, begin, tokens.count() - begin});
}

}  // namespace

ImportReport import_tokens(ImportFormat format, const std::vector<std::string>& files,
                           const std::string& out, const Tokenizer* tokenizer,
                           const ImportOptions& options) {
  const ImportInputs inputs = open_inputs(files);
  const bool llmc = format == ImportFormat::kLlmc;
  std::vector<TokenFile> token_files;
  for (const FileBytes& file : inputs.files) {
    token_files.push_back(llmc ? read_llmc(file) : read_nanogpt(file, options));
    if (token_files.back().token_bytes != token_files.front().token_bytes) {
      fail(ExitCode::kBadData, "{}: tokens of another model than {}; import them apart", file.path,
           inputs.files.front().path);
    }
  }
  TokenHeader header;
  const TokenFile& first = token_files.front();
  header.vocabulary = options.vocabulary > 0 ? options.vocabulary : first.vocabulary;
  header.end_of_text = options.end_of_text ? options.end_of_text : first.end_of_text;
  if (header.end_of_text && *header.end_of_text >= header.vocabulary) {
    fail(ExitCode::kUsage, "end-of-text token {}, expected one of the {} tokens of the vocabulary",
         *header.end_of_text, header.vocabulary);
  }
  if (tokenizer != nullptr) {
    if (tokenizer->vocabulary() > header.vocabulary) {
      fail(ExitCode::kBadData, "the tokenizer has {} tokens, the files of {} only {}",
           tokenizer->vocabulary(), inputs.source, header.vocabulary);
    }
    header.tokenizer = tokenizer->serialise();
  }
  header.source = inputs.source;
  header.source_checksum = inputs.checksum;

  std::vector<DocumentRange> documents;
  for (std::size_t file = 0; file < token_files.size(); ++file) {
    const TokenFile& tokens = token_files[file];
    for (std::size_t i = 0; i < tokens.count(); ++i) {
      if (tokens.token(i) >= header.vocabulary) {
        fail(ExitCode::kBadData, "{}: token {} is {}, outside the vocabulary of {} tokens",
             inputs.files[file].path, i, tokens.token(i), header.vocabulary);
      }
    }
    split_documents(tokens, file, header.end_of_text, llmc, documents);
  }
  if (documents.empty()) fail(ExitCode::kBadData, "{}: holds no tokens", inputs.source);
  ImportOptions effective = options;
  if (documents.size() == 1) {
    const DocumentRange whole = documents.front();
    const std::size_t cut = cut_of_lone_document(whole.size, options.validation);
    if (cut > 0 && cut < whole.size) documents = {{0, 0, cut}, {0, cut, whole.size - cut}};
    if (documents.size() > 1) documents[0].file = documents[1].file = whole.file;
    effective.split = SplitRule::kEnd;
  }
  return write_documents(out, header, documents, effective,
                         [&](const DocumentRange& range, std::vector<std::uint32_t>& tokens) {
                           const TokenFile& file = token_files[range.file];
                           for (std::size_t i = 0; i < range.size; ++i) {
                             tokens.push_back(file.token(range.begin + i));
                           }
                         });
}

}  // namespace ingot
