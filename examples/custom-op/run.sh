#!/usr/bin/env bash
# Builds the op of squared_relu.cpp as a shared library outside ingot's tree, and trains a small GPT
# with it on two ranks.
#
#   examples/custom-op/run.sh [--short]
#
# --short trains a few steps of a tiny model: what CI does. INGOT_BINARY names a built binary to use
# instead of building one; INGOT_RUNS a folder for data and runs.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
overrides=()
case "${1:-}" in
  "") ;;
  --short)
    overrides=(train.steps=10 schedule.warmup=2 model.layers=2 model.width=32 model.heads=2
      model.context=64 evaluate.batches=4)
    ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
  *) echo "run.sh: unknown option '$1'; there is --short" >&2 && exit 64 ;;
esac
# shellcheck source=examples/environment.sh
source "$here/../environment.sh"
find_ingot

runs=${INGOT_RUNS:-$work/runs}
name=custom-op-$(date +%Y%m%d-%H%M%S)-$$
run=$runs/$name
plugin=$runs/plugins/squared_relu
data=$runs/data/$name.h5
mkdir -p "$runs/data" "$plugin"

cmake -S "$here" -B "$plugin" -DINGOT_SOURCE="$root" >"$plugin.log"
cmake --build "$plugin"

bible -f 'gen1:1-exo40:38' >"$runs/data/$name.txt"
"$ingot" data import "$runs/data/$name.txt" "$data"
rm -f -- "$runs/data/$name.txt"

# A plugin is code that runs with the user's rights: the configuration alone cannot load it.
launch 2 "$ingot" train "$here/custom-op.yaml" --allow-plugins \
  "plugins=[$plugin/squared_relu.so]" data.train="$data" run.name="$name" run.dir="$run" \
  "${overrides[@]}"
"$ingot" evaluate "$run" --allow-plugins
echo "The run is in $run"
