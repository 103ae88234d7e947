// Names and texts of cudaError_t without the toolkit's headers: the machine file names errors, and
// the core is built where there is no toolkit. The runtime library's tests compare the numbers.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace gpusim {

struct ErrorCode {
  int number;
  std::string_view name;  ///< "cudaErrorInvalidValue"; ends with a zero byte
  std::string_view text;  ///< one sentence
};

/// By ascending number.
std::span<const ErrorCode> error_codes();
/// The number of a name or of a number as text; -1 for neither.
int error_code(const std::string& text);

}  // namespace gpusim
