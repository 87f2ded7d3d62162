// Fully connected layer by three products (cpu/library.h), for a build without oneDNN: f32 alone,
// which is all that the CPU has there.

#include "kernels/cpu/library.h"
#include "kernels/cpu/loop.h"
#include "kernels/ops/linear.h"

namespace hac {
namespace {

void require_f32(Context& ctx, const LinearSpec& s) {
  if (s.dtype != Dtype::f32) throw_unavailable(s.str(), ctx.device());
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  require_f32(ctx, s);
  cpu::multiply('N', 'T', s.n, s.out, s.in, as<float>(x), as<float>(w), 0, as<float>(y));
  if (!s.bias) return;
#pragma omp parallel for schedule(static) if (s.n * s.out > cpu::serial_elements)
  for (std::int64_t n = 0; n < s.n; ++n) {
    float* row = as<float>(y) + n * s.out;
    for (std::int64_t k = 0; k < s.out; ++k) row[k] += as<float>(bias)[k];
  }
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  require_f32(ctx, s);
  cpu::multiply('N', 'N', s.n, s.in, s.out, as<float>(dy), as<float>(w), 0, as<float>(dx));
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  require_f32(ctx, s);
  cpu::multiply('T', 'N', s.out, s.in, s.n, as<float>(dy), as<float>(x), 0, as<float>(dw));
  if (!s.bias) return;
#pragma omp parallel for schedule(static) if (s.n * s.out > cpu::serial_elements)
  for (std::int64_t k = 0; k < s.out; ++k) {
    double sum = 0;
    for (std::int64_t n = 0; n < s.n; ++n) sum += as<float>(dy)[n * s.out + k];
    as<float>(db)[k] = static_cast<float>(sum);
  }
}

}  // namespace

const LinearKernels linear_cpu{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
