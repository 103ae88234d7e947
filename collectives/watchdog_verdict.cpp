#include "collectives/watchdog_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "ops/base/units.hpp"

namespace ingot {
namespace {

/// Communicators that every rank belongs to; of a part it is not known who does.
bool holds_all(const FlightReport::Group& group, std::size_t ranks) {
  return group.size == static_cast<int>(ranks);
}

std::string where(const FlightReport& report) {
  if (report.step < 0) return report.activity.empty() ? "starting" : report.activity;
  return report.activity.empty() ? fmt::format("in step {}", report.step)
                                 : fmt::format("in step {} ({})", report.step, report.activity);
}

/// Seconds between two moments of a rank's clock, as a text; clocks of machines may differ, so
/// never between those of two ranks.
std::string ago(const FlightReport& report, double when) {
  return fmt::format("{:.1f} s ago", std::max(0.0, report.written - when));
}

std::string last_collective(const FlightReport& report, const FlightReport::Group* group) {
  const FlightCall* last = group == nullptr ? nullptr : group->last_finished();
  if (last == nullptr) return "it has completed none";
  return fmt::format("the last it completed is {}, {}, {}", last->sequence, describe(*last),
                     ago(report, last->finished));
}

/// Whether the peer has come at least as far into the call as this rank has.
bool arrived(const FlightCall& mine, const FlightCall& theirs) {
  return theirs.checking || theirs.failed ||
         theirs.starts >= std::max<std::int64_t>(mine.starts, 1);
}

/// Whether the peer has left the call that this rank still is in.
bool done(const FlightCall& mine, const FlightCall& theirs) {
  return !theirs.failed && theirs.finishes >= std::max<std::int64_t>(mine.starts, 1);
}

class Judgement {
 public:
  Judgement(const Trouble& trouble, const std::vector<PeerState>& ranks, int self)
      : trouble_(trouble), ranks_(ranks), self_(self) {
    for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) place(rank);
  }

  Verdict verdict() {
    const std::string mismatch = first_mismatch();
    Verdict result{ExitCode::kTimeout, ""};
    switch (trouble_.kind) {
      case Trouble::Kind::kLost:
        result.message = "lost " + lost() + collective_in_flight();
        break;
      case Trouble::Kind::kHung:
        result.message = fmt::format("no progress for {:.3g} s in {}", trouble_.seconds, call());
        break;
      case Trouble::Kind::kFailed:
        result.message = fmt::format("{} failed: {}", call(), trouble_.error);
        if (mismatch.empty() && troubles_.empty()) result.code = trouble_.code;
        break;
    }
    // A call that differs explains the rest.
    if (!mismatch.empty()) result.message += "\n  the ranks do not call the same: " + mismatch;
    for (const std::string& line : troubles_) result.message += "\n  " + line;
    if (!arrived_.empty()) result.message += "\n  arrived: " + name_ranks(arrived_);
    result.message += within(mismatch.empty() && troubles_.empty());
    return result;
  }

