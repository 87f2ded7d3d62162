// One thread a vector of 16 bytes.

#include "kernels/ops/elementwise.h"

#include "kernels/core/random.h"
#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

template <Activation A>
struct Activate {
  __device__ float operator()(float x) const { return activate<A>(x); }
};

template <Activation A>
struct ActivationGradient {
  __device__ float operator()(float x, float dy) const { return activation_gradient<A>(x, dy); }
};

template <Activation A>
struct AddActivate {
  __device__ float operator()(float a, float b) const { return activate<A>(a + b); }
};

// y = f(x...), N elements a thread.
template <int N, class F, class Out, class... In>
__global__ void map_kernel(Offset elements, F f, Out* y, const In*... x) {
  wait_for_previous();
  const Offset i = own_element<N>();
  if (i >= elements) return;
  const auto map = [&](const auto&... v) {
    Floats<N> mapped;
    for (int j = 0; j < N; ++j) mapped.v[j] = f(v.v[j]...);
    return mapped;
  };
  store_floats<N>(y + i, map(load_floats<N>(x + i)...));
}

// y = F<activation>(x...), all of the spec's dtype.
template <template <Activation> class F, class Spec, class... Operands>
void map(Context& ctx, const char* name, const Spec& s, void* y, Operands... x) {
  const std::int64_t elements = s.shape.numel();
  if (elements == 0) return;
  by_activation(s.activation, [&](auto a) {
    by_vector(s.dtype, elements, {y, x...}, [&](auto t, auto n) {
      using T = decltype(t);
      constexpr int N = n.value;
      using Function = F<a.value>;
      launch(ctx, launch_over(name, elements, N),
             map_kernel<N, Function, T, std::conditional_t<true, T, Operands>...>, elements,
             Function(), as<T>(y), as<T>(x)...);
    });
  });
}

void activation_forward(Context& ctx, const ActivationSpec& s, const void* x, void* y) {
  map<Activate>(ctx, "activation", s, y, x);
}

void activation_backward(Context& ctx, const ActivationSpec& s, const void* x, const void* dy,
                         void* dx) {
  map<ActivationGradient>(ctx, "activation_backward", s, dx, x, dy);
}

void add(Context& ctx, const AddSpec& s, const void* a, const void* b, void* y) {
  map<AddActivate>(ctx, "add", s, y, a, b);
}

// i is the place in (N, H, W, C); the mask belongs to the place in (N, C, H, W), or to the image.
template <class T>
__global__ void dropout_kernel(Offset n, Offset c, Offset hw, bool images, Philox random, float p,
                               const std::uint64_t* step, const T* x, T* y) {
  wait_for_previous();
  const Offset i = own_element();
  if (i >= n * c * hw) return;
  if (step) random.stream += load(step);
  const Offset pixel = i / c, image = pixel / hw;
  const Offset logical = images ? image : (image * c + i % c) * hw + pixel % hw;
  const bool kept = random.uniform(static_cast<std::uint64_t>(logical)) >= p;
  store(y + i, kept ? from_float<T>(to_float(load(x + i)) * (1.f / (1.f - p))) : T{});
}

void dropout(Context& ctx, const DropoutSpec& s, const void* step, const void* x, void* y) {
  const Shape& d = s.shape;
  if (d.numel() == 0) return;
  const bool image = d.rank() == 4;
  const std::int64_t n = image || s.images ? d[0] : 1, c = image ? d[1] : 1,
                     hw = d.numel() / (n * c);
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, launch_over("dropout", n * c * hw), dropout_kernel<T>, n, c, hw, s.images,
           Philox{s.seed, s.offset}, s.p, as<std::uint64_t>(step), as<T>(x), as<T>(y));
  });
}

// Every layout is (N, C / block, H W, block): plain has blocks of one channel, nhwc one block of
// all.
struct Blocked {
  Offset c, hw, block;
  __device__ Offset blocks() const { return (c + block - 1) / block; }
  __device__ Offset place(Offset image, Offset channel, Offset pixel) const {
    return ((image * blocks() + channel / block) * hw + pixel) * block + channel % block;
  }
};

// Consecutive threads write consecutive elements. Reads are strided, but what the engine reorders
// is either images of three channels or 1x1 maps, where they are nearly consecutive too.
template <class T>
__global__ void reorder_kernel(Offset elements, Blocked from, Blocked to, const T* x, T* y) {
  wait_for_previous();
  const Offset i = own_element();
  if (i >= elements) return;
  const Offset row = i / to.block, pixel = row % to.hw, block = row / to.hw % to.blocks();
  const Offset channel = block * to.block + i % to.block, image = row / to.hw / to.blocks();
  store(y + i, channel < to.c ? load(x + from.place(image, channel, pixel)) : T{});
}

template <class T>
void reorder_as(Context& ctx, const ReorderSpec& s, const void* x, void* y) {
  const Shape& d = s.shape;
  const auto blocked = [&](Layout layout) {
    return Blocked{static_cast<Offset>(d[1]), static_cast<Offset>(d[2] * d[3]),
                   static_cast<Offset>(block_of(layout, d[1]))};
  };
  const std::int64_t elements = storage_elements(s.to, d);
  require_offsets("reorder", storage_elements(s.from, d));
  launch(ctx, launch_over("reorder", elements), reorder_kernel<T>, elements, blocked(s.from),
         blocked(s.to), as<T>(x), as<T>(y));
}

void reorder(Context& ctx, const ReorderSpec& s, const void* x, void* y) {
  if (s.shape.numel() == 0) return;
  switch (size_of(s.dtype)) {
    case 1:
      return reorder_as<std::uint8_t>(ctx, s, x, y);
    case 2:
      return reorder_as<std::uint16_t>(ctx, s, x, y);
    default:
      return reorder_as<std::uint32_t>(ctx, s, x, y);
  }
}

template <int N, class From, class To>
void cast_as(Context& ctx, std::int64_t n, const void* x, void* y) {
  using Same = Activate<Activation::none>;
  launch(ctx, launch_over("cast", n, N), map_kernel<N, Same, To, From>, n, Same(), as<To>(y),
         as<From>(x));
}

void cast(Context& ctx, const CastSpec& s, const void* x, void* y) {
  const bool narrow = s.from == Dtype::f32;
  if (!narrow && s.to != Dtype::f32) throw_unavailable(s.str(), ctx.device());
  if (s.elements == 0) return;
  by_dtype(narrow ? s.to : s.from, [&](auto t) {
    using T = decltype(t);
    // 16 bytes on the side of the floats.
    by_vector(Dtype::f32, s.elements, {x, y}, [&](auto, auto n) {
      if (narrow) return cast_as<n.value, float, T>(ctx, s.elements, x, y);
      cast_as<n.value, T, float>(ctx, s.elements, x, y);
    });
  });
}

}  // namespace

const ActivationKernels HAC_GPU_TABLE(activation){.forward = activation_forward,
                                                  .backward = activation_backward};
const AddKernels HAC_GPU_TABLE(add){.forward = add};
const DropoutKernels HAC_GPU_TABLE(dropout){.apply = dropout};
const ReorderKernels HAC_GPU_TABLE(reorder){.apply = reorder};
const CastKernels HAC_GPU_TABLE(cast){.apply = cast};

}  // namespace hac
