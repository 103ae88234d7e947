// The run's own folder: runs/<name>/{config.yaml, environment.json, metrics.jsonl, logs/,
// checkpoints/}.
#pragma once

#include <map>
#include <string>

#include "runtime/config/config.hpp"

namespace ingot {

/// What a run was computed with, for environment.json and, shortened, the fingerprint.
struct Environment {
  std::string device;                                 ///< description of rank 0's device
  std::string isa;                                    ///< instruction set that matrix products use
  std::string transport;                              ///< with its version where it is a library's
  std::map<std::string, std::string> nccl_variables;  ///< NCCL_* that the user set
  std::string direct;  ///< up to what sizes GPUs exchange directly; empty where they do not
  int ranks = 1;
  int threads = 1;
  std::string command_line;
};

class RunDirectory {
 public:
  /// Creates the folder and locks it against a second run. Error(kCannotWrite) names the path and,
  /// where another process holds the lock, who. Only rank 0 makes one with `lock`.
  RunDirectory(const Config& config, bool lock);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string traces() const { return path_ + "/trace"; }
  std::string logs() const { return path_ + "/logs"; }
  std::string flight() const { return path_ + "/flight"; }
  /// Writes config.yaml and environment.json.
  void describe(const Config& config, const Environment& environment) const;

 private:
  std::string path_;
  bool private_;
  int lock_ = -1;
};

}  // namespace ingot
