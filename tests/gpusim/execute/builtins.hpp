// Functions that the device provides without a body in PTX: vprintf, malloc, free, __assertfail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "execute/context.hpp"

namespace gpusim::execute {

struct BuiltinCall {
  std::vector<std::uint32_t> arguments;  ///< byte offsets in the caller's frame of local memory
  std::vector<std::uint32_t> results;
};

bool is_builtin(const std::string& name);
void run_builtin(Context& context, const Op& op, LaneMask mask, const std::string& name,
                 const BuiltinCall& call);

}  // namespace gpusim::execute
