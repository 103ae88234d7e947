// What the tests of execute/ share: a kernel from PTX text, memory for it, and a launch whose
// reports are caught.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "execute/engine.hpp"
#include "ptx/parse.hpp"

namespace gpusim::test {

/// A problem that a test provokes must not end the process with a failure.
inline const bool kProblemsContinue = [] {
  setenv("GPUSIM_ON_PROBLEM", "continue", 1);
  setenv("GPUSIM_HANG", "1", 0);
  return true;
}();

/// Global memory of the simulated device, written and read by the test.
template <class T>
class Memory {
 public:
  explicit Memory(std::size_t count, const std::string& label = "buffer") : count_(count) {
    allocation_ =
        AddressSpace::instance().allocate(count * sizeof(T), MemoryKind::kDevice, 0, label);
  }
  explicit Memory(const std::vector<T>& values) : Memory(values.size()) {
    std::memcpy(allocation_->host, values.data(), values.size() * sizeof(T));
    allocation_->mark_initialised(allocation_->begin, values.size() * sizeof(T));
  }
  ~Memory() {
    if (allocation_->live) AddressSpace::instance().release(*allocation_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void release() { AddressSpace::instance().release(*allocation_); }
  std::uint64_t address() const { return allocation_->begin; }
  T operator[](std::size_t i) const {
    T value;
    std::memcpy(&value, allocation_->host + i * sizeof(T), sizeof(T));
    return value;
  }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    std::memcpy(result.data(), allocation_->host, count_ * sizeof(T));
    return result;
  }

 private:
  std::size_t count_;
  Allocation* allocation_ = nullptr;
};

template <class T>
Memory<T> zeros(std::size_t count) {
  return Memory<T>(std::vector<T>(count));
}

struct LaunchResult : LaunchOutcome {
  std::string reports;  ///< what was printed on stderr
};

/// A module with its variables placed on device 0.
class Kernels {
 public:
  explicit Kernels(const std::string& body, const std::string& target = "sm_90") {
    const std::string text = ".version 9.0\n.target " + target + "\n.address_size 64\n" + body;
    std::vector<std::unique_ptr<ptx::Module>> units;
    units.push_back(ptx::parse(text, "test"));
    instance_.module = std::shared_ptr<const ptx::Module>(ptx::link(std::move(units)));
    static std::uint32_t number = 0;
    instance_.number = number++;
    for (const ptx::Variable& v : instance_.module->variables) {
      if (v.space == ptx::Space::kShared || v.bytes == 0) {
        instance_.addresses.push_back(0);
        continue;
      }
      Allocation* a =
          AddressSpace::instance().allocate(v.bytes, MemoryKind::kDevice, 0, "variable " + v.name);
      std::memset(a->host, 0, v.bytes);
      if (!v.initial.empty()) std::memcpy(a->host, v.initial.data(), v.initial.size());
      a->mark_initialised(a->begin, v.bytes);
      a->read_only = v.space == ptx::Space::kConst;
      instance_.addresses.push_back(a->begin);
    }
    for (std::size_t v = 0; v < instance_.module->variables.size(); ++v) relocate(v);
  }

  const ptx::Module& module() const { return *instance_.module; }
  int entry(const std::string& name) const { return module().function_by_name.at(name); }

  LaunchRequest request(const std::string& name, Dim3 grid, Dim3 block) const {
    LaunchRequest r;
    r.module = &instance_;
    r.function = entry(name);
    r.grid = grid;
    r.block = block;
    return r;
  }

  template <class... Arguments>
  LaunchResult run(const std::string& name, Dim3 grid, Dim3 block, const Arguments&... arguments) {
    LaunchRequest r = request(name, grid, block);
    return run_request(r, arguments...);
  }

  template <class... Arguments>
  LaunchResult run_request(LaunchRequest& r, const Arguments&... arguments) {
    const ptx::Function& f = module().functions[static_cast<std::size_t>(r.function)];
    r.parameters.assign(f.parameter_bytes, std::byte{0});
    std::size_t index = 0;
    (put(r, f.parameters.at(index++).offset, arguments), ...);
    testing::internal::CaptureStderr();
    LaunchResult result;
    static_cast<LaunchOutcome&>(result) = run_kernel(r);
    result.reports = testing::internal::GetCapturedStderr();
    return result;
  }

 private:
  template <class T>
  static void put(LaunchRequest& r, std::size_t offset, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(r.parameters.data() + offset, &value, sizeof(T));
  }
  template <class T>
  static void put(LaunchRequest& r, std::size_t offset, const Memory<T>& memory) {
    const std::uint64_t address = memory.address();
    put(r, offset, address);
  }
  void relocate(std::size_t v) {
    for (const ptx::Relocation& r : module().variables[v].relocations) {
      std::uint64_t value = r.function >= 0
                                ? kFunctionBase + (std::uint64_t{instance_.number} << 24) +
                                      16 * static_cast<std::uint64_t>(r.function)
                                : instance_.addresses[static_cast<std::size_t>(r.variable)];
      value += static_cast<std::uint64_t>(r.addend);
      const Allocation* a = AddressSpace::instance().find(instance_.addresses[v]);
      std::memcpy(a->host + r.at, &value, static_cast<std::size_t>(r.bytes));
    }
  }

  ModuleInstance instance_;
};

inline ::testing::AssertionResult clean(const LaunchResult& result) {
  if (result.fault == Fault::kNone && result.reports.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.message << "\n" << result.reports;
}

}  // namespace gpusim::test
