// `ingot data import | inspect | train-tokenizer`.
#include <cstdio>
#include <memory>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "ops/base/error.hpp"
#include "runtime/data/file_bytes.hpp"
#include "runtime/data/inspect.hpp"
#include "runtime/metrics/table.hpp"

namespace ingot {
namespace {

const std::map<std::string, WordPattern> kPatterns = {{"gpt2", WordPattern::kGpt2},
                                                      {"cl100k", WordPattern::kCl100k},
                                                      {"qwen2", WordPattern::kQwen2},
                                                      {"whole", WordPattern::kWhole}};

void print_part(const char* what, const ImportReport::Part& part) {
  if (part.path.empty()) return;
  std::string text = fmt::format("{}: {}, ", part.path, what);
  text += part.tokens > 0 ? fmt::format("{} documents, {} tokens", with_separators(part.items),
                                        with_separators(part.tokens))
                          : fmt::format("{} rows", with_separators(part.items));
  std::puts(text.c_str());
}

/// What a user types on a command line for a line break: the two characters \n.
std::string unescape(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 1 < text.size();
    const char next = escape ? text[i + 1] : '\0';
    if (escape && (next == 'n' || next == 't' || next == '\\')) {
      result += next == 'n' ? '\n' : next == 't' ? '\t' : '\\';
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (c == '\\')
      result += "\\\\";
    else
      result += c;
  }
  return result;
}

void add_table_options(CLI::App& app, ImportOptions& options) {
  app.add_option("--label", options.label, "CSV: the column of the class");
  app.add_option("--categorical", options.categorical,
                 "CSV: columns that are categories even if they look numeric")
      ->delimiter(',');
  app.add_option("--numeric", options.numeric, "CSV: columns that have to be numbers")
      ->delimiter(',');
  app.add_option("--ignore", options.ignored, "CSV: columns that are left out")->delimiter(',');
  app.add_option("--missing", options.missing, "CSV: empty cells: refuse, or fill")
      ->transform(CLI::Transformer(std::map<std::string, MissingValues>{
          {"refuse", MissingValues::kRefuse}, {"fill", MissingValues::kFill}}))
      ->default_str("refuse");
  app.add_option("--delimiter", options.delimiter, "CSV: between cells")->default_str(",");
}

void add_split_options(CLI::App& app, ImportOptions& options) {
  app.add_option("--validation", options.validation,
                 "Share that becomes OUT.validation.h5; 0: none")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  app.add_option("--split", options.split,
                 "Which documents or rows are validation: random, or the end (by time)")
      ->transform(CLI::Transformer(std::map<std::string, SplitRule>{{"random", SplitRule::kRandom},
                                                                    {"end", SplitRule::kEnd}}))
      ->default_str("random");
  app.add_option("--seed", options.seed, "Of the random split")->capture_default_str();
}

}  // namespace

int run_import(const ImportCommand& command) {
  const std::string& first = command.files.front();
  const auto named = format_of(command.format);
  if (!named && command.format != "auto") {
    fail(ExitCode::kUsage, "--format is '{}', expected auto, text, jsonl, csv, llmc or nanogpt",
         command.format);
  }
  const ImportFormat format = named ? *named : guess_format(first);
  const bool text = format == ImportFormat::kText || format == ImportFormat::kJsonLines;
  std::unique_ptr<Tokenizer> tokenizer;
  if (!command.tokenizer.empty()) tokenizer = load_tokenizer(command.tokenizer);
  if (text && !tokenizer) tokenizer = load_tokenizer("bytes");
  const ImportReport report =
      import_files(format, command.files, command.out, tokenizer.get(), command.options);
  print_part("training", report.train);
  print_part("validation", report.validation);
  return 0;
}

int run_inspect(const std::string& path) {
  std::fputs(inspect_dataset(path).c_str(), stdout);
  return 0;
}

int run_train_tokenizer(const TrainTokenizerCommand& command) {
  BpeTrainer trainer(command.options);
  for (const std::string& path : command.files) trainer.add(map_file(path).text());
  const auto tokenizer = trainer.train(command.vocabulary);
  write_tokenizer(*tokenizer, command.out);
  std::puts(fmt::format("{}: {} tokens", command.out, tokenizer->vocabulary()).c_str());
  return 0;
}

void declare_data_import(CLI::App& app, Action& action) {
  const auto command = std::make_shared<ImportCommand>();
  const auto separator = std::make_shared<std::string>(escape(command->options.document_separator));
  app.add_option("FILES", command->files, "Input files of one format, then OUT.h5")
      ->required()
      ->expected(2, 1 << 20);
  app.add_option("--format", command->format,
                 "auto (by contents and extension), text, jsonl, csv, llmc or nanogpt")
      ->capture_default_str();
  app.add_option("--tokenizer", command->tokenizer,
                 "bytes, a tokenizer.json, or a folder with vocab.json and merges.txt; default "
                 "for text: bytes");
  app.add_option("--separator", *separator,
                 "Text: between documents, \\n for a line break; empty: a file is a document")
      ->capture_default_str();
  app.add_option("--field", command->options.text_field, "JSON lines: the field with the text")
      ->capture_default_str();
  app.add_option("--vocabulary", command->options.vocabulary,
                 "Token files: number of ids; 0: that of the format")
      ->capture_default_str();
  app.add_option("--end-of-text", command->options.end_of_text,
                 "Token files: the id between documents; default: that of the format");
  add_split_options(app, command->options);
  add_table_options(app, command->options);
  app.callback([command, separator, &action] {
    command->out = command->files.back();
    command->files.pop_back();
    command->options.document_separator = unescape(*separator);
    action = [command] { return run_import(*command); };
  });
}

void declare_data_inspect(CLI::App& app, Action& action) {
  const auto path = std::make_shared<std::string>();
  app.add_option("FILE", *path, "A data set")->required();
  app.callback([path, &action] { action = [path] { return run_inspect(*path); }; });
}

void declare_data_train_tokenizer(CLI::App& app, Action& action) {
  const auto command = std::make_shared<TrainTokenizerCommand>();
  app.add_option("FILES", command->files, "Text files, then the tokenizer.json to write")
      ->required()
      ->expected(2, 1 << 20);
  app.add_option("--vocabulary", command->vocabulary, "Ids at most")
      ->check(CLI::Range(std::int64_t{256}, std::int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--pattern", command->pattern,
                 "How text is cut into words: gpt2, cl100k, qwen2 or whole")
      ->check(CLI::IsMember({"gpt2", "cl100k", "qwen2", "whole"}))
      ->capture_default_str();
  app.add_option("--minimum-count", command->options.minimum_count,
                 "Pairs that occur less often are not merged")
      ->capture_default_str();
  app.add_option("--end-of-text", command->options.end_of_text,
                 "Mark between documents; gets the last id; empty: none")
      ->capture_default_str();
  app.callback([command, &action] {
    command->out = command->files.back();
    command->files.pop_back();
    command->options.pattern = kPatterns.at(command->pattern);
    action = [command] { return run_train_tokenizer(*command); };
  });
}

}  // namespace ingot
