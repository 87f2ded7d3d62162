#pragma once
// Sums over the rows of a (rows, c) matrix, two quantities at once: batch norm's statistics and
// gradients, the gradient of a bias. Two levels in a fixed order and no atomics, so the same bits
// at every run: blocks sum chunks of rows in f32, others add the chunks in f64.

#include <algorithm>

#include "kernels/device/packed.cuh"

namespace hac::HAC_GPU {

template <int N>
struct Pair {
  Floats<N> first, second;
};

// How a (rows, c) matrix is cut: `lanes` threads over the channel vectors of a tile, the rest of
// the block over rows.
struct ColumnCut {
  static constexpr int block = 256;
  static constexpr std::int64_t most_blocks = 512;

  ColumnCut(std::int64_t rows, std::int64_t c, int vector) {
    const std::int64_t vectors = c / vector;
    while (lanes < 32 && lanes < vectors) lanes *= 2;
    tiles = ceil_div(vectors, lanes);
    const std::int64_t at_once = block / lanes;
    // At least 8 rows a thread, and enough blocks to keep a large GPU's memory busy (132
    // multiprocessors, half of their threads with 16 bytes each under way).
    chunks = std::clamp<std::int64_t>(rows / (8 * at_once), 1,
                                      std::max<std::int64_t>(1, most_blocks / tiles));
    rows_each = ceil_div(rows, chunks);
    chunks = ceil_div(rows, rows_each);
  }
  std::int64_t partial_floats(std::int64_t c) const { return 2 * chunks * c; }

  int lanes = 1;
  std::int64_t tiles = 1, chunks = 1, rows_each = 1;
};

// terms(element, channel) -> Pair<N> for the N channels from `channel` on.
template <int N, class Terms>
__global__ void column_sums_kernel(std::int64_t rows, std::int64_t c, ColumnCut cut, Terms terms,
                                   float* partial) {
  HAC_SHARED(float, sums, 2 * N * ColumnCut::block);
  const int t = threadIdx.x, at_once = ColumnCut::block / cut.lanes;
  const std::int64_t tile = blockIdx.x % cut.tiles, chunk = blockIdx.x / cut.tiles;
  const std::int64_t channel = (tile * cut.lanes + t % cut.lanes) * N;
  const std::int64_t begin = chunk * cut.rows_each;
  const std::int64_t end = begin + cut.rows_each < rows ? begin + cut.rows_each : rows;
  float mine[2 * N] = {};
  if (channel < c) {
    for (std::int64_t row = begin + t / cut.lanes; row < end; row += at_once) {
      const Pair<N> terms_here = terms(row * c + channel, channel);
      for (int j = 0; j < N; ++j) {
        mine[j] += terms_here.first.v[j];
        mine[N + j] += terms_here.second.v[j];
      }
    }
  }
  for (int j = 0; j < 2 * N; ++j) sums[j * ColumnCut::block + t] = mine[j];
  for (int half = ColumnCut::block / 2; half >= cut.lanes; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    for (int j = 0; j < 2 * N; ++j) {
      sums[j * ColumnCut::block + t] += sums[j * ColumnCut::block + t + half];
    }
  }
  if (t >= cut.lanes || channel >= c) return;
  Pair<N> whole;
  for (int j = 0; j < N; ++j) {
    whole.first.v[j] = sums[j * ColumnCut::block + t];
    whole.second.v[j] = sums[(N + j) * ColumnCut::block + t];
  }
  store_floats<N>(partial + chunk * 2 * c + channel, whole.first);
  store_floats<N>(partial + (chunk * 2 + 1) * c + channel, whole.second);
}

// finish(channel, first, second) with the whole sums. A block takes 8 channels, a memory sector
// wide: 32 threads a channel add every 32nd chunk, then one another's sums.
constexpr int finish_channels = 8;

template <class Finish>
__global__ void column_finish_kernel(std::int64_t c, std::int64_t chunks, const float* partial,
                                     Finish finish) {
  constexpr int block = ColumnCut::block;
  HAC_SHARED(double, sums, 2 * ColumnCut::block);
  const int t = threadIdx.x;
  const std::int64_t channel =
      static_cast<std::int64_t>(blockIdx.x) * finish_channels + t % finish_channels;
  double first = 0, second = 0;
  if (channel < c) {
    for (std::int64_t i = t / finish_channels; i < chunks; i += block / finish_channels) {
      first += load(partial + 2 * i * c + channel);
      second += load(partial + (2 * i + 1) * c + channel);
    }
  }
  sums[t] = first;
  sums[block + t] = second;
  for (int half = block / 2; half >= finish_channels; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    sums[t] += sums[t + half];
    sums[block + t] += sums[block + t + half];
  }
  if (t < finish_channels && channel < c) finish(channel, sums[t], sums[block + t]);
}

template <int N, class Terms, class Finish>
void column_sums(Context& ctx, const char* name, std::int64_t rows, std::int64_t c,
                 const ColumnCut& cut, float* partial, Terms terms, Finish finish) {
  launch(ctx, {.name = name, .grid = cut.tiles * cut.chunks, .block = ColumnCut::block},
         column_sums_kernel<N, Terms>, rows, c, cut, terms, partial);
  launch(ctx,
         {.name = "column_finish", .grid = ceil_div(c, finish_channels), .block = ColumnCut::block},
         column_finish_kernel<Finish>, c, cut.chunks, partial, finish);
}

}  // namespace hac::HAC_GPU
