// The main of a program that ctest starts under mpirun: one MPI session for all its tests. Rank 0
// reports progress, the others only what fails, and every rank ends as the worst one. Included by
// one file of a program.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_session.hpp"

namespace ingot::test {

inline MpiSession* session = nullptr;  // made by main, since MPI lives once in a process

class FailurePrinter : public ::testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, result.file_name(), result.line_number(),
                 result.message());
  }

 private:
  int rank_;
};

inline int run_tests_of_ranks(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  MpiSession mpi;
  session = &mpi;
  if (mpi.rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(mpi.rank()));
  }
  const int failed = RUN_ALL_TESTS();
  return static_cast<int>(mpi.control().max(failed));
}

}  // namespace ingot::test

int main(int argc, char** argv) {
  return ingot::test::run_tests_of_ranks(argc, argv);
}
