// Ordered reductions among threads that share memory, where sanitizers see all ranks.
#include <gtest/gtest.h>

#include "tests/collectives/ordered_check.hpp"
#include "tests/collectives/shm_ranks.hpp"

namespace ingot::test {
namespace {

TEST(Ordered, ThreadsThatShareMemoryGetTheBitsOfOneRank) {
  for (const int ranks : {1, 2, 3, 4}) {
    on_shm_ranks(ranks, [](ShmRank& self) { check_all_ordered(*self.communicator, *self.stream); });
  }
}

}  // namespace
}  // namespace ingot::test
