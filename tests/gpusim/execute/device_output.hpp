// What kernels print: kept per device, and written to the program's stdout where it synchronises
// with the device, as on hardware.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace gpusim::execute {

/// Where vprintf's arguments come from.
struct PrintfSource {
  std::function<bool(std::uint32_t offset, void* out, std::uint32_t bytes)> argument;
  std::function<std::string(std::uint64_t address)> string;
};

/// The text of one call. `count`: its number of arguments, which printf on the device returns.
std::string format_printf(const std::string& format, const PrintfSource& source, int& count);

void write_device_output(int device, const std::string& text);

}  // namespace gpusim::execute
