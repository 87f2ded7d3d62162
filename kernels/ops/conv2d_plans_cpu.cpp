// The own plans of a convolution on the CPU, and the making of any.

#include <fmt/format.h>

#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_depthwise_cpu.h"
#include "kernels/ops/conv2d_product_cpu.h"
#include "kernels/ops/conv2d_taps_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"
#include "kernels/ops/elementwise.h"

namespace hac::cpu {
namespace {

class ProductPlan final : public ConvPlan {
 public:
  explicit ProductPlan(const Conv2dSpec& s) : ConvPlan(s) {
    const ProductSizes sizes = product_sizes(s);
    packed_bytes = sizes.weights * sizeof(float);
    scratch_bytes = sizes.bytes() - packed_bytes;
    implementation = {"product:im2col", s.cost().macs};
  }

  void pack(const void* w, void* packed, void*) override {
    product_pack(spec, as<float>(w), as<float>(packed));
  }

  void convolve(const void* x, const void* packed, const void* bias, void* y,
                void* scratch) override {
    if (spec.pass == Pass::backward_data) {
      return product_backward_data(spec, as<float>(x), as<float>(packed), as<float>(y),
                                   as<float>(scratch));
    }
    product_forward(spec, as<float>(x), as<float>(packed), as<float>(bias), as<float>(y),
                    as<float>(scratch));
  }

  void gradient(const void* x, const void* dy, void* packed, void* dw, float* db,
                void* scratch) override {
    product_backward_weights(spec, as<float>(x), as<float>(dy), as<float>(packed), db,
                             as<float>(scratch));
    product_unpack(spec, as<float>(packed), as<float>(dw));
  }
};

// bf16 by a plan for f32, whose operands lie in the scratch memory.
class WidenedPlan final : public ConvPlan {
 public:
  WidenedPlan(const Conv2dSpec& s, std::unique_ptr<ConvPlan> plan)
      : ConvPlan(s),
        plan_(std::move(plan)),
        x_(storage_elements(layout_of({}, s.in_shape()), s.in_shape())),
        y_(storage_elements(layout_of({}, s.out_shape()), s.out_shape())),
        w_(s.weight_shape().numel()) {
    packed_bytes = plan_->packed_bytes;
    scratch_bytes = plan_->scratch_bytes + bytes(x_) + bytes(y_) + bytes(w_) + bytes(s.k);
    implementation = plan_->implementation;
    implementation.name += " in f32";
  }

  void pack(const void* w, void* packed, void* scratch) override {
    if (weight_dtype(spec) == Dtype::f32) return plan_->pack(w, packed, scratch);
    const float* wide = widened(w_, w, scratch);
    plan_->pack(wide, packed, scratch);
  }

  void convolve(const void* x, const void* packed, const void* bias, void* y,
                void* scratch) override {
    const bool back = spec.pass == Pass::backward_data;
    const std::int64_t to = back ? x_ : y_;
    const float* in = widened(back ? y_ : x_, x, scratch);
    float* out = widened(to, spec.add ? y : nullptr, scratch);
    if (bias && spec.pass == Pass::forward) bias = widened(spec.k, bias, scratch);
    plan_->convolve(in, packed, bias, out, scratch);
    narrow(to, out, y);
  }

  void gradient(const void* x, const void* dy, void* packed, void* dw, float* db,
                void* scratch) override {
    const float *in = widened(x_, x, scratch), *out = widened(y_, dy, scratch);
    float* wide = widened(w_, nullptr, scratch);
    plan_->gradient(in, out, packed, wide, db, scratch);
    narrow(w_, wide, dw);
  }

 private:
  static std::size_t bytes(std::int64_t n) { return round_up(n * sizeof(float), 64); }
  // n numbers in f32 at the beginning of the scratch memory, which then begins behind them; null:
  // room for them.
  static float* widened(std::int64_t n, const void* from, void*& scratch) {
    float* to = as<float>(scratch);
    scratch = as<char>(scratch) + bytes(n);
    if (from) cast_cpu.apply(Context::current(), {.from = Dtype::bf16, .elements = n}, from, to);
    return to;
  }
  static void narrow(std::int64_t n, const float* from, void* to) {
    cast_cpu.apply(Context::current(), {.to = Dtype::bf16, .elements = n}, from, to);
  }

  std::unique_ptr<ConvPlan> plan_;
  std::int64_t x_, y_, w_;  // elements
};

// Of a plan with weights of this type.
template <class Weight>
std::string named(std::string name) {
  return sizeof(Weight) == 2 ? name + ":bf16_weights" : name;
}

template <class Weight>
class WinogradPlan final : public ConvPlan {
 public:
  WinogradPlan(const Conv2dSpec& s, const WinogradKernels<Weight>& kernels, std::int64_t outputs)
      : ConvPlan(s), kernels_(kernels), how_(winograd(s, outputs)) {
    packed_bytes = how_.weights * sizeof(Weight);
    scratch_bytes = how_.work * sizeof(float) * (how_.alone ? num_threads() : 1);
    const std::int64_t products = (outputs + 2) * (outputs + 2);
    implementation = {named<Weight>(fmt::format("winograd:f{}x3", outputs)),
                      how_.tiles * products * s.c * s.k};
  }

