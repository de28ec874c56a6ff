# shellcheck shell=bash
# Installs what is missing, and nothing else: each step finds out in milliseconds that it has nothing to do.

FLIGHTS_PACKAGE="vega-datasets@3.2.1"
FLIGHTS_SHA256="dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"
FLIGHTS="$STATE/data/flights-3m.parquet"

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi; }

apt_install() { # apt_install PACKAGE...
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return
  say "apt: installing ${#missing[@]} packages: ${missing[*]}"
  [[ $EUID -eq 0 ]] || command -v sudo >/dev/null || fail "needs root (or sudo) to install: ${missing[*]}"
  quietly apt-update as_root apt-get update -q
  quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

apt_list() { # apt_list FILE -> the packages of a list
  sed -e 's/#.*//' "$1" | tr -s ' \n' ' '
}

apt_install_list() {
  local packages
  read -ra packages <<<"$(apt_list "$1")"
  apt_install "${packages[@]}"
}

# The first Python that is new enough and can make a venv with pip in it.
find_python() {
  local python
  for python in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$python" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

# One venv in .dev, made again when its Python, its place or the list it was made from has changed.
setup_venv() { # setup_venv REQUIREMENTS
  local list="$1" stamp python
  stamp="$VENV/.stamp-$(basename "$list" .txt)"
  [[ -f "$stamp" && "$(cat "$stamp")" == "$ROOT $(file_hash "$list")" ]] && "$VENV/bin/python" -c '' 2>/dev/null && return
  if ! [[ -f "$VENV/.made" && "$(cat "$VENV/.made")" == "$ROOT" ]] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
    python="$(find_python)"
    if [[ -z "$python" ]]; then
      apt_install python3 python3-venv
      python="$(find_python)"
    fi
    [[ -n "$python" ]] || fail "needs Python 3.11 or newer with the venv module"
    rm -rf "$VENV"
    quietly venv "$python" -m venv "$VENV"
    printf '%s' "$ROOT" >"$VENV/.made"
  fi
  say "pip: $(grep -vc '^#' "$list") pinned packages of $list"
  quietly "pip-$(basename "$list" .txt)" "$VENV/bin/python" -m pip install --disable-pip-version-check \
    --no-input --no-deps -r "$list"
  printf '%s %s' "$ROOT" "$(file_hash "$list")" >"$stamp"
}

setup_build() {
  apt_install_list tools/apt-build.txt
  setup_venv tools/requirements.txt
}

setup_dev() { setup_venv tools/requirements-dev.txt; }

# Feast itself: the client and the peer of its own interfaces.
setup_feast() { setup_venv tools/requirements-feast.txt; }

# Spark and Delta's jars for it, and a JDK: readers and writers of the long interop tests.
setup_spark() {
  apt_install_list tools/apt-spark.txt
  setup_venv tools/requirements-spark.txt
  setup_jars spark tests/spark/pom.xml -DincludeGroupIds=io.delta,io.unitycatalog
}

# What is built from here on has bench/, too.
setup_bench_build() {
  apt_install_list tools/apt-bench-build.txt
  # shellcheck disable=SC2034  # read by build.sh
  BENCH=ON
}

setup_check() { apt_install_list tools/apt-check.txt; }

# The jars of a pom, as it pins them, in .dev/NAME/lib.
setup_jars() { # setup_jars NAME POM [OPTION...]
  local name="$1" pom="$2" stamp="$STATE/$1/.stamp"
  shift 2
  [[ -f "$stamp" && "$(cat "$stamp")" == "$(file_hash "$pom")" ]] && return
  say "maven: the jars of $pom"
  rm -rf "${STATE:?}/$name"
  mkdir -p "$STATE/$name"
  quietly "maven-$name" mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "$@" \
    -DoutputDirectory="$STATE/$name/lib"
  file_hash "$pom" >"$stamp"
}

# The flights come inside an npm package; its bytes are pinned, so that figures compare.
setup_flights() {
  [[ -f "$FLIGHTS" ]] && sha256sum --status -c <<<"$FLIGHTS_SHA256  $FLIGHTS" && return
  command -v npm >/dev/null || apt_install npm
  say "npm: $FLIGHTS_PACKAGE for its data/flights-3m.parquet"
  local folder
  mkdir -p "$STATE/data"
  folder="$(mktemp -d "$STATE/data/fetch.XXXXXX")"
  quietly npm-pack npm pack --silent --pack-destination "$folder" "$FLIGHTS_PACKAGE"
  tar -xzf "$folder"/*.tgz -C "$folder" package/data/flights-3m.parquet
  sha256sum --status -c <<<"$FLIGHTS_SHA256  $folder/package/data/flights-3m.parquet" ||
    fail "flights-3m.parquet of $FLIGHTS_PACKAGE is not the pinned file (sha256 $FLIGHTS_SHA256)"
  touch "$folder/package/data/flights-3m.parquet"
  mv "$folder/package/data/flights-3m.parquet" "$FLIGHTS"
  rm -rf "$folder"
}
