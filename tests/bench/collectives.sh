#!/usr/bin/env bash
# all_reduce of f32 on two ranks of this machine: ingot beside Open MPI's MPI_Allreduce and Gloo's,
# one after the other in each round, medians over rounds; and the time that its unavoidable memory
# traffic takes at the speed at which this machine copies.
#
#   tests/bench/collectives.sh [--rounds 3] [--min 1024] [--max 268435456] [--factor 4]
#                              [--transport shm] [--ranks 2]
#
# The peers are built here from collectives/*.cpp. Gloo is measured where libgloo-dev is installed;
# `apt-get install libgloo-dev` does that, ingot needs it for nothing. Sizes are bytes.
set -euo pipefail
# shellcheck source=examples/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../examples/environment.sh"
bench=$root/tests/bench

rounds=3 least=1024 most=$((256 << 20)) factor=4 transport=shm ranks=2
while (($#)); do
  case "$1" in
    --rounds) rounds=${2:?} && shift ;;
    --min) least=${2:?} && shift ;;
    --max) most=${2:?} && shift ;;
    --factor) factor=${2:?} && shift ;;
    --transport) transport=${2:?} && shift ;;
    --ranks) ranks=${2:?} && shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) echo "collectives.sh: unknown option '$1'; --help tells what is accepted" >&2 && exit 64 ;;
  esac
  shift
done
for number in "$rounds" "$least" "$most" "$factor" "$ranks"; do
  if ! [[ $number =~ ^[1-9][0-9]*$ ]]; then
    echo "collectives.sh: --rounds, --min, --max, --factor and --ranks are whole numbers," \
      "not '$number'" >&2
    exit 64
  fi
done
if ((factor < 2 || least < 4 || ranks < 2)); then
  echo "collectives.sh: --factor and --ranks are at least 2, --min at least 4" >&2
  exit 64
fi

find_ingot
folder=$(mktemp -d "${TMPDIR:-/tmp}/ingot-bench.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
mkdir "$folder/bin"
# compile NAME [LIBRARY]: one of the programs in collectives/.
compile() {
  mpicxx -std=c++20 -O3 -march=native -DOMPI_SKIP_MPICXX -o "$folder/bin/$1" \
    "$bench/collectives/$1.cpp" "${@:2}" 2>"$folder/bin/$1.log"
}
compile allreduce_mpi || { cat "$folder/bin/allreduce_mpi.log" >&2 && exit 70; }
compile copy || { cat "$folder/bin/copy.log" >&2 && exit 70; }
gloo=0
if compile allreduce_gloo -lgloo; then
  gloo=1
else
  echo "without Gloo: $(grep -m 1 -E 'error|gloo' "$folder/bin/allreduce_gloo.log" || echo none)"
fi

# ours: bytes and microseconds of one measurement of ingot.
ours() {
  launch "$ranks" "$ingot" bench collectives --operation all_reduce --device cpu --no-write --json \
    --transport "$transport" --min "$least" --max "$most" --factor "$factor" >"$folder/ours.json"
  "$python" "$bench/collectives.py" rows "$folder/ours.json"
}
# peer NAME: the same of a program here.
peer() { GLOO_STORE=$folder/store launch "$ranks" "$folder/bin/$1" "$least" "$most" "$factor"; }

for ((round = 1; round <= rounds; ++round)); do
  ours >>"$folder/ours"
  peer allreduce_mpi >>"$folder/mpi"
  if ((gloo)); then
    rm -rf "$folder/store"
    mkdir "$folder/store"
    peer allreduce_gloo >>"$folder/gloo"
  fi
  peer copy >>"$folder/copy"
done
echo "all_reduce of f32, $ranks ranks, us, medians of $rounds rounds; ingot by $transport"
"$python" "$bench/collectives.py" table "$folder"
