#include "kernels/ops/conv2d_winograd_cpu.h"

#include <omp.h>

#include <algorithm>

#include "kernels/cpu/loop.h"
#include "kernels/ops/conv2d_bias_gradient_cpu.h"
#include "kernels/ops/winograd_transforms_cpu.h"

namespace hac::cpu {
namespace {

// ---- tiles ----

struct Range {
  std::int64_t begin, end;
};

// Of `items`, those of one of `team` threads.
Range share(std::int64_t items, int team, int me) {
  return {items * me / team, items * (me + 1) / team};
}

// A blocked tensor cut into tiles of `outputs` pixels, and a border of `pad` around it that is
// zero.
struct Tiles {
  Tiles(const Shape& shape, std::int64_t rows, std::int64_t columns, std::int64_t m)
      : down(ceil_div(rows, m)),
        across(ceil_div(columns, m)),
        count(shape[0] * down * across),
        h(shape[2]),
        w(shape[3]),
        blocks(round_up(shape[1], lanes) / lanes) {}

  // First float of the image's plane of channels, and the tile's first pixel.
  struct Place {
    std::int64_t plane, y, x;
  };
  Place place(std::int64_t tile, std::int64_t block, std::int64_t m) const {
    const std::int64_t image = tile / (down * across);
    return {(image * blocks + block) * h * w * lanes, tile / across % down * m, tile % across * m};
  }

  std::int64_t down, across, count, h, w, blocks;
};

// What the passes share: the tensor that is read, the one that is written, and their tiles.
template <int m>
struct Pixels {
  explicit Pixels(const Conv2dSpec& s)
      : back(s.pass == Pass::backward_data),
        from(back ? s.out_shape() : s.in_shape(), back ? s.h : s.oh(), back ? s.w : s.ow(), m),
        to(back ? s.in_shape() : s.out_shape(), back ? s.h : s.oh(), back ? s.w : s.ow(), m),
        pad(back ? 2 - s.pad : s.pad) {}

  bool back;
  Tiles from, to;
  std::int64_t pad;
};

// The a x a pixels around a tile, zero outside the image; B^T d B to v[t][tile][channel].
template <int m>
void read_tile(const Tiles& tiles, std::int64_t pad, const float* x, std::int64_t tile,
               std::int64_t block, float* v, std::int64_t step) {
  constexpr int a = m + 2;
  const auto [plane, top, left] = tiles.place(tile, block, m);
  const std::int64_t y0 = top - pad, x0 = left - pad;
  const float* const pixels = x + plane;
  Lanes d[a][a], out[a][a];
  if (y0 >= 0 && x0 >= 0 && y0 + a <= tiles.h && x0 + a <= tiles.w) {
    const float* const first = pixels + (y0 * tiles.w + x0) * lanes;
#pragma GCC unroll 8
    for (int i = 0; i < a; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < a; ++j) d[i][j] = load(first + (i * tiles.w + j) * lanes);
    }
  } else {
    for (int i = 0; i < a; ++i) {
      for (int j = 0; j < a; ++j) {
        const std::int64_t row = y0 + i, column = x0 + j;
        const bool inside = row >= 0 && row < tiles.h && column >= 0 && column < tiles.w;
        d[i][j] = inside ? load(pixels + (row * tiles.w + column) * lanes) : Lanes{};
      }
    }
  }
  transform<Form<m>::bt, a, a>(d, out);
#pragma GCC unroll 8
  for (int i = 0; i < a; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < a; ++j) store(v + (i * a + j) * step, out[i][j]);
  }
}

// A dy A^T of the m x m pixels of a tile, for the gradient of the weights.
template <int m>
void read_gradient(const Tiles& tiles, const float* dy, std::int64_t tile, std::int64_t block,
                   float* z, std::int64_t step) {
  constexpr int a = m + 2;
  static constexpr auto matrix = transposed(Form<m>::at);
  const auto [plane, top, left] = tiles.place(tile, block, m);
  Lanes d[m][m], out[a][a];
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) {
      const bool inside = top + i < tiles.h && left + j < tiles.w;
      d[i][j] = inside ? load(dy + plane + ((top + i) * tiles.w + left + j) * lanes) : Lanes{};
    }
  }
  transform<matrix, a, m>(d, out);
