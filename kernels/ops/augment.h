#pragma once
// Batches from images that lie in the device's memory as bytes: shift inside a border of zero
// pixels, mirror, normalise, resize. The numbers of data/image/view.h and data/image/resize.h,
// which make them on the CPU; augment_cpu is therefore empty. In f32 they are the same bits where
// the CPU fuses multiply and add, else equal to 1e-6 of the largest.
//
//   p(c, y, x) = pixel * scale[c] + shift[c] at native (y + dy, x + dx), x counted from the right
//                when mirrored; pixels beyond the border are 0
//   out(y, x)  = p(y, x), or where resolution != native
//                sum_u w[u, y] (sum_t w[t, x] p(start[y] + u, start[x] + t)), the sum over rows
//                inside where the image shrinks
//
// The batch is images order[first] to order[first + n - 1] of the set, moved as shifts[first] and
// so on say, with first read from device memory, so that a captured step can be replayed on another
// batch.
//
// Shapes: set (images, channels, native, native) u8, order (at least first + n) i32 within
// [0, images), shifts (at least first + n) Augmentation, out (n, channels, resolution, resolution)
// nhwc.

#include <array>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// What is asked of one image. As it lies in the device's memory.
struct Augmentation {
  std::int32_t dy = 0, dx = 0, mirror = 0;
};

struct AugmentSpec {
  Dtype dtype = Dtype::f32;  // of the batch
  std::int64_t n = 1, channels = 3, native = 32, resolution = 32;
  std::array<float, 3> scale{1, 1, 1}, shift{};  // channels is at most 3
  auto operator<=>(const AugmentSpec&) const = default;
  std::string str() const;
};

struct BatchPosition {
  std::int64_t first = 0;  // place in the epoch of the batch's first image
};

// Along rows and columns alike, on the device; unused where resolution == native.
struct ResizeTable {
  const void* start = nullptr;   // (resolution) i32
  const void* weight = nullptr;  // (taps, resolution) f32
  std::int64_t taps = 0;
};

struct AugmentKernels {
  // position: a BatchPosition on the device. shifts: null where nothing moves.
  void (*images)(Context&, const AugmentSpec&, const void* set, const void* order,
                 const void* shifts, const void* position, const ResizeTable&, void* out);
  // out[i] = labels[order[first + i]], all i32.
  void (*labels)(Context&, const AugmentSpec&, const void* labels, const void* order,
                 const void* position, void* out);
};

HAC_BACKENDS(AugmentKernels, augment)

}  // namespace hac
