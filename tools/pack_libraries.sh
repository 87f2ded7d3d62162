#!/usr/bin/env bash
# Packs the libraries that the project is built with on this Debian machine into one file, for a
# machine that has none and cannot install any. usage: tools/pack_libraries.sh [FILE]
# (.libraries.tar.gz) There tools/gpu_check.sh finds the file; any other build unpacks it and takes
# -DCMAKE_PREFIX_PATH=FOLDER/usr. Both machines are x86-64, or both aarch64.
set -euo pipefail

file=$(realpath "${1:-$(dirname "$0")/../.libraries.tar.gz}")
packages=(libdnnl-dev libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libeigen3-dev
  libjpeg62-turbo-dev libpng-dev zlib1g-dev libgtest-dev libgmock-dev)
! dpkg-query -W libbenchmark-dev >/dev/null 2>&1 || packages+=(libbenchmark-dev)

for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || {
    echo "pack_libraries: package '$p': expected to be installed (hint: tools/install.sh test)" >&2
    exit 1
  }
done

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# A file with what its links lead to. Links that leave their folder become copies: they would lead
# to another system's files.
pack() {
  local path=$1 target
  while [[ ! -e $stage$path ]]; do
    mkdir -p "$stage$(dirname "$path")"
    target=$(readlink "$path" || true)
    if [[ -z $target || $target == */* ]]; then
      cp -L "$path" "$stage$path"
      return
    fi
    cp -P "$path" "$stage$path"
    path=$(dirname "$path")/$target
  done
}

dpkg -L "${packages[@]}" | grep -E '^/usr/(include|lib|share/(cmake|eigen3))/' |
  grep -v -e /unsupported/ | sort -u | while read -r path; do
  [[ -d $path ]] || pack "$path"
done
# No compiler but Debian's looks into this folder for libjpeg's.
cp "$stage"/usr/include/*-linux-gnu/jconfig.h "$stage/usr/include/"

# What those libraries need to run; a compiler brings the rest.
find "$stage" -name '*.so' | while read -r path; do
  ldd "$path" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
done | grep -v -E '/lib(c|m|dl|pthread|rt|gcc_s|stdc\+\+|gomp)\.so' | sort -u |
  while read -r path; do
    [[ $path != /lib/* ]] || path=/usr$path # Debian 12 has one folder under both names
    pack "$path"
  done

# A copied library is asked for by its own name.
find "$stage" -name '*.so' -type f | while read -r path; do
  name=$(objdump -p "$path" | awk '/SONAME/ { print $2 }')
  [[ -z $name || -e $(dirname "$path")/$name ]] || ln -s "$(basename "$path")" \
    "$(dirname "$path")/$name"
done

tar -C "$stage" -czf "$file" usr
echo "$(du -m "$file" | cut -f1) MiB in $file, $(du -sm "$stage" | cut -f1) MiB unpacked"
