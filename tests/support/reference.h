#pragma once
// Every op once more, in double and as naively as its formula reads: what the kernels are tested
// against. Finite differences prove the backwards here (tests/support/op_test.h).

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/gate.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/pool2d.h"
#include "kernels/ops/softmax_xent.h"

namespace hac::reference {

using Doubles = std::vector<double>;

// Calls f(y index, x index, w index, k) for every multiplication of the convolution.
template <class F>
void for_each_tap(const Conv2dSpec& s, F f) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups, oh = s.oh(), ow = s.ow();
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t k = 0; k < s.k; ++k)
      for (std::int64_t i = 0; i < oh; ++i)
        for (std::int64_t j = 0; j < ow; ++j)
          for (std::int64_t c = 0; c < cg; ++c)
            for (std::int64_t u = 0; u < s.r; ++u)
              for (std::int64_t v = 0; v < s.s; ++v) {
                const std::int64_t h = i * s.stride + u - s.pad, w = j * s.stride + v - s.pad;
                if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
                f(((n * s.k + k) * oh + i) * ow + j,
                  ((n * s.c + k / kg * cg + c) * s.h + h) * s.w + w,
                  ((k * cg + c) * s.r + u) * s.s + v);
              }
}

// in = {x, w} or {x, w, bias}, as the other ops take theirs in the order of engine/autograd/ops.h.
inline Doubles conv2d(const Conv2dSpec& s, const std::vector<Doubles>& in) {
  const std::int64_t plane = s.oh() * s.ow();
  Doubles y(s.out_shape().numel());
  if (s.bias)
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = in[2][i / plane % s.k];
  for_each_tap(s, [&](auto yi, auto xi, auto wi) { y[yi] += in[0][xi] * in[1][wi]; });
  return y;
}

inline std::vector<Doubles> conv2d_backward(const Conv2dSpec& s, const std::vector<Doubles>& in,
                                            const Doubles& dy) {
  Doubles dx(in[0].size()), dw(in[1].size());
  for_each_tap(s, [&](auto yi, auto xi, auto wi) {
    dx[xi] += dy[yi] * in[1][wi];
    dw[wi] += dy[yi] * in[0][xi];
  });
  if (!s.bias) return {dx, dw};
  Doubles db(s.k);
  const std::int64_t plane = s.oh() * s.ow();
  for (std::size_t i = 0; i < dy.size(); ++i) db[i / plane % s.k] += dy[i];
  return {dx, dw, db};
}

struct Statistics {
  Doubles mean, var;  // biased
};

inline Statistics batch_statistics(const BatchNormSpec& s, const Doubles& x) {
  const std::int64_t plane = s.h * s.w;
  const double m = static_cast<double>(s.n * plane);
  Statistics result{Doubles(s.c), Doubles(s.c)};
  const auto channel = [&](std::size_t i) { return i / plane % s.c; };
  for (std::size_t i = 0; i < x.size(); ++i) result.mean[channel(i)] += x[i] / m;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - result.mean[channel(i)];
    result.var[channel(i)] += d * d / m;
  }
  return result;
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double activate(Activation a, double x) {
  if (a == Activation::relu) return std::max(x, 0.);
  if (a == Activation::relu6) return std::min(std::max(x, 0.), 6.);
  return a == Activation::silu ? x * sigmoid(x) : x;
}

inline double activation_slope(Activation a, double x) {
  if (a == Activation::relu) return x > 0;
  if (a == Activation::relu6) return x > 0 && x < 6;
  return a == Activation::silu ? sigmoid(x) * (1 + x * (1 - sigmoid(x))) : 1;
}

// in = {x, g}
inline Doubles gate(const GateSpec& s, const std::vector<Doubles>& in) {
  Doubles y = in[0];
  for (std::size_t i = 0; i < y.size(); ++i) y[i] *= sigmoid(in[1][i / (s.h * s.w)]);
  return y;
}

