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
object=$(mktemp)
trap 'rm -f "$object"' EXIT

failed=0
for source in kernels/ops/*.cu; do
  report=$(nvcc -std=c++20 --expt-relaxed-constexpr -O3 -I. "${codes[@]}" -Xptxas -v -c "$source" \
    -o "$object" 2>&1) || {
    echo "$report" >&2
    exit 1
  }
  spills=$(grep 'spill' <<<"$report" | grep -vc ' 0 bytes spill stores, 0 bytes spill loads' || true)
  kernels=$(grep -c 'Compiling entry function' <<<"$report" || true)
  echo "$source: $kernels kernels for ${archs[*]}, $spills with register spills"
  ((spills == 0)) || failed=1
done
exit $failed
