// The own plans of a convolution on the CPU, and the making of any.

#include <fmt/format.h>

#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_product_cpu.h"
#include "kernels/ops/conv2d_taps_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"

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

  void pack(const float* w, void* packed, void*) override {
    product_pack(spec, w, as<float>(packed));
  }

  void convolve(const void* x, const void* packed, const float* bias, void* y,
                void* scratch) override {
    if (spec.pass == Pass::backward_data) {
      return product_backward_data(spec, as<float>(x), as<float>(packed), as<float>(y),
                                   as<float>(scratch));
    }
    product_forward(spec, as<float>(x), as<float>(packed), bias, as<float>(y), as<float>(scratch));
  }

  void gradient(const void* x, const void* dy, void* packed, float* dw, float* db,
                void* scratch) override {
    product_backward_weights(spec, as<float>(x), as<float>(dy), as<float>(packed), db,
                             as<float>(scratch));
    product_unpack(spec, as<float>(packed), dw);
  }
};

class WinogradPlan final : public ConvPlan {
 public:
  WinogradPlan(const Conv2dSpec& s, std::int64_t outputs)
      : ConvPlan(s), how_(winograd(s, outputs)) {
    packed_bytes = how_.weights * sizeof(float);
    scratch_bytes = how_.work * sizeof(float) * (how_.alone ? num_threads() : 1);
    const std::int64_t products = (outputs + 2) * (outputs + 2);
    implementation = {fmt::format("winograd:f{}x3", outputs), how_.tiles * products * s.c * s.k};
  }

  void pack(const float* w, void* packed, void*) override {
    winograd_loops.pack(spec, how_, w, as<float>(packed));
  }
  void convolve(const void* x, const void* packed, const float* bias, void* y,
                void* scratch) override {
    winograd_loops.convolve(spec, how_, as<float>(x), as<float>(packed), bias, as<float>(y),
                            as<float>(scratch));
  }
  void gradient(const void* x, const void* dy, void* packed, float* dw, float* db,
                void* scratch) override {
    winograd_loops.weights(spec, how_, as<float>(x), as<float>(dy), dw, db, as<float>(packed),
                           as<float>(scratch));
  }

 private:
  Winograd how_;
};

template <class Weight>
class TapsPlan final : public ConvPlan {
 public:
  TapsPlan(const Conv2dSpec& s, const TapsKernels<Weight>& kernels)
      : ConvPlan(s), kernels_(kernels), taps_(taps(s)) {
    packed_bytes = taps_.weights * sizeof(Weight);
    scratch_bytes = taps_.work * sizeof(float);
    implementation = {sizeof(Weight) == 2 ? "taps:bf16_weights" : "taps", s.macs_inside()};
  }

  void pack(const float* w, void* packed, void*) override {
    kernels_.pack(spec, w, as<Weight>(packed));
  }
  void convolve(const void* x, const void* packed, const float* bias, void* y,
                void* scratch) override {
    kernels_.convolve(spec, taps_, as<float>(x), as<Weight>(packed), bias, as<float>(y),
                      as<float>(scratch));
  }
  void gradient(const void*, const void*, void*, float*, float*, void*) override {}  // has_taps

 private:
  const TapsKernels<Weight>& kernels_;
  Taps taps_;
};

std::unique_ptr<ConvPlan> plan_of(Library& library, const Conv2dSpec& s, ConvAlgorithm algorithm) {
  if (algorithm == ConvAlgorithm::direct) return onednn_plan(library, s);
  if (algorithm == ConvAlgorithm::product) {
    return s.dtype == Dtype::f32 ? std::make_unique<ProductPlan>(s) : nullptr;
  }
  if (algorithm == ConvAlgorithm::taps) {
    return has_taps(s) ? std::make_unique<TapsPlan<float>>(s, taps_loops_f32) : nullptr;
  }
  if (algorithm == ConvAlgorithm::taps_bf16) {
    return has_taps(s) ? std::make_unique<TapsPlan<bf16>>(s, taps_loops_bf16) : nullptr;
  }
  if (!has_winograd(s)) return nullptr;
  return std::make_unique<WinogradPlan>(s, algorithm == ConvAlgorithm::winograd4 ? 4 : 2);
}

}  // namespace

std::unique_ptr<ConvPlan> make_plan(Library& library, const Conv2dSpec& s,
                                    ConvAlgorithm algorithm) {
  auto plan = plan_of(library, s, algorithm);
  if (plan) plan->algorithm = algorithm;
  return plan;
}

}  // namespace hac::cpu
