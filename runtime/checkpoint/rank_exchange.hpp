// What saving a checkpoint needs of the other ranks: to gather texts at rank 0 and to hear what
// rank 0 decided or failed at. Kept this small so that it runs over any transport, and over threads
// in tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ops/base/error.hpp"

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

/// The text that `work` makes on rank 0, where alone it is called. An Error of rank 0 is
/// everybody's.
template <typename Work>
std::string agreed_text(RankExchange& exchange, Work work) {
  std::string message;
  if (exchange.rank() == 0) {
    try {
      message = "+" + work();
    } catch (const Error& error) {
      message = fmt::format("-{:02}{}", static_cast<int>(error.code()), error.what());
    }
  }
  message = exchange.broadcast(message);
  if (message.starts_with("-")) {
    throw Error(static_cast<ExitCode>(std::stoi(message.substr(1, 2))), message.substr(3));
  }
  return message.substr(1);
}

}  // namespace ingot
