#pragma once
// Batches made on the device of bytes: of a set that lies in its memory, or of images that the host
// has staged there, of any size. The numbers of data/image/view.h, resize.h and color.h, which make
// them on the CPU; augment_cpu is therefore empty. Bytes are the CPU's where it fuses multiply and
// add in its resize, else some differ by 1; in f32 likewise the same bits, else equal to 1e-6 of
// the largest.
//
// images(): shift inside a border of zero pixels, mirror, normalise, erase, resize.
//   p(c, y, x) = pixel * scale[c] + shift[c] at native (y + dy, x + dx), x counted from the right
//                when mirrored; pixels beyond the border are 0; p is 0 where (y, x) is erased
//   out(y, x)  = p(y, x), or where resolution != native
//                sum_u w[u, y] (sum_t w[t, x] p(start[y] + u, start[x] + t)), the sum over rows
//                inside where the image shrinks
//
// The batch is images order[first] to order[first + n - 1] of the set, moved as shifts[first] and
// so on say, with first read from device memory, so that a captured step can be replayed on another
// batch.
//
// squares(): what lies staged at `first` becomes a set of squares: image i is resized along rows
// and columns as its tables say (as above, rounded to bytes), a window laid over that, black where
// it reaches beyond, mirrored, and its colours adjusted, step by step (kernels/core/color.h).
//
// Shapes: set (images, channels, native, native) u8, order (at least first + n) i32 within
// [0, images), shifts (at least first + n) Augmentation, out (n, out_channels(), resolution,
// resolution) nhwc of the spec's dtype, zero behind the image's own channels; squares (n, channels,
// native, native) u8, erased (n, most_erased) ErasedBox.

#include <array>
#include <cstdint>
#include <string>

#include "kernels/core/color.h"
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
  std::int64_t stored = 0;                       // channels of out; 0: as many
  std::int64_t out_channels() const { return stored > 0 ? stored : channels; }
  auto operator<=>(const AugmentSpec&) const = default;
  std::string str() const;
};

struct BatchPosition {
  // Place in the epoch of the batch's first image; of a staged batch, place in bytes.
  std::int64_t first = 0;
};

// Rows from top and columns from left to before the ends.
struct alignas(16) ErasedBox {
  std::int32_t top = 0, left = 0, bottom = 0, right = 0;
};
constexpr int most_erased = 4;

// Where the images come from, all on the device.
struct ImageSource {
  const void* set = nullptr;
  const void* order = nullptr;     // null: as they lie
  const void* shifts = nullptr;    // null: nothing moves
  const void* erased = nullptr;    // of the batch; null: nothing
  const void* position = nullptr;  // a BatchPosition; null: from the first
};

// Along rows and columns alike, on the device; unused where resolution == native.
struct ResizeTable {
  const void* start = nullptr;   // (resolution) i32
  const void* weight = nullptr;  // (taps, resolution) f32
  std::int64_t taps = 0;
};

// ---- A staged batch: n StagedImage, then what they point to, in bytes from the batch's begin ----

// Rows or columns of an image: the `count` that it has, resized or not; row i of the square is
// row i + offset of these.
struct StagedAxis {
  std::int64_t table = 0;  // start (count) i32 and weight (taps, count) f32; at a multiple of 4
  std::int32_t taps = 0;   // 0: not resized
  std::int32_t count = 0, offset = 0;
};

constexpr int most_color_steps = 8;

struct StagedImage {
  std::int64_t pixels = 0;  // (channels, height, width) u8
  std::int32_t height = 0, width = 0;
  StagedAxis rows, columns;
  std::int32_t rows_first = 0;  // which of the two sums is the inner one
  std::int32_t mirror = 0;
  std::int32_t label = 0;
  std::int32_t steps = 0;
  ColorStep step[most_color_steps];
  ErasedBox erased[most_erased];
};

struct AugmentKernels {
  void (*images)(Context&, const AugmentSpec&, const ImageSource&, const ResizeTable&, void* out);
  // out[i] = labels[order[first + i]], all i32.
  void (*labels)(Context&, const AugmentSpec&, const void* labels, const void* order,
                 const void* position, void* out);
  // position: a BatchPosition. labels: (n) i32.
  void (*squares)(Context&, const AugmentSpec&, const void* staged, const void* position,
                  void* squares, void* erased, void* labels);
};

HAC_BACKENDS(AugmentKernels, augment)

}  // namespace hac
