// Plain loops where a GPU would call cuBLASLt, around the same own kernels. Sums in double.

#include "kernels/core/half.h"
#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/linear.h"
#include "kernels/simt/record.h"

namespace hac {
namespace {

// Element (i, j) is data[i * row + j * column].
template <class T>
struct Matrix {
  const T* data;
  std::int64_t row, column;
  double operator()(std::int64_t i, std::int64_t j) const {
    return to_float(data[i * row + j * column]);
  }
};

// out (rows, columns) = a (rows, inner) b (inner, columns) + bias, if there is one.
template <class T, class Out>
void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, Matrix<T> a, Matrix<T> b,
              const T* bias, Out* out) {
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < inner; ++k) sum += a(i, k) * b(k, j);
      if (bias) sum += to_float(bias[j]);
      out[i * columns + j] = from_float<Out>(static_cast<float>(sum));
    }
  }
}

// Runs or records it; each operand must lie in the device's memory as a whole.
template <class Run>
void submit(const Context& ctx, const LinearSpec& s, const void* x, const void* w, Dtype weights,
            const void* bias, const void* y, Run run) {
  const std::size_t each = size_of(s.dtype);
  simt::submit(ctx, "linear",
               {{x, each * s.n * s.in},
                {w, size_of(weights) * s.out * s.in},
                {bias, bias ? each * s.out : 0},
                {y, each * s.n * s.out}},
               [=] { by_dtype(s.dtype, run); });
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  const void* added = s.bias ? bias : nullptr;
  submit(ctx, s, x, w, s.dtype, added, y, [=](auto t) {
    using T = decltype(t);
    multiply<T, T>(s.n, s.out, s.in, {as<T>(x), s.in, 1}, {as<T>(w), 1, s.in}, as<T>(added),
                   as<T>(y));
  });
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  submit(ctx, s, dx, w, s.dtype, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    multiply<T, T>(s.n, s.in, s.out, {as<T>(dy), s.out, 1}, {as<T>(w), s.in, 1}, nullptr,
                   as<T>(dx));
  });
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  submit(ctx, s, x, dw, Dtype::f32, nullptr, dy, [=](auto t) {
    using T = decltype(t);
    multiply<T, float>(s.out, s.in, s.n, {as<T>(dy), 1, s.out}, {as<T>(x), s.in, 1}, nullptr,
                       as<float>(dw));
  });
  if (db) bias_gradient_simt.apply(ctx, s.dtype, s.n, s.out, dy, db);
}

}  // namespace

const LinearKernels linear_simt{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