inline std::vector<Doubles> gate_backward(const GateSpec& s, const std::vector<Doubles>& in,
                                          const Doubles& dy) {
  Doubles dx = dy, dg(in[1].size());
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const std::size_t channel = i / (s.h * s.w);
    const double open = sigmoid(in[1][channel]);
    dx[i] *= open;
    dg[channel] += dy[i] * in[0][i] * open * (1 - open);
  }
  return {dx, dg};
}

// What is activated. in = {x, gamma, beta} or {x, gamma, beta, residual}
inline Doubles before_activation(const BatchNormSpec& s, const std::vector<Doubles>& in,
                                 const Statistics& t) {
  Doubles y(in[0].size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t c = i / (s.h * s.w) % s.c;
    const double xhat = (in[0][i] - t.mean[c]) / std::sqrt(t.var[c] + double{s.eps});
    y[i] = in[1][c] * xhat + in[2][c] + (s.add ? in[3][i] : 0);
  }
  return y;
}

inline Doubles normalized(const BatchNormSpec& s, const std::vector<Doubles>& in,
                          const Statistics& t) {
  Doubles y = before_activation(s, in, t);
  for (double& v : y) v = activate(s.activation, v);
  return y;
}

inline Doubles batch_norm(const BatchNormSpec& s, const std::vector<Doubles>& in) {
  return normalized(s, in, batch_statistics(s, in[0]));
}

inline std::vector<Doubles> batch_norm_backward(const BatchNormSpec& s,
                                                const std::vector<Doubles>& in, const Doubles& dy) {
  const Statistics t = batch_statistics(s, in[0]);
  const Doubles z = before_activation(s, in, t);
  const double m = static_cast<double>(s.n * s.h * s.w);
  Doubles dz = dy, xhat(z.size()), dx(z.size()), dgamma(s.c), dbeta(s.c);
  const auto channel = [&](std::size_t i) { return i / (s.h * s.w) % s.c; };
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t c = channel(i);
    dz[i] *= activation_slope(s.activation, z[i]);
    xhat[i] = (in[0][i] - t.mean[c]) / std::sqrt(t.var[c] + double{s.eps});
    dbeta[c] += dz[i];
    dgamma[c] += dz[i] * xhat[i];
  }
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t c = channel(i);
    dx[i] = in[1][c] / std::sqrt(t.var[c] + double{s.eps}) *
            (dz[i] - dbeta[c] / m - xhat[i] * dgamma[c] / m);
  }
  if (s.add) return {dx, dgamma, dbeta, dz};
  return {dx, dgamma, dbeta};
}

// Calls f(y index, x index) for every element of every window, in row order.
template <class F>
void for_each_in_window(const Pool2dSpec& s, F f) {
  const bool global = s.mode == PoolMode::global_avg;
  const std::int64_t kh = global ? s.h : s.kernel, kw = global ? s.w : s.kernel;
  const std::int64_t stride = global ? 1 : s.stride, pad = global ? 0 : s.pad;
  for (std::int64_t nc = 0; nc < s.n * s.c; ++nc)
    for (std::int64_t i = 0; i < s.oh(); ++i)
      for (std::int64_t j = 0; j < s.ow(); ++j)
        for (std::int64_t u = 0; u < kh; ++u)
          for (std::int64_t v = 0; v < kw; ++v) {
            const std::int64_t h = i * stride + u - pad, w = j * stride + v - pad;
            if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
            f((nc * s.oh() + i) * s.ow() + j, (nc * s.h + h) * s.w + w);
          }
}

inline double window_size(const Pool2dSpec& s) {
  return static_cast<double>(s.mode == PoolMode::global_avg ? s.h * s.w : s.kernel * s.kernel);
}

