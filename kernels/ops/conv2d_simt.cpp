// Plain loops where a GPU would call cuDNN, around the same own kernels. Sums in double.

#include <vector>

#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"
#include "kernels/simt/reference.h"

namespace hac {
namespace {

// Calls visit(element of x, element of the weights) for every product that makes
// y[n, i, j, k].
template <class Visit>
void for_each_product(const Conv2dSpec& s, std::int64_t n, std::int64_t i, std::int64_t j,
                      std::int64_t k, Visit visit) {
  const std::int64_t group_c = s.c / s.groups, first = k / (s.k / s.groups) * group_c;
  for (std::int64_t u = 0; u < s.r; ++u) {
    const std::int64_t row = i * s.stride + u - s.pad;
    if (row < 0 || row >= s.h) continue;
    for (std::int64_t v = 0; v < s.s; ++v) {
      const std::int64_t column = j * s.stride + v - s.pad;
      if (column < 0 || column >= s.w) continue;
      const std::int64_t x = ((n * s.h + row) * s.w + column) * s.c + first;
      const std::int64_t w = ((k * s.r + u) * s.s + v) * group_c;
      for (std::int64_t c = 0; c < group_c; ++c) visit(x + c, w + c);
    }
  }
}

template <class Visit>
void for_each_output(const Conv2dSpec& s, std::int64_t n, Visit visit) {
  for (std::int64_t i = 0; i < s.oh(); ++i)
    for (std::int64_t j = 0; j < s.ow(); ++j)
      for (std::int64_t k = 0; k < s.k; ++k)
        visit(((n * s.oh() + i) * s.ow() + j) * s.k + k, i, j, k);
}

// Runs or records it; each operand must lie in the device's memory as a whole.
template <class Run>
void submit(const Context& ctx, const Conv2dSpec& s, const void* x, const void* w, const void* bias,
            const void* residual, const void* y, Run run) {
  const Shape in = s.in_shape(), out = s.out_shape(), weights = s.weight_shape();
  simt::submit_reference(ctx, "convolution", s.dtype,
                         {{x, in.numel(), s.dtype},
                          {w, weights.numel(), s.dtype},
                          {bias, s.k, s.dtype},
                          {residual, out.numel(), s.dtype},
                          {y, out.numel(), s.dtype}},
                         run);
}

void convolve(const Context& ctx, const Conv2dSpec& s, const void* x, const void* weights,
              const void* bias, const void* residual, void* y) {
  submit(ctx, s, x, weights, bias, residual, y, [=](auto t) {
    using T = decltype(t);
    const T *in = static_cast<const T*>(x), *w = static_cast<const T*>(weights);
    const T* other = static_cast<const T*>(residual);
    const T* b = static_cast<const T*>(bias);
    T* out = static_cast<T*>(y);
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < s.n; ++n) {
      for_each_output(s, n, [&](auto at, auto i, auto j, auto k) {
        double sum = b ? to_float(b[k]) : 0;
        for_each_product(s, n, i, j, k, [&](auto from, auto weight) {
          sum += static_cast<double>(to_float(in[from])) * to_float(w[weight]);
        });
        if (other) sum += to_float(other[at]);
        out[at] = from_float<T>(activate(s.activation, static_cast<float>(sum)));
      });
    }
  });
}

void forward(Context& ctx, const Conv2dSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  convolve(ctx, s, x, w, s.bias ? bias : nullptr, nullptr, y);
}

void backward_data(Context& ctx, const Conv2dSpec& s, const void* dy, const void* w, void* dx) {
  submit(ctx, s, dx, w, nullptr, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *grad = static_cast<const T*>(dy), *weights = static_cast<const T*>(w);
    T* out = static_cast<T*>(dx);
    const std::int64_t image = s.h * s.w * s.c;
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < s.n; ++n) {
      std::vector<double> sums(image, 0.0);
      for_each_output(s, n, [&](auto at, auto i, auto j, auto k) {
        const double g = to_float(grad[at]);
        for_each_product(s, n, i, j, k, [&](auto to, auto weight) {
          sums[to - n * image] += g * to_float(weights[weight]);
        });
      });
      for (std::int64_t e = 0; e < image; ++e) {
        out[n * image + e] = from_float<T>(static_cast<float>(sums[e]));
      }
    }
  });
}

void correlate(const Context& ctx, const Conv2dSpec& s, const void* x, const void* dy, void* dw) {
  const std::int64_t each = s.c / s.groups * s.r * s.s;
  submit(ctx, s, x, dw, nullptr, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *in = static_cast<const T*>(x), *grad = static_cast<const T*>(dy);
    T* out = static_cast<T*>(dw);
#pragma omp parallel for schedule(static)
    for (std::int64_t k = 0; k < s.k; ++k) {
      std::vector<double> sums(each, 0.0);
      for (std::int64_t n = 0; n < s.n; ++n)
        for (std::int64_t i = 0; i < s.oh(); ++i)
          for (std::int64_t j = 0; j < s.ow(); ++j) {
            const double g = to_float(grad[((n * s.oh() + i) * s.ow() + j) * s.k + k]);
            for_each_product(s, n, i, j, k, [&](auto from, auto weight) {
              sums[weight - k * each] += g * to_float(in[from]);
            });
          }
      for (std::int64_t e = 0; e < each; ++e) {
        out[k * each + e] = from_float<T>(static_cast<float>(sums[e]));
      }
    }
  });
}

void backward_weights(Context& ctx, const Conv2dSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  correlate(ctx, s, x, dy, dw);
  if (db) bias_gradient_simt.apply(ctx, s.dtype, s.n * s.oh() * s.ow(), s.k, dy, db);
}

// Packed for inference: weights and behind them the bias, in the activations' type.
std::size_t bias_at(const Conv2dSpec& s) {
  return round_up(s.weight_shape().numel() * static_cast<std::int64_t>(size_of(s.dtype)), 64);
}

std::size_t packed_bytes(Context&, const Conv2dSpec& s) {
  return bias_at(s) + (s.bias ? s.k * size_of(s.dtype) : 0);
}

void copy_rounded(Context& ctx, Dtype to, std::int64_t n, const void* x, void* y) {
  if (to == Dtype::f32) return ctx.runtime().copy(ctx, y, x, n * sizeof(float));
  cast_simt.apply(ctx, {.to = to, .elements = n}, x, y);
}

void pack(Context& ctx, const Conv2dSpec& s, const void* w, const void* bias, void* packed) {
  copy_rounded(ctx, s.dtype, s.weight_shape().numel(), w, packed);
  if (s.bias) copy_rounded(ctx, s.dtype, s.k, bias, static_cast<char*>(packed) + bias_at(s));
}

void inference(Context& ctx, const Conv2dSpec& s, const void* x, const void* packed,
               const void* residual, void* y) {
  const void* bias = s.bias ? static_cast<const char*>(packed) + bias_at(s) : nullptr;
  convolve(ctx, s, x, packed, bias, s.add ? residual : nullptr, y);
}

std::string implementation(Context&, const Conv2dSpec&) { return "reference loops"; }

}  // namespace

const Conv2dKernels conv2d_simt{.forward = forward,
                                .backward_data = backward_data,
                                .backward_weights = backward_weights,
                                .packed_bytes = packed_bytes,
                                .pack = pack,
                                .inference = inference,
                                .implementation = implementation};

}  // namespace hac
