#!/usr/bin/env bash
# What CI has no time for: every test under AddressSanitizer with UBSan and under ThreadSanitizer,
# the examples in full, and each fuzzer for an hour.
#
#   tests/nightly.sh [PART ...]   parts: asan tsan examples fuzz; default: all of them
#
# FUZZ_SECONDS (default 3600) is the time of each fuzzer. Inputs it finds are kept in
# build/fuzz/found and are the start of the next night.
set -euo pipefail

# shellcheck source=tests/parts.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/parts.sh"
cd "$root"

parts=("$@")
((${#parts[@]})) || parts=(asan tsan examples fuzz)
for name in "${parts[@]}"; do
  case "$name" in
    asan | tsan | examples | fuzz) ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *) echo "nightly.sh: no part '$name'; parts: asan tsan examples fuzz" >&2 && exit 64 ;;
  esac
done
"$root/examples/install-packages.sh" --tests

all_asan() {
  build_asan
  ctest --test-dir "$work/build/asan" -LE structure -j "$cores" --timeout 1800 \
    --output-on-failure | tail -80
}

all_tsan() {
  configure tsan
  build tsan
  # Examples run mpirun themselves; it and its daemons are not part of what is checked.
  "${fixed_addresses[@]}" ctest --test-dir "$work/build/tsan" -L 'unit|mpi' -j "$cores" \
    --timeout 1800 --output-on-failure | tail -80
}

all_examples() {
  build_release
  export INGOT_BINARY=$work/build/release/ingot
  "$root/examples/quickstart.sh"
  "$root/examples/fraud-detection/run.sh"
  "$root/examples/custom-op/run.sh"
}

for name in "${parts[@]}"; do
  case "$name" in
    asan) part "everything under asan" 60 all_asan ;;
    tsan) part "everything under tsan" 60 all_tsan ;;
    examples) part "examples in full" 20 all_examples ;;
    fuzz)
      part "fuzz build" 5 build_fuzzers
      part "fuzz" 300 run_fuzzers "${FUZZ_SECONDS:-3600}"
      ;;
  esac
done
finish
