#pragma once
// Walks over a (rows, c) matrix in which a thread keeps its channels, so that what a channel is
// worked on with is loaded once; and sums over its rows, two quantities at once: batch norm's
// statistics and gradients, the gradient of a bias. Sums have two levels in a fixed order: blocks
// sum chunks of rows in f32, and whichever block of a tile of channels is the last to be done adds
// the tile's chunks in f64. So the same bits at every run.

#include <algorithm>
#include <limits>

#include "kernels/device/last_block.cuh"
#include "kernels/device/packed.cuh"

namespace hac::HAC_GPU {

template <int N>
struct Pair {
  Floats<N> first, second;
};

// How the matrix is cut: `lanes` threads of a block over the channel vectors of a tile, the rest
// over the rows of a chunk.
struct ColumnCut {
  static constexpr int most_threads = 256;

  // A pass that ends with its rows: 8 rows a thread.
  static ColumnCut to_walk(std::int64_t rows, std::int64_t c, int vector) {
    return {rows, c, vector, 8, std::numeric_limits<std::int64_t>::max()};
  }
  // Where the number of chunks is that of partial sums: no more blocks than run at once on a large
  // GPU, so many on each of its multiprocessors.
  static ColumnCut to_sum(std::int64_t rows, std::int64_t c, int vector, int at_once) {
    return {rows, c, vector, 4, at_once * large_gpu};
  }

  std::int64_t partial_floats() const { return 2 * chunks * c; }
  __host__ __device__ int rows_at_once() const { return threads / lanes; }
  Launch launch(const char* name, bool barriers) const {
    return {.name = name, .grid = tiles * chunks, .block = threads, .barriers = barriers};
  }

  std::int64_t rows, c;
  int lanes = 1, threads = most_threads;
  std::int64_t tiles = 1, chunks = 1, rows_each = 1;

 private:
  static constexpr std::int64_t large_gpu = 132;  // multiprocessors, of an H100

  // Few lanes, so that a tile has few sums; 64 bytes of a row are what memory gives at once. As
  // many rows a thread as wanted, or fewer where a large GPU would have less than 2 blocks on each
  // of its multiprocessors, down to one in small blocks.
  ColumnCut(std::int64_t rows, std::int64_t c, int vector, std::int64_t rows_a_thread,
            std::int64_t most_blocks)
      : rows(rows), c(c) {
    constexpr std::int64_t least_blocks = 2 * large_gpu;
    const std::int64_t vectors = c / vector;
    const int most_lanes = vector == 1 ? 32 : 4;
    while (lanes < most_lanes && lanes < vectors) lanes *= 2;
    tiles = ceil_div(vectors, lanes);
    const auto available = [&] { return tiles * ceil_div(rows, rows_at_once()); };
    while (threads > 64 && available() < least_blocks) threads /= 2;
    const std::int64_t most = std::max<std::int64_t>(1, most_blocks / tiles),
                       wanted = std::max(ceil_div(least_blocks, tiles),
                                         std::min(rows / (rows_a_thread * rows_at_once()), most));
    std::int64_t each = ceil_div(rows, wanted * rows_at_once());
    if (each > 1 && tiles * ceil_div(rows, each * rows_at_once()) < least_blocks) --each;
    rows_each = each * rows_at_once();
    chunks = ceil_div(rows, rows_each);
  }
};

// A thread's share: the N channels from `channel` on, in the rows [begin, end), every step-th.
template <int N>
struct OwnColumns {
  __device__ explicit OwnColumns(const ColumnCut& cut)
      : tile(blockIdx.x % cut.tiles), chunk(blockIdx.x / cut.tiles), step(cut.rows_at_once()) {
    const int lane = threadIdx.x % cut.lanes;
    channel = (tile * cut.lanes + lane) * N;
    begin = chunk * cut.rows_each + threadIdx.x / cut.lanes;
    const std::int64_t behind = (chunk + 1) * cut.rows_each;
    end = channel >= cut.c ? 0 : behind < cut.rows ? behind : cut.rows;
  }

  // use(row, load(row)); so many rows are loaded before the first is used, as memory is far away.
  template <int together, class Load, class Use>
  __device__ void for_rows(Load load, Use use) const {
    std::int64_t row = begin;
    for (; row + (together - 1) * step < end; row += together * step) {
      decltype(load(row)) loaded[together];
      HAC_UNROLL
      for (int k = 0; k < together; ++k) loaded[k] = load(row + k * step);
      HAC_UNROLL
      for (int k = 0; k < together; ++k) use(row + k * step, loaded[k]);
    }
    for (; row < end; row += step) use(row, load(row));
  }

