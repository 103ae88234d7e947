// Steps of engines that share their state: every shard mode against none, and ordered sums against
// a single rank's. Started by ctest under mpirun with 1 to 8 ranks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "tests/runtime/train/engine_fixture.hpp"

namespace {

// Of this thread: it enqueues the steps. Kernels have a test of their own, and the MPI transport
// makes each of its slots' scratch when that is first used, whenever that is.
thread_local std::int64_t allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ingot::test {
namespace {

constexpr std::int64_t kVocabulary = 29;
constexpr int kSteps = 3;

MpiSession* session = nullptr;  // made by main, since MPI lives once in a process

struct Settings {
  const char* shard = "none";
  const char* reduction = "fast";
  const char* precision = "f32";
  const char* wire = "f32";
  const char* optimizer = "adamw";
  int node_ranks = 0;  ///< set: parallel.shard_group: node
  std::int64_t micro_batches = 1;
  bool tied = true;
  bool table = false;  ///< an mlp
};

constexpr std::int64_t kFeatures = 5;
constexpr std::int64_t kCategories = 2;  // columns, of four rows each

RandomBatch random_rows(std::int64_t rows, unsigned seed) {
  std::mt19937 random(seed);
  RandomBatch result;
  for (std::int64_t b = 0; b < rows; ++b) {
    result.samples.push_back(b);
    for (int f = 0; f < kFeatures; ++f) {
      result.features.push_back(static_cast<float>(random() % 1000) / 500.0F - 1.0F);
    }
    for (int c = 0; c < kCategories; ++c) {
      result.categories.push_back(static_cast<std::int32_t>(4 * c + random() % 4));
    }
    result.labels.push_back(static_cast<std::int32_t>(random() % 2));
  }
  return result;
}

Config config_of(const Settings& settings) {
  Config config = tiny_gpt(!settings.tied);
  if (settings.table) {
    config.model.kind = "mlp";
    config.model.activation = "relu";
  }
  config.parallel.bucket = 1 << 12;  // a bucket per layer
  config.parallel.shard = settings.shard;
  config.parallel.reduction = settings.reduction;
  config.parallel.wire = settings.wire;
  if (settings.node_ranks > 0) config.parallel.shard_group = "node";
  config.train.precision = settings.precision;
  config.optimizer.kind = settings.optimizer;
  config.optimizer.ema = 0.9;
  return config;
}

/// What a run leaves: losses and norms of its steps, weights and average without padding.
struct Outcome {
  std::vector<double> losses;
  std::vector<double> norms;
  std::vector<float> weights;
  std::vector<float> average;
  std::int64_t state_bytes = 0;  ///< of this rank, arena left out
  double evaluation = 0;
};

class ShardedEngine : public ::testing::Test {
 protected:
  ShardedEngine() : device_(make_device(cpu_device_, 1)) {
    register_test_ops(registry_);
    communicator_ = create_mpi_communicator(*session);
    stream_ = device_.create_stream("test");
  }
  int rank() const { return session->rank(); }
  int ranks() const { return session->size(); }

  static ModelData data(const Settings& settings) {
    if (!settings.table) return {.vocabulary = kVocabulary};
    return {.features = kFeatures,
            .category_columns = kCategories,
            .category_rows = 4 * kCategories,
            .classes = 2};
  }

  /// Micro batch `number` of a step, the same whoever computes it.
  static RandomBatch batch(const Settings& settings, int step, std::int64_t number) {
    const auto seed = unsigned(1000 * step + number);
    return settings.table ? random_rows(3, seed)
                          : random_tokens(3, 12, kVocabulary, seed, 3 * number);
  }

  /// An engine of all ranks, or of this one alone.
  std::unique_ptr<Engine> make_engine(const Settings& settings, bool alone) {
    EngineOptions options{config_of(settings), data(settings), settings.micro_batches};
    if (alone) options.micro_batches *= ranks();
    options.node_ranks = settings.node_ranks > 0 ? settings.node_ranks : 1;
    auto engine = std::make_unique<Engine>(options, registry_, device_,
                                           alone ? nullptr : communicator_.get());
    engine->store().initialise(5);
    engine->store().copy_to_average();
    engine->refresh_weights();
    return engine;
  }

  StepScalars run_step(Engine& engine, int step, const std::vector<RandomBatch>& batches) {
    StepScalars scalars;
    scalars.seed = 7;
    scalars.step = scalars.adam_step = step;
    scalars.learning_rate = 1e-2;
    scalars.clip_norm = 0.5;
    scalars.ema_decay = 0.9;
    scalars.counted = 0;
    engine.begin_step(scalars);
    for (std::size_t a = 0; a < batches.size(); ++a) {
      engine.load(batches[a].tensors());
      engine.add_counted(counted(batches[a]));
      engine.run_micro(a + 1 == batches.size());
    }
    engine.run_update();
    return engine.finish_step();
  }

  /// Trains with all ranks, or with this one alone on everybody's micro batches.
  Outcome train(const Settings& settings, bool alone = false) {
    const std::unique_ptr<Engine> made = make_engine(settings, alone);
    Engine& engine = *made;
    const std::int64_t own = settings.micro_batches * (alone ? ranks() : 1);
    const bool strided = engine.parallel().reduces_each_micro();
    Outcome outcome;
    for (int step = 1; step <= kSteps; ++step) {
      std::vector<RandomBatch> batches;
      for (std::int64_t a = 0; a < own; ++a) {
        std::int64_t number = a;
        if (!alone) number = strided ? a * ranks() + rank() : rank() * own + a;
        batches.push_back(batch(settings, step, number));
      }
      const StepScalars result = run_step(engine, step, batches);
      outcome.losses.push_back(result.loss_sum / result.counted);
      outcome.norms.push_back(result.gradient_norm);
    }
    engine.load(batch(settings, 99, 0).tensors());
    engine.evaluate();
    for (const double loss : engine.sample_losses()) outcome.evaluation += loss;
    for (const SavedBuffer& saved : engine.store().saved_state()) {
      if (saved.name == "weights") outcome.weights = whole(engine, saved, alone);
      if (saved.name == store::kAverage) outcome.average = whole(engine, saved, alone);
    }
    for (const auto& [name, bytes] : engine.memory().table()) {
      if (name != "arena") outcome.state_bytes += bytes;
    }
    return outcome;
  }

  /// All ranks' parts of a saved buffer, without padding.
  std::vector<float> whole(Engine& engine, const SavedBuffer& saved, bool alone) {
    const StoreLayout& layout = engine.store().layout();
    std::vector<float> local(saved.values.size());
    engine.memory().transfer().read(local.data(), saved.values.data(),
                                    std::int64_t(saved.values.size_bytes()));
    Buffer flat = device_.allocate(layout.elements * 4, "whole");
    std::vector<float> host(std::size_t(layout.elements), 0.0F);
    const bool first_replica = engine.parallel().rank < engine.parallel().shard_ranks;
    const bool sharded = engine.parallel().shard != ShardMode::kNone;
    if (first_replica || !sharded) {
      for (const ShardRange& range : saved.held) {
        std::copy_n(local.begin() + range.local, range.count, host.begin() + range.flat);
      }
    }
    if (!alone && sharded) {
      engine.memory().transfer().write(flat.data(), host.data(), flat.bytes());
      communicator_->all_reduce(flat.data(), layout.elements, DType::kF32, ReduceOperation::kSum,
                                *stream_, {"test"});
      stream_->synchronize();
      engine.memory().transfer().read(host.data(), flat.data(), flat.bytes());
    }
    std::vector<float> values;
    for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
      const auto first = host.begin() + layout.offsets[p];
      values.insert(values.end(), first, first + layout.parameters[p].shape.count());
    }
    return values;
  }

  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Stream> stream_;
};

void expect_same_bits(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.evaluation, b.evaluation);
  ASSERT_EQ(a.weights.size(), b.weights.size());
  EXPECT_EQ(std::memcmp(a.weights.data(), b.weights.data(), 4 * a.weights.size()), 0) << "weights";
  ASSERT_EQ(a.average.size(), b.average.size());
  EXPECT_EQ(std::memcmp(a.average.data(), b.average.data(), 4 * a.average.size()), 0) << "average";
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double(a[i]) - b[i], 2);
    norm += std::pow(double(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

void expect_close(const Outcome& a, const Outcome& b, double tolerance) {
  for (int step = 0; step < kSteps; ++step) {
    const auto s = std::size_t(step);
    EXPECT_NEAR(a.losses[s], b.losses[s], tolerance * b.losses[s]) << step;
    EXPECT_NEAR(a.norms[s], b.norms[s], 10 * tolerance * b.norms[s]) << step;
  }
  EXPECT_NEAR(a.evaluation, b.evaluation, tolerance * b.evaluation);
  ASSERT_EQ(a.weights.size(), b.weights.size());
  EXPECT_LT(distance(a.weights, b.weights), tolerance);
  EXPECT_LT(distance(a.average, b.average), tolerance);
}

constexpr const char* kModes[] = {"optimizer", "gradients", "parameters"};

TEST_F(ShardedEngine, TrainsAsUnshardedOnesDo) {
  for (const char* precision : {"f32", "bf16"}) {
    for (const std::int64_t micro_batches : {1, 2}) {
      Settings settings{.precision = precision, .micro_batches = micro_batches};
      const Outcome none = train(settings);
      for (const char* mode : kModes) {
        SCOPED_TRACE(fmt::format("{} {} {}", mode, precision, micro_batches));
        settings.shard = mode;
        const Outcome sharded = train(settings);
        // A sum of two is the same in any order, of one of two ranks' micro batches.
        if (ranks() <= 2 && micro_batches == 1) {
          expect_same_bits(sharded, none);
        } else {
          expect_close(sharded, none, std::strcmp(precision, "f32") == 0 ? 1e-4 : 2e-2);
        }
      }
    }
  }
}

TEST_F(ShardedEngine, TrainsWithAnyOptimizerAndUntiedWeights) {
  for (const char* optimizer : {"lion", "sgd"}) {
    Settings settings{.optimizer = optimizer, .tied = false};
    const Outcome none = train(settings);
    for (const char* mode : kModes) {
      SCOPED_TRACE(fmt::format("{} {}", mode, optimizer));
      settings.shard = mode;
      const Outcome sharded = train(settings);
      if (ranks() <= 2) {
        expect_same_bits(sharded, none);
      } else {
        expect_close(sharded, none, std::strcmp(optimizer, "lion") == 0 ? 5e-2 : 1e-3);
      }
    }
  }
}

TEST_F(ShardedEngine, ShardsInsideNodesAndReducesAcrossThem) {
  if (ranks() % 2 != 0) return;
  Settings settings;
  const Outcome none = train(settings);
  for (const char* mode : kModes) {
    for (const std::int64_t micro_batches : {1, 2}) {
      SCOPED_TRACE(fmt::format("{} {}", mode, micro_batches));
      Settings flat{.micro_batches = micro_batches};
      settings = {.shard = mode, .node_ranks = ranks() / 2, .micro_batches = micro_batches};
      expect_close(train(settings), train(flat), 1e-4);
    }
  }
}

TEST_F(ShardedEngine, ComesCloseWithGradientsThatTravelInBf16) {
  Settings settings;
  const Outcome exact = train(settings);
  for (const char* mode : {"none", "optimizer", "gradients", "parameters"}) {
    SCOPED_TRACE(mode);
    settings = {.shard = mode, .wire = "bf16"};
    const Outcome narrow = train(settings);
    expect_close(narrow, exact, 5e-2);
    if (ranks() > 1) {
      EXPECT_NE(narrow.norms, exact.norms) << "it did travel in bf16";
    }
  }
}

TEST_F(ShardedEngine, HasTheBitsOfOneRankWhenSumsAreOrdered) {
  const bool power_of_two = (ranks() & (ranks() - 1)) == 0;
  for (const std::int64_t micro_batches : {1, 2, 3}) {
    for (const char* precision : {"f32", "bf16"}) {
      Settings settings{
          .reduction = "ordered", .precision = precision, .micro_batches = micro_batches};
      const Outcome one = train(settings, true);
      for (const char* mode : {"none", "optimizer", "gradients", "parameters"}) {
        settings.shard = mode;
        if (!power_of_two && (mode[0] == 'g' || mode[0] == 'p')) continue;
        SCOPED_TRACE(fmt::format("{} {} {}", mode, precision, micro_batches));
        expect_same_bits(train(settings), one);
      }
    }
  }
}

TEST_F(ShardedEngine, TrainsTables) {
  Settings settings{.table = true};
  const Outcome none = train(settings);
  for (const char* mode : kModes) {
    SCOPED_TRACE(mode);
    settings.shard = mode;
    const Outcome sharded = train(settings);
    if (ranks() <= 2) {
      expect_same_bits(sharded, none);
    } else {
      expect_close(sharded, none, 1e-4);
    }
  }
}

TEST_F(ShardedEngine, AllocatesNothingInAStep) {
  const bool power_of_two = (ranks() & (ranks() - 1)) == 0;
  for (const char* reduction : {"fast", "ordered"}) {
    for (const char* mode : {"none", "optimizer", "gradients", "parameters"}) {
      const bool ordered = std::strcmp(reduction, "ordered") == 0;
      if (ordered && !power_of_two && (mode[0] == 'g' || mode[0] == 'p')) continue;
      SCOPED_TRACE(fmt::format("{} {}", mode, reduction));
      const Settings settings{.shard = mode, .reduction = reduction, .micro_batches = 2};
      const std::unique_ptr<Engine> engine = make_engine(settings, false);
      const RandomBatch input = batch(settings, 1, 0);
      const std::vector<HostTensor> tensors = input.tensors();
      const auto step = [&](int number) {
        StepScalars scalars;
        scalars.step = scalars.adam_step = number;
        scalars.learning_rate = 1e-3;
        scalars.counted = 0;
        engine->begin_step(scalars);
        for (int part = 0; part < 2; ++part) {
          engine->load(tensors);
          engine->add_counted(33);
          engine->run_micro(part == 1);
        }
        engine->run_update();
        engine->finish_step();
      };
      step(1);  // libraries set themselves up on first use
      session->control().barrier();
      const std::int64_t before = allocations;
      for (int number = 2; number <= 4; ++number) step(number);
      EXPECT_EQ(allocations - before, 0);
      session->control().barrier();
    }
  }
}

TEST_F(ShardedEngine, HoldsItsPartOfTheStateOnly) {
  const Outcome none = train({});
  std::int64_t before = none.state_bytes;
  for (const char* mode : kModes) {
    const std::int64_t bytes = train({.shard = mode}).state_bytes;
    if (ranks() > 2) {
      EXPECT_LT(bytes, before) << mode;
    }
    before = bytes;
  }
}

}  // namespace
}  // namespace ingot::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ingot::MpiSession session;
  ingot::test::session = &session;
  if (session.rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int failed = RUN_ALL_TESTS();
  // Every rank ends as the worst one.
  return static_cast<int>(session.control().max(failed));
}
