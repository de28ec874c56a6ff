# shellcheck shell=bash
# How ./dev speaks: lines on standard error, so that --json leaves standard output to the document.

seconds_since() { # seconds_since START_US -> 12.3
  local now="${EPOCHREALTIME/[.,]/}"
  local tenths=$(((now - $1) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

say() { printf '[%5s s] %s\n' "$(seconds_since "$START_US")" "$*" >&2; }

fail() {
  if [[ -t 2 ]]; then printf '\033[31m%s\033[0m\n' "$*" >&2; else printf '%s\n' "$*" >&2; fi
  exit 1
}

# Runs a command with its output kept in a file; shows the end of it when the command fails.
quietly() { # quietly NAME COMMAND...
  local log="$STATE/log/$1.txt"
  shift
  mkdir -p "$STATE/log"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "failed: $* (whole output: ${log#"$ROOT"/})"
  fi
}

file_hash() { cat "$@" | sha256sum | cut -d' ' -f1; }
