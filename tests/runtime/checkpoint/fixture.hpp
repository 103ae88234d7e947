// A small state to save and load, ranks that are threads, and a folder that goes away.
#pragma once

#include <unistd.h>

#include <barrier>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/checkpoint/load.hpp"
#include "runtime/checkpoint/save.hpp"

namespace ingot::test {

/// Ranks that are threads of one process.
class ThreadRanks {
 public:
  explicit ThreadRanks(int size)
      : size_(size), barrier_(size), texts_(static_cast<std::size_t>(size)) {}

  /// Runs work(exchange) on every rank; returns each rank's error text, empty for success.
  template <typename Work>
  std::vector<std::string> run(Work work) {
    std::vector<std::string> errors(static_cast<std::size_t>(size_));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size_; ++rank) {
      threads.emplace_back([&, rank] {
        Exchange exchange(*this, rank);
        try {
          work(exchange);
        } catch (const std::exception& error) {
          errors[static_cast<std::size_t>(rank)] = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return errors;
  }

 private:
  class Exchange final : public RankExchange {
   public:
    Exchange(ThreadRanks& ranks, int rank) : ranks_(ranks), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return ranks_.size_; }
    std::vector<std::string> gather(const std::string& text) override {
      ranks_.texts_[static_cast<std::size_t>(rank_)] = text;
      ranks_.barrier_.arrive_and_wait();
      std::vector<std::string> all;
      if (rank_ == 0) all = ranks_.texts_;
      ranks_.barrier_.arrive_and_wait();
      return all;
    }
    std::string broadcast(const std::string& text) override {
      if (rank_ == 0) ranks_.broadcast_ = text;
      ranks_.barrier_.arrive_and_wait();
      std::string result = ranks_.broadcast_;
      ranks_.barrier_.arrive_and_wait();
      return result;
    }

   private:
    ThreadRanks& ranks_;
    int rank_;
  };

  int size_;
  std::barrier<> barrier_;
  std::vector<std::string> texts_;
  std::string broadcast_;
};

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ingot-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Buffers of one replica.
struct State {
  explicit State(StoreLayout layout_, std::vector<std::string> kinds)
      : layout(std::move(layout_)), names(std::move(kinds)) {
    for (const std::string& name : names) {
      values[name].resize(static_cast<std::size_t>(layout.elements));
    }
  }
  /// Random elements; padding stays zero.
  void fill(unsigned seed) {
    std::mt19937 engine(seed);
    for (auto& [name, buffer] : values) {
      for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
        const auto start = static_cast<std::size_t>(layout.offsets[p]);
        const auto count = static_cast<std::size_t>(layout.parameters[p].shape.count());
        for (std::size_t i = start; i < start + count; ++i) {
          const std::uint32_t bits = engine() & 0xbfffffffU;  // finite, any sign, any mantissa
          std::memcpy(&buffer[i], &bits, 4);
        }
      }
    }
  }
  StateView view() {
    StateView view{layout, {}};
    for (const std::string& name : names) view.kinds.push_back({name, values[name]});
    return view;
  }

  StoreLayout layout;
  std::vector<std::string> names;
  std::map<std::string, std::vector<float>> values;
};

inline const std::vector<std::string> kAdamKinds = {"weights", "moment 1", "moment 2"};

/// Tensors of odd sizes. finish_order reversed lays them out in another order.
inline StoreLayout layout_of(std::vector<std::pair<std::string, Shape>> tensors,
                             bool reversed = false) {
  std::vector<ParameterSpec> specs;
  std::vector<int> order;
  for (auto& [name, shape] : tensors) {
    ParameterSpec spec;
    spec.name = name;
    spec.shape = shape;
    specs.push_back(std::move(spec));
    const auto number = static_cast<int>(order.size());
    order.push_back(reversed ? 100 - number : number);
  }
  return lay_out(std::move(specs), order, 1 << 14);
}

inline StoreLayout small_layout(bool reversed = false) {
  return layout_of({{"token_embedding.weight", {37, 24}},
                    {"layers.0.attention.qkv.weight", {72, 24}},
                    {"layers.0.attention.qkv.bias", {72}},
                    {"final_norm.weight", {24}}},
                   reversed);
}

inline TrainingState training_at(std::int64_t step) {
  TrainingState state;
  state.step = step;
  state.adam_step = step - 1;
  state.samples = 32 * step;
  state.tokens = 8192 * step;
  state.seed = 0xfedcba9876543210U;
  state.sampler_version = 1;
  state.data_checksum = "0123456789abcdef";
  state.fingerprint = "avx2; oneDNN 2.6";
  state.precision = "bf16";
  state.optimizer = "adamw";
  state.loss = 0.1 + static_cast<double>(step) / 3;
  state.model_data.vocabulary = 37;
  state.config = "model:\n  width: 24\n";
  state.tokenizer = R"({"type":"bytes"})";
  return state;
}

/// Saves `state` from this many ranks; fails the calling test on an error.
inline std::vector<std::string> save_from(int ranks, const SaveOptions& options, State& state,
                                          const TrainingState& training) {
  return ThreadRanks(ranks).run(
      [&](RankExchange& exchange) { save_checkpoint(options, state.view(), training, exchange); });
}

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_all(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

/// Names below a folder, relative to it.
inline std::set<std::string> names_below(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    names.insert(std::filesystem::relative(entry.path(), path).string());
  }
  return names;
}

}  // namespace ingot::test
