// Plain loops where a GPU would call cuBLASLt, around the same own kernels. Sums in double.

#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/linear.h"
#include "kernels/simt/reference.h"

namespace hac {
namespace {

// c[i, j] = sum over k of a(i, k) b(k, j); a and b are given as functions.
template <class A, class B, class Store>
void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, A a, B b, Store store) {
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < inner; ++k) sum += static_cast<double>(a(i, k)) * b(k, j);
      store(i * columns + j, sum);
    }
  }
}

// Runs or records it; each operand must lie in the device's memory as a whole.
template <class Run>
void submit(const Context& ctx, const LinearSpec& s, const void* x, const void* w, Dtype weights,
            const void* bias, const void* y, Run run) {
  simt::submit_reference(ctx, "linear", s.dtype,
                         {{x, s.n * s.in, s.dtype},
                          {w, s.out * s.in, weights},
                          {bias, s.out, s.dtype},
                          {y, s.n * s.out, s.dtype}},
                         run);
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  const void* added = s.bias ? bias : nullptr;
  submit(ctx, s, x, w, s.dtype, added, y, [=](auto t) {
    using T = decltype(t);
    const T *in = static_cast<const T*>(x), *weights = static_cast<const T*>(w);
    const T* b = static_cast<const T*>(added);
    multiply(
        s.n, s.out, s.in, [&](auto i, auto k) { return to_float(in[i * s.in + k]); },
        [&](auto k, auto j) { return to_float(weights[j * s.in + k]); },
        [&](auto at, double v) {
          static_cast<T*>(y)[at] =
              from_float<T>(static_cast<float>(b ? v + to_float(b[at % s.out]) : v));
        });
  });
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  submit(ctx, s, dx, w, s.dtype, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *grad = static_cast<const T*>(dy), *weights = static_cast<const T*>(w);
    multiply(
        s.n, s.in, s.out, [&](auto i, auto k) { return to_float(grad[i * s.out + k]); },
        [&](auto k, auto j) { return to_float(weights[k * s.in + j]); },
        [&](auto at, double v) { static_cast<T*>(dx)[at] = from_float<T>(static_cast<float>(v)); });
  });
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  submit(ctx, s, x, dw, Dtype::f32, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    const T *in = static_cast<const T*>(x), *grad = static_cast<const T*>(dy);
    multiply(
        s.out, s.in, s.n, [&](auto i, auto k) { return to_float(grad[k * s.out + i]); },
        [&](auto k, auto j) { return to_float(in[k * s.in + j]); },
        [&](auto at, double v) { static_cast<float*>(dw)[at] = static_cast<float>(v); });
  });
  if (db) bias_gradient_simt.apply(ctx, s.dtype, s.n, s.out, dy, db);
}

}  // namespace

const LinearKernels linear_simt{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
