#!/usr/bin/env bash
# From a fresh Debian 12 to text written by a model that was trained here: installs packages, builds
# ingot, makes a data set from the King James text (or from the file given), trains for about a
# minute and a half under mpirun on two ranks, evaluates and generates.
#
#   examples/quickstart.sh [--short] [TEXT_FILE]
#
# Every run gets a new name, quickstart-DATE-TIME, so that repeating it continues and overwrites
# nothing. --short trains a tiny model for a few steps: what CI does. INGOT_BINARY names a built
# binary to use instead of building one; INGOT_RUNS a folder for data and runs.
set -euo pipefail

short=false
text=
for argument in "$@"; do
  case "$argument" in
    --short) short=true ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    -*) echo "quickstart.sh: unknown option '$argument'; there is --short" >&2 && exit 64 ;;
    *)
      [[ -z $text ]] || { echo "quickstart.sh: one text file, not '$argument' too" >&2 && exit 64; }
      text=$(realpath -- "$argument")
      [[ -r $text && -f $text ]] || { echo "quickstart.sh: cannot read $argument" >&2 && exit 65; }
      ;;
  esac
done
# shellcheck source=examples/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

step() { printf '\n=== %s (%d s)\n' "$1" "$SECONDS"; }

# What the loss must fall to, recorded for the text that everybody has.
check=
[[ -n $text ]] || $short || check=$root/tests/golden/check_quickstart.py

step "install and build"
find_ingot

runs=${INGOT_RUNS:-$work/runs}
mkdir -p "$runs/data"
name=quickstart-$(date +%Y%m%d-%H%M%S)-$$
run=$runs/$name
overrides=(run.name="$name" run.dir="$run")
data=$runs/data/$name.h5
if [[ -z $text ]]; then
  text=$runs/data/king-james.txt
  if [[ ! -s $text ]]; then
    # Verses begin with their place, "Ge1:1 ".
    bible -f 'gen1:1-rev22:21' >"$text.$$"
    mv -- "$text.$$" "$text"
  fi
fi
if $short; then
  head -c 300000 -- "$text" >"$runs/data/$name.txt"
  text=$runs/data/$name.txt
  overrides+=(train.steps=12 schedule.warmup=2 schedule.steps=12
    model.layers=2 model.width=32 model.heads=2 model.context=64 evaluate.batches=4
    evaluate.every=0 checkpoint.every=0)
else
  # The steps of the configuration end the run; the time does only on a far slower machine.
  overrides+=(train.wall_time=150s)
fi

step "import $text"
"$ingot" data import "$text" "$data"

step "train on 2 ranks"
launch 2 "$ingot" train "$root/configs/gpt-text.yaml" data.train="$data" "${overrides[@]}"

step "evaluate"
"$ingot" evaluate "$run"

step "generate"
"$ingot" generate "$run" --prompt "In the beginning" --tokens 200 --temperature 0.8 --seed 1
printf '\n'
$short && rm -f -- "$text"

step "done"
echo "The run is in $run"
echo "More text: $ingot generate $run --prompt '...'"
if [[ -n $check && -f $check ]] && command -v "$python" >/dev/null; then
  echo
  code=0
  "$python" "$check" "$run" || code=$?
  # 64: a machine so slow that the time ended the run before the first recorded step.
  ((code == 64)) || exit "$code"
fi
