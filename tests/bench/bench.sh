# shellcheck shell=bash
# What the bench scripts share; sourced by them. `bench_train` runs `ingot train` on the shape in
# `shape` and leaves its metrics in `metrics`. Nothing timed here is asserted in a test.

# shellcheck source=examples/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../examples/environment.sh"
bench=$root/tests/bench
# Settings of this machine's BLAS would favour one side.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

rounds=3
steps=16
precision=f32
shape=small
usage() {
  sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//p}' "$0"
  exit "$1"
}
while (($#)); do
  case "$1" in
    --rounds) rounds=${2:?} && shift ;;
    --steps) steps=${2:?} && shift ;;
    --precision) precision=${2:?} && shift ;;
    --shape) shape=${2:?} && shift ;;
    -h | --help) usage 0 ;;
    *) echo "unknown option '$1'" >&2 && usage 64 >&2 ;;
  esac
  shift
done
if ! [[ $rounds =~ ^[1-9][0-9]*$ && $steps =~ ^[1-9][0-9]*$ ]] || ((steps <= 4)); then
  echo "--rounds and --steps are whole numbers, --steps above 4: the first four are not timed" >&2
  exit 64
fi
case "$shape" in
  small) layers=6 width=384 heads=6 context=256 batch=4 vocabulary=256 ;;
  124m) layers=12 width=768 heads=12 context=256 batch=2 vocabulary=50257 ;;
  tiny) layers=2 width=128 heads=2 context=32 batch=2 vocabulary=256 ;;
  *) echo "--shape is small, 124m or tiny, not '$shape'" >&2 && exit 64 ;;
esac
case "$precision" in
  f32 | bf16) ;;
  *) echo "--precision is f32 or bf16, not '$precision'" >&2 && exit 64 ;;
esac

find_ingot
bench_runs=$(mktemp -d "${TMPDIR:-/tmp}/ingot-bench.XXXXXX")
trap 'rm -rf -- "$bench_runs"' EXIT

# A data set of a megabyte of bytes; what they are does not matter to the clock.
head -c 1000000 /dev/urandom | base64 -w 80 >"$bench_runs/text.txt"
"$ingot" data import "$bench_runs/text.txt" "$bench_runs/text.h5" >/dev/null
cat >"$bench_runs/gpt.yaml" <<YAML
model: {kind: gpt}
device: cpu
data: {train: $bench_runs/text.h5}
optimizer: {learning_rate: 6.0e-4}
checkpoint: {at_end: false}
evaluate: {batches: 1}
log: {every: 1}
resume: none
YAML

# bench_train RANKS THREADS [OVERRIDE...]: one run; sets `metrics` to its metrics.jsonl.
number=0
bench_train() {
  local ranks=$1 threads=$2 run
  shift 2
  number=$((number + 1))
  run=$bench_runs/run-$number
  # Nearest vocabulary that holds the data's: bytes and their end of text.
  local chosen=()
  [[ $shape == 124m ]] && chosen=(model.vocabulary="$vocabulary")
  if ! launch "$ranks" "$ingot" train "$bench_runs/gpt.yaml" \
    run.dir="$run" run.name="bench-$number" threads="$threads" \
    model.layers="$layers" model.width="$width" model.heads="$heads" \
    model.context="$context" "${chosen[@]}" batch.micro="$batch" train.steps="$steps" \
    train.precision="$precision" "$@" >"$run.log" 2>&1; then
    tail -20 "$run.log" >&2
    return 70
  fi
  metrics=$run/metrics.jsonl
}

# median FIELD: of the last bench_train.
median() { "$python" "$bench/rows.py" median "$1" "$metrics"; }
ratio() { "$python" "$bench/rows.py" ratio "$@"; }
# joined VALUE...: with commas, as rows.py wants them.
joined() { (IFS=, && echo "$*"); }
