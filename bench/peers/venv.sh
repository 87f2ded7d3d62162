#!/bin/bash
# Makes the virtual environment of bench/compare_peers.py and bench/compare_pipeline.py, or renews it,
# outside the repository.
# usage: bench/peers/venv.sh DIR
set -euo pipefail
[[ $# == 1 ]] || { echo "usage: bench/peers/venv.sh DIR" >&2; exit 2; }
repository=$(cd "$(dirname "$0")/../.." && pwd)
venv=$(realpath -m "$1")
[[ $venv/ != "$repository"/* ]] || { echo "venv.sh: '$1' is inside the repository" >&2; exit 2; }
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$venv/pip-cache}

python3 -m venv "$venv"
install() { "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
install numpy==2.4.6 safetensors==0.8.0 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
  ncnn==1.0.20261020
# PyTorch's wheel asks for gigabytes of CUDA's libraries. What it cannot be imported without and a
# CUDA toolkit does not have is named here; where there is no toolkit, it gets all that it asks for.
torch=torch==2.15.0
install filelock fsspec jinja2 networkx setuptools sympy typing-extensions
install --no-deps "$torch" pnnx==20261020 nvidia-cusparselt-cu13==0.10.0 nvidia-nccl-cu13==2.32.3 \
  nvidia-nvshmem-cu13==3.8.0 nvidia-cufile==1.20.0.107
"$venv/bin/python" -c 'import torch' 2> /dev/null || install "$torch"
install --no-deps torchvision==0.29.2 pillow==13.0.0
"$venv/bin/python" -c 'import torch, torchvision, onnxruntime, openvino, ncnn'
"$venv/bin/pip" list --disable-pip-version-check | grep -E '^(torch|torchvision|pillow|onnxruntime|openvino|ncnn|pnnx) '
