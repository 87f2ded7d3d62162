#pragma once
// Mixup (Zhang et al., ICLR 2018) of a batch with itself in reverse order, so that image i meets
// image n-1-i and each pair can be mixed in place:
//   x[i] <- lambda x[i] + (1 - lambda) x[n-1-i], likewise the targets; the middle one of an odd
//   batch stays as it is
//
// Shapes: x (n, ...) in any layout; labels (n) i32 -> soft (n, classes) f32; lambda one f32 on the
// device, so that a captured step can be replayed with another.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct MixupSpec {
  Dtype dtype = Dtype::f32;  // of the images
  std::int64_t n = 1;
  std::int64_t elements = 0;  // storage elements of one image, padding included
  std::int64_t classes = 2;
  auto operator<=>(const MixupSpec&) const = default;
  std::string str() const;
};

struct MixupKernels {
  void (*images)(Context&, const MixupSpec&, const void* lambda, void* x);
  // A label outside [0, classes) adds to no class.
  void (*targets)(Context&, const MixupSpec&, const void* lambda, const void* labels, void* soft);
};

HAC_BACKENDS(MixupKernels, mixup)

}  // namespace hac
