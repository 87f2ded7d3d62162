#!/usr/bin/env bash
# Processors that this machine is not, by qemu's emulation: one below the floor is refused with one
# line, and on one with AVX2 and no AVX-512 a training and the given tests run.
# usage: isa_floor.sh HACSCALE TEST...      exit 77: skipped
set -uo pipefail
hacscale=$1
shift
[[ $(uname -m) == x86_64 ]] || { echo "skipped: not x86-64"; exit 77; }
command -v qemu-x86_64 >/dev/null || { echo "skipped: no qemu-x86_64 (apt-get install qemu-user)"; exit 77; }
# Set, so that the program does not execute itself again to set it, which qemu would hand to the
# real processor.
export GOMP_SPINCOUNT=2000
failed=0
fail() { echo "FAILED: $*"; failed=1; }

# qemu warns about features that it does not emulate.
as_cpu() { qemu-x86_64 -cpu "$1" "${@:2}" 2> >(grep -v '^qemu-x86_64: warning' >&2); }

said=$(as_cpu Nehalem "$hacscale" summary resnet20 2>&1)
code=$?
[[ $code == 3 ]] || fail "below the floor: exit code $code, expected 3"
[[ $(wc -l <<<"$said") == 1 && $said == *x86-64-v3* ]] || fail "below the floor, expected one line: $said"

said=$(DNNL_MAX_CPU_ISA=SSE41 "$hacscale" profile resnet20 --runs 1 2>&1)
code=$?
[[ $code == 3 && $said == *DNNL_MAX_CPU_ISA=SSE41* ]] || fail "lowered below AVX2: exit code $code, $said"

said=$(as_cpu Haswell "$hacscale" train resnet20 --width 0.25 --data synthetic --limit-train 20 \
  --limit-test 10 --batch 10 --epochs 1 2>&1)
code=$?
[[ $code == 0 && $said == *", avx2, oneDNN"* ]] || fail "a training on a Haswell: exit code $code, $said"
for test in "$@"; do
  OMP_NUM_THREADS=2 as_cpu Haswell "$test" --gtest_brief=1 || fail "$test on a Haswell"
done
exit $failed
