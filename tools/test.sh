#!/usr/bin/env bash
# Installs, builds and runs every test. usage: tools/test.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh test
cmake --preset release -DHAC_TESTS=ON -DHAC_BENCH=ON -DHAC_WERROR=ON
cmake --build --preset release
ctest --preset release "$@"
