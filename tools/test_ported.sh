#!/usr/bin/env bash
# Builds the kernels' tests and the program for what this machine is not, and runs them on the CPU, in a
# build folder of its own. usage: tools/test_ported.sh aarch64|aarch64-own|onednn3|own [TEST...]
#   aarch64       cross-compiled and emulated by qemu: own loops in NEON's registers, Debian's oneDNN
#   aarch64-own   the same without oneDNN: Eigen and own loops alone
#   onednn3       against oneDNN 3, which Debian 12 has not, as PyPI has it for GNU's OpenMP
#   own           for this processor, without oneDNN
# TEST: only these programs (test_ops_linear). Exit code 77 with the reason: skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
build=$PWD/build-$kind
shift || true
emulator=()

skip() { echo "skipped: $*"; exit 77; }
need() { command -v "$1" >/dev/null || skip "no $1 (apt-get install $2)"; }

# Debian's packages for arm64 with the libraries that the build asks for, unpacked into $1. The
# package manager of this machine keeps to its own architecture.
unpack_arm64() {
  local apt=$1-apt options
  options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$apt/lists"
    -o Dir::Cache="$apt" -o Dir::State::Status=/dev/null -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$1"
  apt-get "${options[@]}" update && cd "$apt" && apt-get "${options[@]}" download libdnnl-dev libdnnl2 \
    libfmt-dev libfmt9 libgtest-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libtomlplusplus3 \
    libeigen3-dev libjpeg62-turbo-dev libjpeg62-turbo libpng-dev libpng16-16 zlib1g-dev zlib1g || return 1
  for package in *.deb; do dpkg -x "$package" "$1"; done
  cp "$1/usr/include/aarch64-linux-gnu/jconfig.h" "$1/usr/include/" # where no compiler but Debian's own looks
  find "$1" -type l -lname '/*' | while read -r link; do ln -sf "$1$(readlink "$link")" "$link"; done
}

options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DHAC_CUDA=OFF -DHAC_BENCH=OFF
  -DHAC_ONNX=OFF -DHAC_MPI=OFF -DHAC_WERROR=ON)
case $kind in
  aarch64 | aarch64-own)
    need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
    need qemu-aarch64 qemu-user
    root=$PWD/build-aarch64/root
    [[ $kind == aarch64 ]] || options+=(-DHAC_DNNL=OFF)
    [[ -e $root/usr/include/dnnl.hpp ]] || (unpack_arm64 "$root") || skip "no Debian packages for arm64"
    # zlib, which libpng asks for, lies outside of usr.
    emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$root/lib/aarch64-linux-gnu")
    options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
      -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ "-DCMAKE_FIND_ROOT_PATH=$root;/usr/aarch64-linux-gnu"
      -DCMAKE_FIND_ROOT_PATH_MODE_{LIBRARY,INCLUDE,PACKAGE}=ONLY
      "-DCMAKE_CROSSCOMPILING_EMULATOR=$(IFS=';' && echo "${emulator[*]}")")
    ;;
  onednn3)
    prefix=$build/prefix
    if [[ ! -e $prefix/include/dnnl.hpp ]]; then
      python3 -m pip --version >/dev/null 2>&1 || skip "no pip (apt-get install python3-pip)"
      mkdir -p "$build"
      python3 -m pip -q download --no-deps -d "$build" onednn-cpu-gomp==2023.2.0 \
        onednn-devel-cpu-gomp==2023.2.0 || skip "no oneDNN 3 from PyPI"
      for wheel in "$build"/*.whl; do python3 -m zipfile -e "$wheel" "$build/wheel"; done
      mkdir -p "$prefix"
      cp -a "$build"/wheel/*.data/data/* "$prefix"
    fi
    options+=(-Dhac_dnnl_INCLUDE="$prefix/include" -Dhac_dnnl_LIBRARY="$prefix/lib/libdnnl.so")
    ;;
  own)
    options+=(-DHAC_DNNL=OFF)
    ;;
  *)
    echo "usage: tools/test_ported.sh aarch64|aarch64-own|onednn3|own [TEST...]" >&2
    exit 2
    ;;
esac

targets=("$@")
if (($# == 0)); then
  targets=(test_tensor test_sgd)
  for source in tests/kernels/test_{ops,conv}_*.cpp; do targets+=("$(basename "$source" .cpp)"); done
  targets+=(hacscale)
fi
cmake -B "$build" -S . "${options[@]}"
cmake --build "$build" --target "${targets[@]}"
export HAC_PLACES=cpu OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
failed=0
for name in "${targets[@]}"; do
  arguments=(--gtest_brief=1)
  [[ $name != hacscale ]] || arguments=(train vgg11 --width 0.125 --data synthetic --limit-train 64
    --limit-test 20 --epochs 1 --batch 16)
  "${emulator[@]}" "$build/bin/$name" "${arguments[@]}" || failed=1
done
exit $failed
