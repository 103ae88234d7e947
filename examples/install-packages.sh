#!/usr/bin/env bash
# Installs the Debian packages that ingot is built from, and with --tests those of its tests. Does
# nothing where all are present. Needs root or sudo only where something is missing; without either
# it prints the command for somebody who has it and ends with 72.
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache pkg-config
  libopenmpi-dev openmpi-bin libhdf5-dev libyaml-cpp-dev libdnnl-dev libhwy-dev libhwloc-dev
  libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libxxhash-dev libutf8proc-dev
  libgtest-dev libgmock-dev
  bible-kjv # the text of examples/gpt-text
)
test_packages=(
  python3 python3-h5py python3-numpy
  clang-14 libclang-rt-14-dev # libFuzzer
  clang-format-14 iproute2
  libzstd-dev liblz4-dev # gpusim reads compressed fat binaries
)

usage="usage: install-packages.sh [--tests] [--list]"
list_only=false
for argument in "$@"; do
  case "$argument" in
    --tests) packages+=("${test_packages[@]}") ;;
    --list) list_only=true ;;
    -h | --help) echo "$usage" && exit 0 ;;
    *) echo "$usage (found '$argument')" >&2 && exit 64 ;;
  esac
done
if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null; then
  echo "install-packages.sh: this is no Debian system (there is no dpkg-query)." >&2
  echo "Install what these Debian packages contain, then build with CMake: ${packages[*]}" >&2
  exit 72
fi
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  # On a terminal sudo may ask for a password; elsewhere it must work without one.
  if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
    as_root=(sudo)
  else
    echo "install-packages.sh: these packages are missing, and installing needs root or sudo:" >&2
    printf '    %s\n' "${missing[@]}" >&2
    echo "Have an administrator run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 72
  fi
fi
echo "installing ${#missing[@]} packages: ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq
  --no-install-recommends "${missing[@]}")
if ! { "${as_root[@]}" apt-get update -qq && "${install[@]}" >/dev/null; }; then
  echo "install-packages.sh: apt-get could not install: ${missing[*]}" >&2
  echo "Its message is above; a machine without network needs a mirror in /etc/apt." >&2
  exit 72
fi
