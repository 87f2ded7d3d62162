#!/usr/bin/env bash
# Builds, tests and measures on a machine with an NVIDIA GPU, in at most 9 minutes, and writes
# OUT/summary.md, OUT/summary.json, OUT/cudnn_device.json and OUT/log.txt.
# usage: tools/gpu_check.sh OUT [PART...]
#
# Needs nvcc, cuDNN 9 and CMake with Ninja or make; nothing is installed and nothing fetched. Parts
# (default: all, in this order): build device tests copy gemm launch conv train infer feed ranks
# pytorch energy tune memcheck racecheck initcheck. A part that fails or has no time left does not stop the next.
# Exit codes: 0 every part passed or was skipped, 1 one failed, 2 usage, 3 no GPU.
#
# HAC_GPU_BUILD    build folder (build-gpu)
# HAC_LIBRARIES    libraries for a machine that has none (.libraries.tar.gz), packed by
#                  tools/pack_libraries.sh on another. Without them only bench/gpu is built.
# HAC_CUDNN_ROOT   folder with cuDNN's include/ and lib/ (found in Python's site-packages)
# HAC_GPU_ARCH     compute capability without its dot (asked of nvidia-smi)
# HAC_GPU_SECONDS  for everything (530)
# shellcheck disable=SC2317  # the parts are called by name
set -uo pipefail

parts=(build device tests copy gemm launch conv train infer feed ranks pytorch energy
  tune memcheck racecheck initcheck)

usage() {
  echo "gpu_check: $1 (usage: tools/gpu_check.sh OUT [PART...]; parts: ${parts[*]})" >&2
  exit 2
}

