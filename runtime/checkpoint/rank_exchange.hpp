// What saving a checkpoint needs of the other ranks: to gather texts at rank 0 and to hear what
// rank 0 decided. Kept this small so that it runs over any transport, and over threads in tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ingot {

/// Collective, blocking calls; every rank makes the same ones in the same order. A transport that
/// fails throws.
class RankExchange {
 public:
  virtual ~RankExchange() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// At rank 0 the texts of all ranks by rank; empty elsewhere.
  virtual std::vector<std::string> gather(const std::string& text) = 0;
  /// Rank 0's text, on every rank.
  virtual std::string broadcast(const std::string& text) = 0;
};

/// The exchange of a job with one rank.
class SingleRank final : public RankExchange {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<std::string> gather(const std::string& text) override { return {text}; }
  std::string broadcast(const std::string& text) override { return text; }
};

}  // namespace ingot
