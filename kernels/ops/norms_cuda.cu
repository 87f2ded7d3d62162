// Squares: a block sums norm_block elements, then a warp the blocks of each tensor. Clipping: one
// warp makes the factor, then one launch for 64 gradients. Bytes a parameter: 4 read for the
// squares; 4 read and 4 written to clip.

#include "kernels/ops/norms.h"

#include <vector>

#include "kernels/device/segments.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

static_assert(norm_block == elements_a_block);

struct SquareSegment {
  const void* values;
  std::int64_t elements;
  double* partial;  // one a block
  double* sum;
};

__global__ void partial_kernel(Segments<SquareSegment> segments) {
  wait_for_previous();
  HAC_SHARED(double, sums, element_threads);
  const auto part = segments.part_of(blockIdx.x);
  const float* x = as<float>(part.segment.values);
  double sum = 0;
  for_own_elements(part, aligned(x), [&](auto i, auto n) {
    const Floats<n.value> v = load_floats<n.value>(x + i);
    for (int j = 0; j < n.value; ++j) sum += static_cast<double>(v.v[j]) * v.v[j];
  });
  sums[threadIdx.x] = sum;
  for (int half = element_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x > 0) return;
  const double whole = sums[0];
  store(part.segment.partial + part.block, whole);
}

// A warp, each lane its share in order.
__device__ inline double sum_of(const double* values, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += 32) sum += load(values + i);
  return warp_sum(sum);
}

__global__ void sum_kernel(Segments<SquareSegment> segments) {
  wait_for_previous();
  const auto part = segments.part_of(blockIdx.x);
  const SquareSegment& s = part.segment;
  const double sum = sum_of(s.partial, (s.elements + norm_block - 1) / norm_block);
  if (threadIdx.x == 0) store(s.sum, sum);
}

void squares(Context& ctx, const NormSpec&, void* squares, std::span<const NormSegment> segments) {
  std::int64_t blocks = 0;
  for (const NormSegment& s : segments) blocks += ceil_div(s.elements, norm_block);
  double* partial = as<double>(ctx.scratch(blocks * sizeof(double)));
  double* sum = as<double>(squares);
  std::vector<SquareSegment> all;
  for (const NormSegment& s : segments) {
    all.push_back({s.values, s.elements, partial, sum++});
    partial += ceil_div(s.elements, norm_block);
  }
  const std::span<const SquareSegment> given(all);
  launch_segments(
      ctx, {.name = "squares", .block = element_threads}, given,
      [](const SquareSegment& s) { return ceil_div(s.elements, norm_block); }, partial_kernel);
  launch_segments(
      ctx, {.name = "sum_squares", .block = 32}, given, [](const SquareSegment&) { return 1; },
      sum_kernel);
}

__global__ void factor_kernel(NormSpec spec, const double* squares, float* factor) {
  wait_for_previous();
  const double sum = sum_of(squares, spec.tensors);
  if (threadIdx.x == 0) store(factor, clip_factor(sum, spec.max_norm));
}

template <int N>
__device__ void multiply(float* grad, float factor) {
  Floats<N> g = load_floats<N>(grad);
  for (int j = 0; j < N; ++j) g.v[j] *= factor;
  store_floats<N>(grad, g);
}

__global__ void clip_kernel(Segments<GradSegment> segments, const float* given) {
  wait_for_previous();
  const float factor = load(given);
  if (factor == 1) return;
  const auto part = segments.part_of(blockIdx.x);
  float* grad = as<float>(part.segment.grad);
  for_own_elements(part, aligned(grad),
                   [&](auto i, auto n) { multiply<n.value>(grad + i, factor); });
}

void clip(Context& ctx, const NormSpec& spec, const void* squares,
          std::span<const GradSegment> segments) {
  float* factor = as<float>(ctx.scratch(sizeof(float)));
  launch(ctx, {.name = "clip_factor", .grid = 1, .block = 32}, factor_kernel, spec,
         as<double>(squares), factor);
  launch_elements(ctx, "clip", segments, clip_kernel, factor);
}

}  // namespace

const NormKernels HAC_GPU_TABLE(norm){.squares = squares, .clip = clip};

}  // namespace hac
