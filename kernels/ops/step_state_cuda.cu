// A step's settings by one block; its hits by one warp a row, added by the last block to be done.

#include "kernels/ops/step_state.h"

#include <cfloat>

#include "kernels/device/last_block.cuh"
#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

constexpr int threads = 256, rows_a_block = threads / 32;

struct RowParts {
  RowPart part[most_row_parts];
  int count;
};

__global__ void advance_kernel(StepTableSpec spec, RowParts parts, const std::int32_t* table,
                               StepTotals* totals) {
  wait_for_previous();
  const std::int32_t row = load(&totals->row);
  const std::int32_t* from = table + row * (spec.row_bytes / 4);
  for (int k = 0; k < parts.count; ++k) {
    const RowPart& p = parts.part[k];
    for (int i = threadIdx.x; i < p.bytes / 4; i += threads) {
      store(as<std::int32_t>(p.to) + i, load(from + p.offset / 4 + i));
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) store(&totals->row, row + 1);
}

void advance(Context& ctx, const StepTableSpec& spec, const void* table, void* totals,
             std::span<const RowPart> parts) {
  if (parts.size() > most_row_parts) {
    throw ShapeError(spec.str() + ": expected at most " + std::to_string(most_row_parts) +
                     " parts of a row, got " + std::to_string(parts.size()));
  }
  RowParts all{};
  for (const RowPart& p : parts) all.part[all.count++] = p;
  launch(ctx, {.name = "step_advance", .block = threads}, advance_kernel, spec, all,
         as<std::int32_t>(table), as<StepTotals>(totals));
}

// By a whole warp. A NaN is above and below nothing, and never counts as a hit.
__device__ inline bool is_hit(const float* probs, std::int64_t classes, std::int32_t label) {
  if (label < 0 || label >= classes) return false;
  const float own = load(probs + label);
  int above = 0;
  for (std::int64_t j = threadIdx.x % 32; j < classes; j += 32) {
    const float p = load(probs + j);
    above += !(p < own || (p == own && j >= label));
  }
  return warp_sum(above) == 0;
}

__device__ inline void add_step(const StepCountSpec& spec, std::int64_t hits, float loss,
                                StepTotals* totals) {
  StepTotals t = load(totals);
  if (t.stop != 0) return;
  t.parts = (spec.first ? 0 : t.parts) + loss;
  t.correct += hits;
  if (spec.last && fabs(t.parts) <= DBL_MAX) {
    t.loss = fma(t.parts, static_cast<double>(spec.images), t.loss);
    t.steps += 1;
  } else if (spec.last) {
    t.broken = t.steps;
    t.stop = 1;
  }
  store(totals, t);
}

__global__ void count_kernel(StepCountSpec spec, const float* probs, const std::int32_t* labels,
                             const float* loss, std::int32_t* hits, StepTotals* totals,
                             unsigned* ticket) {
  wait_for_previous();
  HAC_SHARED(std::int32_t, of_warp, rows_a_block);
  HAC_SHARED(unsigned, drawn, 1);
  const int t = threadIdx.x, warp = t / 32;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + warp;
  const bool hit =
      row < spec.n && is_hit(probs + row * spec.classes, spec.classes, load(labels + row));
  if (t % 32 == 0) of_warp[warp] = hit ? 1 : 0;
  __syncthreads();
  if (t == 0) {
    std::int32_t sum = 0;
    for (int w = 0; w < rows_a_block; ++w) {
      const std::int32_t own = of_warp[w];
      sum += own;
    }
    store(hits + blockIdx.x, sum);
  }
  if (!is_last_block(ticket, gridDim.x, drawn) || t > 0) return;
  std::int64_t all = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) all += load(hits + block);
  add_step(spec, all, load(loss), totals);
}

void count(Context& ctx, const StepCountSpec& spec, const void* probs, const void* labels,
           const void* loss, void* totals) {
  const std::int64_t blocks = ceil_div(spec.n, rows_a_block);
  launch(ctx, {.name = "step_count", .grid = blocks, .block = threads}, count_kernel, spec,
         as<float>(probs), as<std::int32_t>(labels), as<float>(loss),
         as<std::int32_t>(ctx.scratch(blocks * sizeof(std::int32_t))), as<StepTotals>(totals),
         ctx.tickets(1));
}

}  // namespace

const StepStateKernels HAC_GPU_TABLE(step_state){.advance = advance, .count = count};

}  // namespace hac
