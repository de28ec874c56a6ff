# shellcheck shell=bash
# shellcheck disable=SC2034  # BENCH is read by build.sh
# Benchmarks: ratios against a named peer of the same run; the last line is one JSON object.

run_bench() {
  local name="${1:-}"
  [[ $# -gt 0 ]] && shift
  case "$name" in
    features) bench_features "$@" ;;
    flow) bench_flow "$@" ;;
    log) bench_log "$@" ;;
    recovery) bench_recovery "$@" ;;
    *) fail "./dev bench features | flow | log | recovery: those are the ones there are" ;;
  esac
}

bench_features() {
  setup_build
  apt_install_list tools/apt-bench.txt
  BENCH=ON
  build_target headrace_window_rate
  PYTHONPATH="$ROOT/bench/log" "$VENV/bin/python" bench/features/features_bench.py \
    --window-rate "$BUILD/bench/features/headrace_window_rate" --plot "$STATE/bench/features/by_cards.svg" "$@"
}

bench_flow() {
  setup_build
  setup_flights
  apt_install_list tools/apt-bench.txt
  BENCH=ON
  build_target headrace headrace_lookup_client
  PYTHONPATH="$ROOT/examples/flights" "$VENV/bin/python" bench/flow/flow.py --headrace "$BUILD/apps/headrace/headrace" \
    --lookup-client "$BUILD/bench/flow/headrace_lookup_client" --source "$FLIGHTS" --folder "$STATE/bench" "$@"
}

bench_log() {
  setup_build
  apt_install_list tools/apt-bench.txt
  setup_kafka
  BENCH=ON
  build_target headrace headrace_log_load
  PYTHONPATH="$ROOT/examples/flights:$ROOT/bench/peers" "$VENV/bin/python" bench/log/log_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --load-client "$BUILD/bench/log/headrace_log_load" \
    --kafka-jars "$STATE/kafka/lib" --folder "$STATE/bench/log" "$@"
}

bench_recovery() {
  setup_build
  apt_install_list tools/apt-bench.txt
  BENCH=ON
  build_target headrace headrace_log_load headrace_steady_sender
  PYTHONPATH="$ROOT/bench/log:$ROOT/bench/peers" "$VENV/bin/python" bench/recovery/recovery_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --sender "$BUILD/bench/recovery/headrace_steady_sender" \
    --load-client "$BUILD/bench/log/headrace_log_load" --folder "$STATE/bench/recovery" "$@"
}

# The jars of the broker and of its client, as pinned in the pom.
setup_kafka() {
  local pom="bench/peers/kafka/pom.xml" stamp="$STATE/kafka/.stamp"
  [[ -f "$stamp" && "$(cat "$stamp")" == "$(file_hash "$pom")" ]] && return
  say "maven: the Kafka broker of $pom"
  rm -rf "$STATE/kafka"
  mkdir -p "$STATE/kafka"
  quietly maven-kafka mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$STATE/kafka/lib"
  file_hash "$pom" >"$stamp"
}
