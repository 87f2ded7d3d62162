#!/usr/bin/env bash
# Installs, builds and runs every test, those of the CPU's kernels under each instruction set that this
# machine can run. usage: tools/test.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh test
cmake --preset release -DHAC_TESTS=ON -DHAC_BENCH=ON -DHAC_WERROR=ON -DHAC_CUDA="${HAC_CUDA:-AUTO}"
cmake --build --preset release
failed=0
ctest --preset release "$@" || failed=1

native=$(build/bin/hacscale doctor | awk '$1 == "isa" {print $2}') || native=unknown
if reason=$(tests/support/under_avx2.sh true); then
  echo "instruction sets: $native, and avx2 in processes of their own (ctest -R avx2/)"
else
  echo "instruction sets: $native (avx2 apart: $reason)"
fi
exit $failed
