#!/usr/bin/env bash
# Which share of this machine's matrix peak a step reaches. The peak is measured in the same run, by
# `ingot bench ops` into a tuning file of its own, before each round: only matrix operations that
# are executed count.
#
#   tests/bench/peak.sh [--shape small|124m] [--precision f32|bf16] [--rounds 3] [--steps 16]
#
# RANKS (2) and THREADS (1) may be set. The peak is that of as many cores as are used.
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

ranks=${RANKS:-2} threads=${THREADS:-1}
tuning=$bench_runs/tuning.yaml
shares=()
for ((round = 1; round <= rounds; ++round)); do
  launch "$ranks" "$ingot" bench ops --device cpu --tuning "$tuning" >"$bench_runs/ops.txt"
  bench_train "$ranks" "$threads" tuning="$tuning"
  shares+=("$(median peak_share)")
  echo "round $round: $(median step_ms) ms per step, $(median tokens_per_second) tokens/s," \
    "${shares[-1]} of the matrix peak"
done
echo "peaks as measured last:"
grep -i peak "$bench_runs/ops.txt" || cat "$tuning"
ones=()
for ((round = 1; round <= rounds; ++round)); do ones+=(1); done
ratio "$shape $precision $ranks x $threads, share of peak" \
  "$(joined "${shares[@]}")" "$(joined "${ones[@]}")"
