// vprintf, malloc, free and __assertfail.
#include "execute/builtins.hpp"

#include <cstring>

#include "execute/device_output.hpp"
#include "execute/local_memory.hpp"
#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

constexpr std::uint32_t kLongestString = 65536;

std::string read_string(Context& context, int lane, std::uint64_t address) {
  std::string text;
  char c = 0;
  while (text.size() < kLongestString && read_generic(context, lane, address++, &c, 1) && c != 0) {
    text += c;
  }
  return text;
}

std::uint64_t argument(const Context& context, int lane, const BuiltinCall& call, std::size_t index,
                       std::uint32_t bytes) {
  std::uint64_t value = 0;
  if (index < call.arguments.size()) {
    read_local(*context.warp, lane, context.group->local + call.arguments[index], &value, bytes);
  }
  return value;
}

void give_result(Context& context, int lane, const BuiltinCall& call, std::uint64_t value,
                 std::uint32_t bytes) {
  if (!call.results.empty()) {
    write_local(*context.warp, lane, context.group->local + call.results[0], &value, bytes);
  }
}

void print(Context& context, int lane, const BuiltinCall& call) {
  const std::string format = read_string(context, lane, argument(context, lane, call, 0, 8));
  const std::uint64_t arguments = argument(context, lane, call, 1, 8);
  const PrintfSource source{
      [&](std::uint32_t offset, void* out, std::uint32_t bytes) {
        return arguments != 0 && read_generic(context, lane, arguments + offset, out, bytes);
      },
      [&](std::uint64_t address) { return read_string(context, lane, address); }};
  int count = 0;
  const std::string text = format_printf(format, source, count);
  write_device_output(context.launch.request->module->device, text);
  give_result(context, lane, call, static_cast<std::uint64_t>(count), 4);
}

void fail_assertion(Context& context, const Op& op, int lane, const BuiltinCall& call) {
  const std::string expression = read_string(context, lane, argument(context, lane, call, 0, 8));
  const std::string file = read_string(context, lane, argument(context, lane, call, 1, 8));
  const std::uint64_t line = argument(context, lane, call, 2, 4);
  const std::string function = read_string(context, lane, argument(context, lane, call, 3, 8));
  context.fail(Fault::kAssert, op, lane,
               file + ":" + std::to_string(line) + ": " + function + ": assertion `" + expression +
                   "` failed");
}

void allocate(Context& context, int lane, const BuiltinCall& call) {
  const std::uint64_t bytes = argument(context, lane, call, 0, 8);
  Allocation* block = bytes == 0 ? nullptr
                                 : AddressSpace::instance().allocate(
                                       bytes, MemoryKind::kDevice,
                                       context.launch.request->module->device, "device malloc");
  if (block != nullptr) block->internal = true;
  give_result(context, lane, call, block == nullptr ? 0 : block->begin, 8);
}

void release(Context& context, const Op& op, int lane, const BuiltinCall& call) {
  const std::uint64_t address = argument(context, lane, call, 0, 8);
  if (address == 0) return;
  Allocation* block = AddressSpace::instance().find(address);
  if (block == nullptr || block->begin != address || !block->live ||
      block->label != "device malloc") {
    context.fail(Fault::kIllegalAddress, op, lane,
                 "free of what malloc did not give: " + describe_address(address, 1));
    return;
  }
  AddressSpace::instance().release(*block);
}

}  // namespace

bool is_builtin(const std::string& name) {
  return name == "vprintf" || name == "malloc" || name == "free" || name == "__assertfail";
}

void run_builtin(Context& context, const Op& op, LaneMask mask, const std::string& name,
                 const BuiltinCall& call) {
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    if (name == "vprintf") {
      print(context, lane, call);
    } else if (name == "malloc") {
      allocate(context, lane, call);
    } else if (name == "free") {
      release(context, op, lane, call);
    } else if (name == "__assertfail") {
      fail_assertion(context, op, lane, call);
    } else {
      context.fail(Fault::kIllegalInstruction, op, lane, "function " + name + " has no body");
    }
  });
}

}  // namespace gpusim::execute
