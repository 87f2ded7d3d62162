#!/usr/bin/env bash
# Runs the kernels' tests, on the CPU and under simt, with AddressSanitizer and UBSan.
# usage: tools/test_sanitized.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh test
targets=(test_simt test_simt_checks test_half test_devices test_sgd test_optim_clip test_optim_kinds
  test_tensor test_autograd test_conv_algorithms test_conv_choice test_columns test_rounded_gradients
  test_planned_steps)
for source in tests/kernels/test_ops_*.cpp; do targets+=("$(basename "$source" .cpp)"); done
cmake --preset sanitize -DHAC_TESTS=ON
cmake --build --preset sanitize --target "${targets[@]}"
filter=$(IFS='|'; echo "${targets[*]}")
ctest --preset sanitize -L "^($filter)(:gpu)?\$" "$@"
