// The environment variables that steer NCCL: which a user set, for logs, and those that make NCCL
// write what it finds and chooses into the logs of a run.
#pragma once

#include <map>
#include <string>

namespace ingot {

struct NcclSettings {
  std::map<std::string, std::string> user;  ///< NCCL_* variables that were set before
  std::string log;  ///< the file that NCCL writes, as the user may have named it; empty: unknown
};

/// Reads the variables and, where the user left them alone, sets NCCL_DEBUG and its companions so
/// that topology, channels, algorithms and protocols are written to folder/nccl-rank-00000.log
/// (none where `folder` is empty), and connections are made when a communicator is, not during its
/// first exchanges. Before NCCL starts in this process.
NcclSettings prepare_nccl(const std::string& folder, int rank);

/// "NCCL_ALGO=Ring NCCL_PROTO=Simple".
std::string text_of(const std::map<std::string, std::string>& variables);

}  // namespace ingot
