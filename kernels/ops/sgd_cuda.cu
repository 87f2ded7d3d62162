// All parameters in one launch (64 a launch, exactly). Bytes a parameter: 12 read, 8 written, and 2
// for a 16-bit copy.

#include "kernels/ops/sgd.h"

#include "kernels/device/segments.cuh"

namespace hac {
namespace HAC_GPU {
namespace {

constexpr int threads = 256, elements_a_block = 4 * 4 * threads;

struct Update {
  float lr, momentum, decay;
  bool nesterov;
  __device__ void operator()(float dw, float& w, float& v) const {
    const float g = dw + decay * w;
    v = momentum * v + g;
    w -= lr * (nesterov ? g + momentum * v : v);
  }
};

template <int N, class Copy>
__device__ void update_vector(const Update& update, const SgdSegment& s, std::int64_t i) {
  float* w = static_cast<float*>(s.weight) + i;
  float* v = static_cast<float*>(s.velocity) + i;
  const Floats<N> grad = load_floats<N>(static_cast<const float*>(s.grad) + i);
  Floats<N> weight = load_floats<N>(w), velocity = load_floats<N>(v);
  for (int j = 0; j < N; ++j) update(grad.v[j], weight.v[j], velocity.v[j]);
  store_floats<N>(w, weight);
  store_floats<N>(v, velocity);
  if (s.copy) store_floats<N>(static_cast<Copy*>(s.copy) + i, weight);
}

template <class Copy>
__global__ void step_kernel(Segments<SgdSegment> segments, SgdSpec spec, const float* lr,
                            const std::int32_t* skip) {
  if (skip && load(skip) != 0) return;
  const int which = segments.of_block(blockIdx.x);
  const SgdSegment& s = segments.segment[which];
  const Update update{load(lr), spec.momentum, spec.weight_decay, spec.nesterov};
  const std::int64_t begin =
      (static_cast<std::int64_t>(blockIdx.x) - segments.first[which]) * elements_a_block;
  const std::int64_t end =
      begin + elements_a_block < s.elements ? begin + elements_a_block : s.elements;
  const bool vectors =
      aligned(s.grad) && aligned(s.weight) && aligned(s.velocity) && aligned(s.copy);
  for (std::int64_t i = begin + threadIdx.x * 4; i < end; i += threads * 4) {
    if (vectors && i + 4 <= end) {
      update_vector<4, Copy>(update, s, i);
    } else {
      for (std::int64_t k = i; k < end && k < i + 4; ++k) update_vector<1, Copy>(update, s, k);
    }
  }
}

void step(Context& ctx, const SgdSpec& spec, const void* lr, const void* skip,
          std::span<const SgdSegment> segments) {
  by_dtype(spec.copy, [&](auto t) {
    launch_segments(
        ctx, {.name = "sgd", .block = threads, .barriers = false}, segments,
        [](const SgdSegment& s) { return ceil_div(s.elements, elements_a_block); },
        step_kernel<decltype(t)>, spec, static_cast<const float*>(lr),
        static_cast<const std::int32_t*>(skip));
  });
}

}  // namespace
}  // namespace HAC_GPU

const SgdKernels HAC_GPU_TABLE(sgd){.step = HAC_GPU::step};

}  // namespace hac
