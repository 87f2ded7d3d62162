#include "kernels/cpu/conv_product.h"

#include <algorithm>
#include <dnnl.hpp>

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

// Calls run(image, cols of the place, place in the image or -1 outside it) for each place (u, v)
// under the kernel at each output pixel, the images on threads of their own.
template <class Cols, class F>
void for_each_place(const Part& p, Cols* cols, F run) {
  const Conv2dSpec& s = p.s;
#pragma omp parallel for schedule(static) if (p.rows() * p.columns() > serial_elements)
  for (std::int64_t n = 0; n < p.images; ++n) {
    Cols* to = cols + n * p.pixels() * p.columns();
    for (std::int64_t i = 0; i < s.oh(); ++i) {
      for (std::int64_t j = 0; j < s.ow(); ++j) {
        for (std::int64_t u = 0; u < s.r; ++u) {
          for (std::int64_t v = 0; v < s.s; ++v, to += p.in()) {
            const std::int64_t y = i * s.stride + u - s.pad, x = j * s.stride + v - s.pad;
            const bool inside = y >= 0 && y < s.h && x >= 0 && x < s.w;
            run(p.first + n, to, inside ? y * s.w + x : -1);
          }
        }
      }
    }
  }
}

void gather(const Part& p, const float* x, float* cols) {
  const Planes v(layout_of({}, p.s.in_shape()), p.s.in_shape());
  const std::int64_t begin = p.group * p.in(), end = begin + p.in();
  for_each_place(p, cols, [&](std::int64_t image, float* to, std::int64_t place) {
    if (place < 0) {
      std::fill_n(to, p.in(), 0.f);
      return;
    }
    for_each_run(v, image, begin, end, [&](std::int64_t at, std::int64_t c, std::int64_t count) {
      std::copy_n(x + at + place * v.block, count, to + c);
    });
  });
}

void scatter_add(const Part& p, const float* cols, float* dx) {
  const Planes v(layout_of({}, p.s.in_shape()), p.s.in_shape());
  const std::int64_t begin = p.group * p.in(), end = begin + p.in();
  for_each_place(p, cols, [&](std::int64_t image, const float* from, std::int64_t place) {
    if (place < 0) return;
    for_each_run(v, image, begin, end, [&](std::int64_t at, std::int64_t c, std::int64_t count) {
      float* to = dx + at + place * v.block;
      for (std::int64_t i = 0; i < count; ++i) to[i] += from[c + i];
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
  for_each_output(p, [&](std::int64_t at, std::int64_t row, std::int64_t, std::int64_t count) {
    std::copy_n(dy + at, count, rows + row);
  });
}

void scatter_rows(const Part& p, const float* rows, const float* bias, float* y) {
  const Epilogue e = p.s.epilogue;
  const bool adds = e == Epilogue::add || e == Epilogue::add_relu;
  const bool relu = e == Epilogue::relu || e == Epilogue::add_relu;
  for_each_output(p, [&](std::int64_t at, std::int64_t row, std::int64_t k, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      float value = rows[row + i] + (bias ? bias[k + i] : 0.f);
      if (adds) value += y[at + i];
      y[at + i] = relu && value < 0 ? 0.f : value;  // a NaN stays a NaN
    }
  });
}

// Row-major c (m, n) = op(a) op(b) + beta c.
void multiply(char op_a, char op_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
              const float* b, float beta, float* c) {
  const std::int64_t lda = op_a == 'N' ? k : m, ldb = op_b == 'N' ? n : k;
  const auto status = dnnl_sgemm(op_a, op_b, m, n, k, 1.f, a, lda, b, ldb, beta, c, n);
  dnnl::error::wrap_c_api(status, "sgemm");
}

void clear(const Shape& shape, float* data) {
  std::fill_n(data, storage_elements(layout_of({}, shape), shape), 0.f);
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
  const std::int64_t c = s.c / s.groups, places = s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k, w += c * places) {
    for (std::int64_t p = 0; p < places; ++p) {
      for (std::int64_t i = 0; i < c; ++i) *packed++ = w[i * places + p];
    }
  }
}

void product_unpack(const Conv2dSpec& s, const float* packed, float* w) {
  const std::int64_t c = s.c / s.groups, places = s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k, w += c * places) {
    for (std::int64_t p = 0; p < places; ++p) {
      for (std::int64_t i = 0; i < c; ++i) w[i * places + p] = *packed++;
    }
  }
}

void product_forward(const Conv2dSpec& s, const float* x, const float* packed, const float* bias,
                     float* y, float* work) {
  const Work at(s, work);
  const bool adds = s.epilogue == Epilogue::add || s.epilogue == Epilogue::add_relu;
  if (!adds) clear(s.out_shape(), y);
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
