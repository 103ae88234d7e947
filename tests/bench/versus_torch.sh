#!/usr/bin/env bash
# ingot beside PyTorch DDP: the same model, two ranks of one thread each, alternating A B A B,
# tokens per second, medians and their ratio.
#
#   tests/bench/versus_torch.sh [--shape small|124m] [--precision f32|bf16] [--rounds N] [--steps N]
#
# TORCH_PYTHON names a Python that has PyTorch; default ~/torch-env/bin/python. RANKS (2) and
# THREADS (1) may be set too.
set -euo pipefail
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"

torch=${TORCH_PYTHON:-$HOME/torch-env/bin/python}
ranks=${RANKS:-2} threads=${THREADS:-1}
if ! "$torch" -c 'import torch' 2>/dev/null; then
  echo "versus_torch.sh: $torch cannot import torch; tests/bench/README.md says how to get one" >&2
  exit 72
fi
ours=() theirs=()
for ((round = 1; round <= rounds; ++round)); do
  bench_train "$ranks" "$threads"
  ours+=("$(median tokens_per_second)")
  line=$("$torch" "$bench/torch_gpt_ddp.py" --ranks "$ranks" --threads "$threads" \
    --layers "$layers" --width "$width" --heads "$heads" --context "$context" --batch "$batch" \
    --vocabulary "$vocabulary" --steps "$steps" --dtype "$precision" --pin 2>/dev/null |
    grep '^{')
  theirs+=("$("$python" -c 'import json, sys; print(json.loads(sys.argv[1])["tokens_per_second"])' \
    "$line")")
  echo "round $round: ingot ${ours[-1]}, torch ${theirs[-1]} tokens/s"
done
ratio "$shape $precision $ranks x $threads, tokens/s of ingot / torch" \
  "$(joined "${ours[@]}")" "$(joined "${theirs[@]}")"
