#!/usr/bin/env bash
# From a fresh clone to the report: installs, builds Release, scales a small VGG11 on Fashion-MNIST.
# usage: tools/quickstart.sh [OUT [OPTION...]]      (default runs/quick; options of hacscale run)
#
# HAC_CUDA  ON or OFF builds the CUDA part or not; unset, it is built where there is a GPU
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/quick}

say() { echo "quickstart: $*" >&2; }
took() {
  say "$1 took $((SECONDS - start)) s"
  start=$SECONDS
}
gpu_present() { compgen -G '/dev/nvidia[0-9]*' >/dev/null || nvidia-smi -L >/dev/null 2>&1; }

start=$SECONDS
tools/install.sh build
took "installing"

if [[ -n ${HAC_CUDA:-} ]]; then
  say "CUDA part: HAC_CUDA=$HAC_CUDA"
elif gpu_present; then
  HAC_CUDA=AUTO
  say "CUDA part: built if nvcc and cuDNN are found, as there is a GPU (HAC_CUDA=OFF leaves it out)"
else
  HAC_CUDA=OFF
  say "CUDA part: left out, as no GPU was found (HAC_CUDA=ON builds it)"
fi
cmake --preset release -DHAC_TESTS=OFF -DHAC_BENCH=OFF -DHAC_CUDA="$HAC_CUDA"
cmake --build --preset release
took "building"

build/bin/hacscale run quick --out "$out" "${@:2}"
took "hacscale run quick"
