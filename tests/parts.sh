# shellcheck shell=bash
# The parts that tests/run.sh and tests/nightly.sh are made of; sourced by them. Trees lie in
# $work/build: release, asan, tsan and fuzz.

# shellcheck source=examples/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../examples/environment.sh"
cores=$(nproc)
suppressions=$root/tests/sanitizers

# Container overflow is off because yaml-cpp, which shares std::vectors with ingot, is not compiled
# with the sanitizer. A leak in ingot fails; what Open MPI keeps is listed in leak.supp.
export ASAN_OPTIONS=detect_container_overflow=0:abort_on_error=0:detect_leaks=1
export LSAN_OPTIONS=suppressions=$suppressions/leak.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
tsan_options=suppressions=$suppressions/thread.supp:ignore_noninstrumented_modules=1
export TSAN_OPTIONS=$tsan_options:halt_on_error=1:second_deadlock_stack=1

# ThreadSanitizer of GCC 12 cannot start where the kernel randomises addresses too widely.
fixed_addresses=()
if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
  fixed_addresses=(setarch "$(uname -m)" --addr-no-randomize)
fi

failed_tests=$work/build/failed-tests
# run_ctest TREE ARGUMENT...: prints the closing lines of ctest. What failed is kept for finish():
# ctest lists what it skipped last, some fifty tests where there is no GPU.
run_ctest() {
  local tree=$1 status=0 start=()
  shift
  [[ $tree != tsan ]] || start=("${fixed_addresses[@]}")
  local log=$work/build/$tree/Testing/Temporary/LastTestsFailed.log
  rm -f "$log"
  "${start[@]}" ctest --test-dir "$work/build/$tree" --output-on-failure "$@" | tail -100 ||
    status=$?
  if ((status)) && [[ -f $log ]]; then cp "$log" "$failed_tests"; fi
  return "$status"
}

summary=()
# part NAME BUDGET_MINUTES COMMAND...: runs a part and keeps its line for the end. A part that takes
# longer than its budget passes but is marked, since machines differ.
part() {
  local name=$1 budget=$2 begin=$SECONDS status=0
  shift 2
  printf '\n=== %s (budget %s min)\n' "$name" "$budget"
  rm -f "$failed_tests"
  # Not `( ... ) || status=$?`: bash ignores `set -e` in whatever is part of a condition.
  set +e
  (
    set -e
    "$@"
  )
  status=$?
  set -e
  local seconds=$((SECONDS - begin)) note=
  ((seconds <= budget * 60)) || note="  OVER BUDGET"
  if ((status)); then
    summary+=("$(printf 'FAILED %-28s %5d s of %3d min%s' "$name" "$seconds" "$budget" "$note")")
    [[ ! -s $failed_tests ]] || summary+=("$(sed 's/^[0-9]*:/         /' "$failed_tests")")
    failed=1
  else
    summary+=("$(printf 'passed %-28s %5d s of %3d min%s' "$name" "$seconds" "$budget" "$note")")
  fi
}

# finish: prints every part's line; ends with 1 if one failed.
finish() {
  printf '\n=== parts, %d min in all\n' $(((SECONDS + 59) / 60))
  printf '%s\n' "${summary[@]}"
  if ((${failed:-0})); then
    echo "FAILED"
    exit 1
  fi
  echo "all parts passed"
}

build() {
  local tree=$1
  shift
  cmake --build "$work/build/$tree" -j "$cores" "$@"
}

# Only the targets of TREE that exist: a folder without tests yet has none.
targets_of() {
  local tree=$1 pattern=$2
  ninja -C "$work/build/$tree" -t targets all | sed -n "s/^\($pattern\): phony\$/\1/p"
}

build_release() {
  configure release
  build release
}

run_release() {
  run_ctest release -j "$cores" "$@"
}

# Says whether the CUDA module was built; INGOT_REQUIRE_CUDA=1 makes its absence a failure.
check_cuda() {
  if [[ -e $work/build/release/libingot_cuda.so ]]; then
    echo "CUDA: built"
    return 0
  fi
  echo "CUDA: not built"
  [[ ${INGOT_REQUIRE_CUDA:-0} != 1 ]]
}

# gpusim is a project of its own; its libraries take the place of CUDA's in tests of label gpusim.
build_gpusim() {
  local options=(-G Ninja -DCMAKE_BUILD_TYPE=Release)
  if command -v ccache >/dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  fi
  cmake -S "$root/tests/gpusim" -B "$work/build/gpusim" "${options[@]}" \
    >"$work/build/gpusim.configure.log" 2>&1 || {
    tail -30 "$work/build/gpusim.configure.log" >&2
    return 70
  }
  build gpusim
}

# The simulator's own tests: units, ordinary CUDA programs, and programs with planted bugs.
run_gpusim() {
  run_ctest gpusim -j "$cores" "$@"
}

build_asan() {
  configure asan
  build asan
}

# Without the two that run every op at the size of a real model: the tests of each op cover its
# kernels in a hundredth of the time.
run_asan_units() {
  local left_out='RunAndStateWhatTheyCost|TuningAreWrittenByBenchOps'
  run_ctest asan -L unit -E "$left_out" -j "$cores"
}

# Open MPI unloads its modules at the end, after which what they leaked has no name that could be
# suppressed: leaks are looked for in the unit tests, which run without MPI.
smoke_asan() {
  ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 \
  INGOT_BINARY=$work/build/asan/ingot INGOT_RUNS=$work/build/asan/smoke-runs \
    "$root/examples/quickstart.sh" --short
}

# tsan TARGET_PATTERN TEST_PATTERN: streams and pools, the data pipeline, the collectives.
tsan() {
  local targets
  configure tsan
  mapfile -t targets < <(targets_of tsan "$1")
  build tsan --target "${targets[@]}"
  run_ctest tsan -R "$2" --no-tests=error -j "$cores"
}

build_fuzzers() {
  mkdir -p "$work/build/fuzz"
  local options=()
  if command -v ccache >/dev/null; then options=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -S "$root" -B "$work/build/fuzz" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 -DINGOT_FUZZ=ON -DINGOT_CUDA=off \
    "${options[@]}" >"$work/build/fuzz.configure.log" 2>&1 || {
    tail -30 "$work/build/fuzz.configure.log" >&2
    return 70
  }
  build fuzz --target fuzzers
}

# run_fuzzers SECONDS: each fuzzer that long, from its corpus tests/fuzz/corpus/NAME; what it adds
# goes to the build tree. A crash leaves its input beside it.
run_fuzzers() {
  local fuzzer name found
  for fuzzer in "$work"/build/fuzz/tests/fuzz/fuzz_*; do
    [[ -f $fuzzer && -x $fuzzer ]] || continue
    name=$(basename -- "$fuzzer")
    name=${name#fuzz_}
    found=$work/build/fuzz/found/$name
    mkdir -p "$found"
    local corpus=("$found")
    [[ -d $root/tests/fuzz/corpus/$name ]] && corpus+=("$root/tests/fuzz/corpus/$name")
    echo "--- $name, $1 s"
    if ! "$fuzzer" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$found-" "${corpus[@]}" >"$found.log" 2>&1; then
      tail -60 "$found.log"
      echo "fuzz_$name failed; its input is $found-*" >&2
      return 1
    fi
    grep -E '^stat::number_of_executed_units' "$found.log"
  done
}

check_structure() {
  "$python" "$root/tests/structure/check_arrows.py"
  "$python" "$root/tests/structure/check_arrows_test.py"
  "$root/tests/structure/check_format.sh"
}
