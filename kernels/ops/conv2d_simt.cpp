// Plain loops where a GPU would call cuDNN, around the same own kernels. Sums in double.

#include <vector>

#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/simt/record.h"

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
  const auto operand = [&](const void* p, std::int64_t elements) {
    return simt::Operand{p, p ? elements * size_of(s.dtype) : 0};
  };
  const std::int64_t in = s.in_shape().numel(), out = s.out_shape().numel();
  simt::submit(ctx, "convolution",
               {operand(x, in), operand(w, s.weight_shape().numel()), operand(bias, s.k),
                operand(residual, out), operand(y, out)},
               [=] { by_dtype(s.dtype, run); });
}

void convolve(const Context& ctx, const Conv2dSpec& s, const void* x, const void* weights,
              const void* bias, const void* residual, void* y) {
  submit(ctx, s, x, weights, bias, residual, y, [=](auto t) {
    using T = decltype(t);
    const T *in = as<T>(x), *w = as<T>(weights);
    const T* other = as<T>(residual);
    const T* b = as<T>(bias);
    T* out = as<T>(y);
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

void data_gradient(const Context& ctx, const Conv2dSpec& s, const void* dy, const void* w,
                   const void* dx) {
  submit(ctx, s, dx, w, nullptr, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *grad = as<T>(dy), *weights = as<T>(w);
    T* out = as<T>(const_cast<void*>(dx));
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

void weight_gradient(const Context& ctx, const Conv2dSpec& s, const void* x, const void* dy,
                     const void* dw) {
  const std::int64_t each = s.c / s.groups * s.r * s.s;
  submit(ctx, s, x, dw, nullptr, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *in = as<T>(x), *grad = as<T>(dy);
    T* out = as<T>(const_cast<void*>(dw));
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

// The operands as a GPU's convolutions take them.
template <class Run>
void padded(Context& ctx, const Conv2dSpec& s, Pass pass, const void* x, const void* w, Run run) {
  in_padded_channels(ctx, s, pass, x, w, 0,
                     [&](const Conv2dSpec& spec, const void* wide_x, const void* wide_w, void*) {
                       run(spec, wide_x, wide_w);
                     });
}

void forward(Context& ctx, const Conv2dSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  padded(ctx, s, Pass::forward, x, w, [&](const auto& spec, auto in, auto weights) {
    convolve(ctx, spec, in, weights, s.bias ? bias : nullptr, nullptr, y);
  });
}

void backward_data(Context& ctx, const Conv2dSpec& s, const void* dy, const void* w, void* dx) {
  padded(ctx, s, Pass::backward_data, dx, w, [&](const auto& spec, auto out, auto weights) {
    data_gradient(ctx, spec, dy, weights, out);
  });
}

void backward_weights(Context& ctx, const Conv2dSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  padded(ctx, s, Pass::backward_weights, x, dw,
         [&](const auto& spec, auto in, auto out) { weight_gradient(ctx, spec, in, dy, out); });
  if (db) bias_gradient_simt.apply(ctx, s.dtype, s.n * s.oh() * s.ow(), s.k, dy, db);
}

void inference(Context& ctx, const Conv2dSpec& s, const void* x, const void* packed,
               const void* residual, void* y) {
  const void* bias = s.bias ? as<char>(packed) + packed::bias_at(s) : nullptr;
  padded(ctx, s, Pass::inference, x, packed, [&](const auto& spec, auto in, auto weights) {
    convolve(ctx, spec, in, weights, bias, s.add ? residual : nullptr, y);
  });
}

ConvImplementation implementation(Context&, const Conv2dSpec& s) {
  return {"reference loops", s.cost().macs};
}

}  // namespace

const Conv2dKernels conv2d_simt{.forward = forward,
                                .backward_data = backward_data,
                                .backward_weights = backward_weights,
                                .packed_bytes = packed::bytes,
                                .pack = packed::pack,
                                .inference = inference,
                                .implementation = implementation};

}  // namespace hac
