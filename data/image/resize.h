#pragma once
// Bilinear resize, antialiased when shrinking: the numbers of PyTorch's
// interpolate(mode="bilinear", antialias=True, align_corners=False).
//
// Along one axis of `in` pixels, with s = in / out:
//   y_i = sum_j w_ij x_j / sum_j w_ij,  w_ij = max(0, 1 - |j + 1/2 - s (i + 1/2)| / max(s, 1))

#include <cstdint>
#include <vector>

#include "data/image/sample.h"

namespace hac {

// Outputs [first, first + count) of one axis; each is a weighted sum of `taps` neighbours.
struct ResizeAxis {
  std::int64_t in = 0, count = 0, taps = 0;
  std::int64_t window = 0;          // pixels of `in` that are resized, wholly or in part
  std::int64_t first = 0, end = 0;  // those that the outputs read lie in [first, end)
  std::vector<std::int32_t> start;  // count
  std::vector<float> weight;  // taps * count: weight[t * count + i] belongs to x[start[i] + t]

  // Of the vertical one: whether it runs first. The horizontal pass costs more, and runs where
  // there are fewer rows.
  bool shrinks() const { return count < window; }
};

ResizeAxis resize_axis(std::int64_t in, std::int64_t out);
// Outputs [first, first + count) of the `out` that [begin, begin + length) gives, as if it had been
// cut out before: the pixel at x of `in` covers [x, x + 1), and those that lie outside are not
// looked at.
ResizeAxis window_axis(std::int64_t in, double begin, double length, std::int64_t out,
                       std::int64_t first, std::int64_t count);

// One plane (vertical.in, horizontal.in) -> (vertical.count, horizontal.count). `scratch` grows as
// needed and can be reused. T is float or uint8.
template <class T>
void resize_plane(const T* in, const ResizeAxis& vertical, const ResizeAxis& horizontal, float* out,
                  std::vector<float>& scratch);

// All planes, rounded to the nearest byte.
Sample resize(const SampleView& image, const ResizeAxis& vertical, const ResizeAxis& horizontal);

}  // namespace hac
