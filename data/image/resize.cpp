#include "data/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hac {
namespace {

// Eight rows, or columns, at once.
constexpr std::int64_t lanes = 8;
using Floats = float __attribute__((vector_size(4 * lanes)));
using Indices = std::int32_t __attribute__((vector_size(4 * lanes)));

Floats load(const float* in) {
  Floats v;
  std::memcpy(&v, in, sizeof v);
  return v;
}

// Rows become columns.
[[gnu::always_inline]] inline void transpose(Floats (&v)[lanes]) {
  Floats pairs[lanes], quads[lanes];
  for (int i = 0; i < 4; ++i) {
    pairs[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], Indices{0, 8, 1, 9, 4, 12, 5, 13});
    pairs[i + 4] = __builtin_shuffle(v[2 * i], v[2 * i + 1], Indices{2, 10, 3, 11, 6, 14, 7, 15});
  }
  for (int i = 0; i < 4; ++i) {
    const Floats a = pairs[2 * i], b = pairs[2 * i + 1];
    quads[i] = __builtin_shuffle(a, b, Indices{0, 1, 8, 9, 4, 5, 12, 13});
    quads[i + 4] = __builtin_shuffle(a, b, Indices{2, 3, 10, 11, 6, 7, 14, 15});
  }
  // quads 0, 1: columns 0 and 4 of rows 0 to 3 and 4 to 7; 4, 5: columns 1 and 5; and so on.
  constexpr int of_column[] = {0, 4, 2, 6};
  for (int c = 0; c < 4; ++c) {
    const Floats a = quads[of_column[c]], b = quads[of_column[c] + 1];
    v[c] = __builtin_shuffle(a, b, Indices{0, 1, 2, 3, 8, 9, 10, 11});
    v[c + 4] = __builtin_shuffle(a, b, Indices{4, 5, 6, 7, 12, 13, 14, 15});
  }
}

// At most eight rows, as columns of eight; the last row is repeated.
template <class T>
void load_columns(const T* in, std::int64_t stride, std::int64_t rows, std::int64_t width,
                  std::vector<float>& floats, std::vector<Floats>& columns) {
  const std::int64_t padded = width + lanes;
  floats.resize(lanes * padded);
  for (std::int64_t r = 0; r < lanes; ++r) {
    std::copy_n(in + std::min(r, rows - 1) * stride, width, floats.data() + r * padded);
  }
  columns.resize(padded);
  for (std::int64_t x = 0; x < width; x += lanes) {
    Floats block[lanes];
    for (std::int64_t r = 0; r < lanes; ++r) block[r] = load(floats.data() + r * padded + x);
    transpose(block);
    std::copy_n(block, lanes, columns.data() + x);
  }
}

// Rows that begin with the pixel axis.first.
template <class T>
void filter_rows(const T* in, std::int64_t stride, std::int64_t rows, const ResizeAxis& axis,
                 float* out) {
  thread_local std::vector<float> floats;
  thread_local std::vector<Floats> columns;
  const std::int64_t count = axis.count, taps = axis.taps;
  const std::int32_t* const start = axis.start.data();
  const float* const weight = axis.weight.data();
  for (; rows > 0; rows -= lanes, in += lanes * stride, out += lanes * count) {
    const std::int64_t n = std::min(rows, lanes);
    load_columns(in, stride, n, axis.end - axis.first, floats, columns);
    const Floats* const column = columns.data();
    for (std::int64_t i = 0; i < count; i += lanes) {
      Floats block[lanes];
      for (std::int64_t k = 0; k < lanes; ++k) {
        const std::int64_t o = std::min(i + k, count - 1), from = start[o] - axis.first;
        Floats sum{};
        for (std::int64_t t = 0; t < taps; ++t) sum += weight[t * count + o] * column[from + t];
        block[k] = sum;
      }
      transpose(block);
      const bool whole = i + lanes <= count;
      for (std::int64_t r = 0; r < n; ++r) {
        float* const to = out + r * count + i;
        if (whole) {
          std::memcpy(to, &block[r], sizeof block[r]);
        } else {
          for (std::int64_t k = 0; i + k < count; ++k) to[k] = block[r][k];
        }
      }
    }
  }
}

// Outputs [i, i + n) of columns whose top is the pixel axis.first.
template <class T>
void filter_columns(const T* in, std::int64_t stride, std::int64_t width, const ResizeAxis& axis,
                    std::int64_t i, std::int64_t n, float* out) {
  for (const std::int64_t end = i + n; i < end; ++i, out += width) {
    for (std::int64_t t = 0; t < axis.taps; ++t) {
      const float w = axis.weight[t * axis.count + i];
      const T* row = in + (axis.start[i] + t - axis.first) * stride;
      if (t == 0) {
        for (std::int64_t x = 0; x < width; ++x) out[x] = w * row[x];
      } else {
        for (std::int64_t x = 0; x < width; ++x) out[x] += w * row[x];
      }
    }
  }
}

