# shellcheck shell=bash
# Every test: C++ through ctest, Python through pytest; closes with `N passed, N failed`.

# Loops against the real binary, each a program of its own with --seconds, --seed and more (--help).
declare -A FAULT_LOOPS=(
  [kill]=tests/kill/kill_loop.py
  [power]=tests/power/power_loop.py
  [syscalls]=tests/faults/syscall_loop.py
  [clock]=tests/clock/clock_loop.py
  [delta-kill]=tests/kill/delta_kill_loop.py
)

run_test() {
  local long="" only=""
  if [[ "${1:-}" == --long ]]; then
    [[ -n "${2:-}" ]] || fail "./dev test --long NAME: which test?"
    long="$2"
    shift 2
  elif [[ $# -gt 1 || "${1:-}" == -* ]]; then
    fail "./dev test takes a NAME or --long NAME, not '$*'"
  else
    only="${1:-}"
  fi
  setup_build
  setup_dev
  mkdir -p "$STATE/log"
  if [[ "$long" == seeded-bugs ]]; then
    "$VENV/bin/python" tests/seeded_bugs/seeded_bugs.py --arrow "$(arrow_folder)" "$@"
    return
  fi
  if [[ -n "$long" && -n "${FAULT_LOOPS[$long]:-}" ]]; then
    run_fault_loop "$long" "$@"
    return
  fi
  if [[ "$long" == fuzz ]]; then
    run_fuzz "$@"
    return
  fi
  if [[ "$long" == simulation && $# -gt 0 ]]; then
    run_simulation_part "$@"
    return
  fi
  [[ -z "$long" || $# -eq 0 ]] || fail "./dev test --long $long takes no options"
  if [[ -z "$long$only" ]]; then
    setup_feast
    apt_install_list tools/apt-faults.txt
    setup_bench_build # nobody else would notice that it does not compile any more
  fi
  case "$long" in
    overload | serving) build_target headrace ;; # nothing else is run
    *) build_target all ;;
  esac
  if [[ -n "$long" ]]; then
    run_long_tests "$long"
  elif [[ -n "$only" ]]; then
    run_ctest --timeout 300 -R "$only"
    report_tests "$(ctest_count passed)" "$(ctest_count failed)"
  else
    run_all_tests
  fi
}

run_all_tests() {
  local passed=0 failed=0
  say "ctest"
  run_ctest --timeout 600
  say "pytest"
  "$VENV/bin/python" -m pytest -rs 2>&1 | tee "$STATE/log/pytest.txt" || true
  passed=$(($(ctest_count passed) + $(pytest_count passed)))
  failed=$(($(ctest_count failed) + $(pytest_count failed) + $(pytest_count error)))
  [[ "$(pytest_count skipped)" -eq 0 ]] || say "NOT RUN: $(pytest_count skipped) tests; the lines SKIPPED above say why"
  report_tests "$passed" "$failed"
}

# Long runs (simulation, fuzz) take their length from HEADRACE_TEST_LONG=1.
run_long_tests() {
  case "$1" in
    overload)
      run_long_pytest overload tests/overload
      return
      ;;
    serving)
      run_long_pytest serving tests/resp
      return
      ;;
    expressions)
      run_long_pytest expressions tests/interop/test_expressions.py
      return
      ;;
    pipelines)
      run_long_pytest pipelines tests/interop/test_pipelines.py
      return
      ;;
    interop)
      setup_spark
      export HEADRACE_SPARK_JARS="$STATE/spark/lib"
      run_long_pytest interop tests/spark
      return
      ;;
  esac
  say "ctest, long: $1"
  local timeout=3600
  [[ "$1" != simulation ]] || timeout=10000000 # 100,000 histories take days
  HEADRACE_TEST_LONG=1 run_ctest --timeout "$timeout" -R "$1"
  report_tests "$(ctest_count passed)" "$(ctest_count failed)"
}

# What takes days in parts: [SWEEP] [--from S] [--seeds N] [--minutes M], as the program takes them.
run_simulation_part() {
  build_target headrace_simulation
  say "simulation, long: $*"
  if HEADRACE_TEST_LONG=1 "$BUILD/tests/simulation/headrace_simulation" "$@"; then
    report_tests 1 0
  else
    report_tests 0 1
  fi
}

# Ends with one line of JSON; a loop that could not run (no FUSE, no root) counts as not run: exit code 77.
run_fault_loop() { # run_fault_loop NAME OPTION...
  local name="$1" status=0
  shift
  apt_install_list tools/apt-faults.txt
  build_target headrace
  case "$name" in
    power) build_target headrace_power_disk ;;
    syscalls) build_target headrace_failing_calls ;;
    delta-kill)
      build_target headrace_failing_calls
      setup_spark
      export HEADRACE_SPARK_JARS="$STATE/spark/lib"
      ;;
  esac
  say "loop: $name"
  "$VENV/bin/python" "${FAULT_LOOPS[$name]}" "$@" || status=$?
  case "$status" in
    0) report_tests 1 0 ;;
    77) say "tests done" && echo "0 passed, 0 failed, 1 not run" && return 1 ;;
    *) report_tests 0 1 ;;
  esac
}

# Tests that are pytest's; what the overload tests measured is worth reading.
run_long_pytest() { # run_long_pytest NAME PATH
  say "pytest, long: $1"
  HEADRACE_TEST_LONG=1 "$VENV/bin/python" -m pytest -s "$2" 2>&1 |
    tee "$STATE/log/pytest.txt" || true
  report_tests "$(pytest_count passed)" $(($(pytest_count failed) + $(pytest_count error)))
}

# Shows failures whole and leaves the passing lines to the log; the counts are read from its closing line.
run_ctest() {
  ctest --test-dir "$BUILD" --parallel 2 --output-on-failure --no-tests=error "$@" 2>&1 |
    tee "$STATE/log/ctest.txt" | grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed )|^$' || true
}

# ctest closes with "97% tests passed, 3 tests failed out of 120".
ctest_count() { # ctest_count passed|failed
  local line failed total
  line="$(grep -aoE '[0-9]+ tests? failed out of [0-9]+' "$STATE/log/ctest.txt" | tail -n 1)" || true
  if [[ -z "$line" ]]; then # ctest itself did not run: one failure
    [[ "$1" == failed ]] && echo 1 || echo 0
    return
  fi
  failed="${line%% *}"
  total="${line##* }"
  if [[ "$1" == failed ]]; then echo "$failed"; else echo $((total - failed)); fi
}

# pytest closes with "3 failed, 41 passed in 2.1s".
pytest_count() { # pytest_count passed|failed|error|skipped
  local count
  count="$(tail -n 1 "$STATE/log/pytest.txt" | grep -oE "[0-9]+ $1" | cut -d' ' -f1)" || true
  echo "${count:-0}"
}

report_tests() { # report_tests PASSED FAILED
  say "tests done"
  echo "$1 passed, $2 failed"
  [[ "$2" -eq 0 && "$1" -gt 0 ]]
}
