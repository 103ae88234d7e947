// The parser on the syntax of PTX: scopes, operands, labels, calls, locations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ptx/parse.hpp"
#include "ptx_samples.hpp"

namespace gpusim::ptx {
namespace {

using Kind = Operand::Kind;

class KitchenSink : public testing::Test {
 protected:
  const Instruction& find(const std::string& opcode, int occurrence = 0) const {
    for (const Instruction& instruction : kernel().instructions) {
      if (instruction.opcode == opcode && occurrence-- == 0) return instruction;
    }
    throw std::runtime_error("no " + opcode);
  }
  const Function& kernel() const {
    return module_->functions.at(static_cast<std::size_t>(module_->function_by_name.at("kernel")));
  }
  const std::string& register_name(const Operand& operand) const {
    return kernel().registers.at(static_cast<std::size_t>(operand.index)).name;
  }
  std::unique_ptr<Module> module_ = parse(kKitchenSink, "sink.ptx");
};

TEST_F(KitchenSink, HasItsTargetAndFunctions) {
  EXPECT_EQ(module_->architecture, 90);
  EXPECT_EQ(module_->target, "sm_90a");
  ASSERT_EQ(module_->functions.size(), 4U);
  EXPECT_TRUE(kernel().entry);
  EXPECT_TRUE(kernel().defined);
  EXPECT_EQ(kernel().linkage, Linkage::kVisible);
  const Function& print = module_->functions.at(0);
  EXPECT_EQ(print.name, "vprintf");
  EXPECT_FALSE(print.defined);
  EXPECT_EQ(print.results.size(), 1U);
  EXPECT_EQ(print.parameters.at(1).offset, 8U);
  EXPECT_TRUE(module_->functions.at(1).no_return);
}

TEST_F(KitchenSink, LaysParametersOutWithTheirAlignment) {
  const Function& function = kernel();
  ASSERT_EQ(function.parameters.size(), 3U);
  EXPECT_EQ(function.parameters[0].alignment, 8U) << ".ptr .align describes the target";
  EXPECT_EQ(function.parameters[1].offset, 8U);
  EXPECT_EQ(function.parameters[1].bytes, 24U);
  EXPECT_EQ(function.parameters[2].offset, 32U);
  EXPECT_EQ(function.parameter_bytes, 33U);
  EXPECT_THAT(function.max_threads, testing::ElementsAre(128, 1, 1));
  EXPECT_EQ(function.min_blocks, 2);
  EXPECT_THAT(function.cluster, testing::ElementsAre(2, 1, 1));
}

TEST_F(KitchenSink, HoistsSharedVariablesOfABody) {
  const Variable& tile =
      module_->variables.at(static_cast<std::size_t>(module_->variable_by_name.at("tile")));
  EXPECT_EQ(tile.space, Space::kShared);
  EXPECT_EQ(tile.owner_function, module_->function_by_name.at("kernel"));
  ASSERT_FALSE(kernel().locals.empty());
  EXPECT_EQ(kernel().locals[0].name, "__local_depot0");
  EXPECT_EQ(kernel().locals[0].space, Space::kLocal);
}

TEST_F(KitchenSink, ResolvesNamesInTheInnermostScope) {
  const Instruction& first = find("bra", 1);
  const Instruction& second = find("bra", 2);
  EXPECT_EQ(first.modifiers.size(), 0U);
  EXPECT_NE(first.guard, second.guard) << "each pair of braces declares its own p";
  EXPECT_NE(first.operands.at(0).index, second.operands.at(0).index) << "and its own label DONE";
  EXPECT_EQ(kernel().instructions.at(static_cast<std::size_t>(first.operands[0].index)).opcode,
            "bra");
}

TEST_F(KitchenSink, ReadsOperandsOfEveryKind) {
  const Instruction& load = find("ld", 1);
  EXPECT_THAT(load.modifiers, testing::ElementsAre("global", "v2", "u32"));
  ASSERT_EQ(load.operands.size(), 2U);
  EXPECT_EQ(load.operands[0].kind, Kind::kVector);
  EXPECT_EQ(load.operands[0].elements.at(1).kind, Kind::kSink);
  EXPECT_EQ(load.operands[1].kind, Kind::kAddress);
  EXPECT_EQ(load.operands[1].offset, -8);
  EXPECT_EQ(register_name(load.operands[1].elements.at(0)), "%rd2");

  const Instruction& shuffle = find("shfl");
  ASSERT_EQ(shuffle.operands.at(0).second.size(), 1U);
  EXPECT_EQ(register_name(shuffle.operands[0].second[0]), "%p2");
  EXPECT_EQ(shuffle.operands.at(4).bits, ~std::uint64_t{0});

  EXPECT_EQ(find("mov", 1).operands.at(1).name, "%tid.x");
  EXPECT_EQ(find("mov", 2).operands.at(1).kind, Kind::kSpecial);
  EXPECT_EQ(find("elect").operands.at(0).kind, Kind::kSink);
  EXPECT_EQ(find("elect").operands.at(0).second.size(), 1U);
  const Instruction& address = find("mov", 4);
  EXPECT_EQ(address.operands.at(1).kind, Kind::kVariable);
  EXPECT_EQ(address.operands[1].offset, 8);
  EXPECT_EQ(find("tex").operands.at(1).elements.size(), 2U);
  EXPECT_TRUE(find("cp").has("shared::cluster"));
  EXPECT_TRUE(find("cp").has("mbarrier::complete_tx::bytes"));
}

TEST_F(KitchenSink, ReadsCallsDirectAndThroughAPrototype) {
  const Instruction& direct = find("call");
  EXPECT_TRUE(direct.has("uni"));
  EXPECT_EQ(direct.operands.at(0).kind, Kind::kFunction);
  EXPECT_EQ(direct.call_results.size(), 1U);
  EXPECT_EQ(direct.call_arguments.size(), 2U);
  EXPECT_EQ(direct.call_prototype, -1);
  const Instruction& indirect = find("call", 1);
  EXPECT_EQ(indirect.operands.at(0).kind, Kind::kRegister);
  ASSERT_EQ(indirect.call_prototype, 0);
  EXPECT_EQ(kernel().prototypes.at(0).results.at(0).bytes, 16U);
  EXPECT_EQ(kernel().prototypes.at(0).parameters.size(), 1U);
}

TEST_F(KitchenSink, ResolvesBranchTables) {
  ASSERT_EQ(kernel().branch_tables.size(), 1U);
  const Instruction& jump = find("brx");
  EXPECT_EQ(jump.operands.at(1).kind, Kind::kTable);
  const auto& targets = kernel().branch_tables[0];
  ASSERT_EQ(targets.size(), 2U);
  EXPECT_EQ(kernel().instructions.at(static_cast<std::size_t>(targets[1])).opcode, "cp");
}

TEST_F(KitchenSink, KnowsWhereInstructionsComeFrom) {
  EXPECT_EQ(module_->files.at(static_cast<std::size_t>(find("mov").location.file)),
            "/source/kernel.cu");
  EXPECT_EQ(find("mov").location.line, 12);
  EXPECT_EQ(find("call").location.line, 40) << "the line of the inlined function";
  EXPECT_EQ(find("call").location.call_line, 13) << "and where it was inlined";
  EXPECT_EQ(find("call").location.call_file, 0);
  EXPECT_EQ(find("mov").location.call_file, -1);
  EXPECT_GT(find("call").location.ptx_line, find("mov").location.ptx_line);
}

TEST(Parser, ReadsImmediates) {
  const auto module = parse(kernel_with(".reg .b32 %r<9>; .reg .f64 %d;\n"
                                        "mov.b32 %r1, 0x7fU; mov.b32 %r2, -3; mov.b32 %r3, 017;\n"
                                        "mov.b32 %r4, 0b101; mov.f64 %d, 1.5; mov.f64 %d, -2e-3;\n"
                                        "mov.f32 %r5, 0fBF800000; mov.b32 %r6, WARP_SZ;\n"
                                        "mov.b32 %r7, ~0; mov.b32 %r8, (1<<4);"),
                            "t");
  const auto& code = module->functions.at(0).instructions;
  auto bits = [&](std::size_t i) { return code.at(i).operands.at(1).bits; };
  EXPECT_EQ(bits(0), 0x7fU);
  EXPECT_EQ(static_cast<std::int64_t>(bits(1)), -3);
  EXPECT_EQ(bits(2), 15U);
  EXPECT_EQ(bits(3), 5U);
  EXPECT_EQ(bits(4), 0x3ff8000000000000U);
  EXPECT_TRUE(code.at(4).operands.at(1).is_double);
  EXPECT_EQ(bits(5), 0xbf60624dd2f1a9fcU);
  EXPECT_EQ(bits(6), 0xbf800000U);
  EXPECT_FALSE(code.at(6).operands.at(1).is_double);
  EXPECT_EQ(bits(7), 32U);
  EXPECT_EQ(bits(8), ~std::uint64_t{0});
  EXPECT_EQ(bits(9), 16U);
}

TEST(Parser, EndsABodyWithAReturnWhereLabelsStandAtItsEnd) {
  const auto module = parse(kernel_with(".reg .pred p; @p bra END; trap; END:"), "t");
  const auto& code = module->functions.at(0).instructions;
  ASSERT_EQ(code.size(), 3U);
  EXPECT_EQ(code[0].operands.at(0).index, 2);
  EXPECT_EQ(code[2].opcode, "ret");
}

TEST(Parser, ReportsMistakesWithTheirLine) {
  const std::vector<std::pair<std::string, std::string>> mistakes{
      {"add.u32 %r1, %r2;", "t:6: unknown register '%r1'"},
      {"bra NOWHERE;", "t:6: unknown name 'NOWHERE'"},
      {".reg .b32 a; .reg .b32 a;", "'a' is declared twice"},
      {"L: L: ret;", "label 'L' stands twice"},
      {".reg .b32 %r<99999999999>;", "must be an integer up to"},
      {"call nothing, ();", "neither a declared function nor a register"},
      {".reg .b32 a; mov.b32 a, 0f12;", "'0f12' is no hexadecimal floating-point number"},
      {".reg .b32 a; mov.b32 a, 99999999999999999999;", "no number of 64 bits"},
      {".reg .v4 .f32 a;", "registers of type '.v4' are not supported"},
      {"ret", "found '}', expected an operand"},
      {"{ ret;", "expected an instruction"},
      {"/* open", "t:6: a comment that does not end"},
  };
  for (const auto& [body, message] : mistakes) {
    try {
      parse(kernel_with(body), "t");
      ADD_FAILURE() << "accepted: " << body;
    } catch (const ParseError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(message)) << body;
    }
  }
}

TEST(Parser, RefusesTextThatIsNoPtx) {
  EXPECT_THROW(parse("", "t"), ParseError);
  EXPECT_THROW(parse("hello", "t"), ParseError);
  EXPECT_THROW(parse(".version 9.0", "t"), ParseError);
}

}  // namespace
}  // namespace gpusim::ptx
