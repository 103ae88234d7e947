// Turns MPI's return codes into ingot's errors.
#pragma once

#include <mpi.h>

#include <string>

#include "ops/base/error.hpp"

namespace ingot::mpi {

/// Throws Error(kInternal) with MPI's own words where `code` is not MPI_SUCCESS.
inline void check(int code, const std::string& doing) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ExitCode::kInternal, "MPI failed in {}: {}", doing, text);
}

}  // namespace ingot::mpi
