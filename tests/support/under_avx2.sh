#!/usr/bin/env bash
# Runs a program as on a machine that has AVX2 and no more. usage: under_avx2.sh PROGRAM [ARGUMENT...]
# Exit code 77 (skipped) where everything runs under AVX2 already.
if [[ -n ${DNNL_MAX_CPU_ISA:-} ]]; then
  echo "skipped: DNNL_MAX_CPU_ISA=$DNNL_MAX_CPU_ISA is what all tests run under"
  exit 77
fi
if ! grep -qsw avx512f /proc/cpuinfo; then
  echo "skipped: this processor has no AVX-512, its own instruction set is what all tests run under"
  exit 77
fi
DNNL_MAX_CPU_ISA=AVX2 exec "$@"