(($#)) || usage "expected a folder for the results"
if ! mkdir -p "$1" || ! out=$(cd "$1" && pwd) || [[ ! -w $out ]]; then
  usage "folder '$1': not writable"
fi
shift
wanted=("$@")
for p in "${wanted[@]}"; do
  [[ " ${parts[*]} " == *" $p "* ]] || usage "part '$p': unknown"
done
((${#wanted[@]})) || wanted=("${parts[@]}")

cd "$(dirname "$0")/.." || exit 1
build=${HAC_GPU_BUILD:-build-gpu}
libraries=${HAC_LIBRARIES:-.libraries.tar.gz}
deadline=${HAC_GPU_SECONDS:-530}
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arch=${HAC_GPU_ARCH:-}
PATH=$PATH:/usr/local/cuda/bin:/usr/local/nvidia/bin
unpacked=$(realpath -m "$build")/libraries
library_path=$unpacked/usr/lib/$(uname -m)-linux-gnu
export build libraries unpacked library_path work arch out

names=() states=() seconds=() notes=()
failed=0

# --- the parts: each runs in a shell of its own, under a time limit; 77 = skipped ---

skip() {
  echo "$1" >&2
  exit 77
}

# Python wheels hold cuDNN where no compiler looks.
cudnn_root() {
  python3 -c 'import nvidia.cudnn as m; print(list(m.__path__)[0])' 2>/dev/null && return
  local found
  found=$(timeout 10 find /opt /usr /root /home -maxdepth 10 -name 'libcudnn.so.9' \
    -path '*/nvidia/cudnn/lib/*' -print -quit 2>/dev/null)
  [[ -z $found ]] || dirname "$(dirname "$found")"
}

# The packed libraries, for our programs alone: Python may want newer ones of the same name.
with_libraries() {
  LD_LIBRARY_PATH=$library_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$@"
}

part_build() {
  local options=(-S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DHAC_CUDA=ON
    "-DCMAKE_CUDA_ARCHITECTURES=$arch") keep=-k root
  root=${HAC_CUDNN_ROOT:-$(cudnn_root)}
  [[ -z $root ]] || options+=("-DHAC_CUDNN_ROOT=$root")
  if command -v ninja >/dev/null; then options+=(-G Ninja) keep=-k0; fi
  if [[ -f $libraries ]]; then
    mkdir -p "$unpacked"
    tar -C "$unpacked" -xzf "$libraries"
    options+=("-DCMAKE_PREFIX_PATH=$unpacked/usr")
  fi
  if cmake "${options[@]}" -DHAC_GPU_CHECK=OFF -DHAC_TESTS=ON -DHAC_BENCH=ON; then
    echo "configured: everything"
  else
    echo "configured: bench/gpu only (log.txt says what is missing)"
    cmake "${options[@]}" -DHAC_GPU_CHECK=ON
  fi
  # First what measures, so that a build that is too slow or broken still leaves figures.
  local target jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} bad=0
  for target in gpu_peaks bench_kernels bench_gpu all; do
    echo "building $target"
    with_libraries cmake --build "$build" -j "$jobs" --target "$target" -- "$keep" ||
      [[ $target == bench_* ]] || bad=1
  done
  return "$bad"
}

program() {
  local file=$build/bin/$1
  [[ -x $file ]] || skip "$1 was not built"
  with_libraries "$file" "${@:2}"
}
peaks() { program gpu_peaks --part "$1" --json "$work/$1.json" "${@:2}"; }
bench() { program bench_gpu --part "$1" --json "$work/$1.json" "${@:2}"; }

part_device() { peaks device --describe "$out/cudnn_device.json"; }
part_copy() { peaks copy; }
part_gemm() { peaks gemm; }
part_launch() { peaks launch; }
# Every convolution of the zoo; the same once more on the plans that are the fastest when measured.
convolutions() {
  program bench_kernels --device cuda:0 --dtype bf16,f32 --benchmark_filter=^conv2d \
    --benchmark_min_time=0.01 --seconds 50 --benchmark_out="$work/$1.json" "${@:2}"
}
part_conv() { convolutions conv; }
part_tune() { convolutions tune --autotune; }
part_train() { bench train; }
part_infer() { bench infer; }
part_energy() { bench energy; }
# Photographs to batches, with and without the device's part; checks that both are the same.
part_feed() { bench feed; }
# A step as one of several ranks takes it, by NCCL, in a group of one.
part_ranks() { bench ranks; }

part_pytorch() {
  python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null ||
    skip "no PyTorch that sees the GPU"
  python3 bench/gpu/pytorch.py --json "$work/pytorch.json"
}

# "program filter" of every executable that has GPU-labelled tests.
gpu_tests() {
  [[ -f $build/CTestTestfile.cmake ]] || return 0
  ctest --test-dir "$build" -N -V -L gpu | awk '
    /Test command: / {
      sub(/.*Test command: /, ""); gsub(/"/, ""); filter = "*"
      if (match($0, /--gtest_filter=[^ ]*/)) filter = substr($0, RSTART + 15, RLENGTH - 15)
      all[$1] = all[$1] == "" ? filter : all[$1] ":" filter
    }
    END { for (p in all) print p, all[p] }' | sort
}

part_tests() {
  [[ -n $(gpu_tests) ]] || skip "no GPU-labelled tests were built"
  with_libraries ctest --test-dir "$build" -L gpu -j 4 --timeout 60 --output-on-failure
}

# sanitized TOOL FILE FILTER: the tests of a program on the GPU alone. Races and reads of memory that
# was never written count in our own kernels only: cuDNN's for Hopper are reported by both tools, and
# our host code stands in their backtraces.
sanitized() {
  local name=${2##*/} rc=0 only=()
  local report=$work/$1.$name
  [[ $1 != racecheck ]] || only=(--kernel-name kns=N3hac4cuda)
  HAC_PLACES=cuda OMP_NUM_THREADS=2 with_libraries compute-sanitizer --tool "$1" "${only[@]}" \
    --print-limit 10000 --error-exitcode 9 "$2" "--gtest_filter=$3" </dev/null >"$report" 2>&1 || rc=$?
  echo "$1: $name: exit code $rc"
  grep -E '^=========|\[  (FAILED|PASSED)' "$report" | head -n 40 || true
  ! grep -q -F '[  FAILED' "$report" || return 1
  case $rc in
    0) ;;
    9) [[ $1 != memcheck ]] && ! grep -v 'Host Frame' "$report" | grep -q 'hac::cuda' ;;
    *) grep -q 'before first instrumented API call' "$report" ;; # it has nothing for a GPU
  esac
}

sanitize() {
  command -v compute-sanitizer >/dev/null || skip "no compute-sanitizer"
  local tests
  tests=$(gpu_tests)
  [[ -n $tests ]] || skip "no GPU-labelled tests were built"
  # shellcheck disable=SC2016  # for the inner shell
  xargs -P 4 -L 1 bash -c "sanitized $1"' "$0" "$1"' <<<"$tests"
}
part_memcheck() { sanitize memcheck; }
part_racecheck() { sanitize racecheck; }
part_initcheck() { sanitize initcheck; }

# --- the driver ---

limit_of() {
  case $1 in
    build) echo 240 ;;
    tests) echo 120 ;;
    conv | tune) echo 60 ;;
    energy) echo 70 ;;
    train) echo 80 ;;
    *check) echo 60 ;;
    *) echo 40 ;;
  esac
}

record() {
  names+=("$1") states+=("$2") seconds+=("$3") notes+=("$4")
  printf '%-10s %-8s %6s s  %s\n' "$1" "$2" "$3" "$4"
  [[ $2 != failed ]] || failed=1
}

