# shellcheck shell=bash
# Benchmarks: ratios against a named peer of the same run; the last line is one JSON object.

run_bench() {
  local name="${1:-}"
  [[ $# -gt 0 ]] && shift
  case "$name" in
    delta) bench_delta "$@" ;;
    features) bench_features "$@" ;;
    flow) bench_flow "$@" ;;
    layers) bench_layers "$@" ;;
    log) bench_log "$@" ;;
    nexmark) bench_nexmark "$@" ;;
    recovery) bench_recovery "$@" ;;
    serving) bench_serving "$@" ;;
    small-files) bench_small_files "$@" ;;
    *) fail "./dev bench delta | features | flow | layers | log | nexmark | recovery | serving | small-files: those are the ones there are" ;;
  esac
}

bench_delta() {
  setup_build
  setup_dev
  apt_install_list tools/apt-bench.txt
  setup_bench_build
  build_target headrace_delta_commits
  PYTHONPATH="$ROOT/bench/log" "$VENV/bin/python" bench/delta/delta_bench.py \
    --program "$BUILD/bench/delta/headrace_delta_commits" --folder "$STATE/bench/delta" \
    --plot docs/how-to/write-amplification.svg "$@"
}

bench_layers() {
  setup_build
  setup_dev
  build_target headrace
  PYTHONPATH="$ROOT/bench/log" "$VENV/bin/python" bench/delta/layers_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --folder "$STATE/bench/layers" "$@"
}

bench_small_files() {
  setup_build
  setup_dev
  build_target headrace
  PYTHONPATH="$ROOT/bench/log" "$VENV/bin/python" bench/delta/small_files_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --folder "$STATE/bench/small-files" "$@"
}

bench_features() {
  setup_build
  apt_install_list tools/apt-bench.txt
  local flink=()
  if setup_flink; then flink=(--flink-jars "$STATE/flink/lib" --flink-classes "$STATE/flink/classes"); fi
  setup_bench_build
  build_target headrace_window_rate headrace_engine_rate headrace_write_card_events
  PYTHONPATH="$ROOT/bench/log:$ROOT/bench/peers" "$VENV/bin/python" bench/features/features_bench.py \
    --programs "$BUILD/bench/features" --folder "$STATE/bench/features" \
    --plot docs/internals/feature-cost-by-keys.svg "${flink[@]}" "$@"
}

bench_flow() {
  setup_build
  setup_flights
  apt_install_list tools/apt-bench.txt
  setup_bench_build
  build_target headrace headrace_lookup_client
  PYTHONPATH="$ROOT/examples/flights:$ROOT/bench/log" "$VENV/bin/python" bench/flow/flow.py --headrace "$BUILD/apps/headrace/headrace" \
    --lookup-client "$BUILD/bench/flow/headrace_lookup_client" --source "$FLIGHTS" --folder "$STATE/bench" "$@"
}

bench_log() {
  setup_build
  apt_install_list tools/apt-bench.txt
  setup_kafka
  setup_bench_build
  build_target headrace headrace_log_load
  PYTHONPATH="$ROOT/examples/flights:$ROOT/bench/peers" "$VENV/bin/python" bench/log/log_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --load-client "$BUILD/bench/log/headrace_log_load" \
    --kafka-jars "$STATE/kafka/lib" --folder "$STATE/bench/log" "$@"
}

bench_nexmark() {
  setup_build
  setup_dev
  apt_install_list tools/apt-bench.txt
  setup_bench_build
  build_target headrace_write_nexmark headrace_nexmark_filters headrace_nexmark_windows
  PYTHONPATH="$ROOT/bench/log" "$VENV/bin/python" bench/nexmark/nexmark_bench.py \
    --programs "$BUILD/bench/nexmark" --folder "$STATE/bench/nexmark" "$@"
}

bench_recovery() {
  setup_build
  apt_install_list tools/apt-bench.txt
  setup_bench_build
  build_target headrace headrace_log_load headrace_steady_sender
  PYTHONPATH="$ROOT/bench/log:$ROOT/bench/peers" "$VENV/bin/python" bench/recovery/recovery_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --sender "$BUILD/bench/recovery/headrace_steady_sender" \
    --load-client "$BUILD/bench/log/headrace_log_load" --folder "$STATE/bench/recovery" "$@"
}

# The broker and its client.
setup_kafka() { setup_jars kafka bench/peers/kafka/pom.xml; }

# Flink and its job. Fails when the jars can't be had: then Flink is left out, which is said.
setup_flink() {
  local source="bench/peers/flink/TrailingWindows.java"
  (setup_jars flink bench/peers/flink/pom.xml) || return 1
  quietly javac-flink javac -cp "$STATE/flink/lib/*" -d "$STATE/flink/classes" "$source"
}

bench_serving() {
  setup_build
  setup_dev
  setup_feast
  apt_install_list tools/apt-bench.txt
  setup_bench_build
  build_target headrace headrace_lookup_client headrace_constant_server
  PYTHONPATH="$ROOT/bench/log:$ROOT/bench/peers" "$VENV/bin/python" bench/serving/serving_bench.py \
    --headrace "$BUILD/apps/headrace/headrace" --lookup-client "$BUILD/bench/flow/headrace_lookup_client" \
    --constant-server "$BUILD/bench/serving/headrace_constant_server" --folder "$STATE/bench/serving" "$@"
}
