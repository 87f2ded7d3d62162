#pragma once
// Batches from images that lie in the device's memory as bytes: shift inside a border of zero
// pixels, mirror, normalise, resize. The numbers of data/transform.h and data/resize.h, which make
// them on the CPU; augment_cpu is therefore empty. In f32 they are the same bits where the CPU
// fuses multiply and add, else equal to 1e-6 of the largest.
//
//   p(c, y, x) = pixel * scale[c] + shift[c] at native (y + dy, x + dx), x counted from the right
//                when mirrored; pixels beyond the border are 0
//   out(y, x)  = p(y, x), or where resolution != native
//                sum_u w[u, y] (sum_t w[t, x] p(start[y] + u, start[x] + t)), the sum over rows
//                inside where the image shrinks
//
// The batch is images order[first] to order[first + n - 1] of the set, with first and the epoch
// read from device memory, so that a captured step can be replayed on another batch.
//
// Shapes: set (images, channels, native, native) u8, order (at least first + n) i32 within
// [0, images), out (n, channels, resolution, resolution) nhwc.

#include <array>
#include <string>

#include "kernels/context.h"
#include "kernels/random.h"
#include "kernels/spec.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

// Random crop of the image padded by 4: dy and dx in [-4, 4].
struct Augmentation {
  int dy = 0, dx = 0;
  bool mirror = false;
};

// The augmentation of one position of an epoch, a function of (seed, epoch, position) alone.
constexpr Augmentation random_augmentation(std::uint64_t seed, std::int64_t epoch,
                                           std::int64_t position) {
  constexpr std::uint64_t stream = std::uint64_t{2} << 56;  // data/loader.cpp has 1 << 56
  const Philox philox{seed, stream | static_cast<std::uint64_t>(epoch)};
  const auto words = philox.block(static_cast<std::uint64_t>(position));
  const auto shift = [](std::uint32_t word) {
    return static_cast<int>((std::uint64_t{word} * 9) >> 32) - 4;
  };
  return {shift(words[0]), shift(words[1]), (words[2] >> 31) != 0};
}

struct AugmentSpec {
  Dtype dtype = Dtype::f32;  // of the batch
  std::int64_t n = 1, channels = 3, native = 32, resolution = 32;
  std::array<float, 3> scale{1, 1, 1}, shift{};  // channels is at most 3
  bool augment = true;
  std::uint64_t seed = 0;
  auto operator<=>(const AugmentSpec&) const = default;
  Cost cost() const;
  std::string str() const;
};

struct BatchPosition {
  std::int64_t epoch = 0, first = 0;  // first: place in the epoch of the batch's first image
};

// Along rows and columns alike, on the device; unused where resolution == native.
struct ResizeTable {
  const void* start = nullptr;   // (resolution) i32
  const void* weight = nullptr;  // (taps, resolution) f32
  std::int64_t taps = 0;
};

struct AugmentKernels {
  // position: a BatchPosition on the device.
  void (*images)(Context&, const AugmentSpec&, const void* set, const void* order,
                 const void* position, const ResizeTable&, void* out);
  // out[i] = labels[order[first + i]], all i32.
  void (*labels)(Context&, const AugmentSpec&, const void* labels, const void* order,
                 const void* position, void* out);
};

extern const AugmentKernels augment_cpu, augment_cuda, augment_simt;
inline constexpr Backends<AugmentKernels> augment_kernels{augment_cpu, augment_cuda, augment_simt};

}  // namespace hac
