// What NCCL writes about itself with NCCL_DEBUG, in the form of the real library: to standard
// output, or to NCCL_DEBUG_FILE, where %h stands for the host and %p for the process.
#pragma once

#include <cstdint>
#include <string>

namespace gpusim::nccl {

/// Parts of the log that NCCL_DEBUG_SUBSYS picks (default INIT,BOOTSTRAP,ENV; ^ before the list
/// leaves them out instead).
enum class Subsystem : std::uint8_t { kInit, kBootstrap, kEnv, kGraph, kTuning, kRegister };

/// Whether anybody reads lines of this kind, which need not be put together otherwise.
bool logs_info(Subsystem subsystem);
/// "host:process:thread [device] NCCL INFO text", with NCCL_DEBUG=INFO or TRACE. Any thread.
void log_info(Subsystem subsystem, int device, const std::string& text);
/// The same from NCCL_DEBUG=WARN on.
void log_warning(int device, const std::string& text);
/// The version and the variables that are set, once in a process.
void log_start(int device);

}  // namespace gpusim::nccl
