#pragma once
// Many tensors in one launch: their pointers travel as a kernel argument (at most 4 KiB), so
// nothing is uploaded and a captured graph holds them.

#include <algorithm>
#include <span>

#include "kernels/device/packed.cuh"

namespace hac::HAC_GPU {

// Up to `most` tensors; tensor i is worked on by blocks [first[i], first[i + 1]).
template <class Segment>
struct Segments {
  static constexpr int most = 64;
  Segment segment[most];
  std::int32_t first[most + 1];
  int count;

  __device__ int of_block(std::int64_t block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

// Launches kernel(Segments, args...) for 64 tensors at a time; blocks(segment) is how many blocks
// one takes.
template <class Segment, class Blocks, class Kernel, class... Args>
void launch_segments(Context& ctx, Launch how, std::span<const Segment> all, Blocks blocks,
                     Kernel kernel, Args... args) {
  static_assert(sizeof(Segments<Segment>) <= 4000);
  for (std::size_t begin = 0; begin < all.size(); begin += Segments<Segment>::most) {
    Segments<Segment> group;
    group.count =
        static_cast<int>(std::min<std::size_t>(Segments<Segment>::most, all.size() - begin));
    group.first[0] = 0;
    for (int i = 0; i < group.count; ++i) {
      group.segment[i] = all[begin + i];
      group.first[i + 1] = group.first[i] + static_cast<std::int32_t>(blocks(all[begin + i]));
    }
    how.grid = group.first[group.count];
    if (how.grid > 0) launch(ctx, how, kernel, group, args...);
  }
}

}  // namespace hac::HAC_GPU
