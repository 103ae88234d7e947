#!/usr/bin/env bash
# The CI suite: installs what is missing, builds, and runs every test but those of nightly.sh. Parts
# and their budgets of minutes on two cores; with builds from ccache about 35 in all:
#
#   structure  1   arrows between folders, lengths, clang-format
#   release   12   build, with the CUDA module where a CUDA Toolkit is
#   gpusim    10   the CUDA simulator and its own tests
#   tests     18   every ctest: units, mpi, golden curves, examples in short, CUDA in the simulator
#   asan       9   AddressSanitizer and UBSan: build, unit tests, a 2-rank smoke run
#   tsan       6   ThreadSanitizer on streams and pools and the collectives
#   fuzz       6   20 s per fuzzer
#
#   tests/run.sh [PART ...]      default: all of them
#
# Builds lie in build/release, build/asan, build/tsan and build/fuzz, through ccache.
# INGOT_REQUIRE_CUDA=1 makes a build without the CUDA module fail.
set -euo pipefail

# shellcheck source=tests/parts.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/parts.sh"
cd "$root"

parts=("$@")
((${#parts[@]})) || parts=(structure release gpusim tests asan tsan fuzz)
for name in "${parts[@]}"; do
  case "$name" in
    structure | release | gpusim | tests | asan | tsan | fuzz) ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *)
      echo "run.sh: no part '$name'; parts: structure release gpusim tests asan tsan fuzz" >&2
      exit 64
      ;;
  esac
done
"$root/examples/install-packages.sh" --tests

for name in "${parts[@]}"; do
  case "$name" in
    structure) part "structure" 1 check_structure ;;
    release)
      part "release build" 12 build_release
      part "cuda module" 1 check_cuda
      ;;
    gpusim)
      part "gpusim build" 9 build_gpusim
      part "gpusim tests" 2 run_gpusim
      ;;
    tests) part "all tests" 18 run_release -LE 'structure|nightly' ;;
    asan)
      part "asan build" 5 build_asan
      part "asan unit tests" 3 run_asan_units
      part "asan 2-rank smoke" 1 smoke_asan
      ;;
    tsan)
      part "tsan" 6 tsan \
        'test_device\|test_collectives\|communicator_mpi_test' \
        '^device\.|^collectives\.|communicator_mpi_test\.(mpi|shm|2_nodes)\.[23]_ranks'
      ;;
    fuzz)
      part "fuzz build" 4 build_fuzzers
      part "fuzz" 2 run_fuzzers 20
      ;;
  esac
done
finish