#pragma GCC unroll 8
  for (int i = 0; i < a; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < a; ++j) store(z + (i * a + j) * step, out[i][j]);
  }
}

// A^T M A and what is fused behind, to the pixels of the tile that the image has.
template <int m, Activation activation>
void write_tile(const Tiles& tiles, bool add, const float* products, std::int64_t step, Lanes bias,
                std::int64_t tile, std::int64_t block, float* y) {
  constexpr int a = m + 2;
  Lanes d[a][a], out[m][m];
#pragma GCC unroll 8
  for (int i = 0; i < a; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < a; ++j) d[i][j] = load(products + (i * a + j) * step);
  }
  transform<Form<m>::at, m, a>(d, out);
  const auto [plane, top, left] = tiles.place(tile, block, m);
  const std::int64_t rows = std::min<std::int64_t>(m, tiles.h - top);
  const std::int64_t columns = std::min<std::int64_t>(m, tiles.w - left);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      float* const to = y + plane + ((top + i) * tiles.w + left + j) * lanes;
      Lanes value = out[i][j] + bias;
      if (add) value += load(to);
      store(to, activate_lanes<activation>(value));
    }
  }
}

// ---- the products ----

// y (rows, columns lanes) = v (rows, depth) u (depth, columns lanes), u in one run.
template <int rows, int columns, class Weight>
void product(std::int64_t depth, const float* v, std::int64_t v_step, const Weight* u, Group group,
             float* y, std::int64_t y_step) {
  Lanes sums[rows][columns] = {};
  multiply_add(
      depth, v, [=](int i) { return i * v_step; }, u, group, sums);
  store_sums(sums, y, [=](int i) { return i * y_step; });
}

// du (rows, columns lanes) += v^T z over `depth` tiles.
template <int rows, int columns>
void outer_product(std::int64_t depth, const float* v, std::int64_t v_step, const float* z,
                   std::int64_t z_step, float* du, std::int64_t du_step) {
  Lanes sums[rows][columns];
  const auto at = [=](int i) { return i * du_step; };
  load_sums(du, at, sums);
  for (std::int64_t t = 0; t < depth; ++t, v += v_step, z += z_step) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < columns; ++j) sums[i][j] += v[i] * load(z + j * lanes);
    }
  }
  store_sums(sums, du, at);
}

// ---- the passes ----

// body(first tile, tiles, team, me, work) for each part; barrier() between its phases.
template <class Body>
void for_each_part(const Winograd& p, std::int64_t tiles, float* work, Body body) {
  const std::int64_t parts = ceil_div(tiles, p.part);
#pragma omp parallel if (tiles > 1)
  {
    const int threads = omp_get_num_threads(), thread = omp_get_thread_num();
    const Range own = p.alone ? share(parts, threads, thread) : Range{0, parts};
    float* const own_work = p.alone ? work + thread * p.work : work;
    for (std::int64_t i = own.begin; i < own.end; ++i) {
      const std::int64_t first = i * p.part, count = std::min(p.part, tiles - first);
      body(first, count, p.alone ? 1 : threads, p.alone ? 0 : thread, own_work);
    }
  }
}

void meet(const Winograd& p) {
  if (!p.alone) {
#pragma omp barrier
  }
}

