// How the programs beside this file take their times, equally to `ingot bench collectives`: ranks
// meet, make a number of calls back to back, and the slowest rank's time divided by that number is
// one repetition; the median of the repetitions is printed as "BYTES MICROSECONDS", a line a size.
//
// MPI starts the ranks and compares their clocks; it is outside of what is timed, unless MPI is it.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace bench {

struct Sizes {
  long least = 1024;
  long most = 256L << 20;
  long factor = 4;
};

/// Arguments LEAST MOST FACTOR, in bytes; all or none.
inline Sizes sizes_of(int count, char** arguments) {
  if (count != 4) return {};
  return {std::atol(arguments[1]), std::atol(arguments[2]), std::atol(arguments[3])};
}

template <typename Call>
double seconds_of(long calls, const Call& call) {
  MPI_Barrier(MPI_COMM_WORLD);
  const double begin = MPI_Wtime();
  for (long i = 0; i < calls; ++i) call();
  double mine = (MPI_Wtime() - begin) / static_cast<double>(calls);
  double slowest = 0;
  MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

/// Median seconds of a call, over at least nine repetitions of about 20 ms.
template <typename Call>
double median_seconds(const Call& call) {
  constexpr double kRepetition = 0.02;
  constexpr int kRepetitions = 9;
  seconds_of(1, call);
  const double once = seconds_of(2, call);
  const long calls = std::clamp(static_cast<long>(kRepetition / once), 1L, 4000L);
  std::vector<double> times;
  for (int i = 0; i < kRepetitions; ++i) times.push_back(seconds_of(calls, call));
  std::nth_element(times.begin(), times.begin() + kRepetitions / 2, times.end());
  return times[kRepetitions / 2];
}

/// Prints a row per size; `measure(bytes)` returns the seconds of a call.
template <typename Measure>
void print_rows(const Sizes& sizes, const Measure& measure) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (long bytes = sizes.least; bytes <= sizes.most; bytes *= sizes.factor) {
    const double seconds = measure(bytes);
    if (rank == 0) std::printf("%ld %.4f\n", bytes, seconds * 1e6);
  }
}

}  // namespace bench
