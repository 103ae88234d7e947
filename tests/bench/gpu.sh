#!/usr/bin/env bash
# Training GPT-2 124M on GPUs: time of a step, tokens per second and MFU, beside PyTorch where
# TORCH_PYTHON (default ~/torch-env/bin/python) has one with CUDA; A B A B, medians. The matrix peak
# is measured in the same run by `ingot bench ops`. Ends with 72 where there is no GPU.
#
#   tests/bench/gpu.sh [--batch 16] [--context 1024] [--steps 50] [--gpus 1] [--peak TFLOPS]
#                      [--precision bf16|f32] [--shape 124m|small|tiny] [--rounds 3] [--compile]
#
# --batch is per GPU; --peak is the data sheet's dense figure for the precision (H100 SXM in bf16:
# 989); --compile has PyTorch compile its model. MFU counts 6 FLOP per parameter and token (without
# the positions' parameters) and 12 x layers x width x context for attention, whole though half of
# it is masked, as is usual; what is computed again is not counted. `tiny` is for trying the script,
# on gpusim: LD_LIBRARY_PATH=build/gpusim/lib tests/bench/gpu.sh --shape tiny --steps 6 --rounds 1
set -euo pipefail

rest=() own_batch='' own_context='' gpus=1 sheet='' compile=()
while (($#)); do
  case "$1" in
    --batch) own_batch=${2:?} && shift ;;
    --context) own_context=${2:?} && shift ;;
    --gpus) gpus=${2:?} && shift ;;
    --peak) sheet=${2:?} && shift ;;
    --compile) compile=(--compile) ;;
    *) rest+=("$1") ;;
  esac
  shift
done
for number in "${own_batch:-1}" "${own_context:-1}" "$gpus"; do
  if ! [[ $number =~ ^[1-9][0-9]*$ ]]; then
    echo "--batch, --context and --gpus are whole numbers, not '$number'" >&2
    exit 64
  fi
done
if ! [[ ${sheet:-1} =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
  echo "--peak is a number of TFLOP/s, not '$sheet'" >&2
  exit 64
fi
set -- --shape 124m --precision bf16 --steps 50 "${rest[@]}"
# shellcheck source=tests/bench/bench.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh"
[[ $shape == 124m ]] && context=1024 batch=16
batch=${own_batch:-$batch} context=${own_context:-$context}

# bench_ops OPTION...: of `ingot bench ops` on the GPU; ends the script where that cannot be.
bench_ops() {
  local code=0
  "$ingot" bench ops --device cuda --shape "$([[ $shape == tiny ]] && echo tiny || echo 124m)" \
    "$@" 2>"$bench_runs/ops.err" || code=$?
  if ((code != 0)); then
    cat "$bench_runs/ops.err" >&2
    ((code == 72)) && echo "gpu.sh: there is no GPU to measure here" >&2
    exit "$code"
  fi
}
field() { "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
calculate() { "$python" -c "print(format(($1), '.6g'))"; }
middle() { "$python" "$bench/rows.py" middle "$(joined "$@")"; }

tuning=$bench_runs/tuning.yaml
bench_ops --op add --tuning "$tuning" --json >"$bench_runs/ops.json"
gpu=$(field processor <"$bench_runs/ops.json")
measured=$(field "matrix_$precision" <"$bench_runs/ops.json")
copy=$(field copy <"$bench_runs/ops.json")
echo "$gpu: $precision matrix peak $(calculate "$measured / 1e12") TFLOP/s," \
  "copy $(calculate "$copy / 1e9") GB/s, as measured"
[[ $shape != 124m ]] && vocabulary=257  # bytes and their end of text
flops=$(calculate "6 * ($layers * (12 * $width**2 + 13 * $width) + 2 * $width
  + $vocabulary * $width) + 12 * $layers * $width * $context")

torch=${TORCH_PYTHON:-$HOME/torch-env/bin/python}
beside=0
if ! "$torch" -c 'import torch' 2>/dev/null; then
  echo "without PyTorch: $torch cannot import torch; tests/bench/README.md says how to get one"
elif ! "$torch" -c "import torch; torch.zeros(1, device='cuda:$((gpus - 1))')" 2>/dev/null; then
  echo "without PyTorch: that of $torch has no CUDA, or fewer than $gpus GPU(s)"
else
  beside=1
fi

ours=() times=() shares=() theirs=()
for ((round = 1; round <= rounds; ++round)); do
  bench_train "$gpus" 1 device=cuda tuning="$tuning"
  ours+=("$(median tokens_per_second)") times+=("$(median step_ms)")
  shares+=("$(median peak_share)")
  line="round $round: ingot ${times[-1]} ms per step, ${ours[-1]} tokens/s"
  if ((beside)); then
    result=$("$torch" "$bench/torch_gpt_gpu.py" --ranks "$gpus" --layers "$layers" \
      --width "$width" --heads "$heads" --context "$context" --batch "$batch" \
      --vocabulary "$vocabulary" --steps "$steps" --dtype "$precision" "${compile[@]}" \
      2>"$bench_runs/torch.log" | grep '^{') || {
      tail -20 "$bench_runs/torch.log" >&2
      exit 70
    }
    theirs+=("$(field tokens_per_second <<<"$result")")
    line+="; torch $(field step_ms <<<"$result") ms, ${theirs[-1]} tokens/s"
  fi
  echo "$line"
done

# report NAME TOKENS_PER_SECOND: MFU against both peaks, per GPU.
report() {
  local rate="$2 * $flops / $gpus"
  local line="$1: MFU $(calculate "$rate / $measured") of the measured peak"
  [[ -n $sheet ]] && line+=" and $(calculate "$rate / ($sheet * 1e12)") of $sheet TFLOP/s"
  echo "$line"
}
echo "$shape $precision, $gpus GPU(s), batch $batch x $context each:" \
  "$(middle "${times[@]}") ms per step, $(middle "${ours[@]}") tokens/s;" \
  "matrix products as executed reach $(middle "${shares[@]}") of the measured peak"
report ingot "$(middle "${ours[@]}")"
if ((beside)); then
  report torch "$(middle "${theirs[@]}")"
  ratio "tokens/s of ingot / torch" "$(joined "${ours[@]}")" "$(joined "${theirs[@]}")"
fi
