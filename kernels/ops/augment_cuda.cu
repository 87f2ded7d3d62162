// images(): one thread a vector of 16 bytes of the batch, or one element where images are
// resized that are not padded to a vector a pixel.
// squares(): one block an image, whose threads meet where a contrast needs the mean of all pixels.
// Both passes of a resize are one: a thread adds the inner sums that it needs itself, in the order
// of data/image/resize.cpp, and saves the round trip through memory. The bytes that neighbours
// share come from the cache.
//
// Compiled without contraction (kernels/CMakeLists.txt): fmaf where the CPU fuses, and nowhere
// else.

#include "kernels/ops/augment.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

// One image of the set as the augmentation leaves it.
struct Source {
  const std::uint8_t* pixels;
  const ErasedBox* erased;
  std::int64_t native;
  Augmentation how;
  std::int64_t c = 0;
  float scale = 1, shift = 0;

  __device__ float operator()(std::int64_t y, std::int64_t x) const {
    if (erased && is_erased(y, x)) return 0;
    const std::int64_t row = y + how.dy, column = (how.mirror ? native - 1 - x : x) + how.dx;
    const bool inside = row >= 0 && row < native && column >= 0 && column < native;
    if (!inside) return shift;
    return fmaf(load(pixels + (c * native + row) * native + column), scale, shift);
  }

