#pragma once
// Many tensors in one launch: their pointers travel as a kernel argument (at most 4 KiB), so
// nothing is uploaded and a captured graph holds them.

#include <algorithm>
#include <span>
#include <type_traits>

#include "kernels/device/packed.cuh"

namespace hac::HAC_GPU {

// Up to `most` tensors; tensor i is worked on by blocks [first[i], first[i + 1]).
template <class Segment>
struct Segments {
  static constexpr int most = 64;
  Segment segment[most];
  std::int32_t first[most + 1];
  int count;

  struct Part {
    const Segment& segment;
    std::int64_t block;  // its number among those of the segment
  };
  __device__ Part part_of(std::int64_t block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return {segment[low], block - first[low]};
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

// N elements of a gradient, whose type differs from one segment to the next.
template <int N>
__device__ Floats<N> load_gradient(const void* grad, Dtype dtype, std::int64_t i) {
  if (dtype == Dtype::bf16) return load_floats<N>(as<bf16>(grad) + i);
  if (dtype == Dtype::f16) return load_floats<N>(as<f16>(grad) + i);
  return load_floats<N>(as<float>(grad) + i);
}

// The same where a block takes so many elements of a segment.
constexpr int element_threads = 256, elements_a_block = 4 * 4 * element_threads;

template <class Segment, class Kernel, class... Args>
void launch_elements(Context& ctx, const char* name, std::span<const Segment> all, Kernel kernel,
                     Args... args) {
  launch_segments(
      ctx, {.name = name, .block = element_threads, .barriers = false}, all,
      [](const Segment& s) { return ceil_div(s.elements, elements_a_block); }, kernel, args...);
}

// run(i, N as a constant) for this thread's elements of its part, N at a time from i on: 4 where
// `vectors` says that its operands are aligned and there are as many, else 1.
template <class Part, class Run>
__device__ void for_own_elements(const Part& part, bool vectors, Run run) {
  const std::int64_t begin = part.block * elements_a_block, whole = part.segment.elements;
  const std::int64_t end = begin + elements_a_block < whole ? begin + elements_a_block : whole;
  for (std::int64_t i = begin + threadIdx.x * 4; i < end; i += element_threads * 4) {
    if (vectors && i + 4 <= end) {
      run(i, std::integral_constant<int, 4>());
    } else {
      for (std::int64_t k = i; k < end && k < i + 4; ++k) run(k, std::integral_constant<int, 1>());
    }
  }
}

}  // namespace hac::HAC_GPU
