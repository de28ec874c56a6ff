#!/usr/bin/env bash
# make_seeds.sh HEADRACE_HOSTILE FOLDER: a folder of inputs for each fuzz target, of the hostile
# requests and of what is kept beside this file.
set -euo pipefail
hostile="$1" folder="$2"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
rm -rf "$folder"
for protocol in http resp; do
  for target in "${protocol}_parser" "${protocol}_session"; do
    mkdir -p "$folder/$target"
    "$hostile" seeds "$protocol" "$here/../hostile/$protocol.requests" "$folder/$target"
  done
done
for kept in "$here"/seeds/*/; do
  target="$(basename "$kept")"
  mkdir -p "$folder/$target"
  cp "$kept"* "$folder/$target/"
done
