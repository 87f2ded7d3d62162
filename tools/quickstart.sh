#!/usr/bin/env bash
# From a fresh clone to the report: installs, builds Release, scales a small VGG11 on Fashion-MNIST.
# usage: tools/quickstart.sh [OUT]      (default runs/quick)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/quick}

tools/install.sh build
cmake --preset release -DHAC_TESTS=OFF -DHAC_BENCH=OFF
cmake --build --preset release
build/bin/hacscale run quick --out "$out"
