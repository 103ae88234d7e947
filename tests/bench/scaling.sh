#!/usr/bin/env bash
# How much of a second rank arrives: tokens per second of 2 ranks x 1 thread over twice those of
# 1 rank x 1 thread, alternating, and where a step's time goes in both.
#
#   tests/bench/scaling.sh [--shape small|124m] [--precision f32|bf16] [--rounds 3] [--steps 16]
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

one=() two=()
for ((round = 1; round <= rounds; ++round)); do
  bench_train 1 1
  one+=("$("$python" -c 'import sys; print(2 * float(sys.argv[1]))' "$(median tokens_per_second)")")
  single=$metrics
  bench_train 2 1
  two+=("$(median tokens_per_second)")
  echo "round $round: twice 1 x 1 ${one[-1]}, 2 x 1 ${two[-1]} tokens/s"
done
echo "phases, median ms: 1 x 1"
"$python" "$bench/rows.py" phases "$single"
echo "phases, median ms: 2 x 1"
"$python" "$bench/rows.py" phases "$metrics"
ratio "$shape $precision, 2 x 1 / (2 x (1 x 1))" "$(joined "${two[@]}")" "$(joined "${one[@]}")"
