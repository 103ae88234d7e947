#!/usr/bin/env bash
# What ordered reductions and sharding cost per step on two ranks of one thread, alternating:
# `parallel.reduction: ordered` over `fast`, and `parallel.shard: parameters` over `none`.
#
#   tests/bench/parallel_modes.sh [--shape small|124m] [--precision f32|bf16] [--rounds 3]
#                                 [--steps 16]
#
# ACCUMULATE (1) is the number of micro-batches per rank and step.
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

global=$((2 * batch * ${ACCUMULATE:-1}))
modes=(fast ordered sharded)
declare -A overrides=([fast]='' [ordered]=parallel.reduction=ordered
  [sharded]=parallel.shard=parameters) times=()
for ((round = 1; round <= rounds; ++round)); do
  line="round $round:"
  for mode in "${modes[@]}"; do
    # shellcheck disable=SC2086  # no override is no argument
    bench_train 2 1 batch.global="$global" ${overrides[$mode]}
    time=$(median step_ms)
    times[$mode]+="${times[$mode]:+,}$time"
    line+=" $mode $time ms ($(median communication_ms) exposed)"
  done
  echo "$line"
done
ratio "$shape $precision, step of ordered / fast" "${times[ordered]}" "${times[fast]}"
ratio "$shape $precision, step of shard parameters / none" "${times[sharded]}" "${times[fast]}"
