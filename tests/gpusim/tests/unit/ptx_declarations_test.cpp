// The parser on variables and their initial values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "ptx/parse.hpp"
#include "ptx_samples.hpp"

namespace gpusim::ptx {
namespace {

class Declarations : public testing::Test {
 protected:
  const Variable& variable(const std::string& name) const {
    return module_->variables.at(static_cast<std::size_t>(module_->variable_by_name.at(name)));
  }
  template <typename T>
  T value(const std::string& name, std::size_t at) const {
    T result{};
    const std::vector<std::byte>& bytes = variable(name).initial;
    if (at + sizeof(T) <= bytes.size()) std::memcpy(&result, bytes.data() + at, sizeof(T));
    return result;
  }
  std::unique_ptr<Module> module_ = parse(kKitchenSink, "sink.ptx");
};

TEST_F(Declarations, KeepSpaceSizeAndLinkage) {
  EXPECT_EQ(variable("table").space, Space::kConst);
  EXPECT_EQ(variable("table").bytes, 64U);
  EXPECT_EQ(variable("table").alignment, 4U);
  EXPECT_EQ(variable("dynamic_shared").bytes, 0U);
  EXPECT_EQ(variable("dynamic_shared").linkage, Linkage::kExtern);
  EXPECT_EQ(variable("pooled").linkage, Linkage::kCommon);
  EXPECT_EQ(variable("vector").linkage, Linkage::kWeak);
  EXPECT_EQ(variable("vector").bytes, 16U);
  EXPECT_TRUE(variable("managed_value").managed);
  EXPECT_EQ(variable("doubles").bytes, 48U);
}

TEST_F(Declarations, ReadInitialNumbers) {
  EXPECT_EQ(variable("table").initial.size(), 5U) << "the rest is zero";
  EXPECT_EQ(value<std::uint8_t>("table", 2), 128);
  EXPECT_EQ(value<std::uint32_t>("counter", 0), 7U);
  EXPECT_EQ(value<std::int32_t>("managed_value", 0), -1);
  EXPECT_EQ(value<float>("floats", 0), 1.0F);
  EXPECT_EQ(value<float>("floats", 4), 1.5F);
  EXPECT_EQ(value<float>("floats", 8), -2.0F);
  EXPECT_EQ(value<float>("floats", 12), -0.25F);
  EXPECT_EQ(value<double>("doubles", 8), 2.0);
  EXPECT_EQ(value<double>("doubles", 16), 0.0) << "short rows are filled with zero";
  EXPECT_EQ(value<double>("doubles", 24), 3.0);
  EXPECT_EQ(value<float>("vector", 12), 4.0F);
}

TEST_F(Declarations, KeepAddressesAsRelocations) {
  const auto& relocations = variable("functions").relocations;
  ASSERT_EQ(relocations.size(), 2U);
  EXPECT_EQ(relocations[0].function, module_->function_by_name.at("_Z3addff"));
  EXPECT_EQ(relocations[0].bytes, 8);
  EXPECT_EQ(relocations[1].variable, module_->variable_by_name.at("counter"));
  EXPECT_EQ(relocations[1].at, 16U);
  EXPECT_EQ(relocations[1].addend, 4);
  EXPECT_TRUE(relocations[1].generic);
  const auto& pieces = variable("bytes_of_address").relocations;
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[2].shift, 16);
  EXPECT_EQ(pieces[2].bytes, 1);
}

TEST(Declaration, OfAnUnsizedArrayTakesTheSizeOfItsValues) {
  const auto module = parse(std::string(kHeader) + ".global .u32 a[] = {1, 2, 3};", "t");
  EXPECT_EQ(module->variables.at(0).bytes, 12U);
}

TEST(Declaration, OfSeveralNamesDeclaresEach) {
  const auto module = parse(std::string(kHeader) + ".global .u32 a, b[2], c = 5;", "t");
  ASSERT_EQ(module->variables.size(), 3U);
  EXPECT_EQ(module->variables[1].bytes, 8U);
  EXPECT_EQ(module->variables[2].bytes, 4U);
}

TEST(Declaration, MayComeBeforeOrAfterItsDefinition) {
  const std::string declared = ".extern .global .u32 a;";
  const std::string defined = ".visible .global .u32 a = 3;";
  for (const std::string& text : {declared + defined, defined + declared}) {
    const auto module = parse(kHeader + text, "t");
    ASSERT_EQ(module->variables.size(), 1U);
    EXPECT_EQ(module->variables[0].linkage, Linkage::kVisible);
    EXPECT_EQ(module->variables[0].initial.size(), 4U);
  }
}

TEST(Declaration, IsRefusedWhereItMakesNoSense) {
  for (const char* text : {
           ".global .u32 a; .global .u32 a;",
           ".global .u32 a[2] = {1, 2, 3};",
           ".global .u32 a[1][1] = {{{1}}};",
           ".global .u32 a[99999999999999];",
           ".global .align 3 .u32 a;",
           ".global .pred a;",
           ".global .u32 a[1/0];",
           ".global .b8 a = 1.5;",
           ".global .b8 a[2][549755813888] = {{1}, {2}};",
           ".global .u32 a; .func a() { ret; }",
           ".func f() { ret; } .func f() { ret; }",
           ".func (.reg .u32 r) f() { ret; }",
       }) {
    EXPECT_THROW(parse(std::string(kHeader) + text, "t"), ParseError) << text;
  }
}

}  // namespace
}  // namespace gpusim::ptx
