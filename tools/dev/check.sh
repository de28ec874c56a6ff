# shellcheck shell=bash
# Format, lint and layers. Every step runs, so that one round shows everything; the exit code is theirs together.

CHECKS_FAILED=()

step() { # step NAME COMMAND...
  local name="$1" started="${EPOCHREALTIME/[.,]/}"
  shift
  if "$@"; then
    say "check: $name ok ($(seconds_since "$started") s)"
  else
    say "check: $name FAILED ($(seconds_since "$started") s)"
    CHECKS_FAILED+=("$name")
  fi
}

run_check() {
  local all=()
  case "$*" in
    --all) all=(--all) ;;
    "") ;;
    *) fail "./dev check takes nothing but --all, not '$*'" ;;
  esac
  setup_build
  setup_dev
  setup_check
  setup_bench_build # so that it is linted
  configure
  step "layers" python3 tools/check_layers.py
  step "format C++" check_cpp_format
  step "format Python" "$VENV/bin/ruff" format --check --quiet .
  step "ruff" "$VENV/bin/ruff" check --quiet .
  step "mypy" "$VENV/bin/mypy" --cache-dir "$STATE/mypy" "${PYTHON_FOLDERS[@]}"
  step "shellcheck" check_shell
  step "seeded bugs fit" check_seeded_bugs
  step "C++ lint" python3 tools/lint_cpp.py --build "$BUILD" --stamps "$STATE/lint" "${all[@]}"
  if [[ ${#CHECKS_FAILED[@]} -gt 0 ]]; then
    fail "check failed: ${CHECKS_FAILED[*]} (./dev format mends formatting)"
  fi
  say "check: all ok"
}

PYTHON_FOLDERS=(tools examples/flights bench/delta bench/features bench/flow bench/log bench/nexmark bench/peers bench/recovery bench/serving tests/interop tests/faults tests/kill tests/power tests/clock tests/overload tests/change tests/resp tests/http tests/feast tests/hostile tests/flight tests/tls tests/spark tests/seeded_bugs)

cpp_files() {
  git ls-files --cached --others --exclude-standard -- '*.cc' '*.h' |
    while read -r name; do [[ -f "$name" ]] && echo "$name"; done
}

check_cpp_format() {
  local files
  mapfile -t files < <(cpp_files)
  [[ ${#files[@]} -eq 0 ]] || "$VENV/bin/clang-format" --dry-run -Werror --ferror-limit=3 "${files[@]}"
}

# A patch that no longer fits shows nothing, and nobody would notice before the next long run.
check_seeded_bugs() { "$VENV/bin/python" tests/seeded_bugs/seeded_bugs.py --apply >&2; }

check_shell() { shellcheck -x dev .ci/run tools/dev/*.sh tests/fuzz/*.sh; }

run_format() {
  local files
  setup_dev
  mapfile -t files < <(cpp_files)
  [[ ${#files[@]} -eq 0 ]] || "$VENV/bin/clang-format" -i "${files[@]}"
  "$VENV/bin/ruff" check --quiet --fix . || true
  "$VENV/bin/ruff" format --quiet .
  say "formatted"
}
