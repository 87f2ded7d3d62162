#!/usr/bin/env bash
# Runs tools/gpu_check.sh with stand-ins for nvidia-smi, cmake, ctest and the programs that it
# builds: no GPU is a clear end, a failing or hanging part does not stop the next, nothing runs past
# the time allowed, and the summaries say what happened.
# shellcheck disable=SC2016  # the stand-ins expand their variables themselves
set -euo pipefail

check=$(cd "$(dirname "$0")/../.." && pwd)/tools/gpu_check.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
export PATH="$work/bin:$PATH" HAC_GPU_BUILD="$work/build" HAC_CUDNN_ROOT="$work"
command -v python3 >/dev/null || exit 77

fail() {
  echo "FAILED: $1"
  head -c 3000 "$work"/out/summary.* "$work"/out/log.txt "$work/err" 2>/dev/null
  exit 1
}
stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
# Runs the check; its exit code must be $1.
run() {
  local expected=$1 rc=0
  shift
  rm -rf "$work/out" "$work/build"
  "$check" "$work/out" "$@" >"$work/stdout" 2>"$work/err" || rc=$?
  ((rc == expected)) || fail "exit code $rc, expected $expected ($*)"
}
# An expression over the summary `s` and its parts by name `p` that must be true.
holds() {
  python3 -c 'import json, sys
s = json.load(open(sys.argv[1])); p = {x["name"]: x for x in s["parts"]}
sys.exit(0 if eval(sys.argv[2]) else 1)' "$work/out/summary.json" "$1" || fail "$1"
}

# --- no GPU ---
stand_in nvidia-smi 'echo "NVIDIA-SMI has failed: say \"x\""; exit 9'
run 3
[[ $(wc -l <"$work/err") == 1 && $(<"$work/err") == *'no GPU'* ]] || fail "not one clear line"
holds '"no GPU" in s["error"] and s["parts"] == []'
grep -q 'no GPU' "$work/out/summary.md" || fail "summary.md does not say so"

run 2 no-such-part
grep -q "part 'no-such-part': unknown" "$work/err" || fail "usage"

# --- a GPU of stand-ins ---
stand_in nvidia-smi 'case $* in
  *compute_cap*) echo "9.0"; echo "8.0";;
  *) echo "NVIDIA Fake \"1\", 580.1, 81559 MiB, 700.00 W";;
esac'
# Configuring everything fails for lack of libraries; bench/gpu alone succeeds.
stand_in cmake '
if [[ $1 == --build ]]; then
  mkdir -p "$2/bin"
  cp "$(dirname "$0")/program" "$2/bin/gpu_peaks"
  [[ -n ${FULL:-} ]] || exit 0
  cp "$(dirname "$0")/program" "$2/bin/bench_gpu"
  cp "$(dirname "$0")/program" "$2/bin/bench_kernels"
  touch "$2/CTestTestfile.cmake"
  exit 0
fi
[[ " $* " == *" -DCMAKE_CUDA_ARCHITECTURES=90 "* ]] || exit 5
[[ -n ${FULL:-} || " $* " == *" -DHAC_GPU_CHECK=ON "* ]] || { echo "needs fmt" >&2; exit 1; }'
stand_in program '
if [[ $* == *--benchmark_out=* ]]; then
  all=$*
  file=${all##*--benchmark_out=}
  file=${file%% *} part=${file##*/}
  set -- --part "${part%.json}" --json "$file"
fi
[[ $1 == --part && $3 == --json ]] || exit 2
[[ ${BAD:-} != "$2" ]] || { echo "{\"cut\": " >"$4"; echo "it | broke" >&2; exit 4; }
[[ ${HANG:-} != "$2" ]] || { trap "" TERM; sleep 60; }
echo "figures of $2"
echo "{\"part\": \"$2\"}" >"$4"
[[ $2 != device ]] || echo "{\"deviceName\": 1}" >"$6"'
stand_in python3 '[[ $* != *torch* ]] || exit 1; exec '"$(command -v python3)"' "$@"'
stand_in ctest 'if [[ $* == *-N* ]]; then
  echo "4: Test command: /bin/true \"--gtest_filter=A.B\" \"--gtest_also_run_disabled_tests\""
  echo "5: Test command: /bin/true \"--gtest_filter=A.C\""
fi'
stand_in compute-sanitizer 'echo "========= $*"
case $* in
  *racecheck*)
    echo "========= at sm90_xmma_dgrad_cudnn"
    echo "=========     Host Frame: hac::cuda::run [0x1] in test"
    [[ -z ${FAILS:-} ]] || echo "[  FAILED  ] A.B"
    exit 9 ;;
  *initcheck*) echo "========= at void hac::cuda::cast_kernel"; exit 9 ;;
esac'

run 0 # a bare machine: what cannot be built is skipped with a reason
holds 's["error"] is None and s["gpu"].startswith("NVIDIA Fake \"1\"") and len(p) == 17'
holds 'p["build"]["state"] == "ok" and "bench/gpu only" in p["build"]["note"]'
holds 'all(p[n]["state"] == "ok" and p[n]["result"] == {"part": n} for n in ("copy", "gemm"))'
holds 'p["conv"]["state"] == "skipped" and p["conv"]["note"] == "bench_kernels was not built"'
holds 'p["tests"]["state"] == "skipped" and p["pytorch"]["state"] == "skipped"'
[[ -s $work/out/cudnn_device.json ]] || fail "no device description"
grep -q 'figures of gemm' "$work/out/summary.md" || fail "summary.md holds no figures"
grep -q 'needs fmt' "$work/out/log.txt" || fail "the log does not say what was missing"

export FULL=1
BAD=gemm run 1 # a failed part; everything after it still runs
holds 'p["gemm"]["state"] == "failed" and "it | broke" in p["gemm"]["note"]'
holds 'p["gemm"]["result"] is None and p["launch"]["state"] == "ok"'
holds 'p["tests"]["state"] == "ok" and p["train"]["state"] == "ok"'
holds 'all(p[n]["result"] == {"part": n} for n in ("conv", "tune", "infer", "feed", "ranks"))'
holds 'p["memcheck"]["state"] == "ok" and p["initcheck"]["state"] == "failed"'
holds 'p["racecheck"]["state"] == "ok"' # reported of a kernel that is not ours
FAILS=1 run 1 build racecheck # a failed test is not hidden by the tool's own exit code
holds 'p["racecheck"]["state"] == "failed"'
grep -q -- '--gtest_filter=A.B:A.C' "$work/out/summary.md" || fail "the sanitizer's filter"

start=$SECONDS
HANG=copy HAC_GPU_SECONDS=9 run 1 build copy gemm # ignores its end: killed, and no time is left
((SECONDS - start <= 20)) || fail "took $((SECONDS - start)) s of 9"
holds 'list(p) == ["build", "copy", "gemm"]'
holds '"limit" in p["copy"]["note"] and p["gemm"]["note"] == "no time left"'
echo ok
