#!/usr/bin/env bash
# Fails where a C++ file differs from what clang-format-14 makes of it. The version is fixed because
# versions disagree. `check_format.sh --fix` formats the files instead.
set -euo pipefail

cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
if ! command -v clang-format-14 >/dev/null; then
  echo "clang-format-14 is missing; examples/install-packages.sh --tests installs it" >&2
  exit 72
fi
options=(--dry-run -Werror)
[[ ${1:-} == --fix ]] && options=(-i)
folders=()
for folder in ops collectives runtime launcher tests examples; do
  [[ -d $folder ]] && folders+=("$folder")
done
find "${folders[@]}" \( -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 --no-run-if-empty clang-format-14 "${options[@]}"
