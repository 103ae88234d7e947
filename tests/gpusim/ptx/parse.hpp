// PTX text -> ptx::Module, and several modules -> one.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ptx/module.hpp"

namespace gpusim::ptx {

/// What is wrong with a PTX text: "NAME:LINE: what was found, what was expected".
class ParseError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Parses a whole text. `name` appears in errors. Instructions are not checked here beyond their
/// syntax: the decoder knows which exist.
std::unique_ptr<Module> parse(std::string_view text, const std::string& name);

/// Links translation units (-rdc=true): extern against visible, weak and common merged, indices in
/// operands and relocations renumbered. One module is returned as it is, its references checked.
std::unique_ptr<Module> link(std::vector<std::unique_ptr<Module>> modules);

}  // namespace gpusim::ptx
