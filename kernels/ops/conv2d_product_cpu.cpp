#include "kernels/ops/conv2d_product_cpu.h"

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/library.h"
#include "kernels/cpu/loop.h"

namespace hac::cpu {
namespace {

constexpr std::int64_t part_floats = 4 << 20;  // of cols: what is read again soon stays near

// What one product works on: some images of one group.
struct Part {
  const Conv2dSpec& s;
  std::int64_t first, images, group;

  std::int64_t pixels() const { return s.oh() * s.ow(); }
  std::int64_t rows() const { return images * pixels(); }
  std::int64_t in() const { return s.c / s.groups; }
  std::int64_t out() const { return s.k / s.groups; }
  std::int64_t columns() const { return s.r * s.s * in(); }
};

template <class F>
void for_each_part(const Conv2dSpec& s, F run) {
  const std::int64_t images = product_sizes(s).images;
  for (std::int64_t first = 0; first < s.n; first += images) {
    for (std::int64_t group = 0; group < s.groups; ++group) {
      run(Part{s, first, std::min(images, s.n - first), group});
    }
  }
}

// Calls run(at, channel, count) for the runs of neighbouring floats that the channels from `begin`
// to `end` are in pixel 0 of the image; the next pixel is v.block floats further.
template <class F>
void for_each_run(const Planes& v, std::int64_t image, std::int64_t begin, std::int64_t end,
                  F run) {
  for (std::int64_t c = begin; c < end;) {
    const std::int64_t count = std::min(v.block - c % v.block, end - c);
    run(v.offset(image, c), c - begin, count);
    c += count;
  }
}

// One run of channels at one place (u, v) under the kernel, along a row of output pixels: pixel j
// has its floats at image + j * image_step if begin <= j < end, else it lies outside the image, and
// its columns at cols + j * cols_step.
struct Line {
  std::int64_t image, image_step, cols, cols_step, begin, end, count;
};

// Calls run(line) for all of a part, the images on threads of their own.
template <class F>
void for_each_line(const Part& p, F run) {
  const Conv2dSpec& s = p.s;
  const Planes v(layout_of({}, s.in_shape()), s.in_shape());
  const std::int64_t oh = s.oh(), ow = s.ow(), columns = p.columns();
  const std::int64_t first = p.group * p.in(), last = first + p.in();
#pragma omp parallel for schedule(static) if (p.rows() * columns > serial_elements)
  for (std::int64_t n = 0; n < p.images; ++n) {
    for (std::int64_t i = 0; i < oh; ++i) {
      for (std::int64_t place = 0; place < s.r * s.s; ++place) {
        const std::int64_t y = i * s.stride + place / s.s - s.pad, shift = place % s.s - s.pad;
        const bool inside = y >= 0 && y < s.h;
        // 0 <= j * stride + shift < w
        const std::int64_t begin =
            std::min(ow, ceil_div(std::max<std::int64_t>(0, -shift), s.stride));
        const std::int64_t end =
            shift < s.w ? std::min(ow, (s.w - 1 - shift) / s.stride + 1) : begin;
        for_each_run(v, p.first + n, first, last,
                     [&](std::int64_t at, std::int64_t c, std::int64_t count) {
                       run(Line{.image = at + (y * s.w + shift) * v.block,
                                .image_step = s.stride * v.block,
                                .cols = (n * oh + i) * ow * columns + place * p.in() + c,
                                .cols_step = columns,
                                .begin = inside ? begin : 0,
                                .end = inside ? std::max(begin, end) : 0,
                                .count = count});
                     });
      }
    }
  }
}

// Calls run(count) with a constant where it is a usual one: a copy of so few floats is made of
// moves then, not of a call.
template <class F>
void by_count(std::int64_t count, F run) {
  if (count == 1) return run(std::integral_constant<int, 1>());
  if (count == 8) return run(std::integral_constant<int, 8>());
  if (count == 16) return run(std::integral_constant<int, 16>());
  run(count);
}

void gather(const Part& p, const float* x, float* cols) {
  for_each_line(p, [&](const Line& l) {
    by_count(l.count, [&](auto count) {
      const auto clear = [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t j = from; j < to; ++j) {
          for (std::int64_t i = 0; i < count; ++i) cols[l.cols + j * l.cols_step + i] = 0;
        }
      };
      clear(0, l.begin);
      for (std::int64_t j = l.begin; j < l.end; ++j) {
        const float* from = x + l.image + j * l.image_step;
        float* to = cols + l.cols + j * l.cols_step;
        for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
      }
      clear(l.end, p.s.ow());
    });
  });
}

void scatter_add(const Part& p, const float* cols, float* dx) {
  for_each_line(p, [&](const Line& l) {
    by_count(l.count, [&](auto count) {
      for (std::int64_t j = l.begin; j < l.end; ++j) {
        const float* from = cols + l.cols + j * l.cols_step;
        float* to = dx + l.image + j * l.image_step;
        for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
      }
    });
  });
}

// Calls run(place in y, place in rows, channel, count) for the runs of the part's output.
template <class F>
void for_each_output(const Part& p, F run) {
  const Planes v(layout_of({}, p.s.out_shape()), p.s.out_shape());
  const std::int64_t begin = p.group * p.out(), end = begin + p.out();
#pragma omp parallel for schedule(static) if (p.rows() * p.out() > serial_elements)
  for (std::int64_t n = 0; n < p.images; ++n) {
    for_each_run(v, p.first + n, begin, end,
                 [&](std::int64_t at, std::int64_t k, std::int64_t count) {
                   std::int64_t row = n * p.pixels() * p.out() + k;
                   for (std::int64_t i = 0; i < p.pixels(); ++i, row += p.out()) {
                     run(at + i * v.block, row, begin + k, count);
                   }
                 });
  }
}

void gather_rows(const Part& p, const float* dy, float* rows) {
  for_each_output(p, [&](std::int64_t at, std::int64_t row, std::int64_t, std::int64_t floats) {
    by_count(floats, [&](auto count) {
      for (std::int64_t i = 0; i < count; ++i) rows[row + i] = dy[at + i];
    });
  });
}

void scatter_rows(const Part& p, const float* rows, const float* bias, float* y) {
  by_activation(p.s.activation, [&](auto a) {
    for_each_output(p, [&](std::int64_t at, std::int64_t row, std::int64_t k, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        float value = rows[row + i] + (bias ? bias[k + i] : 0.f);
        if (p.s.add) value += y[at + i];
        y[at + i] = activate<a.value>(value);
      }
    });
  });
}

