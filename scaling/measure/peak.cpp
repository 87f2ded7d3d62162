#include "scaling/measure/peak.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"

namespace hac {
namespace {

// The same few random rows again and again: products of zeros would run faster than real ones, and
// only so few are made on the host.
Tensor random_matrix(Device device, std::int64_t rows, std::int64_t columns, Dtype dtype) {
  const std::int64_t some = std::min<std::int64_t>(rows, 256);
  const Tensor block = Tensor::empty({some, columns}, Dtype::f32, device);
  fill_normal(block, 1, "peak", 1);
  const Tensor rounded = block.cast(dtype);
  Tensor matrix = Tensor::empty({rows, columns}, dtype, device);
  for (std::int64_t at = 0; at < rows; at += some) {
    const std::int64_t n = std::min(some, rows - at);
    matrix.slice(at, at + n).copy_from(rounded.slice(0, n));
  }
  return matrix;
}

}  // namespace

double measure_linear_gmacs(Device device, const LinearSpec& spec, int rounds) {
  const Tensor x = random_matrix(device, spec.n, spec.in, spec.dtype);
  const Tensor w = random_matrix(device, spec.out, spec.in, spec.dtype);
  const Tensor y = Tensor::empty(spec.out_shape(), spec.dtype, device);
  Context& context = Context::current(device);
  const double ms = event_ms(context, 3, rounds, [&] {
    linear_kernels.run(&LinearKernels::forward, device, spec, x.data(), w.data(), nullptr,
                       y.data());
  });
  return static_cast<double>(spec.cost().macs) * 1e-6 / ms;
}

std::optional<Ceiling> bandwidth_if_free() {
  try {
    return measure_bandwidth_gbs();
  } catch (const OutOfMemory&) {
    return std::nullopt;
  }
}

Peak measure_peak(Device device, Dtype dtype) {
  switch (device.kind) {
    case DeviceKind::simt:
      return {.of = "none: simt executes kernels on the host for checking only"};
    case DeviceKind::cpu: {
      const Ceiling ceiling = measure_peak_gmacs({}, dtype);
      return {.gmacs_per_s = ceiling.rate,
              .of = fmt::format("{} multiply-adds in {} registers, {} threads", name_of(dtype),
                                this_machine().isa, num_threads()),
              .steady = ceiling.steady};
    }
    case DeviceKind::cuda:
      break;
  }
  LinearSpec spec{.dtype = dtype, .n = 32768, .in = 4096, .out = 4096, .bias = false};
  for (;;) {
    try {
      return {.gmacs_per_s = measure_linear_gmacs(device, spec),
              .of = fmt::format("{} on {}", spec.str(), to_string(device))};
    } catch (const OutOfMemory&) {  // a small device is busy enough with fewer rows
      if (spec.n <= 1024) throw;
    }
    spec.n /= 2;
  }
}

}  // namespace hac
