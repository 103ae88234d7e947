#!/usr/bin/env bash
# How much of the communication hides behind computing where waiting is real: two nodes (network
# namespaces) joined by a shaped link, one rank each. Exposed communication of a step with buckets
# that leave as backward proceeds, over that with one bucket, which leaves when backward is over.
#
#   tests/bench/overlap.sh [--shape small|124m] [--precision f32|bf16] [--rounds 3] [--steps 16]
#
# LINK is what tc is told (default "tbf rate 2gbit burst 1mb latency 50ms"), BUCKET the size of the
# many buckets (default: the configuration's own). Needs root.
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

link=${LINK:-tbf rate 2gbit burst 1mb latency 50ms}
# One rank on each of the two nodes, instead of both on this machine.
launch() {
  local ranks=$1
  shift
  "$root/tests/cluster/with_nodes.sh" --link "$link" "$ranks" \
    mpirun -np "$ranks" --map-by ppr:1:node --bind-to none "$@"
}
many=()
[[ -n ${BUCKET:-} ]] && many=("parallel.bucket=$BUCKET")
with=() without=() steps_with=() steps_without=()
for ((round = 1; round <= rounds; ++round)); do
  bench_train 2 1 "${many[@]}"
  with+=("$(median communication_ms)") steps_with+=("$(median step_ms)")
  bench_train 2 1 parallel.bucket=1GiB
  without+=("$(median communication_ms)") steps_without+=("$(median step_ms)")
  echo "round $round: with overlap ${with[-1]} ms exposed of ${steps_with[-1]};" \
    "without ${without[-1]} of ${steps_without[-1]}"
done
ratio "step, with / without overlap" \
  "$(joined "${steps_with[@]}")" "$(joined "${steps_without[@]}")"
ratio "exposed communication ($link), with / without overlap" \
  "$(joined "${with[@]}")" "$(joined "${without[@]}")"