void clear(const Shape& shape, float* data) {
  std::fill_n(data, storage_elements(layout_of({}, shape), shape), 0.f);
}

// `count` matrices (rows, columns), each to (columns, rows).
void transpose_each(std::int64_t count, std::int64_t rows, std::int64_t columns, const float* from,
                    float* to) {
  for (; count > 0; --count, from += rows * columns) {
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t i = 0; i < rows; ++i) *to++ = from[i * columns + j];
    }
  }
}

// Where a group's weights, a part's cols and its rows lie.
struct Work {
  Work(const Conv2dSpec& s, float* work) : cols(work), rows(cols + product_sizes(s).cols) {}
  float *cols, *rows;
};

}  // namespace

ProductSizes product_sizes(const Conv2dSpec& s) {
  const Part one{s, 0, 1, 0};
  ProductSizes z;
  z.images = std::clamp<std::int64_t>(part_floats / (one.rows() * one.columns()), 1, s.n);
  z.cols = round_up(z.images * one.rows() * one.columns(), 16);
  z.rows = round_up(z.images * one.rows() * one.out(), 16);
  z.weights = s.weight_shape().numel();
  return z;
}

void product_pack(const Conv2dSpec& s, const float* w, float* packed) {
  transpose_each(s.k, s.c / s.groups, s.r * s.s, w, packed);
}

void product_unpack(const Conv2dSpec& s, const float* packed, float* w) {
  transpose_each(s.k, s.r * s.s, s.c / s.groups, packed, w);
}

void product_forward(const Conv2dSpec& s, const float* x, const float* packed, const float* bias,
                     float* y, float* work) {
  const Work at(s, work);
  if (!s.add) clear(s.out_shape(), y);
  for_each_part(s, [&](const Part& p) {
    gather(p, x, at.cols);
    multiply('N', 'T', p.rows(), p.out(), p.columns(), at.cols,
             packed + p.group * p.out() * p.columns(), 0, at.rows);
    scatter_rows(p, at.rows, bias, y);
  });
}

void product_backward_data(const Conv2dSpec& s, const float* dy, const float* packed, float* dx,
                           float* work) {
  const Work at(s, work);
  clear(s.in_shape(), dx);
  for_each_part(s, [&](const Part& p) {
    gather_rows(p, dy, at.rows);
    multiply('N', 'N', p.rows(), p.columns(), p.out(), at.rows,
             packed + p.group * p.out() * p.columns(), 0, at.cols);
    scatter_add(p, at.cols, dx);
  });
}

void product_backward_weights(const Conv2dSpec& s, const float* x, const float* dy, float* dw,
                              float* db, float* work) {
  const Work at(s, work);
  if (db) std::fill_n(db, s.k, 0.f);
  for_each_part(s, [&](const Part& p) {
    gather(p, x, at.cols);
    gather_rows(p, dy, at.rows);
    multiply('T', 'N', p.out(), p.columns(), p.rows(), at.rows, at.cols, p.first > 0 ? 1 : 0,
             dw + p.group * p.out() * p.columns());
    if (!db) return;
    const float* row = at.rows;
#pragma omp parallel for schedule(static) if (p.rows() * p.out() > serial_elements)
    for (std::int64_t k = 0; k < p.out(); ++k) {
      double sum = 0;
      for (std::int64_t i = 0; i < p.rows(); ++i) sum += row[i * p.out() + k];
      db[p.group * p.out() + k] += static_cast<float>(sum);
    }
  });
}

}  // namespace hac::cpu
