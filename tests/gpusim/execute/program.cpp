// Kernels by module and entry, decoded at first use and kept for the life of the process.
#include "execute/program.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>

#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

std::string demangled(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (status != 0 || text == nullptr) return name;
  std::string result = text;
  std::free(text);
  // "void f<int>(float*)" reads better as "f<int>".
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const char c = result[i];
    if (c == '<') ++depth;
    if (c == '>') --depth;
    if (depth == 0 && c == ' ' && result.compare(0, i, "void") == 0) start = i + 1;
    if (depth == 0 && c == '(' && i > start && result.compare(i, 11, "(anonymous ") != 0) {
      return result.substr(start, i - start);
    }
  }
  return result.substr(start);
}

void find_references(const ptx::Operand& operand, std::set<int>& variables,
                     std::set<int>& functions) {
  if (operand.kind == ptx::Operand::Kind::kVariable) variables.insert(operand.index);
  if (operand.kind == ptx::Operand::Kind::kFunction) functions.insert(operand.index);
  for (const auto& element : operand.elements) find_references(element, variables, functions);
}

/// What an entry can reach: functions called or whose address is taken (in code or in the initial
/// bytes of variables), and variables.
void reach(const ptx::Module& module, int entry, std::set<int>& variables,
           std::set<int>& functions) {
  std::vector<int> function_work = {entry};
  std::vector<int> variable_work;
  functions.insert(entry);
  while (!function_work.empty() || !variable_work.empty()) {
    std::set<int> more_variables, more_functions;
    if (!function_work.empty()) {
      const auto& f = module.functions[static_cast<std::size_t>(function_work.back())];
      function_work.pop_back();
      for (const auto& i : f.instructions) {
        for (const auto& o : i.operands) find_references(o, more_variables, more_functions);
        for (const auto& o : i.call_arguments) find_references(o, more_variables, more_functions);
      }
    } else {
      const auto& v = module.variables[static_cast<std::size_t>(variable_work.back())];
      variable_work.pop_back();
      for (const auto& r : v.relocations) {
        if (r.variable >= 0) more_variables.insert(r.variable);
        if (r.function >= 0) more_functions.insert(r.function);
      }
    }
    for (const int v : more_variables) {
      if (variables.insert(v).second) variable_work.push_back(v);
    }
    for (const int f : more_functions) {
      if (functions.insert(f).second) function_work.push_back(f);
    }
  }
}

std::uint32_t align_up(std::uint32_t value, std::size_t alignment) {
  const auto a = static_cast<std::uint32_t>(std::max<std::size_t>(alignment, 1));
  return (value + a - 1) / a * a;
}

/// Static shared variables behind the reserved part, then the dynamic array.
void layout_shared(Program& program, const std::set<int>& variables) {
  const ptx::Module& module = *program.module;
  program.shared_offsets.assign(module.variables.size(), ~0u);
  std::uint32_t next = kSharedReserved;
  std::size_t dynamic_alignment = 16;
  for (const int v : variables) {
    const auto& variable = module.variables[static_cast<std::size_t>(v)];
    if (variable.space != ptx::Space::kShared) continue;
    if (variable.bytes == 0) {
      dynamic_alignment = std::max(dynamic_alignment, variable.alignment);
      continue;
    }
    next = align_up(next, variable.alignment);
    program.shared_offsets[static_cast<std::size_t>(v)] = next;
    next += static_cast<std::uint32_t>(variable.bytes);
  }
  program.static_shared_bytes = next - kSharedReserved;
  program.dynamic_shared_offset = align_up(next, dynamic_alignment);
  for (std::size_t v = 0; v < module.variables.size(); ++v) {
    const auto& variable = module.variables[v];
    if (variable.space == ptx::Space::kShared && variable.bytes == 0) {
      program.shared_offsets[v] = program.dynamic_shared_offset;
    }
  }
}

}  // namespace

const ptx::Function& Code::source() const {
  return program->module->functions[static_cast<std::size_t>(function)];
}

const Code& Program::code(int function) {
  std::atomic<const Code*>& slot = by_function_[static_cast<std::size_t>(function)];
  if (const Code* found = slot.load(std::memory_order_acquire)) return *found;
  const std::lock_guard lock(mutex_);
  if (const Code* found = slot.load(std::memory_order_relaxed)) return *found;
  codes_.emplace_back();
  Code& code = codes_.back();
  code.program = this;
  code.function = function;
  try {
    Decoder(*this, code).run();
  } catch (...) {
    codes_.pop_back();
    throw;
  }
  code.first_site = sites.fetch_add(code.sites);
  slot.store(&code, std::memory_order_release);
  return code;
}

Program& program_of(const ptx::Module& module, int entry,
                    const std::shared_ptr<const ptx::Module>& owner) {
  struct Registry {
    std::mutex mutex;
    std::map<std::pair<const ptx::Module*, int>, std::unique_ptr<Program>> programs;
  };
  static Registry& registry = *new Registry;  // outlives launches from destructors
  const std::lock_guard lock(registry.mutex);
  std::unique_ptr<Program>& slot = registry.programs[{&module, entry}];
  if (slot != nullptr) {
    if (slot->owner == nullptr) slot->owner = owner;
    return *slot;
  }
  auto program = std::make_unique<Program>();
  program->module = &module;
  program->owner = owner;
  program->entry = entry;
  program->name = demangled(module.functions[static_cast<std::size_t>(entry)].name);
  program->by_function_ = std::make_unique<std::atomic<const Code*>[]>(module.functions.size());
  std::set<int> variables, functions;
  reach(module, entry, variables, functions);
  layout_shared(*program, variables);
  for (const int v : variables) {
    const auto& variable = module.variables[static_cast<std::size_t>(v)];
    if (variable.space == ptx::Space::kConst) {
      program->constant_bytes += static_cast<std::uint32_t>(variable.bytes);
    }
  }
  // All that can be called is decoded now, so that an unknown instruction is found at launch.
  for (const int f : functions) {
    if (!module.functions[static_cast<std::size_t>(f)].defined) continue;
    if (module.functions[static_cast<std::size_t>(f)].entry && f != entry) continue;
    const Code& code = program->code(f);
    program->local_words += code.local_words;
    program->registers = std::max(program->registers, code.registers);
  }
  slot = std::move(program);
  return *slot;
}

}  // namespace gpusim::execute
