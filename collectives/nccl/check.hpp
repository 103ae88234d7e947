// Turns NCCL's return codes into ingot's errors: what a GPU does wrong is kGpu, all else is taken
// for a peer's or the network's doing, kTimeout.
#pragma once

#include <nccl.h>

#include <string>
#include <string_view>

#include "ops/base/error.hpp"

namespace ingot::nccl {

inline ExitCode exit_code_of(ncclResult_t result) {
  const bool own = result == ncclInvalidArgument || result == ncclInvalidUsage;
  if (own) return ExitCode::kInternal;
  return result == ncclUnhandledCudaError ? ExitCode::kGpu : ExitCode::kTimeout;
}

/// "remote process exited or there was a network error: connection to rank 1 closed"; `comm` may be
/// null.
inline std::string text_of(ncclResult_t result, ncclComm_t comm) {
  std::string text = ncclGetErrorString(result);
  const char* more = ncclGetLastError(comm);
  if (more != nullptr && *more != '\0') text += std::string(": ") + more;
  return text;
}

/// Throws where a call that needs no communicator failed.
inline void check(ncclResult_t result, std::string_view call) {
  if (result == ncclSuccess) return;
  fail(exit_code_of(result), "{} failed: {}", call, text_of(result, nullptr));
}

}  // namespace ingot::nccl
