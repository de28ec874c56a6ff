# shellcheck shell=bash
# ./dev test --long fuzz: the fuzz targets under libFuzzer, AddressSanitizer and UBSan, in build/fuzz.

FUZZ_BUILD="$ROOT/build/fuzz"
FUZZ_TARGETS=(http_parser resp_parser json_events lookup_json http_session resp_session tls_session)

# What they found stays in .dev/fuzz: corpora, which the next run goes on from, and failures.
run_fuzz() { # run_fuzz [--seconds N] [--seed S] [--target NAME]
  local seconds=600 seed=1 targets=("${FUZZ_TARGETS[@]}") target passed=0 failed=0
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --seconds) seconds="${2:?--seconds N}" ;;
      --seed) seed="${2:?--seed S}" ;;
      --target) targets=("${2:?--target NAME}") ;;
      *) fail "./dev test --long fuzz [--seconds N] [--seed S] [--target ${FUZZ_TARGETS[*]}]" ;;
    esac
    shift 2
  done
  apt_install_list tools/apt-fuzz.txt
  build_target headrace_hostile
  tests/fuzz/make_seeds.sh "$BUILD/tests/hostile/headrace_hostile" "$STATE/fuzz/seeds"
  build_fuzz_targets "${targets[@]}"
  for target in "${targets[@]}"; do
    if fuzz_one "$target" $((seconds / ${#targets[@]} + 1)) "$seed"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  report_tests "$passed" "$failed"
}

build_fuzz_targets() {
  quietly cmake cmake -S "$ROOT" -B "$FUZZ_BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER=clang++-19 -DHEADRACE_FUZZ=ON -DHEADRACE_SANITIZE=address,undefined \
    -DHEADRACE_ARROW_DIR="$(arrow_folder)"
  say "build: fuzz targets ($JOBS at once)"
  ninja -C "$FUZZ_BUILD" -j "$JOBS" "${@/#/headrace_fuzz_}" >"$STATE/log/fuzz-build.txt" 2>&1 ||
    fail "build failed (${STATE#"$ROOT"/}/log/fuzz-build.txt)"
}

fuzz_one() { # fuzz_one TARGET SECONDS SEED
  local program="$FUZZ_BUILD/tests/fuzz/headrace_fuzz_$1" log="$STATE/log/fuzz-$1.txt"
  mkdir -p "$STATE/fuzz/corpus/$1" "$STATE/fuzz/failures"
  say "fuzz: $1 for $2 s, seed $3"
  if "$program" -max_total_time="$2" -seed="$3" -timeout=20 -rss_limit_mb=3000 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="$STATE/fuzz/failures/$1-" "$STATE/fuzz/corpus/$1" \
    "$STATE/fuzz/seeds/$1" >"$log" 2>&1; then
    grep -E 'number_of_executed_units|new_units_added' "$log" >&2 || true
    return 0
  fi
  tail -n 60 "$log" >&2
  grep -o "$STATE/fuzz/failures/[^ ]*" "$log" | sort -u | while read -r input; do
    echo "replay: ${program#"$ROOT"/} ${input#"$ROOT"/}" >&2
  done
  return 1
}