 private:
  const PeerState& peer(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  std::string name(int rank) const {
    return fmt::format("rank {} ({}, pid {})", rank, peer(rank).host, peer(rank).pid);
  }

  std::string call() const {
    const FlightCall& call = trouble_.call;
    std::string text = fmt::format("collective {}, {}", call.sequence, describe(call));
    if (call.bytes() > 0) text += fmt::format(" ({} bytes)", call.bytes());
    const FlightReport::Group* group = own_group();
    if (group != nullptr && !holds_all(*group, ranks_.size())) {
      text += fmt::format(", among the {} ranks of communicator {}", group->size, group->name);
    }
    return text;
  }

  const FlightReport::Group* own_group() const {
    return trouble_.group.empty() ? nullptr : peer(self_).report->find(trouble_.group);
  }

  /// Puts a rank among those that arrived, or says why it is not.
  void place(int rank) {
    const PeerState& state = peer(rank);
    if (state.ended) {
      lost_.push_back(rank);
      if (trouble_.kind != Trouble::Kind::kLost) {
        troubles_.push_back(name(rank) + " is gone: its process has ended");
      }
      return;
    }
    if (!state.report) {
      lost_.push_back(rank);
      if (trouble_.kind != Trouble::Kind::kLost) {
        troubles_.push_back(name(rank) +
                            " does not answer: it is stopped, or its machine cannot be reached");
      }
      return;
    }
    const FlightReport::Group* own = own_group();
    if (own == nullptr) return;
    const FlightReport::Group* group = state.report->find(trouble_.group);
    if (group == nullptr && !holds_all(*own, ranks_.size())) return;  // not one of its ranks
    const FlightCall* theirs = group == nullptr ? nullptr : group->find(trouble_.call.sequence);
    if (theirs == nullptr) {
      troubles_.push_back(fmt::format("{} has not called it: it is {}; {}", name(rank),
                                      where(*state.report), last_collective(*state.report, group)));
    } else if (!theirs->same_call(trouble_.call)) {
      // Said by first_mismatch().
    } else if (arrived(trouble_.call, *theirs)) {
      arrived_.push_back(rank);
      if (done(trouble_.call, *theirs)) done_.push_back(rank);
    } else {
      troubles_.push_back(
          fmt::format("{} has enqueued it, but its stream has not come to it: {}; {}", name(rank),
                      where(*state.report), last_collective(*state.report, group)));
    }
  }

  std::string lost() const {
    std::string text;
    for (const int rank : lost_) {
      text += fmt::format("{}{}, {}", text.empty() ? "" : "; ", name(rank),
                          peer(rank).ended ? "whose process has ended" : "which does not answer");
    }
    return text.empty() ? "a rank" : text;
  }

  /// Of a hang that ranks have arrived in: who got through. `all_came`: nothing else explains it.
  std::string within(bool all_came) const {
    if (trouble_.kind != Trouble::Kind::kHung || done_.size() == arrived_.size()) return "";
    if (done_.empty()) {
      if (!all_came) return "";
      return "\n  none of them is done with it: it hangs inside of the exchange, in one of these "
             "ranks or in a link between them";
    }
    std::vector<int> rest;
    std::ranges::set_difference(arrived_, done_, std::back_inserter(rest));
    return fmt::format("\n  done with it: {}; not {}", name_ranks(done_), name_ranks(rest));
  }

  std::string collective_in_flight() const {
    return trouble_.group.empty() ? ", while no collective was in flight" : ", in " + call();
  }

  /// The earliest kept call of the communicator that ranks make differently: what comes after it is
  /// shifted.
  std::string first_mismatch() const {
    if (own_group() == nullptr) return "";
    std::set<std::uint64_t> sequences;
    for (const FlightCall& call : own_group()->calls) sequences.insert(call.sequence);
    for (const std::uint64_t sequence : sequences) {
      std::vector<RankCall> calls;
      for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) {
        if (!peer(rank).report) continue;
        const FlightReport::Group* group = peer(rank).report->find(trouble_.group);
        const FlightCall* call = group == nullptr ? nullptr : group->find(sequence);
        if (call != nullptr) calls.push_back({rank, peer(rank).host, *call});
      }
      const std::string text = differing_calls(calls);
      if (!text.empty()) return fmt::format("as number {}, {}", sequence, text);
    }
    return "";
  }

  const Trouble& trouble_;
  const std::vector<PeerState>& ranks_;
  int self_;
  std::vector<int> arrived_;
  std::vector<int> done_;  ///< of those that arrived
  std::vector<int> lost_;
  std::vector<std::string> troubles_;
};

}  // namespace

std::string name_ranks(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    if (i > 0) text += ", ";
    text += last == i ? fmt::format("{}", ranks[i])
                      : fmt::format("{}{}{}", ranks[i], last == i + 1 ? ", " : "-", ranks[last]);
    i = last + 1;
  }
  return text;
}

std::string differing_calls(const std::vector<RankCall>& calls) {
  struct Kind {
    FlightCall call;
    std::vector<int> ranks;
    std::string host;
  };
  std::vector<Kind> kinds;
  for (const RankCall& made : calls) {
    const auto same = std::ranges::find_if(
        kinds, [&](const Kind& kind) { return kind.call.same_call(made.call); });
    if (same == kinds.end()) {
      kinds.push_back({made.call, {made.rank}, made.host});
    } else {
      same->ranks.push_back(made.rank);
    }
  }
  if (kinds.size() < 2) return "";
  // The fewest first: who differs from the others is to blame more often than not.
  std::ranges::stable_sort(kinds, {}, [](const Kind& kind) { return kind.ranks.size(); });
  std::string text;
  for (const Kind& kind : kinds) {
    if (!text.empty()) text += "; ";
    text += name_ranks(kind.ranks);
    text += kind.ranks.size() == 1 ? fmt::format(" ({}) calls ", kind.host) : " call ";
    text += describe(kind.call);
  }
  return text;
}

Verdict judge(const Trouble& trouble, const std::vector<PeerState>& ranks, int self) {
  return Judgement(trouble, ranks, self).verdict();
}

}  // namespace ingot
