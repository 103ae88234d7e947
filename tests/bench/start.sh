#!/usr/bin/env bash
# How long a job takes from launch to its first step, beyond an empty MPI program of two ranks,
# alternating. Measured as the wall time of a job of one step, less that step and the evaluation
# after it, so the end of the job counts too: an upper bound.
#
#   tests/bench/start.sh [--shape small|124m] [--precision f32|bf16] [--rounds 3]
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

cat >"$bench_runs/empty.c" <<'C'
#include <mpi.h>
int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Barrier(MPI_COMM_WORLD);
  return MPI_Finalize();
}
C
mpicc -O2 -o "$bench_runs/empty" "$bench_runs/empty.c"
steps=1
# subtract A B...: A less all the others.
subtract() {
  "$python" -c 'import sys; a, *b = map(float, sys.argv[1:]); print(a - sum(b))' "$@"
}
seconds() {
  local begin=$EPOCHREALTIME
  "$@"
  subtract "$EPOCHREALTIME" "$begin"
}
job=() empty=()
for ((round = 1; round <= rounds; ++round)); do
  bare=$(seconds launch 2 "$bench_runs/empty")
  begin=$EPOCHREALTIME
  bench_train 2 1
  end=$EPOCHREALTIME
  step_ms=$("$python" "$bench/rows.py" median step_ms "$metrics" 0)
  evaluation_ms=$(sed -n 's/.*"evaluation_ms": \([0-9.e+-]*\).*/\1/p' "$metrics" | tail -1)
  full=$(subtract "$end" "$begin" "${step_ms}e-3" "${evaluation_ms:-0}e-3")
  job+=("$full")
  empty+=("$bare")
  printf 'round %d: job without its step %.3f s, empty program %.3f s, beyond it %.3f s\n' \
    "$round" "$full" "$bare" "$(subtract "$full" "$bare")"
done
ratio "seconds to the first step, job / empty program" \
  "$(joined "${job[@]}")" "$(joined "${empty[@]}")"
