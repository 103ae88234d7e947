// Links the modules of several translation units into one: the simulator is the linker of programs
// built with -rdc=true.
#include <unordered_map>
#include <utility>

#include "ptx/parse.hpp"

namespace gpusim::ptx {
namespace {

/// Which of two symbols of one name stays.
int strength(Linkage linkage, bool defined) {
  if (!defined) return 0;
  switch (linkage) {
    case Linkage::kExtern:
      return 0;
    case Linkage::kCommon:
      return 1;
    case Linkage::kWeak:
      return 2;
    default:
      return 3;
  }
}

bool is_defined(const Variable& variable) {
  return variable.linkage != Linkage::kExtern;
}
bool is_defined(const Function& function) {
  return function.defined;
}

bool is_internal(const Variable& variable) {
  return variable.linkage == Linkage::kInternal || variable.owner_function >= 0;
}
bool is_internal(const Function& function) {
  // Declarations without .extern are of functions that the same text defines.
  return function.linkage == Linkage::kInternal && function.defined;
}

/// Moves `symbols` into `linked`, those of one name into one place. plan() says where they go.
template <typename T>
void merge(std::vector<T>& symbols, std::vector<T>& linked,
           std::unordered_map<std::string, int>& shared, const char* kind) {
  for (T& symbol : symbols) {
    const auto next = static_cast<int>(linked.size());
    if (is_internal(symbol)) {
      linked.push_back(std::move(symbol));
      continue;
    }
    const auto [found, inserted] = shared.try_emplace(symbol.name, next);
    if (inserted) {
      linked.push_back(std::move(symbol));
      continue;
    }
    T& known = linked[static_cast<std::size_t>(found->second)];
    const int here = strength(symbol.linkage, is_defined(symbol));
    const int there = strength(known.linkage, is_defined(known));
    if (here == 3 && there == 3) {
      throw ParseError(std::string(kind) + " '" + symbol.name +
                       "' is defined in two translation units");
    }
    if (here > there) known = std::move(symbol);
  }
}

struct Places {
  std::vector<int> variables;
  std::vector<int> functions;
  int first_file = 0;
};

int moved(const std::vector<int>& places, int index) {
  return index < 0 ? index : places[static_cast<std::size_t>(index)];
}

void renumber(Operand& operand, const Places& places) {
  if (operand.kind == Operand::Kind::kVariable) {
    operand.index = moved(places.variables, operand.index);
  } else if (operand.kind == Operand::Kind::kFunction) {
    operand.index = moved(places.functions, operand.index);
  }
  for (Operand& element : operand.elements) renumber(element, places);
  for (Operand& element : operand.second) renumber(element, places);
}

/// Rewrites what a symbol refers to while it still stands in its own module.
void renumber(Module& module, const Places& places) {
  for (Variable& variable : module.variables) {
    variable.owner_function = moved(places.functions, variable.owner_function);
    for (Relocation& relocation : variable.relocations) {
      relocation.variable = moved(places.variables, relocation.variable);
      relocation.function = moved(places.functions, relocation.function);
    }
  }
  for (Function& function : module.functions) {
    for (Instruction& instruction : function.instructions) {
      Location& location = instruction.location;
      if (location.file >= 0) location.file += places.first_file;
      if (location.call_file >= 0) location.call_file += places.first_file;
      for (Operand& operand : instruction.operands) renumber(operand, places);
      for (Operand& operand : instruction.call_results) renumber(operand, places);
      for (Operand& operand : instruction.call_arguments) renumber(operand, places);
    }
  }
}

/// Places as merge() will assign them: references are rewritten before symbols move.
template <typename T>
std::vector<int> plan(const std::vector<T>& symbols, std::size_t next,
                      const std::unordered_map<std::string, int>& shared) {
  std::unordered_map<std::string_view, int> added;
  std::vector<int> places;
  places.reserve(symbols.size());
  for (const T& symbol : symbols) {
    if (!is_internal(symbol)) {
      if (const auto found = shared.find(symbol.name); found != shared.end()) {
        places.push_back(found->second);
        continue;
      }
      const auto [found, inserted] = added.try_emplace(symbol.name, static_cast<int>(next));
      places.push_back(found->second);
      if (!inserted) continue;
    } else {
      places.push_back(static_cast<int>(next));
    }
    ++next;
  }
  return places;
}

void resolve(Module& module) {
  for (Variable& variable : module.variables) {
    for (Relocation& relocation : variable.relocations) {
      if (relocation.unresolved.empty()) continue;
      if (const auto found = module.variable_by_name.find(relocation.unresolved);
          found != module.variable_by_name.end()) {
        relocation.variable = found->second;
      } else if (const auto function = module.function_by_name.find(relocation.unresolved);
                 function != module.function_by_name.end()) {
        relocation.function = function->second;
      } else {
        throw ParseError("'" + variable.name + "' holds the address of '" + relocation.unresolved +
                         "', which no translation unit defines");
      }
      relocation.unresolved.clear();
    }
  }
}

void check_operand(const Operand& operand, const Module& module, const Function& function) {
  if (operand.kind == Operand::Kind::kVariable) {
    const Variable& variable = module.variables[static_cast<std::size_t>(operand.index)];
    if (variable.linkage == Linkage::kExtern && variable.space != Space::kShared) {
      throw ParseError("'" + variable.name + "', used by '" + function.name +
                       "', is defined in no translation unit that has PTX for this device");
    }
  }
  for (const Operand& element : operand.elements) check_operand(element, module, function);
}

/// Undefined functions are left to the decoder: some are the device's own runtime (vprintf).
void check_references(const Module& module) {
  for (const Function& function : module.functions) {
    for (const Instruction& instruction : function.instructions) {
      for (const Operand& operand : instruction.operands) {
        check_operand(operand, module, function);
      }
    }
  }
}

}  // namespace

std::unique_ptr<Module> link(std::vector<std::unique_ptr<Module>> modules) {
  if (modules.empty()) throw ParseError("there is no PTX to link");
  std::unique_ptr<Module> linked;
  if (modules.size() == 1) {
    linked = std::move(modules.front());
  } else {
    linked = std::make_unique<Module>();
    std::unordered_map<std::string, int> variables;
    std::unordered_map<std::string, int> functions;
    for (const std::unique_ptr<Module>& module : modules) {
      if (module->architecture > linked->architecture) {
        linked->architecture = module->architecture;
        linked->target = module->target;
      }
      Places places;
      places.first_file = static_cast<int>(linked->files.size());
      places.variables = plan(module->variables, linked->variables.size(), variables);
      places.functions = plan(module->functions, linked->functions.size(), functions);
      renumber(*module, places);
      linked->files.insert(linked->files.end(), module->files.begin(), module->files.end());
      merge(module->variables, linked->variables, variables, "variable");
      merge(module->functions, linked->functions, functions, "function");
      for (const auto& [name, index] : module->function_by_name) {
        linked->function_by_name.try_emplace(name, moved(places.functions, index));
      }
      for (const auto& [name, index] : module->variable_by_name) {
        linked->variable_by_name.try_emplace(name, moved(places.variables, index));
      }
    }
    // A name found for the program is the shared symbol, where there is one.
    for (const auto& [name, index] : variables) linked->variable_by_name[name] = index;
    for (const auto& [name, index] : functions) linked->function_by_name[name] = index;
  }
  resolve(*linked);
  check_references(*linked);
  return linked;
}

}  // namespace gpusim::ptx
