#include "runtime/checkpoint/save.hpp"

#include <unistd.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "ops/base/checksum.hpp"
#include "ops/base/file.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/rank_file.hpp"

namespace ingot {
namespace {

using nlohmann::json;

/// What one rank tells the others: a text, or how it failed.
struct Outcome {
  int code = 0;
  std::string text;

  std::string encode() const {
    return json{{"code", code}, {"text", text}}.dump(-1, ' ', false,
                                                     json::error_handler_t::replace);
  }
  static Outcome decode(const std::string& encoded) {
    const json value = json::parse(encoded);
    return {value.at("code").get<int>(), value.at("text").get<std::string>()};
  }
};

Outcome attempt(const std::function<std::string()>& work) {
  try {
    return {0, work()};
  } catch (const Error& error) {
    return {static_cast<int>(error.code()), error.what()};
  } catch (const std::exception& error) {
    return {static_cast<int>(ExitCode::kInternal), error.what()};
  }
}

/// Rank 0 works, every rank gets its result or throws its error.
std::string lead(RankExchange& exchange, const std::function<std::string()>& work) {
  Outcome outcome;
  if (exchange.rank() == 0) outcome = attempt(work);
  outcome = Outcome::decode(exchange.broadcast(outcome.encode()));
  if (outcome.code != 0) throw Error(static_cast<ExitCode>(outcome.code), outcome.text);
  return outcome.text;
}

/// Removes the folder of a save that did not come to its end, or the checkpoint that the new one
/// replaced: that has the temporary name then.
class TemporaryFolder {
 public:
  TemporaryFolder() = default;
  ~TemporaryFolder() {
    if (!path_.empty()) remove_folder(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  void own(const std::string& path) { path_ = path; }

 private:
  std::string path_;
};

json encode(const FileEntry& entry) {
  json datasets = json::array();
  for (const auto& dataset : entry.datasets) {
    datasets.push_back(json::array({dataset.name, dataset.checksum}));
  }
  return {{"name", entry.name},
          {"bytes", entry.bytes},
          {"checksum", entry.checksum},
          {"datasets", std::move(datasets)}};
}

FileEntry decode_entry(const std::string& text) {
  const json value = json::parse(text);
  FileEntry entry{value.at("name"), value.at("bytes"), value.at("checksum"), {}};
  for (const json& dataset : value.at("datasets")) {
    entry.datasets.push_back({dataset.at(0), dataset.at(1)});
  }
  return entry;
}

/// Bytes that the state takes, without the little that HDF5 adds.
std::int64_t state_bytes(const StateView& state) {
  return state.layout.parameter_count() * static_cast<std::int64_t>(sizeof(float)) *
         static_cast<std::int64_t>(state.kinds.size());
}

/// An estimate from above of what a whole checkpoint takes.
std::int64_t needed_bytes(const StateView& state, const TrainingState& training, int ranks) {
  const auto texts = training.config.size() + training.tokenizer.size() + training.columns.size();
  const auto tensors = static_cast<std::int64_t>(state.layout.parameters.size());
  return state_bytes(state) + static_cast<std::int64_t>(texts) + 512 * tensors +
         std::int64_t{32} * 1024 * (ranks + 2);
}

FileAccess access_of(bool private_files) {
  return private_files ? FileAccess::kPrivate : FileAccess::kShared;
}

FileEntry write_text_file(const std::string& folder, const char* name, const std::string& text,
                          bool private_files) {
  write_file_atomically(folder + "/" + name, text, access_of(private_files));
  return {name,
          static_cast<std::int64_t>(text.size()),
          checksum128(std::as_bytes(std::span(text))).text(),
          {}};
}

/// What rank 0 does once every rank's file is there; returns the checkpoint's size.
std::int64_t commit(const SaveOptions& options, const std::string& folder, const std::string& path,
                    const StateView& state, const TrainingState& training,
                    std::vector<FileEntry> rank_files) {
  Manifest manifest;
  manifest.training = training;
  for (const StateKind& kind : state.kinds) manifest.kinds.push_back(kind.name);
  for (const ParameterSpec& spec : state.layout.parameters) {
    manifest.tensors.push_back({spec.name, spec.shape});
  }
  manifest.rank_files = std::move(rank_files);
  const std::pair<const char*, const std::string&> texts[] = {{kConfigName, training.config},
                                                              {kTokenizerName, training.tokenizer},
                                                              {kColumnsName, training.columns}};
  for (const auto& [name, text] : texts) {
    if (text.empty()) continue;
    manifest.text_files.push_back(write_text_file(folder, name, text, options.private_files));
  }
  const std::string rendered = render_manifest(manifest);
  write_file_atomically(folder + "/" + kManifestName, rendered, access_of(options.private_files));
  sync_folder(folder);
  rename_over(folder, path);
  sync_folder(options.directory);
  auto bytes = static_cast<std::int64_t>(rendered.size());
  for (const auto* files : {&manifest.rank_files, &manifest.text_files}) {
    for (const FileEntry& file : *files) bytes += file.bytes;
  }
  return bytes;
}

/// Removes a committed checkpoint: by its name first, so that no half of it is ever found.
std::string retire(const std::string& directory, std::int64_t step) {
  const std::string path = directory + "/" + step_name(step);
  const std::string aside = fmt::format("{}.tmp-removed-{}", path, getpid());
  try {
    rename_over(path, aside);
  } catch (const Error& error) {
    return error.what();
  }
  return remove_folder(aside);
}

std::vector<std::string> prune(const SaveOptions& options, std::int64_t newest) {
  std::vector<std::string> warnings;
  if (options.keep <= 0) return warnings;
  std::int64_t kept = 1;  // the new one, whatever its number
  for (const std::int64_t step : list_steps(options.directory)) {
    if (step == newest || kept++ < options.keep) continue;
    if (auto problem = retire(options.directory, step); !problem.empty()) {
      warnings.push_back(std::move(problem));
    }
  }
  return warnings;
}

}  // namespace

SaveResult save_checkpoint(const SaveOptions& options, const StateView& state,
                           const TrainingState& training, RankExchange& exchange) {
  const std::string path = options.directory + "/" + step_name(training.step);
  const std::int64_t needed = needed_bytes(state, training, exchange.size());
  TemporaryFolder temporary;  // rank 0's
  const std::string folder = lead(exchange, [&] {
    create_folders(options.directory, access_of(options.private_files));
    require_room(options.directory, needed, exchange.size() + 6);
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::string name = fmt::format("{}.tmp-{}-{:x}", path, getpid(), now);
    create_folders(name, access_of(options.private_files));
    temporary.own(name);
    return name;
  });

  const Outcome mine = attempt([&] {
    return encode(write_rank_file({folder, training.step, exchange.rank(), exchange.size(),
                                   options.private_files},
                                  state))
        .dump();
  });
  const std::vector<std::string> reports = exchange.gather(mine.encode());
  const std::string bytes = lead(exchange, [&] {
    std::vector<FileEntry> files;
    for (std::size_t rank = 0; rank < reports.size(); ++rank) {
      const Outcome report = Outcome::decode(reports[rank]);
      if (report.code != 0) {
        fail(static_cast<ExitCode>(report.code), "rank {} could not save step {}: {}{}", rank,
             training.step, report.text, describe_room(options.directory, needed));
      }
      files.push_back(decode_entry(report.text));
    }
    try {
      return std::to_string(commit(options, folder, path, state, training, std::move(files)));
    } catch (const Error& error) {
      fail(error.code(), "could not save step {}: {}{}", training.step, error.what(),
           describe_room(options.directory, needed));
    }
  });

  SaveResult result{path, std::stoll(bytes), {}};
  if (exchange.rank() == 0) result.warnings = prune(options, training.step);
  return result;
}

std::vector<std::string> remove_leftovers(const std::string& directory) {
  std::vector<std::string> problems;
  for (const std::string& name : list_leftovers(directory)) {
    if (auto problem = remove_folder(directory + "/" + name); !problem.empty()) {
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

}  // namespace ingot
