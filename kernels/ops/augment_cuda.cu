// One thread a vector of 16 bytes of the batch, or one element where images are resized. Both
// passes of the resize are one: a thread adds the inner sums that it needs itself, in the order of
// data/image/resize.cpp, and saves the round trip through memory. The bytes that neighbours share
// come from the cache.

#include "kernels/ops/augment.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

// One image of the set as the augmentation leaves it.
struct Source {
  const std::uint8_t* pixels;
  std::int64_t native;
  Augmentation how;
  std::int64_t c = 0;
  float scale = 1, shift = 0;

  __device__ float operator()(std::int64_t y, std::int64_t x) const {
    const std::int64_t row = y + how.dy, column = (how.mirror ? native - 1 - x : x) + how.dx;
    const bool inside = row >= 0 && row < native && column >= 0 && column < native;
    if (!inside) return shift;
    return fmaf(load(pixels + (c * native + row) * native + column), scale, shift);
  }
};

struct Table {
  const std::int32_t* start;
  const float* weight;
  std::int64_t taps, count;

  // sum_t weight[t, i] value(start[i] + t)
  template <class F>
  __device__ float sum(std::int64_t i, F value) const {
    const std::int64_t from = load(start + i);
    float total = load(weight + i) * value(from);
    for (std::int64_t t = 1; t < taps; ++t) {
      total = fmaf(load(weight + t * count + i), value(from + t), total);
    }
    return total;
  }
};

// The smaller image first, as the CPU has it.
__device__ inline float resized(const Source& p, const Table& table, std::int64_t y,
                                std::int64_t x) {
  if (table.count < p.native) {
    return table.sum(x, [&](std::int64_t column) {
      return table.sum(y, [&](std::int64_t row) { return p(row, column); });
    });
  }
  return table.sum(y, [&](std::int64_t row) {
    return table.sum(x, [&](std::int64_t column) { return p(row, column); });
  });
}

template <bool resize, int N, class T>
__global__ void augment_kernel(AugmentSpec s, const std::uint8_t* set, const std::int32_t* order,
                               const Augmentation* shifts, const BatchPosition* position,
                               Table table, T* out) {
  const Offset i = own_element<N>(), c = static_cast<Offset>(s.channels);
  const Offset width = static_cast<Offset>(s.resolution), image_size = width * width * c;
  const Offset image = i / image_size, pixel = i % image_size / c;
  if (image >= s.n) return;
  const BatchPosition at = load(position);
  Source source{
      set + load(order + at.first + image) * s.channels * s.native * s.native, s.native, {}};
  if (shifts) source.how = load(shifts + at.first + image);
  source.c = i % c;
  std::int64_t y = pixel / width, x = pixel % width;
  Floats<N> v;
  for (int j = 0; j < N; ++j) {
    source.scale = source.c == 0 ? s.scale[0] : source.c == 1 ? s.scale[1] : s.scale[2];
    source.shift = source.c == 0 ? s.shift[0] : source.c == 1 ? s.shift[1] : s.shift[2];
    v.v[j] = resize ? resized(source, table, y, x) : source(y, x);
    if (++source.c < s.channels) continue;
    source.c = 0;
    if (++x < s.resolution) continue;
    x = 0;
    ++y;
  }
  store_floats<N>(out + i, v);
}

__global__ void labels_kernel(std::int64_t n, const std::int32_t* labels, const std::int32_t* order,
                              const BatchPosition* position, std::int32_t* out) {
  const Offset i = own_element();
  if (i < n) store(out + i, load(labels + load(order + load(position).first + i)));
}

template <bool resize, int N, class T>
void images_as(Context& ctx, const AugmentSpec& s, const void* set, const void* order,
               const void* shifts, const void* position, const ResizeTable& table, void* out) {
  const std::int64_t elements = s.n * s.channels * s.resolution * s.resolution;
  launch(ctx, launch_over("augment", elements, N), augment_kernel<resize, N, T>, s,
         as<std::uint8_t>(set), as<std::int32_t>(order), as<Augmentation>(shifts),
         as<BatchPosition>(position),
         Table{as<std::int32_t>(table.start), as<float>(table.weight), table.taps, s.resolution},
         as<T>(out));
}

void images(Context& ctx, const AugmentSpec& s, const void* set, const void* order,
            const void* shifts, const void* position, const ResizeTable& table, void* out) {
  if (s.resolution != s.native) {
    return by_dtype(s.dtype, [&](auto t) {
      images_as<true, 1, decltype(t)>(ctx, s, set, order, shifts, position, table, out);
    });
  }
  // By the size of one image, so that a vector lies in one.
  by_vector(s.dtype, s.resolution * s.resolution * s.channels, {out}, [&](auto t, auto n) {
    images_as<false, n.value, decltype(t)>(ctx, s, set, order, shifts, position, table, out);
  });
}

void labels(Context& ctx, const AugmentSpec& s, const void* all, const void* order,
            const void* position, void* out) {
  launch(ctx, launch_over("labels", s.n), labels_kernel, s.n, as<std::int32_t>(all),
         as<std::int32_t>(order), as<BatchPosition>(position), as<std::int32_t>(out));
}

}  // namespace

const AugmentKernels HAC_GPU_TABLE(augment){.images = images, .labels = labels};

}  // namespace hac
