#pragma once
// Mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019) of a batch with itself in
// reverse order, so that image i meets image n-1-i and each pair can be mixed in place. With s the
// share, which is m.inside in the box of m and 1 around it:
//   x[i] <- s x[i] + (1 - s) x[n-1-i], and the targets with s = m.target; the middle one of an odd
//   batch stays as it is
// Mixup mixes everywhere; CutMix has m.inside = 0: its pairs change places in the box.
//
// Shapes: x (n, C'/b, height, width, b) with b = `block`, as every layout of an image is
// (kernels/core/types.h); labels (n) i32 -> soft (n, classes) f32; m one Mixing on the device, so
// that a captured step can be replayed with another.

#include <cstdint>
#include <limits>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// As it lies in the device's memory: rows from top and columns from left to before the ends.
struct Mixing {
  float inside = 1, target = 1;
  std::int32_t top = 0, left = 0;
  std::int32_t bottom = std::numeric_limits<std::int32_t>::max(), right = bottom;
};

struct MixupSpec {
  Dtype dtype = Dtype::f32;  // of the images
  std::int64_t n = 1;
  std::int64_t elements = 0;  // storage elements of one image, padding included
  std::int64_t height = 1, width = 1;
  std::int64_t block = 1;
  std::int64_t classes = 2;
  auto operator<=>(const MixupSpec&) const = default;
  std::string str() const;
};

struct MixupKernels {
  void (*images)(Context&, const MixupSpec&, const void* mixing, void* x);
  // A label outside [0, classes) adds to no class.
  void (*targets)(Context&, const MixupSpec&, const void* mixing, const void* labels, void* soft);
};

HAC_BACKENDS(MixupKernels, mixup)

}  // namespace hac
