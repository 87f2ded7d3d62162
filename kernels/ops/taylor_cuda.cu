// All layers in one launch, one warp a kernel: each lane adds its share, then the warp its lanes.
// Bytes a weight: 8 read, 6 with 16-bit gradients.

#include "kernels/ops/taylor.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

constexpr int warps = 8;

__global__ void accumulate_kernel(Segments<TaylorSegment> segments, const std::int32_t* skip) {
  wait_for_previous();
  if (skip && load(skip) != 0) return;
  const auto [s, block] = segments.part_of(blockIdx.x);
  const int lane = threadIdx.x % 32;
  const std::int64_t kernel = block * warps + threadIdx.x / 32;
  if (kernel >= s.kernels) return;  // a whole warp
  const float* w = as<float>(s.w) + kernel * s.weights;
  double sum = 0;  // squares of small numbers would vanish in f32
  for (std::int64_t i = lane; i < s.weights; i += 32) {
    const Floats<1> dw = load_gradient<1>(s.dw, s.dw_dtype, kernel * s.weights + i);
    const double t = static_cast<double>(load(w + i)) * dw.v[0];
    sum += t * t;
  }
  const double total = warp_sum(sum);
  double* score = as<double>(s.score) + kernel;
  if (lane == 0) store(score, load(score) + total);
}

void accumulate(Context& ctx, const TaylorSpec&, const void* skip,
                std::span<const TaylorSegment> segments) {
  launch_segments(
      ctx, {.name = "taylor", .block = 32 * warps}, segments,
      [](const TaylorSegment& s) { return ceil_div(s.kernels, warps); }, accumulate_kernel,
      as<std::int32_t>(skip));
}

}  // namespace

const TaylorKernels HAC_GPU_TABLE(taylor){.accumulate = accumulate};

}  // namespace hac
