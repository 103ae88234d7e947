// Linking modules of several translation units.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ptx/parse.hpp"
#include "ptx_samples.hpp"

namespace gpusim::ptx {
namespace {

std::unique_ptr<Module> link_texts(const std::vector<std::string>& texts) {
  std::vector<std::unique_ptr<Module>> modules;
  for (const std::string& text : texts) modules.push_back(parse(kHeader + text, "unit"));
  return link(std::move(modules));
}

const char* const kUser = R"(
.file 1 "user.cu"
.extern .global .align 4 .u32 counter;
.extern .func (.param .b32 r) helper (.param .b32 x);
.global .align 4 .u32 own = 1;
.global .u64 pointers[2] = {helper, counter};
.visible .entry kernel()
{
  .reg .b32 %r<3>;
  .loc 1 5 0
  ld.global.u32 %r1, [counter+4];
  ld.global.u32 %r2, [own];
  { .param .b32 a; .param .b32 b; call (a), helper, (b); }
  ret;
})";

const char* const kProvider = R"(
.file 1 "provider.cu"
.global .align 4 .u32 own = 2;
.visible .global .align 4 .u32 counter = 9;
.visible .func (.param .b32 r) helper (.param .b32 x)
{
  .reg .b32 %r<2>;
  .loc 1 7 0
  ld.global.u32 %r1, [own];
  ret;
})";

TEST(Link, ResolvesExternSymbolsInEitherOrder) {
  for (const auto& texts :
       {std::vector<std::string>{kUser, kProvider}, std::vector<std::string>{kProvider, kUser}}) {
    const auto module = link_texts(texts);
    const auto& kernel =
        module->functions.at(static_cast<std::size_t>(module->function_by_name.at("kernel")));
    const int counter = module->variable_by_name.at("counter");
    const int helper = module->function_by_name.at("helper");
    EXPECT_TRUE(module->functions.at(static_cast<std::size_t>(helper)).defined);
    EXPECT_EQ(module->variables.at(static_cast<std::size_t>(counter)).initial.size(), 4U);
    EXPECT_EQ(kernel.instructions.at(0).operands.at(1).elements.at(0).index, counter);
    EXPECT_EQ(kernel.instructions.at(2).operands.at(0).index, helper);
    const auto& pointers =
        module->variables.at(static_cast<std::size_t>(module->variable_by_name.at("pointers")));
    EXPECT_EQ(pointers.relocations.at(0).function, helper);
    EXPECT_EQ(pointers.relocations.at(1).variable, counter);
  }
}

TEST(Link, KeepsInternalSymbolsOfOneNameApart) {
  const auto module = link_texts({kUser, kProvider});
  auto initial_of_own = [&](const char* function, std::size_t instruction) {
    const auto& code =
        module->functions.at(static_cast<std::size_t>(module->function_by_name.at(function)))
            .instructions;
    const int index = code.at(instruction).operands.at(1).elements.at(0).index;
    return module->variables.at(static_cast<std::size_t>(index)).initial.at(0);
  };
  EXPECT_EQ(initial_of_own("kernel", 1), std::byte{1});
  EXPECT_EQ(initial_of_own("helper", 0), std::byte{2});
}

TEST(Link, KeepsTheFileOfEachLocation) {
  const auto module = link_texts({kUser, kProvider});
  for (const auto& [function, file] :
       {std::pair{"kernel", "user.cu"}, std::pair{"helper", "provider.cu"}}) {
    const auto& code =
        module->functions.at(static_cast<std::size_t>(module->function_by_name.at(function)))
            .instructions;
    EXPECT_EQ(module->files.at(static_cast<std::size_t>(code.at(0).location.file)), file);
  }
}

TEST(Link, MergesWeakAndCommonSymbols) {
  const auto module = link_texts({".weak .global .u32 a = 1; .common .global .u32 c;",
                                  ".visible .global .u32 a = 2; .common .global .u32 c;",
                                  ".weak .global .u32 a = 3;"});
  EXPECT_EQ(module->variables.size(), 2U);
  EXPECT_EQ(module->variables.at(0).initial.at(0), std::byte{2});
}

TEST(Link, RefusesTwoDefinitions) {
  EXPECT_THROW(link_texts({".visible .global .u32 a;", ".visible .global .u32 a;"}), ParseError);
  EXPECT_THROW(link_texts({".visible .func f() { ret; }", ".visible .func f() { ret; }"}),
               ParseError);
}

TEST(Link, NamesWhatNoUnitDefines) {
  try {
    link_texts({kUser});
    ADD_FAILURE() << "linked a use of an undefined variable";
  } catch (const ParseError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'counter', used by 'kernel'"));
  }
  EXPECT_THROW(link_texts({".global .u64 a = nowhere;"}), ParseError);
}

TEST(Link, ReturnsASingleModuleAsItIs) {
  EXPECT_EQ(link_texts({kProvider})->functions.size(), 1U);
  EXPECT_THROW(link({}), ParseError);
}

}  // namespace
}  // namespace gpusim::ptx