inline Doubles pool2d(const Pool2dSpec& s, const std::vector<Doubles>& in) {
  const bool max = s.mode == PoolMode::max;
  Doubles y(s.out_shape().numel(), max ? -std::numeric_limits<double>::infinity() : 0.);
  for_each_in_window(s, [&](auto yi, auto xi) {
    y[yi] = max ? std::max(y[yi], in[0][xi]) : y[yi] + in[0][xi] / window_size(s);
  });
  return y;
}

inline std::vector<Doubles> pool2d_backward(const Pool2dSpec& s, const std::vector<Doubles>& in,
                                            const Doubles& dy) {
  Doubles dx(in[0].size());
  if (s.mode != PoolMode::max) {
    for_each_in_window(s, [&](auto yi, auto xi) { dx[xi] += dy[yi] / window_size(s); });
    return {dx};
  }
  std::vector<std::int64_t> first(dy.size(), -1);
  for_each_in_window(s, [&](auto yi, auto xi) {
    if (first[yi] < 0 || in[0][xi] > in[0][first[yi]]) first[yi] = xi;
  });
  for (std::size_t i = 0; i < dy.size(); ++i) dx[first[i]] += dy[i];
  return {dx};
}

// in = {x, w} or {x, w, bias}
inline Doubles linear(const LinearSpec& s, const std::vector<Doubles>& in) {
  Doubles y(s.n * s.out);
  for (std::int64_t i = 0; i < s.n; ++i)
    for (std::int64_t o = 0; o < s.out; ++o) {
      double sum = s.bias ? in[2][o] : 0;
      for (std::int64_t c = 0; c < s.in; ++c) sum += in[0][i * s.in + c] * in[1][o * s.in + c];
      y[i * s.out + o] = sum;
    }
  return y;
}

inline std::vector<Doubles> linear_backward(const LinearSpec& s, const std::vector<Doubles>& in,
                                            const Doubles& dy) {
  Doubles dx(in[0].size()), dw(in[1].size()), db(s.out);
  for (std::int64_t i = 0; i < s.n; ++i)
    for (std::int64_t o = 0; o < s.out; ++o) {
      const double g = dy[i * s.out + o];
      db[o] += g;
      for (std::int64_t c = 0; c < s.in; ++c) {
        dx[i * s.in + c] += g * in[1][o * s.in + c];
        dw[o * s.in + c] += g * in[0][i * s.in + c];
      }
    }
  if (s.bias) return {dx, dw, db};
  return {dx, dw};
}

inline Doubles softmax(const SoftmaxXentSpec& s, const Doubles& x) {
  Doubles p(x.size());
  for (std::int64_t i = 0; i < s.n; ++i) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j) top = std::max(top, x[j]);
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j)
      sum += p[j] = std::exp(x[j] - top);
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j) p[j] /= sum;
  }
  return p;
}

// target: (n, classes) probabilities before smoothing; a label is a one-hot row.
inline double target_of(const SoftmaxXentSpec& s, double t) {
  const double smoothing = s.smoothing;
  return (1 - smoothing) * t + smoothing / static_cast<double>(s.classes);
}

inline Doubles softmax_xent(const SoftmaxXentSpec& s, const Doubles& x, const Doubles& target) {
  double loss = 0;
  for (std::int64_t i = 0; i < s.n; ++i) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j) top = std::max(top, x[j]);
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j) sum += std::exp(x[j] - top);
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j)
      loss -= target_of(s, target[j]) * (x[j] - top - std::log(sum));
  }
  return {loss / static_cast<double>(s.n)};
}

inline Doubles softmax_xent_backward(const SoftmaxXentSpec& s, const Doubles& x,
                                     const Doubles& target, double dloss) {
  Doubles dx = softmax(s, x);
  for (std::int64_t i = 0; i < s.n; ++i) {
    double mass = 0;
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j)
      mass += target_of(s, target[j]);
    for (std::int64_t j = i * s.classes; j < (i + 1) * s.classes; ++j)
      dx[j] = (dx[j] * mass - target_of(s, target[j])) * dloss / static_cast<double>(s.n);
  }
  return dx;
}

}  // namespace hac::reference