  __device__ bool is_erased(std::int64_t y, std::int64_t x) const {
    bool any = false;
    for (int i = 0; i < most_erased; ++i) {
      const ErasedBox b = load(erased + i);
      any |= y >= b.top && y < b.bottom && x >= b.left && x < b.right;
    }
    return any;
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

template <class Pixel>
__device__ inline float resized(const Pixel& p, const Table& rows, const Table& columns,
                                bool rows_first, std::int64_t y, std::int64_t x) {
  if (rows_first) {
    return columns.sum(x, [&](std::int64_t column) {
      return rows.sum(y, [&](std::int64_t row) { return p(row, column); });
    });
  }
  return rows.sum(y, [&](std::int64_t row) {
    return columns.sum(x, [&](std::int64_t column) { return p(row, column); });
  });
}

template <bool resize, int N, class T>
__global__ void augment_kernel(AugmentSpec s, Offset c, const std::uint8_t* set,
                               const std::int32_t* order, const Augmentation* shifts,
                               const ErasedBox* erased, const BatchPosition* position, Table table,
                               T* out) {
  wait_for_previous();
  const Offset i = own_element<N>();
  const Offset width = static_cast<Offset>(s.resolution), image_size = width * width * c;
  const Offset image = i / image_size, pixel = i % image_size / c;
  if (image >= s.n) return;
  const std::int64_t place = (position ? load(position).first : 0) + image;
  const std::int64_t chosen = order ? load(order + place) : place;
  Source source{set + chosen * s.channels * s.native * s.native,
                erased ? erased + image * most_erased : nullptr,
                s.native,
                {}};
  if (shifts) source.how = load(shifts + place);
  source.c = i % c;
  std::int64_t y = pixel / width, x = pixel % width;
  Floats<N> v;
  for (int j = 0; j < N; ++j) {
    source.scale = source.c == 0 ? s.scale[0] : source.c == 1 ? s.scale[1] : s.scale[2];
    source.shift = source.c == 0 ? s.shift[0] : source.c == 1 ? s.shift[1] : s.shift[2];
    v.v[j] = 0;
    if (source.c < s.channels) {
      v.v[j] = resize ? resized(source, table, table, table.count < s.native, y, x) : source(y, x);
    }
    if (++source.c < c) continue;
    source.c = 0;
    if (++x < s.resolution) continue;
    x = 0;
    ++y;
  }
  store_floats<N>(out + i, v);
}

__global__ void labels_kernel(std::int64_t n, const std::int32_t* labels, const std::int32_t* order,
                              const BatchPosition* position, std::int32_t* out) {
  wait_for_previous();
  const Offset i = own_element();
  if (i < n) store(out + i, load(labels + load(order + load(position).first + i)));
}

constexpr int threads_an_image = 512, warps = threads_an_image / 32;

// The same in all threads of the block.
__device__ inline std::int64_t block_sum(std::int64_t v) {
  HAC_SHARED(std::int64_t, sums, warps);
  v = warp_sum(v);
  __syncthreads();  // what was there has been read
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = v;
  __syncthreads();
  std::int64_t total = 0;
  for (int w = 0; w < warps; ++w) {
    const std::int64_t one = sums[w];
    total += one;
  }
  return total;
}

// A pixel of up to three channels.
struct Pixel {
  std::uint8_t v[3] = {};
};

__device__ inline std::uint8_t luma(const Pixel& p, std::int64_t channels) {
  return channels == 1 ? p.v[0] : color::luma(p.v[0], p.v[1], p.v[2]);
}

// mean: of the image's luma, for its contrast.
__device__ inline void adjust(Pixel& p, const ColorStep& step, std::int64_t channels, float mean) {
  const bool grey = channels == 1;
  if (grey && (step.what == Adjustment::saturation || step.what == Adjustment::hue)) return;
  if (step.what == Adjustment::hue) return color::turn_hue(step.own, p.v[0], p.v[1], p.v[2]);
  const float y = step.what == Adjustment::contrast     ? mean
                  : step.what == Adjustment::saturation ? luma(p, channels)
                                                        : 0;
  for (int c = 0; c < 3; ++c) p.v[c] = color::blend(step, p.v[c], y);
}

// One plane of a staged image.
struct Plane {
  const std::uint8_t* pixels;
  std::int64_t width;
  __device__ float operator()(std::int64_t row, std::int64_t column) const {
    return load(pixels + row * width + column);
  }
};

// A staged image as its square shows it before its colours are adjusted.
struct Square {
  const std::uint8_t* pixels;
  std::int64_t plane, width;
  std::int32_t native;
  Table rows, columns;
  std::int32_t top, left;
  bool rows_first, mirror;

  __device__ std::uint8_t operator()(std::int64_t c, std::int32_t y, std::int32_t x) const {
    const std::int32_t row = y + top, column = (mirror ? native - 1 - x : x) + left;
    if (row < 0 || row >= rows.count || column < 0 || column >= columns.count) return 0;
    const Plane p{pixels + c * plane, width};
    if (rows.taps == 0) return load(p.pixels + row * width + column);
    return color::cut(resized(p, rows, columns, rows_first, row, column) + 0.5f);
  }
};

__device__ inline Table table_of(const std::uint8_t* batch, const StagedAxis* axis) {
  const std::int64_t count = load(&axis->count);
  const auto* start = reinterpret_cast<const std::int32_t*>(batch + load(&axis->table));
  return {start, reinterpret_cast<const float*>(start + count), load(&axis->taps), count};
}

__device__ inline Square square_of(const std::uint8_t* batch, const StagedImage* image,
                                   std::int64_t native) {
  return {batch + load(&image->pixels),
          static_cast<std::int64_t>(load(&image->height)) * load(&image->width),
          load(&image->width),
          static_cast<std::int32_t>(native),
          table_of(batch, &image->rows),
          table_of(batch, &image->columns),
          load(&image->rows.offset),
          load(&image->columns.offset),
          load(&image->rows_first) != 0,
          load(&image->mirror) != 0};
}

// All pixels go through the steps up to a contrast, then all through those up to the next, each by
// the same thread.
__global__ void squares_kernel(AugmentSpec s, const std::uint8_t* staged,
                               const BatchPosition* position, std::uint8_t* squares,
                               ErasedBox* erased, std::int32_t* labels) {
  wait_for_previous();
  const std::uint8_t* batch = staged + load(position).first;
  const StagedImage* image = reinterpret_cast<const StagedImage*>(batch) + blockIdx.x;
  const int t = threadIdx.x, steps = load(&image->steps);
  if (t < most_erased) store(erased + blockIdx.x * most_erased + t, load(image->erased + t));
  if (t == 0) store(labels + blockIdx.x, load(&image->label));
  const Square square = square_of(batch, image, s.native);
  const std::int32_t native = static_cast<std::int32_t>(s.native), plane = native * native;
  const int channels = static_cast<int>(s.channels);
  std::uint8_t* out = squares + static_cast<std::int64_t>(blockIdx.x) * channels * plane;
  float mean = 0;
  int from = 0;
  bool first = true;
  do {
    int to = first ? 0 : from + 1;
    while (to < steps && load(&image->step[to].what) != Adjustment::contrast) ++to;
    std::int64_t sum = 0;
    for (std::int32_t i = t; i < plane; i += threads_an_image) {
      Pixel p;
      for (int c = 0; c < 3; ++c) {
        if (c < channels) {
          p.v[c] = first ? square(c, i / native, i % native) : load(out + c * plane + i);
        }
      }
      for (int k = from; k < to; ++k) adjust(p, load(image->step + k), channels, mean);
      for (int c = 0; c < 3; ++c) {
        if (c < channels) store(out + c * plane + i, p.v[c]);
      }
      sum += luma(p, channels);
    }
    if (to < steps) mean = static_cast<float>(block_sum(sum)) / static_cast<float>(plane);
    from = to;
    first = false;
  } while (from < steps);
}

template <bool resize, int N, class T>
void images_as(Context& ctx, const AugmentSpec& s, const ImageSource& from,
               const ResizeTable& table, void* out) {
  const std::int64_t elements = s.n * s.out_channels() * s.resolution * s.resolution;
  launch(ctx, launch_over("augment", elements, N), augment_kernel<resize, N, T>, s,
         static_cast<Offset>(s.out_channels()), as<std::uint8_t>(from.set),
         as<std::int32_t>(from.order), as<Augmentation>(from.shifts), as<ErasedBox>(from.erased),
         as<BatchPosition>(from.position),
         Table{as<std::int32_t>(table.start), as<float>(table.weight), table.taps, s.resolution},
         as<T>(out));
}

void images(Context& ctx, const AugmentSpec& s, const ImageSource& from, const ResizeTable& table,
            void* out) {
  if (s.resolution != s.native) {
    // A thread resizes one number, or all of a pixel that is one vector.
    return by_vector(s.dtype, s.out_channels(), {out}, [&](auto t, auto n) {
      images_as<true, n.value, decltype(t)>(ctx, s, from, table, out);
    });
  }
  // By the size of one image, so that a vector lies in one.
  by_vector(s.dtype, s.resolution * s.resolution * s.out_channels(), {out}, [&](auto t, auto n) {
    images_as<false, n.value, decltype(t)>(ctx, s, from, table, out);
  });
}

void labels(Context& ctx, const AugmentSpec& s, const void* all, const void* order,
            const void* position, void* out) {
  launch(ctx, launch_over("labels", s.n), labels_kernel, s.n, as<std::int32_t>(all),
         as<std::int32_t>(order), as<BatchPosition>(position), as<std::int32_t>(out));
}

void squares(Context& ctx, const AugmentSpec& s, const void* staged, const void* position,
             void* out, void* erased, void* labels) {
  require_offsets("squares", s.channels * s.native * s.native);
  launch(ctx, {.name = "squares", .grid = s.n, .block = threads_an_image}, squares_kernel, s,
         as<std::uint8_t>(staged), as<BatchPosition>(position), as<std::uint8_t>(out),
         as<ErasedBox>(erased), as<std::int32_t>(labels));
}

}  // namespace

const AugmentKernels HAC_GPU_TABLE(augment){.images = images, .labels = labels, .squares = squares};

}  // namespace hac
