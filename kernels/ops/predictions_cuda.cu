// One warp a row.

#include "kernels/ops/predictions.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

constexpr int rows_a_block = 8;  // warps

// The largest so far, and the lowest class that has it.
struct Best {
  float value;
  std::int32_t at;
  __device__ void see(float v, std::int32_t j) {
    if (!(v > value || (v == value && j < at))) return;
    value = v;
    at = j;
  }
};

__device__ inline Best of_warp(Best best) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const float value = __shfl_xor_sync(0xFFFFFFFFu, best.value, lanes);
    const std::int32_t at = __shfl_xor_sync(0xFFFFFFFFu, best.at, lanes);
    best.see(value, at);
  }
  return best;
}

// By a whole warp.
template <class T>
__device__ Prediction prediction(const T* x, std::int32_t classes, std::int32_t label) {
  const int lane = threadIdx.x % 32;
  const bool known = label >= 0 && label < classes;
  const float own = known ? to_float(load(x + label)) : nanf("");
  Best best{-INFINITY, lane};
  std::int32_t rank = 0;
  for (std::int32_t j = lane; j < classes; j += 32) {
    const float v = to_float(load(x + j));
    rank += !(v < own || (v == own && j >= label));
    best.see(v, j);
  }
  best = of_warp(best);
  const double most = best.value;
  double sum = 0, squares = 0;
  for (std::int32_t j = lane; j < classes; j += 32) {
    const double e = exp(static_cast<double>(to_float(load(x + j))) - most);
    sum += e;
    squares += e * e;
  }
  sum = warp_sum(sum);
  squares = warp_sum(squares);
  const double below = static_cast<double>(own) - most;
  Prediction p;
  p.label = label;
  p.guess = best.at;
  p.rank = warp_sum(rank);
  p.confidence = 1 / sum;
  p.loss = log(sum) - below;
  p.brier = squares / (sum * sum) - 2 * exp(below) / sum + 1;
  return p;
}

template <class T>
__global__ void write_kernel(std::int64_t n, std::int32_t classes, const T* logits,
                             const std::int32_t* labels, const std::int64_t* first,
                             Prediction* rows) {
  wait_for_previous();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.x / 32;
  if (i >= n) return;
  const Prediction p = prediction(logits + i * classes, classes, load(labels + i));
  if (threadIdx.x % 32 == 0) store(rows + load(first) + i, p);
}

void write(Context& ctx, const PredictionsSpec& s, const void* logits, const void* labels,
           const void* first, void* predictions) {
  require_offsets("predictions", s.n * s.classes);
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx,
           {.name = "predictions", .grid = ceil_div(s.n, rows_a_block), .block = 32 * rows_a_block},
           write_kernel<T>, s.n, static_cast<std::int32_t>(s.classes), as<T>(logits),
           as<std::int32_t>(labels), as<std::int64_t>(first), as<Prediction>(predictions));
  });
}

}  // namespace

const PredictionsKernels HAC_GPU_TABLE(predictions){.write = write};

}  // namespace hac