  std::int64_t tile, chunk, channel, begin, end;
  int step;
};

// Adds the chunks of a tile and calls finish(channel, first, second) for each of its channels.
// Threads lie over vectors as before and over chunks; then lanes add what their warp has, and one
// thread a channel what the warps have.
template <int N, class Shared, class Finish>
__device__ void finish_tile(const ColumnCut& cut, const OwnColumns<N>& own, const float* partial,
                            Shared& of_warps, const Finish& finish) {
  const int t = threadIdx.x, warp = t / 32, lane = t % 32;
  double mine[2 * N] = {};
  if (own.channel < cut.c) {
    for (std::int64_t i = t / cut.lanes; i < cut.chunks; i += cut.rows_at_once()) {
      const Floats<N> first = load_floats<N>(partial + 2 * i * cut.c + own.channel),
                      second = load_floats<N>(partial + (2 * i + 1) * cut.c + own.channel);
      HAC_UNROLL
      for (int j = 0; j < N; ++j) {
        mine[j] += first.v[j];
        mine[N + j] += second.v[j];
      }
    }
  }
  HAC_UNROLL
  for (int j = 0; j < 2 * N; ++j) {
    for (int lanes = cut.lanes; lanes < 32; lanes *= 2) {
      mine[j] += __shfl_xor_sync(0xFFFFFFFFu, mine[j], lanes);
    }
    if (lane < cut.lanes) of_warps[(warp * cut.lanes + lane) * 2 * N + j] = mine[j];
  }
  __syncthreads();
  const std::int64_t channel = own.tile * cut.lanes * N + t;
  if (t >= cut.lanes * N || channel >= cut.c) return;
  double first = 0, second = 0;
  for (int w = 0; w < cut.threads / 32; ++w) {
    const int at = (w * cut.lanes + t / N) * 2 * N + t % N;
    const double a = of_warps[at], b = of_warps[at + N];
    first += a;
    second += b;
  }
  finish(channel, first, second);
}

// terms.column(channel) is what a thread knows of its channels: load(row), and add(row, loaded,
// mine), which adds to 2 N sums. tickets: a zero a tile, and zero again behind the launch.
template <int N, class Terms, class Finish>
__global__ void __launch_bounds__(ColumnCut::most_threads, Terms::blocks)
    column_sums_kernel(ColumnCut cut, Terms terms, Finish finish, float* partial,
                       unsigned* tickets) {
  wait_for_previous();
  HAC_SHARED(float, sums, 2 * N * ColumnCut::most_threads);
  HAC_SHARED(double, of_warps, 2 * ColumnCut::most_threads);
  HAC_SHARED(unsigned, ticket, 1);
  const OwnColumns<N> own(cut);
  const int t = threadIdx.x;
  float mine[2 * N] = {};
  if (own.begin < own.end) {
    const auto column = terms.column(own.channel);
    own.template for_rows<Terms::together>(
        [&](std::int64_t row) { return column.load(row); },
        [&](std::int64_t row, const auto& loaded) { column.add(row, loaded, mine); });
  }
  HAC_UNROLL
  for (int j = 0; j < 2 * N; ++j) sums[j * cut.threads + t] = mine[j];
  for (int half = cut.threads / 2; half >= cut.lanes; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    HAC_UNROLL
    for (int j = 0; j < 2 * N; ++j) {
      sums[j * cut.threads + t] += sums[j * cut.threads + t + half];
    }
  }
  if (t < cut.lanes && own.channel < cut.c) {
    Pair<N> of_chunk;
    HAC_UNROLL
    for (int j = 0; j < N; ++j) {
      of_chunk.first.v[j] = sums[j * cut.threads + t];
      of_chunk.second.v[j] = sums[(N + j) * cut.threads + t];
    }
    store_floats<N>(partial + own.chunk * 2 * cut.c + own.channel, of_chunk.first);
    store_floats<N>(partial + (own.chunk * 2 + 1) * cut.c + own.channel, of_chunk.second);
  }
  if (!is_last_block(tickets + own.tile, cut.chunks, ticket)) return;
  finish_tile<N>(cut, own, partial, of_warps, finish);
}

template <int N, class Terms, class Finish>
void column_sums(Context& ctx, const char* name, const ColumnCut& cut, float* partial,
                 const Terms& terms, const Finish& finish) {
  launch(ctx, cut.launch(name, true), column_sums_kernel<N, Terms, Finish>, cut, terms, finish,
         partial, ctx.tickets(cut.tiles));
}

// pass.column(channel) as above; its use(row, loaded) stores what becomes of a row.
template <int N, class Pass>
__global__ void __launch_bounds__(ColumnCut::most_threads, Pass::blocks)
    column_walk_kernel(ColumnCut cut, Pass pass) {
  wait_for_previous();
  const OwnColumns<N> own(cut);
  if (own.begin >= own.end) return;
  const auto column = pass.column(own.channel);
  own.template for_rows<Pass::together>(
      [&](std::int64_t row) { return column.load(row); },
      [&](std::int64_t row, const auto& loaded) { column.use(row, loaded); });
}

template <int N, class Pass>
void column_walk(Context& ctx, const char* name, std::int64_t rows, std::int64_t c,
                 const Pass& pass) {
  const ColumnCut cut = ColumnCut::to_walk(rows, c, N);
  launch(ctx, cut.launch(name, false), column_walk_kernel<N, Pass>, cut, pass);
}

}  // namespace hac::HAC_GPU
