# shellcheck shell=bash
# The main job: install, build, run examples/flights, and say how long each took.

run_demo() {
  local options=() option installed built
  for option in "$@"; do
    case "$option" in
      --quick | --json) options+=("$option") ;;
      *) fail "./dev demo takes --quick and --json, not '$option'" ;;
    esac
  done
  local started="$START_US"
  setup_build
  setup_flights
  installed="$(seconds_since "$started")"
  started="${EPOCHREALTIME/[.,]/}"
  build_target headrace
  built="$(seconds_since "$started")"
  say "run"
  "$VENV/bin/python" examples/flights/demo.py --headrace "$BUILD/apps/headrace/headrace" --source "$FLIGHTS" \
    --folder "$STATE/demo" --install-seconds "$installed" --build-seconds "$built" "${options[@]}"
}
