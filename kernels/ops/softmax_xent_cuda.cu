// One warp a row; the last block to be done adds the batch's loss in a fixed order.

#include "kernels/ops/softmax_xent.h"

#include "kernels/device/last_block.cuh"
#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

constexpr int rows_a_block = 8;  // warps

__device__ inline float warp_max(float v) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const float other = __shfl_xor_sync(0xFFFFFFFFu, v, lanes);
    // A NaN wins, so that it reaches the loss.
    v = other > v || other != other ? other : v;
  }
  return v;
}

// The target of one class: smoothed one-hot or given. A label out of range is a NaN.
struct Target {
  std::int64_t classes;
  float smoothing;
  const std::int32_t* labels;
  const float* soft;
  __device__ float operator()(std::int64_t row, std::int64_t j) const {
    float t;
    if (soft) {
      t = load(soft + row * classes + j);
    } else {
      const std::int32_t label = load(labels + row);
      t = label < 0 || label >= classes ? nanf("") : label == j ? 1.f : 0.f;
    }
    return (1 - smoothing) * t + smoothing / static_cast<float>(classes);
  }
};

// By a whole warp; returns the row's loss.
template <class T>
__device__ float softmax_row(std::int64_t row, std::int64_t classes, const Target& target,
                             const T* logits, float* probs) {
  const int lane = threadIdx.x % 32;
  float largest = -INFINITY;
  for (std::int64_t j = lane; j < classes; j += 32) {
    const float v = to_float(load(logits + row * classes + j));
    largest = v > largest || v != v ? v : largest;
  }
  largest = warp_max(largest);
  float sum = 0;
  for (std::int64_t j = lane; j < classes; j += 32) {
    sum += expf(to_float(load(logits + row * classes + j)) - largest);
  }
  sum = warp_sum(sum);
  const float log_sum = logf(sum);
  float loss = 0;
  for (std::int64_t j = lane; j < classes; j += 32) {
    const float log_p = to_float(load(logits + row * classes + j)) - largest - log_sum;
    const float q = target(row, j);
    if (q != 0) loss -= q * log_p;
    store(probs + row * classes + j, expf(log_p));
  }
  return warp_sum(loss);
}

template <class T>
__global__ void forward_kernel(std::int64_t n, std::int64_t classes, std::int64_t divisor,
                               Target target, const T* logits, float* probs, float* losses,
                               float* mean, unsigned* ticket) {
  wait_for_previous();
  HAC_SHARED(unsigned, drawn, 1);
  HAC_SHARED(double, sums, 32 * rows_a_block);
  const int t = threadIdx.x;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + t / 32;
  if (row < n) {
    const float loss = softmax_row(row, classes, target, logits, probs);
    if (t % 32 == 0) store(losses + row, loss);
  }
  if (!is_last_block(ticket, gridDim.x, drawn)) return;
  double sum = 0;
  for (std::int64_t i = t; i < n; i += 32 * rows_a_block) sum += load(losses + i);
  sums[t] = sum;
  for (int half = 16 * rows_a_block; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) sums[t] += sums[t + half];
  }
  if (t > 0) return;
  const double whole = sums[0];
  store(mean, static_cast<float>(whole / static_cast<double>(divisor)));
}

template <class T>
__global__ void backward_kernel(std::int64_t n, std::int64_t classes, std::int64_t divisor,
                                Target target, const float* probs, const float* dloss, T* dlogits) {
  wait_for_previous();
  const int lane = threadIdx.x % 32;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.x / 32;
  if (row >= n) return;
  float mass = 0;
  for (std::int64_t j = lane; j < classes; j += 32) mass += target(row, j);
  mass = warp_sum(mass);
  const float scale = load(dloss) / static_cast<float>(divisor);
  for (std::int64_t j = lane; j < classes; j += 32) {
    const float p = load(probs + row * classes + j);
    store(dlogits + row * classes + j, from_float<T>((p * mass - target(row, j)) * scale));
  }
}

Target target_of(const SoftmaxXentSpec& s, const void* target) {
  return {s.classes, s.smoothing, s.soft ? nullptr : as<std::int32_t>(target),
          s.soft ? as<float>(target) : nullptr};
}

Launch over_rows(const char* name, const SoftmaxXentSpec& s) {
  return {.name = name, .grid = ceil_div(s.n, rows_a_block), .block = 32 * rows_a_block};
}

void forward(Context& ctx, const SoftmaxXentSpec& s, const void* logits, const void* target,
             void* probs, void* loss) {
  float* losses = as<float>(ctx.scratch(s.n * sizeof(float)));
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, over_rows("softmax_xent", s), forward_kernel<T>, s.n, s.classes, s.divisor(),
           target_of(s, target), as<T>(logits), as<float>(probs), losses, as<float>(loss),
           ctx.tickets(1));
  });
}

void backward(Context& ctx, const SoftmaxXentSpec& s, const void* probs, const void* target,
              const void* dloss, void* dlogits) {
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, over_rows("softmax_xent_backward", s), backward_kernel<T>, s.n, s.classes,
           s.divisor(), target_of(s, target), as<float>(probs), as<float>(dloss), as<T>(dlogits));
  });
}

}  // namespace

const SoftmaxXentKernels HAC_GPU_TABLE(softmax_xent){.forward = forward, .backward = backward};

}  // namespace hac