template <int m, Activation activation, class Weight>
void convolve_as(const Conv2dSpec& s, const Winograd& p, const float* x, const Weight* u,
                 const float* bias, float* y, float* work) {
  constexpr int a2 = (m + 2) * (m + 2);
  const Pixels<m> pixels(s);
  const std::int64_t in = pixels.from.blocks, out = pixels.to.blocks;
  const std::int64_t c = in * lanes, k = out * lanes, pairs = ceil_div(out, 2);
  for_each_part(p, pixels.to.count, work,
                [&](std::int64_t first, std::int64_t count, int team, int me, float* v) {
                  float* const products = v + a2 * p.part * c;
                  const Range read = share(count * in, team, me);
                  for (std::int64_t i = read.begin; i < read.end; ++i) {
                    const std::int64_t tile = i / in, block = i % in;
                    read_tile<m>(pixels.from, pixels.pad, x, first + tile, block,
                                 v + tile * c + block * lanes, p.part * c);
                  }
                  meet(p);
                  const Range multiplied = share(a2 * pairs, team, me);
                  for (std::int64_t i = multiplied.begin; i < multiplied.end; ++i) {
                    const std::int64_t t = i / pairs;
                    by_pair(i % pairs, out, [&](std::int64_t block, auto columns) {
                      by_rows(count, [&](std::int64_t row, auto rows, Group group) {
                        product<rows, columns>(
                            c, v + (t * p.part + row) * c, c, u + (t * k + block * lanes) * c,
                            group, products + (t * p.part + row) * k + block * lanes, k);
                      });
                    });
                  }
                  meet(p);
                  const Range written = share(count * out, team, me);
                  for (std::int64_t i = written.begin; i < written.end; ++i) {
                    const std::int64_t tile = i / out, block = i % out;
                    write_tile<m, activation>(
                        pixels.to, s.add, products + tile * k + block * lanes, p.part * k,
                        bias ? load(bias + block * lanes) : Lanes{}, first + tile, block, y);
                  }
                });
}

template <int m, class Weight>
void convolve(const Conv2dSpec& s, const Winograd& p, const float* x, const Weight* u,
              const float* bias, float* y, float* work) {
  by_activation(s.activation, [&](auto a) { convolve_as<m, a.value>(s, p, x, u, bias, y, work); });
}

// U[t][pair of blocks of K][c][K of the pair].
template <int m, class Weight>
void pack(const Conv2dSpec& s, const float* w, Weight* u) {
  constexpr int a = m + 2;
  const bool back = s.pass == Pass::backward_data;
  const std::int64_t in = back ? s.k : s.c, out = back ? s.c : s.k;
  const std::int64_t c = round_up(in, lanes), blocks = round_up(out, lanes) / lanes;
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t columns = block % 2 == 0 && block + 1 == blocks ? 1 : 2;
    Weight* const pair = u + block / 2 * 2 * lanes * c;
    for (std::int64_t i = 0; i < c; ++i) {
      Lanes g[3][3] = {}, rows[3][a];
      for (int l = 0; l < lanes && i < in && block * lanes + l < out; ++l) {
        const std::int64_t o = block * lanes + l;
        const float* const from = w + (back ? i * out + o : o * in + i) * 9;
        for (int q = 0; q < 9; ++q) g[q / 3][q % 3][l] = from[back ? 8 - q : q];
      }
#pragma GCC unroll 4
      for (int q = 0; q < 3; ++q) multiply<Form<m>::g, a, 3>(g[q], rows[q]);
#pragma GCC unroll 8
      for (int j = 0; j < a; ++j) {
        const Lanes column[3] = {rows[0][j], rows[1][j], rows[2][j]};
        Lanes result[a];
        multiply<Form<m>::g, a, 3>(column, result);
#pragma GCC unroll 8
        for (int q = 0; q < a; ++q) {
          Weight* const row = pair + ((q * a + j) * c * blocks + i * columns) * lanes;
          store_in_row(row, columns, block % 2, result[q]);
        }
      }
    }
  }
}