run_part() {
  local name=$1 left=$((deadline - SECONDS)) limit rc start note=""
  limit=$(limit_of "$name")
  if ((left < 5)); then
    record "$name" skipped 0 "no time left"
    return
  fi
  ((limit <= left)) || limit=$left
  start=$(date +%s%N)
  # -k: what ignores its end is killed.
  timeout -k 3 "$limit" bash -c "set -euo pipefail; part_$name" \
    >"$work/$name.out" 2>"$work/$name.err" </dev/null
  rc=$?
  local took
  took=$(awk -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%.1f", ns / 1e9 }')
  {
    echo "==== $name: exit code $rc, $took s"
    cat "$work/$name.out" "$work/$name.err"
  } >>"$out/log.txt"
  case $rc in
    0) record "$name" ok "$took" "$(grep '^configured: ' "$work/$name.out" | tail -n 1)" ;;
    77) record "$name" skipped "$took" "$(tail -n 1 "$work/$name.err")" ;;
    124 | 137) record "$name" failed "$took" "stopped at its limit of $limit s" ;;
    *)
      note=$(grep -v '^ *$' "$work/$name.err" | tail -n 1)
      record "$name" failed "$took" "exit code $rc: ${note:-see log.txt}"
      ;;
  esac
}

quoted() {
  local s=${1//\\/\\\\}
  printf '"%s"' "$(printf '%s' "${s//\"/\\\"}" | tr '\000-\037' ' ')"
}

# A part's result is taken over only if it is one whole object.
result_of() {
  local text
  text=$(cat "$work/$1.json" 2>/dev/null)
  if [[ $text == "{"*"}" ]]; then printf '%s' "$text"; else printf null; fi
}

write_json() {
  local i
  printf '{"date": %s, "commit": %s, "host": %s, "gpu": %s, "error": %s, "seconds": %d, "parts": [' \
    "$(quoted "$started")" "$(quoted "$commit")" "$(quoted "$host")" "$(quoted "$gpu")" \
    "$(if [[ -n $1 ]]; then quoted "$1"; else printf null; fi)" "$SECONDS"
  for i in "${!names[@]}"; do
    ((i == 0)) || printf ','
    printf '\n  {"name": "%s", "state": "%s", "seconds": %s, "note": %s, "result": ' "${names[i]}" \
      "${states[i]}" "${seconds[i]}" "$(quoted "${notes[i]}")"
    result_of "${names[i]}"
    printf '}'
  done
  printf '\n]}\n'
}

write_markdown() {
  local i name
  printf '# GPU check, %s\n\n- GPU: %s\n- host: %s\n- commit: %s\n- took: %d s\n\n' "$started" \
    "${gpu:-none}" "$host" "$commit" "$SECONDS"
  [[ -z $1 ]] || printf '**%s**\n' "$1"
  ((${#names[@]})) || return 0
  printf '| part | state | seconds | note |\n|---|---|---|---|\n'
  for i in "${!names[@]}"; do
    printf '| %s | %s | %s | %s |\n' "${names[i]}" "${states[i]}" "${seconds[i]}" \
      "${notes[i]//|/\\|}"
  done
  for i in "${!names[@]}"; do
    name=${names[i]}
    [[ $name != build && -s $work/$name.out ]] || continue
    printf '\n## %s\n\n```\n' "$name"
    tail -n 60 "$work/$name.out"
    printf '```\n'
  done
}

finish() {
  write_json "$1" >"$out/summary.json"
  write_markdown "$1" >"$out/summary.md"
}

: >"$out/log.txt"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
host="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1), $(nproc) cores"
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit \
  --format=csv,noheader 2>"$work/smi.err" | head -n 1)
if [[ -z $arch ]]; then
  # The first GPU's: "9.0" -> 90. An error message holds no such line.
  arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>>"$work/smi.err" |
    sed -n 's/^ *\([0-9][0-9]*\)\.\([0-9]\) *$/\1\2/p' | head -n 1)
fi
if [[ -z $arch ]]; then
  gpu=""
  finish "no GPU: nvidia-smi names none (hint: HAC_GPU_ARCH=87 where there is no nvidia-smi)"
  echo "gpu_check: no GPU: nvidia-smi names none (summary in $out)" >&2
  exit 3
fi
export arch
for name in "${parts[@]}"; do export -f "part_${name?}"; done
export -f skip cudnn_root with_libraries program peaks bench convolutions gpu_tests sanitized sanitize

trap 'finish "interrupted"; rm -rf "$work"; exit 130' INT TERM
for name in "${parts[@]}"; do
  [[ " ${wanted[*]} " == *" $name "* ]] && run_part "$name"
done
finish ""
echo "gpu_check: $SECONDS s, summary in $out/summary.md"
exit $failed