// Calls emit(values, row, n) for outputs of rows [row, row + n), from above, at most eight at once.
template <class T, class Emit>
void resize_rows(const T* in, const ResizeAxis& vertical, const ResizeAxis& horizontal,
                 std::vector<float>& scratch, Emit emit) {
  const std::int64_t stride = horizontal.in, width = horizontal.end - horizontal.first,
                     count = horizontal.count;
  in += vertical.first * stride + horizontal.first;
  const bool columns_first = vertical.shrinks();
  const std::int64_t rows = vertical.end - vertical.first;
  const std::int64_t kept = columns_first ? lanes * width : rows * count;
  scratch.resize(kept + lanes * count);
  float* const values = scratch.data() + kept;
  if (!columns_first) filter_rows(in, stride, rows, horizontal, scratch.data());
  for (std::int64_t row = 0; row < vertical.count; row += lanes) {
    const std::int64_t n = std::min(lanes, vertical.count - row);
    if (columns_first) {
      filter_columns(in, stride, width, vertical, row, n, scratch.data());
      filter_rows(scratch.data(), width, n, horizontal, values);
    } else {
      filter_columns(scratch.data(), count, count, vertical, row, n, values);
    }
    emit(values, row, n);
  }
}

// Outputs [first, first + count) of `out` that `length` pixels from `begin` would give; `begin` is
// less than 1, and of `in` pixels the first lies at `origin`.
ResizeAxis make_axis(std::int64_t in, std::int64_t origin, double begin, double length,
                     std::int64_t out, std::int64_t first, std::int64_t count) {
  const auto window = std::min(static_cast<std::int64_t>(std::ceil(begin + length)), in - origin);
  const double scale = length / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  const auto center = [&](std::int64_t i) {
    return begin + scale * (static_cast<double>(first + i) + 0.5);
  };
  const auto weight = [&](std::int64_t i, std::int64_t j) {
    return std::max(0.0, 1.0 - std::abs(static_cast<double>(j) + 0.5 - center(i)) / support);
  };
  ResizeAxis axis{.in = in, .count = count, .window = window};
  std::vector<std::int64_t> from(count), to(count);
  for (std::int64_t i = 0; i < count; ++i) {
    from[i] = std::max<std::int64_t>(0, static_cast<std::int64_t>(center(i) - support + 0.5));
    to[i] = std::min<std::int64_t>(window, static_cast<std::int64_t>(center(i) + support + 0.5));
    while (weight(i, from[i]) == 0) ++from[i];
    while (weight(i, to[i] - 1) == 0) --to[i];
    axis.taps = std::max(axis.taps, to[i] - from[i]);
  }
  axis.start.resize(count);
  axis.weight.assign(axis.taps * count, 0.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    // Near the right edge the window moves left, so that start + taps never leaves the row.
    const std::int64_t start = std::min(from[i], window - axis.taps);
    axis.start[i] = static_cast<std::int32_t>(origin + start);
    double total = 0;
    for (std::int64_t j = from[i]; j < to[i]; ++j) total += weight(i, j);
    for (std::int64_t j = from[i]; j < to[i]; ++j) {
      axis.weight[(j - start) * count + i] = static_cast<float>(weight(i, j) / total);
    }
  }
  axis.first = axis.start.front();
  axis.end = axis.start.back() + axis.taps;
  return axis;
}

}  // namespace

ResizeAxis window_axis(std::int64_t in, double begin, double length, std::int64_t out,
                       std::int64_t first, std::int64_t count) {
  const double origin = std::floor(begin);
  return make_axis(in, static_cast<std::int64_t>(origin), begin - origin, length, out, first,
                   count);
}

ResizeAxis resize_axis(std::int64_t in, std::int64_t out) {
  return window_axis(in, 0, static_cast<double>(in), out, 0, out);
}

template <class T>
void resize_plane(const T* in, const ResizeAxis& vertical, const ResizeAxis& horizontal, float* out,
                  std::vector<float>& scratch) {
  const std::int64_t width = horizontal.count;
  resize_rows(in, vertical, horizontal, scratch,
              [&](const float* values, std::int64_t row, std::int64_t n) {
                std::copy_n(values, n * width, out + row * width);
              });
}

Sample resize(const SampleView& image, const ResizeAxis& vertical, const ResizeAxis& horizontal) {
  Sample out{image.channels, vertical.count, horizontal.count, {}};
  out.pixels.resize(image.channels * out.height * out.width);
  thread_local std::vector<float> scratch;
  for (std::int64_t c = 0; c < image.channels; ++c) {
    std::uint8_t* const plane = out.pixels.data() + c * out.height * out.width;
    resize_rows(image.pixels.data() + c * image.height * image.width, vertical, horizontal, scratch,
                [&](const float* values, std::int64_t row, std::int64_t n) {
                  std::transform(
                      values, values + n * out.width, plane + row * out.width, [](float v) {
                        return static_cast<std::uint8_t>(std::clamp(v + 0.5f, 0.0f, 255.0f));
                      });
                });
  }
  return out;
}

template void resize_plane(const float*, const ResizeAxis&, const ResizeAxis&, float*,
                           std::vector<float>&);
template void resize_plane(const std::uint8_t*, const ResizeAxis&, const ResizeAxis&, float*,
                           std::vector<float>&);

}  // namespace hac
