#!/usr/bin/env bash
# Installs the Debian packages that the project is built with, or says which are missing and how to
# get them. usage: tools/install.sh [build|test]   (test adds what only tests use)
set -euo pipefail

packages=(g++ cmake ninja-build libdnnl-dev libfmt-dev nlohmann-json3-dev libcli11-dev
  libtomlplusplus-dev libeigen3-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev libonnx-dev
  libprotobuf-dev dataset-fashion-mnist)
[[ ${1:-build} == test ]] && packages+=(libgtest-dev libgmock-dev libbenchmark-dev python3-torch
  python3-torchvision python3-opencv python3-numpy clang-format qemu-user libopenmpi-dev openmpi-bin
  parallel dpkg-dev file groff pkg-config)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing+=("$p")
done
((${#missing[@]})) || exit 0

root=()
if ((EUID != 0)); then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null || { [[ -t 0 ]] && command -v sudo >/dev/null; }; then
    root=(sudo)
  else
    echo "missing packages, and no right to install them. As root:" >&2
    echo "  apt-get update && apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi
if ! command -v apt-get >/dev/null; then
  echo "this machine has no apt-get; hacscale is built on Debian 12 with: ${packages[*]}" >&2
  exit 1
fi
echo "installing: ${missing[*]}" >&2
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  "${missing[@]}" >/dev/null || {
  echo "could not install: ${missing[*]}" >&2
  echo "try: apt-get update && apt-get install ${missing[*]}" >&2
  exit 1
}
