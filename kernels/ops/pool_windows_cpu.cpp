#include "kernels/ops/pool_windows_cpu.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/loop.h"

namespace hac::cpu {
namespace {

// Rows u and columns v of a window that lie inside the image, which begins at (y, x).
struct Window {
  std::int64_t y, x, first_u, last_u, first_v, last_v;
};

struct Side {
  std::int64_t kernel, stride, pad, size;
  std::int64_t begin(std::int64_t i) const { return i * stride - pad; }
  std::int64_t first(std::int64_t i) const { return std::max<std::int64_t>(0, -begin(i)); }
  std::int64_t last(std::int64_t i) const { return std::min(kernel, size - begin(i)); }
};

struct Sides {
  explicit Sides(const Pool2dSpec& s) {
    const bool global = s.mode == PoolMode::global_avg;
    rows = global ? Side{s.h, 1, 0, s.h} : Side{s.kernel, s.stride, s.pad, s.h};
    columns = global ? Side{s.w, 1, 0, s.w} : Side{s.kernel, s.stride, s.pad, s.w};
  }
  Window at(std::int64_t i, std::int64_t j) const {
    return {rows.begin(i), columns.begin(j), rows.first(i),
            rows.last(i),  columns.first(j), columns.last(j)};
  }
  Side rows, columns;
};

// run(place in the window, the pixel's place in the plane) for its pixels, in row order.
template <class Run>
void for_each_pixel(const Window& k, std::int64_t kernel_w, std::int64_t w, Run run) {
  for (std::int64_t u = k.first_u; u < k.last_u; ++u) {
    for (std::int64_t v = k.first_v; v < k.last_v; ++v) {
      run(static_cast<std::int32_t>(u * kernel_w + v), (k.y + u) * w + k.x + v);
    }
  }
}

// The B channels of one output. place: of the first maximum in its window; may be null.
template <int B>
void largest(const Window& k, std::int64_t kernel_w, std::int64_t w, const float* x, float* y,
             std::int32_t* place) {
  float best[B];
  std::int32_t at[B];
  std::fill_n(best, B, -std::numeric_limits<float>::infinity());
  std::fill_n(at, B, static_cast<std::int32_t>(k.first_u * kernel_w + k.first_v));
  for_each_pixel(k, kernel_w, w, [&](std::int32_t here, std::int64_t pixel) {
    for (int l = 0; l < B; ++l) {
      const bool larger = x[pixel * B + l] > best[l];
      best[l] = larger ? x[pixel * B + l] : best[l];
      at[l] = larger ? here : at[l];
    }
  });
  std::copy_n(best, B, y);
  if (place) std::copy_n(at, B, place);
}

template <int B>
void mean(const Window& k, const Sides& sides, std::int64_t w, const float* x, float* y) {
  float sum[B] = {};
  for_each_pixel(k, sides.columns.kernel, w, [&](std::int32_t, std::int64_t pixel) {
    for (int l = 0; l < B; ++l) sum[l] += x[pixel * B + l];
  });
  const float share = 1.f / static_cast<float>(sides.rows.kernel * sides.columns.kernel);
  for (int l = 0; l < B; ++l) y[l] = sum[l] * share;
}

// run(plane, row, column, the output's place) for all outputs, planes on threads of their own.
template <int B, class Run>
void for_each_output(const Pool2dSpec& s, const Planes& v, Run run) {
  const std::int64_t planes = v.n * v.padded / B, oh = s.oh(), ow = s.ow();
#pragma omp parallel for schedule(static) if (planes * s.h * s.w * B > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    for (std::int64_t i = 0; i < oh; ++i) {
      for (std::int64_t j = 0; j < ow; ++j) run(p, i, j, (p * oh + i) * ow + j);
    }
  }
}

void require_f32(Context& ctx, const Pool2dSpec& s) {
  s.validate();
  if (s.dtype != Dtype::f32) throw_unavailable(s.str(), ctx.device());
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  require_f32(ctx, s);
  const Planes planes(layout_of({}, s.in_shape()), s.in_shape());
  const Sides sides(s);
  by_block(planes, [&](auto block) {
    constexpr int B = block.value;
    for_each_output<B>(s, planes,
                       [&](std::int64_t p, std::int64_t i, std::int64_t j, std::int64_t out) {
                         const float* plane = as<float>(x) + p * s.h * s.w * B;
                         float* to = as<float>(y) + out * B;
                         if (s.mode != PoolMode::max)
                           return mean<B>(sides.at(i, j), sides, s.w, plane, to);
                         std::int32_t* place = index ? as<std::int32_t>(index) + out * B : nullptr;
                         largest<B>(sides.at(i, j), s.kernel, s.w, plane, to, place);
                       });
  });
}

std::size_t index_bytes(Context&, const Pool2dSpec& s) {
  if (s.mode != PoolMode::max) return 0;
  return storage_elements(layout_of({}, s.out_shape()), s.out_shape()) * sizeof(std::int32_t);
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  require_f32(ctx, s);
  const Shape shape = s.in_shape();
  const Planes planes(layout_of({}, shape), shape);
  const Sides sides(s);
  std::fill_n(as<float>(dx), storage_elements(layout_of({}, shape), shape), 0.f);
  const float share = 1.f / static_cast<float>(sides.rows.kernel * sides.columns.kernel);
  by_block(planes, [&](auto block) {
    constexpr int B = block.value;
    for_each_output<B>(
        s, planes, [&](std::int64_t p, std::int64_t i, std::int64_t j, std::int64_t out) {
          float* plane = as<float>(dx) + p * s.h * s.w * B;
          const float* from = as<float>(dy) + out * B;
          const Window k = sides.at(i, j);
          if (s.mode != PoolMode::max) {
            return for_each_pixel(k, sides.columns.kernel, s.w,
                                  [&](std::int32_t, std::int64_t pixel) {
                                    for (int l = 0; l < B; ++l)
                                      plane[pixel * B + l] += from[l] * share;
                                  });
          }
          for (int l = 0; l < B; ++l) {
            const std::int32_t place = as<std::int32_t>(index)[out * B + l];
            const std::int64_t row = k.y + place / s.kernel, column = k.x + place % s.kernel;
            plane[(row * s.w + column) * B + l] += from[l];
          }
        });
  });
}

}  // namespace

HAC_CPU_TABLE(Pool2dKernels, pool_windows,
              {.forward = forward, .index_bytes = index_bytes, .backward = backward})

}  // namespace hac::cpu
