# shellcheck shell=bash
# shellcheck disable=SC2034  # BENCH is read by build.sh
# Benchmarks: ratios against a named peer of the same run; the last line is one JSON object.

run_bench() {
  local name="${1:-}"
  [[ $# -gt 0 ]] && shift
  case "$name" in
    flow) bench_flow "$@" ;;
    *) fail "./dev bench flow: that is the one there is" ;;
  esac
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
