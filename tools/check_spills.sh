#!/usr/bin/env bash
# Compiles every .cu for each architecture of a release and fails on register spills.
# usage: tools/check_spills.sh [ARCH...]   (default 75 80 87 90); skips without nvcc
set -euo pipefail
cd "$(dirname "$0")/.."

command -v nvcc >/dev/null || {
  echo "check_spills: skipped, no nvcc" >&2
  exit 0
}
archs=("$@")
((${#archs[@]})) || archs=(75 80 87 90)
codes=()
for a in "${archs[@]}"; do codes+=(-gencode "arch=compute_$a,code=sm_$a"); done

check() {
  local report spills kernels
  report=$(nvcc -std=c++20 --expt-relaxed-constexpr -O3 -I. "${@:2}" -Xptxas -v -c "$1" -o /dev/null 2>&1) || {
    echo "$report" >&2
    return 1
  }
  spills=$(grep 'spill' <<<"$report" | grep -vc ' 0 bytes spill stores, 0 bytes spill loads' || true)
  kernels=$(grep -c 'Compiling entry function' <<<"$report" || true)
  echo "$1: $kernels kernels, $spills with register spills"
  ((spills == 0))
}
export -f check
echo "register spills for ${archs[*]}:"
printf '%s\n' kernels/ops/*.cu | xargs -P "$(nproc)" -I{} bash -c 'check "$@"' check {} "${codes[@]}"
