# shellcheck shell=bash
# CMake + Ninja + ccache in build/release. The cache is shared by all clones on a machine: paths inside
# the clone are hashed relative to it.

export CCACHE_BASEDIR="$ROOT" CCACHE_NOHASHDIR=1

arrow_folder() { "$VENV/bin/python" -c 'import pathlib, pyarrow; print(pathlib.Path(pyarrow.__file__).parent)'; }

configure() {
  quietly cmake cmake -S "$ROOT" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DHEADRACE_ARROW_DIR="$(arrow_folder)" -DHEADRACE_BENCH="$BENCH"
}

build_target() { # build_target TARGET...
  local log="$STATE/log/ninja.txt"
  configure
  say "build: $* ($JOBS at once)"
  mkdir -p "$STATE/log"
  if [[ -t 2 ]]; then
    ninja -C "$BUILD" -j "$JOBS" "$@" 2>&1 | tee "$log" >&2 || fail "build failed"
  elif ! ninja -C "$BUILD" -j "$JOBS" "$@" >"$log" 2>&1; then
    grep -v '^\[[0-9]*/[0-9]*\] Building' "$log" | head -n 80 >&2
    fail "build failed (whole output: ${log#"$ROOT"/})"
  fi
  say "built"
}
