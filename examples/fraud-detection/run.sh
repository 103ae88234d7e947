#!/usr/bin/env bash
# Finds fraud among card payments: generates them, imports the CSV, trains a network on two ranks,
# and compares it with logistic regression on the last fifth of the period.
#
#   examples/fraud-detection/run.sh [--short]
#
# --short does it with a tenth of the payments and few steps: what CI does. INGOT_BINARY names a
# built binary to use instead of building one; INGOT_RUNS a folder for data and runs.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
rows=200000
overrides=()
case "${1:-}" in
  "") ;;
  --short)
    rows=20000
    overrides=(train.steps=200 schedule.warmup=20 evaluate.every=0)
    ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
  *) echo "run.sh: unknown option '$1'; there is --short" >&2 && exit 64 ;;
esac
# shellcheck source=examples/environment.sh
source "$here/../environment.sh"
find_ingot
if ! "$python" -c 'import numpy' 2>/dev/null; then
  "$root/examples/install-packages.sh" --tests
fi

runs=${INGOT_RUNS:-$work/runs}
name=fraud-$(date +%Y%m%d-%H%M%S)-$$
run=$runs/$name
mkdir -p "$runs/data"
data=$runs/data/$name

"$python" "$here/generate.py" "$data.csv" --rows "$rows"
# Thieves change their habits, so the network is judged on the time that follows its lessons.
"$ingot" data import "$data.csv" "$data.h5" --label fraud --ignore day --split end --validation 0.2
"$ingot" data inspect "$data.h5"
launch 2 "$ingot" train "$here/fraud.yaml" data.train="$data.h5" run.name="$name" \
  run.dir="$run" "${overrides[@]}"

echo
echo "The network on the last fifth of the period:"
"$ingot" evaluate "$run" | tee "$run/evaluate.txt"
echo
"$python" "$here/baseline.py" "$data.csv" --validation 0.2 --against "$run/evaluate.txt"
rm -f -- "$data.csv"
echo
echo "The run is in $run"