template <int m>
void weight_gradient(const Conv2dSpec& s, const Winograd& p, const float* x, const float* dy,
                     float* dw, float* du, float* work) {
  constexpr int a = m + 2, a2 = a * a;
  const Pixels<m> pixels(s);
  const std::int64_t in = pixels.from.blocks, out = pixels.to.blocks;
  const std::int64_t c = in * lanes, k = out * lanes, pairs = ceil_div(out, 2);
  for_each_part(p, pixels.to.count, work,
                [&](std::int64_t first, std::int64_t count, int team, int me, float* v) {
                  float* const z = v + a2 * p.part * c;
                  const Range read = share(count * (in + out), team, me);
                  for (std::int64_t i = read.begin; i < read.end; ++i) {
                    const std::int64_t tile = i / (in + out), block = i % (in + out);
                    if (block < in) {
                      read_tile<m>(pixels.from, pixels.pad, x, first + tile, block,
                                   v + tile * c + block * lanes, p.part * c);
                    } else {
                      read_gradient<m>(pixels.to, dy, first + tile, block - in,
                                       z + tile * k + (block - in) * lanes, p.part * k);
                    }
                  }
                  meet(p);
                  const Range multiplied = share(a2 * pairs, team, me);
                  for (std::int64_t i = multiplied.begin; i < multiplied.end; ++i) {
                    const std::int64_t t = i / pairs;
                    by_pair(i % pairs, out, [&](std::int64_t block, auto columns) {
                      by_rows(c, [&](std::int64_t row, auto rows, Group) {
                        float* const sum = du + (t * c + row) * k + block * lanes;
                        if (first == 0) {
                          for (int r = 0; r < rows; ++r) {
                            for (int j = 0; j < columns; ++j)
                              store(sum + r * k + j * lanes, Lanes{});
                          }
                        }
                        outer_product<rows, columns>(count, v + t * p.part * c + row, c,
                                                     z + t * p.part * k + block * lanes, k, sum, k);
                      });
                    });
                  }
                  meet(p);
                });
  static constexpr auto gt = transposed(Form<m>::g);
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < out; ++block) {
    for (std::int64_t i = 0; i < s.c; ++i) {
      Lanes d[a][a], g[3][3];
      for (int t = 0; t < a2; ++t) d[t / a][t % a] = load(du + (t * c + i) * k + block * lanes);
      transform<gt, 3, a>(d, g);
      for (int l = 0; l < lanes && block * lanes + l < s.k; ++l) {
        float* const to = dw + ((block * lanes + l) * s.c + i) * 9;
        for (int q = 0; q < 9; ++q) to[q] = g[q / 3][q % 3][l];
      }
    }
  }
}

// run(m as a constant)
template <class Run>
void by_outputs(const Winograd& p, Run run) {
  if (p.outputs == 4) return run(std::integral_constant<int, 4>());
  run(std::integral_constant<int, 2>());
}

template <class Weight>
void pack_any(const Conv2dSpec& s, const Winograd& p, const float* w, Weight* u) {
  by_outputs(p, [&](auto m) { pack<m>(s, w, u); });
}

template <class Weight>
void convolve_any(const Conv2dSpec& s, const Winograd& p, const float* x, const Weight* u,
                  const float* bias, float* y, float* work) {
  by_outputs(p, [&](auto m) { convolve<m>(s, p, x, u, bias, y, work); });
}

void weights_any(const Conv2dSpec& s, const Winograd& p, const float* x, const float* dy, float* dw,
                 float* db, float* du, float* work) {
  by_outputs(p, [&](auto m) { weight_gradient<m>(s, p, x, dy, dw, du, work); });
  if (db) bias_gradient(s, dy, db);
}

}  // namespace

HAC_CPU_TABLE(WinogradKernels<float>, winograd_loops_f32,
              {.pack = pack_any<float>, .convolve = convolve_any<float>, .weights = weights_any})
HAC_CPU_TABLE(WinogradKernels<bf16>, winograd_loops_bf16,
              {.pack = pack_any<bf16>, .convolve = convolve_any<bf16>})

}  // namespace hac::cpu