  void pack(const void* w, void* packed, void*) override {
    kernels_.pack(spec, how_, as<float>(w), as<Weight>(packed));
  }
  void convolve(const void* x, const void* packed, const void* bias, void* y,
                void* scratch) override {
    kernels_.convolve(spec, how_, as<float>(x), as<Weight>(packed), as<float>(bias), as<float>(y),
                      as<float>(scratch));
  }
  void gradient(const void* x, const void* dy, void* packed, void* dw, float* db,
                void* scratch) override {
    kernels_.weights(spec, how_, as<float>(x), as<float>(dy), as<float>(dw), db, as<float>(packed),
                     as<float>(scratch));
  }

 private:
  const WinogradKernels<Weight>& kernels_;
  Winograd how_;
};

template <class Weight>
class TapsPlan final : public ConvPlan {
 public:
  TapsPlan(const Conv2dSpec& s, const TapsKernels<Weight>& kernels)
      : ConvPlan(s), kernels_(kernels), taps_(taps(s)) {
    packed_bytes = taps_.weights * sizeof(Weight);
    scratch_bytes = taps_.work * sizeof(float);
    implementation = {named<Weight>("taps"), s.macs_inside()};
  }

  void pack(const void* w, void* packed, void*) override {
    kernels_.pack(spec, as<float>(w), as<Weight>(packed));
  }
  void convolve(const void* x, const void* packed, const void* bias, void* y,
                void* scratch) override {
    kernels_.convolve(spec, taps_, as<float>(x), as<Weight>(packed), as<float>(bias), as<float>(y),
                      as<float>(scratch));
  }
  void gradient(const void*, const void*, void*, void*, float*, void*) override {}  // has_taps

 private:
  const TapsKernels<Weight>& kernels_;
  Taps taps_;
};

class DepthwisePlan final : public ConvPlan {
 public:
  explicit DepthwisePlan(const Conv2dSpec& s) : ConvPlan(s) {
    const bool gradient = s.pass == Pass::backward_weights;
    packed_bytes = (gradient ? depthwise_parts(s).floats : depthwise_weights(s)) * sizeof(float);
    implementation = {"depthwise", s.macs_inside()};
  }

  void pack(const void* w, void* packed, void*) override {
    depthwise_loops.pack(spec, as<float>(w), as<float>(packed));
  }
  void convolve(const void* x, const void* packed, const void* bias, void* y, void*) override {
    depthwise_loops.convolve(spec, as<float>(x), as<float>(packed), as<float>(bias), as<float>(y));
  }
  void gradient(const void* x, const void* dy, void* packed, void* dw, float* db, void*) override {
    depthwise_gradient.weights(spec, as<float>(x), as<float>(dy), as<float>(dw), db,
                               as<float>(packed));
  }
};

std::unique_ptr<ConvPlan> plan_of(Library& library, const Conv2dSpec& s, ConvAlgorithm algorithm) {
  if (algorithm == ConvAlgorithm::direct) return onednn_plan(library, s);
  if (s.dtype != Dtype::f32) {
    Conv2dSpec wide = s;
    wide.dtype = Dtype::f32;
    auto plan = plan_of(library, wide, algorithm);
    return plan ? std::make_unique<WidenedPlan>(s, std::move(plan)) : nullptr;
  }
  switch (algorithm) {
    case ConvAlgorithm::winograd4:
    case ConvAlgorithm::winograd2:
      if (!has_winograd(s)) return nullptr;
      return std::make_unique<WinogradPlan<float>>(s, winograd_loops_f32,
                                                   algorithm == ConvAlgorithm::winograd4 ? 4 : 2);
    case ConvAlgorithm::winograd2_bf16:
      if (!has_winograd(s) || s.pass != Pass::inference) return nullptr;
      return std::make_unique<WinogradPlan<bf16>>(s, winograd_loops_bf16, 2);
    case ConvAlgorithm::taps:
      return has_taps(s) ? std::make_unique<TapsPlan<float>>(s, taps_loops_f32) : nullptr;
    case ConvAlgorithm::taps_bf16:
      return has_taps(s) ? std::make_unique<TapsPlan<bf16>>(s, taps_loops_bf16) : nullptr;
    case ConvAlgorithm::depthwise:
      return has_depthwise(s) ? std::make_unique<DepthwisePlan>(s) : nullptr;
    default:
      return std::make_unique<ProductPlan>(s);
  }
}

}  // namespace

std::unique_ptr<ConvPlan> make_plan(Library& library, const Conv2dSpec& s,
                                    ConvAlgorithm algorithm) {
  auto plan = plan_of(library, s, algorithm);
  if (plan) plan->algorithm = algorithm;
  return plan;
}

}  // namespace hac::cpu
