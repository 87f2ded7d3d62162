// One thread a vector of 16 bytes.

#include "kernels/ops/elementwise.h"

#include "kernels/core/random.h"
#include "kernels/device/packed.cuh"

namespace hac {
namespace HAC_GPU {
namespace {

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

template <class F, int N, class T>
__global__ void unary_kernel(Offset elements, const T* x, T* y) {
  const Offset i = own_element<N>();
  if (i >= elements) return;
  Floats<N> v = load_floats<N>(x + i);
  for (int j = 0; j < N; ++j) v.v[j] = F()(v.v[j]);
  store_floats<N>(y + i, v);
}

template <class F, int N, class T>
__global__ void binary_kernel(Offset elements, const T* a, const T* b, T* y) {
  const Offset i = own_element<N>();
  if (i >= elements) return;
  Floats<N> v = load_floats<N>(a + i);
  const Floats<N> w = load_floats<N>(b + i);
  for (int j = 0; j < N; ++j) v.v[j] = F()(v.v[j], w.v[j]);
  store_floats<N>(y + i, v);
}

// F<activation> of every element of a, or of a and b.
template <template <Activation> class F, class Spec>
void unary(Context& ctx, const char* name, const Spec& s, const void* x, void* y) {
  const std::int64_t elements = s.shape.numel();
  if (elements == 0) return;
  by_activation(s.activation, [&](auto a) {
    by_vector(s.dtype, elements, {x, y}, [&](auto t, auto n) {
      using T = decltype(t);
      constexpr int N = n.value;
      launch(ctx, launch_over(name, elements, N), unary_kernel<F<a.value>, N, T>, elements,
             static_cast<const T*>(x), static_cast<T*>(y));
    });
  });
}

template <template <Activation> class F, class Spec>
void binary(Context& ctx, const char* name, const Spec& s, const void* a, const void* b, void* y) {
  const std::int64_t elements = s.shape.numel();
  if (elements == 0) return;
  by_activation(s.activation, [&](auto act) {
    by_vector(s.dtype, elements, {a, b, y}, [&](auto t, auto n) {
      using T = decltype(t);
      constexpr int N = n.value;
      launch(ctx, launch_over(name, elements, N), binary_kernel<F<act.value>, N, T>, elements,
             static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(y));
    });
  });
}

void activation_forward(Context& ctx, const ActivationSpec& s, const void* x, void* y) {
  unary<Activate>(ctx, "activation", s, x, y);
}

void activation_backward(Context& ctx, const ActivationSpec& s, const void* x, const void* dy,
                         void* dx) {
  binary<ActivationGradient>(ctx, "activation_backward", s, x, dy, dx);
}

void add(Context& ctx, const AddSpec& s, const void* a, const void* b, void* y) {
  binary<AddActivate>(ctx, "add", s, a, b, y);
}

// i is the place in (N, H, W, C); the mask belongs to the place in (N, C, H, W).
template <class T>
__global__ void dropout_kernel(Offset n, Offset c, Offset hw, Philox random, float p,
                               const std::uint64_t* step, const T* x, T* y) {
  const Offset i = own_element();
  if (i >= n * c * hw) return;
  if (step) random.stream += load(step);
  const Offset pixel = i / c, image = pixel / hw;
  const Offset logical = (image * c + i % c) * hw + pixel % hw;
  const float keep = random.uniform(static_cast<std::uint64_t>(logical)) >= p ? 1.f / (1.f - p) : 0;
  store(y + i, from_float<T>(to_float(load(x + i)) * keep));
}

void dropout(Context& ctx, const DropoutSpec& s, const void* step, const void* x, void* y) {
  const Shape& d = s.shape;
  const bool image = d.rank() == 4;
  const std::int64_t n = image ? d[0] : 1, c = image ? d[1] : 1,
                     hw = image ? d[2] * d[3] : d.numel();
  if (d.numel() == 0) return;
  by_dtype(s.dtype, [&](auto t) {
    using T = decltype(t);
    launch(ctx, launch_over("dropout", n * c * hw), dropout_kernel<T>, n, c, hw,
           Philox{s.seed, s.offset}, s.p, static_cast<const std::uint64_t*>(step),
           static_cast<const T*>(x), static_cast<T*>(y));
  });
}

// Consecutive threads write consecutive elements. Reads are strided, but what the engine reorders
// is either images of three channels or 1x1 maps, where they are nearly consecutive too.
template <class T>
__global__ void reorder_kernel(Offset n, Offset c, Offset hw, bool to_nhwc, const T* x, T* y) {
  const Offset i = own_element();
  if (i >= n * c * hw) return;
  const Offset inner = to_nhwc ? c : hw, outer = to_nhwc ? hw : c;
  const Offset image = i / (c * hw), row = i / inner % outer, column = i % inner;
  store(y + i, load(x + (image * inner + column) * outer + row));
}

template <class T>
void reorder_as(Context& ctx, const ReorderSpec& s, const void* x, void* y) {
  const Shape& d = s.shape;
  launch(ctx, launch_over("reorder", d.numel()), reorder_kernel<T>, d[0], d[1], d[2] * d[3],
         s.to == Layout::nhwc, static_cast<const T*>(x), static_cast<T*>(y));
}

void reorder(Context& ctx, const ReorderSpec& s, const void* x, void* y) {
  const auto known = [](Layout l) { return l == Layout::plain || l == Layout::nhwc; };
  if (!known(s.from) || !known(s.to)) throw_unavailable(s.str(), ctx.device());
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
__global__ void cast_kernel(Offset elements, const From* x, To* y) {
  const Offset i = own_element<N>();
  if (i < elements) store_floats<N>(y + i, load_floats<N>(x + i));
}

// N elements a thread: 16 bytes on the side of the floats.
template <int N, class From, class To>
void cast_as(Context& ctx, std::int64_t n, const void* x, void* y) {
  launch(ctx, launch_over("cast", n, N), cast_kernel<N, From, To>, n, static_cast<const From*>(x),
         static_cast<To*>(y));
}

void cast(Context& ctx, const CastSpec& s, const void* x, void* y) {
  if (s.from != Dtype::f32 && s.to != Dtype::f32) throw_unavailable(s.str(), ctx.device());
  if (s.elements == 0) return;
  by_dtype(s.from == Dtype::f32 ? s.to : s.from, [&](auto t) {
    using T = decltype(t);
    const bool narrow = s.from == Dtype::f32;
    const bool whole = s.elements % full_vector<float> == 0 && aligned(x) && aligned(y);
    if (narrow && whole) return cast_as<full_vector<float>, float, T>(ctx, s.elements, x, y);
    if (narrow) return cast_as<1, float, T>(ctx, s.elements, x, y);
    if (whole) return cast_as<full_vector<float>, T, float>(ctx, s.elements, x, y);
    return cast_as<1, T, float>(ctx, s.elements, x, y);
  });
}

}  // namespace
}  // namespace HAC_GPU

const ActivationKernels HAC_GPU_TABLE(activation){.forward = HAC_GPU::activation_forward,
                                                  .backward = HAC_GPU::activation_backward};
const AddKernels HAC_GPU_TABLE(add){.forward = HAC_GPU::add};
const DropoutKernels HAC_GPU_TABLE(dropout){.apply = HAC_GPU::dropout};
const ReorderKernels HAC_GPU_TABLE(reorder){.apply = HAC_GPU::reorder};
const CastKernels HAC_GPU_TABLE(cast){.apply = HAC_GPU::cast};

}  // namespace hac
