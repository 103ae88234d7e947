// Counts what the process allocates with `new` while steps run. oneDNN's own buffers come from the
// C library and are not counted; ops/README.md says so.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/runtime/train/engine_fixture.hpp"

namespace {

std::atomic<std::int64_t> allocations = 0;

void* counted_allocation(std::size_t bytes) {
  ++allocations;
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted_allocation(bytes);
}
void* operator new[](std::size_t bytes) {
  return counted_allocation(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ingot {
namespace {

class Allocations : public ::testing::TestWithParam<const char*> {};

TEST_P(Allocations, DoNotHappenDuringAStep) {
  Config config = test::tiny_gpt(true);
  config.train.precision = GetParam();
  test::OneRank rank(config, {.vocabulary = 29}, 2, 2);
  const test::RandomBatch batch = test::random_tokens(3, 12, 29, 1);
  const std::vector<HostTensor> tensors = batch.tensors();
  const auto step = [&](int number) {
    StepScalars scalars;
    scalars.step = scalars.adam_step = number;
    scalars.learning_rate = 1e-3;
    scalars.counted = 0;
    rank.engine->begin_step(scalars);
    for (int part = 0; part < 2; ++part) {
      rank.engine->load(tensors);
      rank.engine->add_counted(36);
      rank.engine->run_micro(part == 1);
    }
    rank.engine->run_update();
    rank.engine->finish_step();
  };
  step(1);  // libraries set themselves up on first use
  const std::int64_t before = allocations;
  for (int number = 2; number <= 6; ++number) step(number);
  EXPECT_EQ(allocations - before, 0);
}

TEST_P(Allocations, AreThoseOfThePlan) {
  Config config = test::tiny_gpt(false);
  config.train.precision = GetParam();
  test::OneRank rank(config, {.vocabulary = 29});
  std::int64_t largest = 0;
  for (const Program* program : rank.engine->programs()) {
    largest = std::max(largest, program->arena_bytes);
  }
  EXPECT_EQ(rank.engine->memory().arena_bytes(), largest);
  std::int64_t table = 0;
  for (const auto& [name, bytes] : rank.engine->memory().table()) table += bytes;
  EXPECT_EQ(rank.device.allocated_bytes(), table) << "the table shows all of the device's memory";
}

INSTANTIATE_TEST_SUITE_P(Precisions, Allocations, ::testing::Values("f32", "bf16"),
                         [](const auto& precision) { return precision.param; });

}  // namespace
}  // namespace ingot
