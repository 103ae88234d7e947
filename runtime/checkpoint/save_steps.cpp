#include "runtime/checkpoint/save_steps.hpp"

#include <unistd.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "ops/base/checksum.hpp"
#include "ops/base/file.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/pieces.hpp"
#include "runtime/checkpoint/rank_file.hpp"

namespace ingot {
namespace {

using nlohmann::json;

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

FileEntry decode_entry(const json& value) {
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

void reached(const SaveJob& job, SaveStage stage) {
  if (job.options.on_stage) job.options.on_stage(stage);
}

/// The manifest of these files; writes the files of text too.
Manifest describe(const SaveJob& job, const StateView& state, std::vector<FileEntry> rank_files) {
  Manifest manifest;
  manifest.training = job.training;
  for (const StateKind& kind : state.kinds) manifest.kinds.push_back(kind.name);
  for (const ParameterSpec& spec : state.layout.parameters) {
    manifest.tensors.push_back({spec.name, spec.shape});
  }
  manifest.rank_files = std::move(rank_files);
  const std::pair<const char*, const std::string&> texts[] = {
      {kConfigName, job.training.config},
      {kTokenizerName, job.training.tokenizer},
      {kColumnsName, job.training.columns}};
  for (const auto& [name, text] : texts) {
    if (text.empty()) continue;
    manifest.text_files.push_back(
        write_text_file(job.folder, name, text, job.options.private_files));
  }
  return manifest;
}

/// Gives the folder its manifest and its name; returns the checkpoint's size.
std::int64_t name_folder(const SaveJob& job, const Manifest& manifest) {
  const std::string rendered = render_manifest(manifest);
  reached(job, SaveStage::kFilesWritten);
  write_file_atomically(job.folder + "/" + kManifestName, rendered,
                        access_of(job.options.private_files));
  sync_folder(job.folder);
  reached(job, SaveStage::kManifestWritten);
  rename_over(job.folder, job.path());
  reached(job, SaveStage::kRenamed);
  sync_folder(job.options.directory);
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

/// The ranks' files. Fails where a rank did, or where together they do not hold the whole state.
std::vector<FileEntry> collect(const SaveJob& job, const StateView& state,
                               const std::vector<std::string>& reports) {
  std::vector<FileEntry> files;
  std::map<std::string, std::int64_t> elements;
  for (std::size_t rank = 0; rank < reports.size(); ++rank) {
    const Outcome report = Outcome::decode(reports[rank]);
    if (report.code != 0) {
      fail(static_cast<ExitCode>(report.code), "rank {} could not save step {}: {}{}", rank,
           job.training.step, report.text, describe_room(job.options.directory, job.bytes));
    }
    const json part = json::parse(report.text);
    files.push_back(decode_entry(part.at("file")));
    for (const auto& [kind, count] : part.at("elements").items()) {
      elements[kind] += count.get<std::int64_t>();
    }
  }
  for (const auto& [kind, count] : elements) {
    if (count == state.layout.parameter_count()) continue;
    fail(ExitCode::kInternal, "ranks saved {} elements of '{}' together, expected {}", count, kind,
         state.layout.parameter_count());
  }
  return files;
}

}  // namespace

std::string Outcome::encode() const {
  return json{{"code", code}, {"text", text}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

Outcome Outcome::decode(const std::string& encoded) {
  const json value = json::parse(encoded);
  return {value.at("code").get<int>(), value.at("text").get<std::string>()};
}

const std::string& Outcome::value() const {
  if (code != 0) throw Error(static_cast<ExitCode>(code), text);
  return text;
}

Outcome attempt(const std::function<std::string()>& work) {
  try {
    return {0, work()};
  } catch (const Error& error) {
    return {static_cast<int>(error.code()), error.what()};
  } catch (const std::exception& error) {
    return {static_cast<int>(ExitCode::kInternal), error.what()};
  }
}

std::string SaveJob::path() const {
  return options.directory + "/" + step_name(training.step);
}

SaveJob plan_save(const SaveOptions& options, const StateView& state, const TrainingState& training,
                  int ranks) {
  return {options, training, "", needed_bytes(state, training, ranks)};
}

void open_folder(SaveJob& job, RankExchange& exchange) {
  Outcome outcome;
  if (exchange.rank() == 0) {
    outcome = attempt([&] {
      const SaveOptions& options = job.options;
      create_folders(options.directory, access_of(options.private_files));
      require_room(options.directory, job.bytes, exchange.size() + 6);
      const auto now = std::chrono::system_clock::now().time_since_epoch().count();
      const std::string name = fmt::format("{}.tmp-{}-{:x}", job.path(), getpid(), now);
      create_folders(name, access_of(options.private_files));
      return name;
    });
  }
  job.folder = Outcome::decode(exchange.broadcast(outcome.encode())).value();
}

Outcome write_part(const SaveJob& job, const StateView& state, int rank, int ranks,
                   const std::function<void()>& between_parts) {
  return attempt([&] {
    const auto check = [&] {
      if (between_parts) between_parts();
      reached(job, SaveStage::kWriting);
    };
    const FileEntry file = write_rank_file(
        {job.folder, job.training.step, rank, ranks, job.options.private_files}, state, check);
    json elements = json::object();
    for (const StateKind& kind : state.kinds) {
      const auto pieces = pieces_to_save(state.layout, kind, rank, ranks);
      elements[kind.name] = element_count(without_places(pieces));
    }
    return json{{"file", encode(file)}, {"elements", elements}}.dump();
  });
}

Outcome commit(const SaveJob& job, const StateView& state,
               const std::vector<std::string>& reports) {
  Outcome outcome = attempt([&] {
    const std::vector<FileEntry> files = collect(job, state, reports);
    try {
      return json{{"bytes", name_folder(job, describe(job, state, files))}}.dump();
    } catch (const Error& error) {
      fail(error.code(), "could not save step {}: {}{}", job.training.step, error.what(),
           describe_room(job.options.directory, job.bytes));
    }
  });
  // Of a save that failed, or the checkpoint that this one replaced: that has the temporary name
  // now.
  std::vector<std::string> warnings;
  if (auto problem = remove_folder(job.folder); !problem.empty()) warnings.push_back(problem);
  if (outcome.code != 0) return outcome;
  for (std::string& warning : prune(job.options, job.training.step)) {
    warnings.push_back(std::move(warning));
  }
  json report = json::parse(outcome.text);
  report["warnings"] = warnings;
  outcome.text = report.dump(-1, ' ', false, json::error_handler_t::replace);
  return outcome;
}

SaveResult result_of(const SaveJob& job, const Outcome& committed) {
  const json report = json::parse(committed.value());
  SaveResult result;
  result.path = job.path();
  result.step = job.training.step;
  result.bytes = report.at("bytes").get<std::int64_t>();
  result.warnings = report.at("warnings").get<std::vector<std::string>>();
  return result;
}

}  // namespace ingot
