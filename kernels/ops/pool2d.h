#pragma once
// Max pooling, average pooling and global average pooling.
//
//   max  y = max over the window, padding counts as -inf; dx goes to the first maximum in row order
//        (on the CPU a NaN is skipped)
//   avg  y = sum over the window / (kernel * kernel), padding counts as 0 (count_include_pad)
//   global average is avg with kernel (h, w), stride 1, no padding: out (n, c, 1, 1).
//
// Shapes: x (n, c, h, w), y (n, c, oh, ow), oh = floor((h + 2 pad - kh) / stride) + 1.
// Layout: both in layout_of(device, shape).

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

enum class PoolMode : std::uint8_t { max, avg, global_avg };

struct Pool2dSpec {
  Dtype dtype = Dtype::f32;
  PoolMode mode = PoolMode::max;
  std::int64_t n = 1, c = 1, h = 1, w = 1;
  std::int64_t kernel = 2, stride = 2, pad = 0;  // ignored by global_avg

  auto operator<=>(const Pool2dSpec&) const = default;
  std::int64_t oh() const { return windows(h); }
  std::int64_t ow() const { return windows(w); }
  Shape in_shape() const { return {n, c, h, w}; }
  Shape out_shape() const { return {n, c, oh(), ow()}; }
  std::string_view kind() const;  // maxpool, avgpool, globalavgpool
  Cost cost() const;
  std::string str() const;  // "maxpool:f32,n1c2h5w7,k2st2p0"
  bool parse(std::string_view text);
  Widths widths() const { return {c, 0}; }
  Pool2dSpec with(Widths widths) const;
  void validate() const;  // throws ShapeError: window larger than the padded input, pad >= kernel
  std::int64_t windows(std::int64_t size) const {  // along a side of the image
    return mode == PoolMode::global_avg ? 1 : (size + 2 * pad - kernel) / stride + 1;
  }
};

struct Pool2dKernels {
  // index: index_bytes(spec) bytes kept for backward, null when that is 0 or in inference.
  void (*forward)(Context&, const Pool2dSpec&, const void* x, void* y, void* index);
  std::size_t (*index_bytes)(Context&, const Pool2dSpec&);
  void (*backward)(Context&, const Pool2dSpec&, const void* dy, const void* index, void* dx);
};

HAC_BACKENDS(Pool2dKernels, pool2d)

}  // namespace hac
