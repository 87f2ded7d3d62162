#include <algorithm>

#include "kernels/core/half.h"
#include "kernels/core/random.h"
#include "kernels/cpu/loop.h"
#include "kernels/ops/elementwise.h"

namespace hac {
namespace {

template <class T, class F, class... In>
void map(std::int64_t n, T* y, F f, const In*... x) {
#pragma omp parallel for simd schedule(static) if (parallel : n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) y[i] = from_float<T>(f(to_float(x[i])...));
}

// y = f(x...) element by element over the whole buffer; y may be one of the operands.
template <class Spec, class F, class... In>
void for_each_element(Context& ctx, const Spec& s, void* y, F f, const In*... x) {
  cpu::by_type(ctx, s, [&]<class T>(T) { map(s.shape.numel(), as<T>(y), f, as<T>(x)...); });
}

void activation_forward(Context& ctx, const ActivationSpec& s, const void* x, void* y) {
  by_activation(s.activation, [&](auto a) {
    for_each_element(
        ctx, s, y, [=](float v) { return activate<a.value>(v); }, x);
  });
}

void activation_backward(Context& ctx, const ActivationSpec& s, const void* x, const void* dy,
                         void* dx) {
  by_activation(s.activation, [&](auto a) {
    for_each_element(
        ctx, s, dx, [=](float v, float dv) { return activation_gradient<a.value>(v, dv); }, x, dy);
  });
}

void add(Context& ctx, const AddSpec& s, const void* a, const void* b, void* y) {
  by_activation(s.activation, [&](auto act) {
    for_each_element(
        ctx, s, y, [=](float left, float right) { return activate<act.value>(left + right); }, a,
        b);
  });
}

// One channel of one image: `count` elements, `stride` apart, whose logical indices begin at
// `first`. Four neighbouring indices share one Philox block.
template <class T>
void dropout_plane(const Philox& random, float p, std::uint64_t first, std::int64_t count,
                   std::int64_t stride, const T* x, T* y) {
  const float factor = 1.f / (1.f - p);
  std::array<std::uint32_t, 4> bits{};
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t index = first + i;
    if (i == 0 || index % 4 == 0) bits = random.block(index / 4);
    const float uniform = static_cast<float>(bits[index % 4] >> 8) * 0x1p-24f;
    y[i * stride] = from_float<T>(uniform >= p ? to_float(x[i * stride]) * factor : 0.f);
  }
}

template <class T>
void dropout_as(const cpu::Planes& v, const DropoutSpec& s, std::uint64_t counted, const T* in,
                T* out) {
  const Philox random{s.seed, s.offset + counted};
#pragma omp parallel for collapse(2) schedule(static) if (v.n * v.c * v.hw > cpu::serial_elements)
  for (std::int64_t n = 0; n < v.n; ++n) {
    for (std::int64_t c = 0; c < v.padded; ++c) {
      const std::int64_t at = v.offset(n, c);
      if (c < v.c) {
        const auto first = static_cast<std::uint64_t>((n * v.c + c) * v.hw);
        dropout_plane(random, s.p, first, v.hw, v.block, in + at, out + at);
      } else {
        for (std::int64_t i = 0; i < v.hw; ++i) out[at + i * v.block] = T{};
      }
    }
  }
}

template <class T>
void drop_images(const cpu::Planes& v, const DropoutSpec& s, std::uint64_t counted, const T* in,
                 T* out) {
  const Philox random{s.seed, s.offset + counted};
  const std::int64_t images = s.shape[0], each = v.n * v.padded * v.hw / images;
#pragma omp parallel for schedule(static) if (images * each > cpu::serial_elements)
  for (std::int64_t n = 0; n < images; ++n) {
    const bool kept = random.uniform(static_cast<std::uint64_t>(n)) >= s.p;
    const float factor = kept ? 1.f / (1.f - s.p) : 0.f;
    for (std::int64_t i = n * each; i < (n + 1) * each; ++i) {
      out[i] = kept ? from_float<T>(to_float(in[i]) * factor) : T{};
    }
  }
}

void dropout(Context& ctx, const DropoutSpec& s, const void* step, const void* x, void* y) {
  if (s.shape.numel() == 0) return;
  const cpu::Planes v(layout_of(ctx.device(), s.shape), s.shape);
  const std::uint64_t counted = step ? *as<std::uint64_t>(step) : 0;
  cpu::by_type(ctx, s, [&]<class T>(T) {
    if (s.images) return drop_images(v, s, counted, as<T>(x), as<T>(y));
    dropout_as(v, s, counted, as<T>(x), as<T>(y));
  });
}

// Pixels copied for all channels of a target block before the next ones, so that the cache lines
// that the channels share are still near.
constexpr std::int64_t tile = 128;

template <class T>
void reorder_as(const ReorderSpec& s, const void* x, void* y) {
  const cpu::Planes from(s.from, s.shape), to(s.to, s.shape);
  const T* in = as<T>(x);
  T* out = as<T>(y);
  if (to.hw == 1 && from.padded == to.padded) {  // the same order in both
    std::copy_n(in, to.n * to.padded, out);
    return;
  }
  const std::int64_t blocks = to.padded / to.block, tiles = ceil_div(to.hw, tile);
#pragma omp parallel for collapse(3) schedule(static) if (s.shape.numel() > cpu::serial_elements)
  for (std::int64_t n = 0; n < to.n; ++n) {
    for (std::int64_t b = 0; b < blocks; ++b) {
      for (std::int64_t t = 0; t < tiles; ++t) {
        const std::int64_t begin = t * tile, end = std::min(begin + tile, to.hw);
        for (std::int64_t c = b * to.block; c < (b + 1) * to.block; ++c) {
          T* dst = out + to.offset(n, c);
          if (c < to.c) {
            const T* src = in + from.offset(n, c);
            for (std::int64_t i = begin; i < end; ++i) dst[i * to.block] = src[i * from.block];
          } else {
            for (std::int64_t i = begin; i < end; ++i) dst[i * to.block] = T{};
          }
        }
      }
    }
  }
}

void reorder(Context&, const ReorderSpec& s, const void* x, void* y) {
  switch (size_of(s.dtype)) {
    case 1:
      return reorder_as<std::uint8_t>(s, x, y);
    case 2:
      return reorder_as<std::uint16_t>(s, x, y);
    default:
      return reorder_as<std::uint32_t>(s, x, y);
  }
}

template <class From, class To>
void cast_as(std::int64_t n, const void* x, void* y) {
  const From* in = as<From>(x);
  To* out = as<To>(y);
#pragma omp parallel for schedule(static) if (n > cpu::serial_elements)
  for (std::int64_t i = 0; i < n; ++i) out[i] = from_float<To>(to_float(in[i]));
}

void cast(Context& ctx, const CastSpec& s, const void* x, void* y) {
  const std::pair types(s.from, s.to);
  if (types == std::pair(Dtype::f32, Dtype::bf16)) return cast_as<float, bf16>(s.elements, x, y);
  if (types == std::pair(Dtype::f32, Dtype::f16)) return cast_as<float, f16>(s.elements, x, y);
  if (types == std::pair(Dtype::bf16, Dtype::f32)) return cast_as<bf16, float>(s.elements, x, y);
  if (types == std::pair(Dtype::f16, Dtype::f32)) return cast_as<f16, float>(s.elements, x, y);
  throw_unavailable(s.str(), ctx.device());
}

}  // namespace

HAC_CPU_TABLE(ActivationKernels, activation_cpu,
              {.forward = activation_forward, .backward = activation_backward})
HAC_CPU_TABLE(AddKernels, add_cpu, {.forward = add})
HAC_CPU_TABLE(DropoutKernels, dropout_cpu, {.apply = dropout})
HAC_CPU_TABLE(ReorderKernels, reorder_cpu, {.apply = reorder})
HAC_CPU_TABLE(CastKernels, cast_cpu, {.apply = cast})

}  // namespace hac
