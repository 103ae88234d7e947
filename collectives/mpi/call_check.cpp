#include "collectives/mpi/call_check.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/flight_report.hpp"
#include "collectives/mpi/control_channel.hpp"
#include "collectives/watchdog_verdict.hpp"

namespace ingot {
namespace {

class MpiCallCheck final : public CallCheck {
 public:
  /// `ranks`: of the job, by rank of the communicator.
  MpiCallCheck(MpiSession& session, std::vector<int> ranks, mpi::Group group)
      : session_(session),
        ranks_(std::move(ranks)),
        group_(std::move(group)),
        channel_(session.progress(), group_) {}

  void compare(const CollectiveCall& call) override;
  std::unique_ptr<CallCheck> split(int color, int key) override;

 private:
  MpiSession& session_;
  std::vector<int> ranks_;
  mpi::Group group_;
  mpi::ControlChannel channel_;
};

/// The call as the flight record has it, and the host that makes it.
std::string text_of_call(const CollectiveCall& call, const std::string& host) {
  return nlohmann::json::array({host, call.kind, call.type, call.operation, call.root, call.count,
                                text_of(call.label)})
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::pair<std::string, FlightCall> call_of_text(const std::string& text) {
  const nlohmann::json value = nlohmann::json::parse(text);
  FlightCall call;
  call.kind = value.at(1);
  call.type = value.at(2);
  call.operation = value.at(3);
  call.root = value.at(4);
  call.count = value.at(5);
  call.label = value.at(6);
  return {value.at(0), call};
}

void MpiCallCheck::compare(const CollectiveCall& call) {
  const std::vector<std::string> texts =
      channel_.all_gather_bytes(text_of_call(call, session_.hostname()));
  std::vector<RankCall> calls;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    auto [host, theirs] = call_of_text(texts[rank]);
    calls.push_back({ranks_[rank], std::move(host), std::move(theirs)});
  }
  const std::string differing = differing_calls(calls);
  if (differing.empty()) return;
  throw CallMismatch(
      fmt::format("the ranks do not call the same as collective {}: {}", call.sequence, differing));
}

std::unique_ptr<CallCheck> MpiCallCheck::split(int color, int key) {
  const nlohmann::json mine = {color, key, session_.next_context()};
  const std::vector<std::string> texts = channel_.all_gather_bytes(mine.dump());
  mpi::Group group;
  std::vector<std::pair<int, std::size_t>> members;  // key, rank here
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    const nlohmann::json theirs = nlohmann::json::parse(texts[rank]);
    group.context = std::max(group.context, theirs.at(2).get<int>());
    if (theirs.at(0) == color) members.emplace_back(theirs.at(1).get<int>(), rank);
  }
  std::ranges::sort(members);
  std::vector<int> ranks;
  for (const auto& [unused, rank] : members) {
    if (static_cast<int>(rank) == group_.rank) group.rank = group.size();
    group.world_ranks.push_back(group_.world_ranks[rank]);
    ranks.push_back(ranks_[rank]);
  }
  session_.use_context(group.context);
  return std::make_unique<MpiCallCheck>(session_, std::move(ranks), std::move(group));
}

}  // namespace

std::unique_ptr<CallCheck> create_call_check(MpiSession& session) {
  mpi::Group world{.world_ranks = session.world_ranks(), .rank = session.rank()};
  world.context = static_cast<int>(session.control().max(session.next_context()));
  session.use_context(world.context);
  std::vector<int> ranks;
  for (int rank = 0; rank < session.size(); ++rank) ranks.push_back(rank);
  return std::make_unique<MpiCallCheck>(session, std::move(ranks), std::move(world));
}

}  // namespace ingot
