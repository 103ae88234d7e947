// Instructions as text again, for messages.
#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

std::string operand_text(const ptx::Function& function, const ptx::Module& module,
                         const ptx::Operand& operand) {
  using Kind = ptx::Operand::Kind;
  const auto name_in = [&operand](const auto& list) {
    const auto index = static_cast<std::size_t>(operand.index);
    return operand.index >= 0 && index < list.size() ? list[index].name : std::string("?");
  };
  const auto with_offset = [&operand](std::string text) {
    if (operand.offset != 0) text += "+" + std::to_string(operand.offset);
    return text;
  };
  const auto list = [&](const char* open, const char* close) {
    std::string text = open;
    for (std::size_t i = 0; i < operand.elements.size(); ++i) {
      text += (i == 0 ? "" : ", ") + operand_text(function, module, operand.elements[i]);
    }
    return with_offset(text) + close;
  };
  std::string text;
  switch (operand.kind) {
    case Kind::kRegister:
      text = (operand.negated ? "!" : "") + name_in(function.registers);
      break;
    case Kind::kImmediate:
      text = std::to_string(static_cast<std::int64_t>(operand.bits));
      break;
    case Kind::kSpecial:
      text = operand.name;
      break;
    case Kind::kVariable:
      text = with_offset(name_in(module.variables));
      break;
    case Kind::kLocal:
      text = with_offset(name_in(function.locals));
      break;
    case Kind::kParameter:
      text = with_offset(name_in(function.parameters));
      break;
    case Kind::kResult:
      text = with_offset(name_in(function.results));
      break;
    case Kind::kFunction:
      text = name_in(module.functions);
      break;
    case Kind::kLabel:
      text = "label";
      break;
    case Kind::kTable:
      text = "table";
      break;
    case Kind::kPrototype:
      text = "prototype";
      break;
    case Kind::kAddress:
      text = list("[", "]");
      break;
    case Kind::kVector:
      text = list("{", "}");
      break;
    case Kind::kSink:
      text = "_";
      break;
  }
  for (const auto& second : operand.second) text += "|" + operand_text(function, module, second);
  return text;
}

}  // namespace

std::string text_of(const ptx::Function& function, const ptx::Module& module,
                    const ptx::Instruction& instruction) {
  std::string text = instruction.opcode;
  for (const std::string& modifier : instruction.modifiers) text += "." + modifier;
  for (std::size_t i = 0; i < instruction.operands.size(); ++i) {
    text += (i == 0 ? " " : ", ") + operand_text(function, module, instruction.operands[i]);
  }
  return text;
}

std::string place_of(const ptx::Module& module, const ptx::Instruction& instruction) {
  const ptx::Location& at = instruction.location;
  const auto line_of = [&](int file, int line) {
    return file >= 0 && static_cast<std::size_t>(file) < module.files.size()
               ? module.files[static_cast<std::size_t>(file)] + ":" + std::to_string(line)
               : std::string();
  };
  const std::string place = line_of(at.file, at.line);
  if (place.empty()) return "PTX line " + std::to_string(at.ptx_line);
  const std::string caller = line_of(at.call_file, at.call_line);
  return caller.empty() ? place : place + " (inlined at " + caller + ")";
}

}  // namespace gpusim::execute
