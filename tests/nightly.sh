#!/usr/bin/env bash
# What CI has no time for: every test under AddressSanitizer with UBSan and under ThreadSanitizer,
# the examples in full, the whole table of ordered reductions, long random sequences of collectives,
# ranks that are killed, stopped and confused at random points, and each fuzzer for an hour.
#
#   tests/nightly.sh [PART ...]      default: all of
#     asan tsan examples identity collectives faults fuzz
#
# SEQUENCE_ROUNDS (default 100) is the number of random sequences per transport and number of ranks.
# FAULT_ROUNDS (default 50) is the number of random faults, FAULT_SEED what they follow from.
# FUZZ_SECONDS (default 3600) is the time of each fuzzer. Inputs it finds are kept in
# build/fuzz/found and are the start of the next night.
set -euo pipefail

# shellcheck source=tests/parts.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/parts.sh"
cd "$root"

parts=("$@")
((${#parts[@]})) || parts=(asan tsan examples identity collectives faults fuzz)
for name in "${parts[@]}"; do
  case "$name" in
    asan | tsan | examples | identity | collectives | faults | fuzz) ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *)
      echo "nightly.sh: no part '$name'; there are asan tsan examples identity collectives faults" \
        "fuzz" >&2
      exit 64
      ;;
  esac
done
"$root/examples/install-packages.sh" --tests

all_asan() {
  build_asan
  run_ctest asan -LE structure -j "$cores" --timeout 1800
}

all_tsan() {
  configure tsan
  build tsan
  # Examples run mpirun themselves; it and its daemons are not part of what is checked.
  run_ctest tsan -L 'unit|mpi' -j "$cores" --timeout 1800
}

# What CI leaves out: numbers of ranks, and modes of training on two nodes.
rest_of_sweep() {
  build_release
  build_gpusim
  run_ctest release -L nightly -j "$cores"
}

# Each prints the seeds that it begins its rounds with.
random_sequences() {
  configure release
  build release --target random_sequences_mpi_test
  export INGOT_TEST_ROUNDS=${SEQUENCE_ROUNDS:-100} INGOT_TEST_TRANSPORT
  local ranks
  for INGOT_TEST_TRANSPORT in mpi shm; do
    for ranks in 2 3 5 8; do
      echo "--- $INGOT_TEST_TRANSPORT, $ranks ranks"
      mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -np "$ranks" \
        "$work/build/release/tests/random_sequences_mpi_test" >"$work/build/sequences.log" 2>&1 || {
        tail -60 "$work/build/sequences.log"
        return 1
      }
    done
  done
}

random_faults() {
  configure release
  build release --target ingot
  local options=(--rounds "${FAULT_ROUNDS:-50}")
  [[ -z ${FAULT_SEED:-} ]] || options+=(--seed "$FAULT_SEED")
  "$root/tests/cluster/random_faults.py" "$work/build/release/ingot" "$(command -v mpirun)" \
    "${options[@]}"
}

all_examples() {
  build_release
  export INGOT_BINARY=$work/build/release/ingot
  "$root/examples/quickstart.sh"
  "$root/examples/fraud-detection/run.sh"
  "$root/examples/custom-op/run.sh"
}

all_identity() {
  build_release
  /usr/bin/python3 tests/launcher/identity_test.py "$work/build/release/ingot" mpirun --full
}

# On simulated GPUs, where the CUDA module was built.
all_identity_on_gpus() {
  build_release
  [[ -e $work/build/release/libingot_cuda.so ]] || return 0
  build_gpusim
  tests/on_gpu.sh gpusim "$work/build/gpusim/lib" /usr/bin/python3 tests/launcher/identity_test.py \
    "$work/build/release/ingot" mpirun --full --device cuda
}

for name in "${parts[@]}"; do
  case "$name" in
    asan) part "everything under asan" 60 all_asan ;;
    tsan) part "everything under tsan" 60 all_tsan ;;
    examples) part "examples in full" 20 all_examples ;;
    collectives)
      part "sweep on simulated GPUs" 30 rest_of_sweep
      part "random sequences" 30 random_sequences
      ;;
    faults) part "random faults" 30 random_faults ;;
    identity)
      part "ordered reductions" 30 all_identity
      part "ordered on GPUs" 60 all_identity_on_gpus
      ;;
    fuzz)
      part "fuzz build" 5 build_fuzzers
      part "fuzz" 300 run_fuzzers "${FUZZ_SECONDS:-3600}"
      ;;
  esac
done
finish
