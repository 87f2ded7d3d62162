#pragma once
// Max pooling whose windows tile the input (kernel = stride, no padding), as every VGG has it.
// Windows do not overlap, so backward writes each element of dx once instead of clearing and
// adding: bench/ has what that is worth against oneDNN's general kernel.

#include "kernels/ops/pool2d.h"

namespace hac::cpu {

struct MaxPoolTiles {
  // index: one byte an output element: which place of its window, in row order, held the first
  // maximum; may be null.
  void (*forward)(Context&, const Pool2dSpec&, const void* x, void* y, void* index);
  void (*backward)(Context&, const Pool2dSpec&, const void* dy, const void* index, void* dx);
};
extern const MaxPoolTiles max_pool_tiles;

}  // namespace hac::cpu
