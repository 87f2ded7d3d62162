#include "data/image/resize.h"

#include <algorithm>
#include <cmath>

namespace hac {
namespace {

// Both passes walk the outputs in the inner loop, which the compiler vectorises.
template <class T>
void filter_rows(const T* in, std::int64_t rows, const ResizeAxis& axis, float* out) {
  for (std::int64_t r = 0; r < rows; ++r, in += axis.in, out += axis.count) {
    for (std::int64_t t = 0; t < axis.taps; ++t) {
      const float* w = axis.weight.data() + t * axis.count;
      const std::int32_t* start = axis.start.data();
      if (t == 0) {
        for (std::int64_t i = 0; i < axis.count; ++i) out[i] = w[i] * in[start[i]];
      } else {
        for (std::int64_t i = 0; i < axis.count; ++i) out[i] += w[i] * in[start[i] + t];
      }
    }
  }
}

template <class T>
void filter_columns(const T* in, std::int64_t width, const ResizeAxis& axis, float* out) {
  for (std::int64_t i = 0; i < axis.count; ++i, out += width) {
    for (std::int64_t t = 0; t < axis.taps; ++t) {
      const float w = axis.weight[t * axis.count + i];
      const T* row = in + (axis.start[i] + t) * width;
      if (t == 0) {
        for (std::int64_t x = 0; x < width; ++x) out[x] = w * row[x];
      } else {
        for (std::int64_t x = 0; x < width; ++x) out[x] += w * row[x];
      }
    }
  }
}

}  // namespace

ResizeAxis resize_axis(std::int64_t in, std::int64_t out, std::int64_t first, std::int64_t count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  const auto center = [&](std::int64_t i) {
    return scale * (static_cast<double>(first + i) + 0.5);
  };
  const auto weight = [&](std::int64_t i, std::int64_t j) {
    return std::max(0.0, 1.0 - std::abs(static_cast<double>(j) + 0.5 - center(i)) / support);
  };
  ResizeAxis axis{.in = in, .count = count};
  std::vector<std::int64_t> begin(count), end(count);
  for (std::int64_t i = 0; i < count; ++i) {
    begin[i] = std::max<std::int64_t>(0, static_cast<std::int64_t>(center(i) - support + 0.5));
    end[i] = std::min<std::int64_t>(in, static_cast<std::int64_t>(center(i) + support + 0.5));
    while (weight(i, begin[i]) == 0) ++begin[i];
    while (weight(i, end[i] - 1) == 0) --end[i];
    axis.taps = std::max(axis.taps, end[i] - begin[i]);
  }
  axis.start.resize(count);
  axis.weight.assign(axis.taps * count, 0.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    // Near the right edge the window moves left, so that start + taps never leaves the row.
    const std::int64_t start = std::min(begin[i], in - axis.taps);
    axis.start[i] = static_cast<std::int32_t>(start);
    double total = 0;
    for (std::int64_t j = begin[i]; j < end[i]; ++j) total += weight(i, j);
    for (std::int64_t j = begin[i]; j < end[i]; ++j) {
      axis.weight[(j - start) * count + i] = static_cast<float>(weight(i, j) / total);
    }
  }
  return axis;
}

ResizeAxis resize_axis(std::int64_t in, std::int64_t out) { return resize_axis(in, out, 0, out); }

template <class T>
void resize_plane(const T* in, const ResizeAxis& vertical, const ResizeAxis& horizontal, float* out,
                  std::vector<float>& scratch) {
  // The horizontal pass costs more: it runs where there are fewer rows.
  if (vertical.count < vertical.in) {
    scratch.resize(vertical.count * horizontal.in);
    filter_columns(in, horizontal.in, vertical, scratch.data());
    filter_rows(scratch.data(), vertical.count, horizontal, out);
  } else {
    scratch.resize(vertical.in * horizontal.count);
    filter_rows(in, vertical.in, horizontal, scratch.data());
    filter_columns(scratch.data(), horizontal.count, vertical, out);
  }
}

template void resize_plane(const float*, const ResizeAxis&, const ResizeAxis&, float*,
                           std::vector<float>&);
template void resize_plane(const std::uint8_t*, const ResizeAxis&, const ResizeAxis&, float*,
                           std::vector<float>&);

}  // namespace hac
