# shellcheck shell=bash
# What the scripts of this checkout share; sourced by them, never run. Sets `root` (the checkout),
# `work` (where build/ and runs/ go), `ingot` (the binary) and `python`, and prepares mpirun.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# Debian's Python, the one whose modules apt installs; another may come first in PATH.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

# mpirun refuses root unless told twice. A container's only user is often root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# A checkout that belongs to somebody else (root, say) is built in the caller's own cache folder.
work=$root
for folder in "$root" "$root/build" "$root/build/release" "$root/runs"; do
  if [[ -e $folder && ! -w $folder ]]; then
    work=${XDG_CACHE_HOME:-$HOME/.cache}/ingot/checkout
  fi
done
mkdir -p "$work/build"

# launch RANKS COMMAND...: mpirun on this machine. --oversubscribe and no binding where there are
# fewer cores than ranks.
launch() {
  local ranks=$1 options=()
  shift
  if (($(nproc) < ranks)); then
    options=(--oversubscribe --bind-to none --mca mpi_yield_when_idle 1)
  fi
  mpirun -np "$ranks" "${options[@]}" "$@"
}

# configure TREE OPTION...: configures $work/build/TREE by the preset of that name, compiling
# through ccache where it is installed.
configure() {
  local tree=$1 options=()
  shift
  if command -v ccache >/dev/null; then
    options=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  fi
  local log=$work/build/$tree.configure.log
  if ! cmake -S "$root" --preset "$tree" -B "$work/build/$tree" "${options[@]}" "$@" \
      >"$log" 2>&1; then
    tail -30 "$log" >&2
    echo "configuring $work/build/$tree failed; the whole output is in $log" >&2
    return 70
  fi
}

# find_ingot: sets `ingot` to $INGOT_BINARY where the caller has one (ctest does), otherwise
# installs what is missing and builds it.
find_ingot() {
  if [[ -n ${INGOT_BINARY:-} ]]; then
    ingot=$INGOT_BINARY
    if [[ ! -x $ingot ]]; then
      echo "INGOT_BINARY=$ingot is no program; unset it to have ingot built" >&2
      return 64
    fi
    return 0
  fi
  "$root/examples/install-packages.sh"
  # The CUDA module only where a GPU is, with machine code for it; the PTX is for the tests.
  local capability='' options=() targets=(ingot)
  if command -v nvcc >/dev/null; then
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
      head -n 1 | tr -cd 0-9) || true
  fi
  if [[ -n $capability ]]; then
    options=("-DINGOT_CUDA_ARCHITECTURES=$capability-real;80-virtual")
    targets+=(ingot_cuda)
  fi
  (cd "$root" && configure release "${options[@]}")
  cmake --build "$work/build/release" --target "${targets[@]}"
  # shellcheck disable=SC2034  # read by the script that sources this
  ingot=$work/build/release/ingot
}
