#!/usr/bin/env bash
# The packages that cpack makes, unpacked into an empty root: the program there, its completion and
# manual page, and the examples built against the library there alone.
# usage: installed.sh SOURCE BUILD COMPILER    (exit 77: dpkg-dev is not installed)
set -euo pipefail
source=$1 build=$2 compiler=$3
command -v dpkg-shlibdeps >/dev/null || { echo "skipped: needs dpkg-dev"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

# No package has the libraries of a build with CUDA; packages are made without (HAC_CUDA=OFF), here both are tested.
if ldd "$build/bin/hacscale" | grep -q libcudart; then
  mkdir "$work/bin"
  printf '#!/bin/sh\nexec %s --ignore-missing-info "$@"\n' "$(command -v dpkg-shlibdeps)" > "$work/bin/dpkg-shlibdeps"
  chmod +x "$work/bin/dpkg-shlibdeps"
  PATH=$work/bin:$PATH
fi
(cd "$build" && cpack -B "$work/packages") > "$work/cpack" 2>&1 || { cat "$work/cpack"; fail cpack; }
root=$work/root
shopt -s nullglob
for name in hacscale libhacscale0 libhacscale-dev; do
  package=("$work/packages/${name}"_*.deb)
  ((${#package[@]} == 1)) || fail "no package $name"
  dpkg -x "${package[0]}" "$root"
  dpkg -I "${package[0]}" > "$work/$name"
done
grep -q 'Depends: .*libfmt9' "$work/hacscale" || fail "the program does not depend on fmt"
grep -q 'Depends: .*libfmt9' "$work/libhacscale0" || fail "the library does not depend on fmt"
grep -q 'Depends: .*libhacscale0 (= ' "$work/libhacscale-dev" || fail "-dev does not depend on the library"

cd "$work"
PATH=$root/usr/bin:$PATH
[[ $(command -v hacscale) == "$root"/* ]] || fail "not the installed program"
hacscale summary resnet20 --json > summary
grep -q '"params"' summary || fail "the installed program"

# ---- bash completion: what two words begin
source "$root/usr/share/bash-completion/completions/hacscale"
completes() {  # WORDS... EXPECTED: the last word is completed to it
  local expected=${*: -1}
  COMP_WORDS=("${@:1:$#-1}") COMP_CWORD=$(($# - 2)) COMPREPLY=()
  _hacscale
  [[ " ${COMPREPLY[*]} " == *" $expected "* ]] || fail "completion of '${*:1:$#-1}': ${COMPREPLY[*]}"
}
completes hacscale imp importance
completes hacscale train --ep --epochs
completes hacscale train --conv ex exact
completes hacscale summary mobile mobilenet_v2
completes hacscale data pa pack
completes hacscale data pack --si --side
if command -v zsh >/dev/null; then zsh -n "$root/usr/share/zsh/vendor-completions/_hacscale"; fi

# ---- the manual page: every verb, and nothing that groff warns of
page=$root/usr/share/man/man1/hacscale.1
for verb in train import data 'latency\-table'; do
  grep -qFx ".SS $verb" "$page" || fail "the manual page lacks $verb"
done
if command -v groff >/dev/null; then
  groff -man -ww -z "$page" 2>&1 | tee groff
  [[ ! -s groff ]] || fail "the manual page"
fi

# ---- programs on the installed library, by CMake and by pkg-config
prefix=$root/usr
export LD_LIBRARY_PATH=$prefix/lib
mkdir examples
cp "$source"/tools/examples/* examples
cmake -S examples -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER="$compiler" > cmake.out || { cat cmake.out; fail "find_package"; }
cmake --build by-cmake --target scale > cmake.out 2>&1 || { cat cmake.out; fail "scale"; }
OMP_NUM_THREADS=1 by-cmake/scale | tee scaled
grep -Eq '^[0-9]+ parameters, top-1 [0-9.]+ %, [0-9.]+ ms$' scaled || fail "scale"
flags=(-O1)
if command -v pkg-config >/dev/null; then
  read -ra flags < <(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs hacscale)
else
  flags=(-std=c++20 -I"$prefix/include/hacscale" -L"$prefix/lib" -lhacscale)
fi
"$compiler" examples/classify.cpp -o classify "${flags[@]}"
hacscale train vgg11 --width 0.125 --data synthetic --limit-train 40 --limit-test 20 --epochs 1 --threads 1 \
  --quiet --out run > /dev/null 2>&1
python3 - <<'PY'
import struct, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes(96) for _ in range(32))
open("black.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
                              + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PY
OMP_NUM_THREADS=1 ./classify run/model.safetensors black.png | tee classified
grep -Eq '^black.png: .+ \([0-9.]+ %\)$' classified || fail "classify"
expected=$(hacscale infer run/model.safetensors black.png --top 1 --threads 1 | sed -n 's/^ *[0-9.]* %  //p')
grep -qF ": $expected (" classified || fail "classify and infer disagree: $expected"
