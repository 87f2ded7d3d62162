#include "engine/optim/loss_scale.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/ops/loss_scale.h"

namespace hac {

bool is_loss_scale(double scale) {
  int exponent = 0;
  return scale == 0 || (scale >= 1 && scale <= 0x1p30 && std::frexp(scale, &exponent) == 0.5);
}

LossScale::LossScale(Device device, double initial) {
  if (!is_loss_scale(initial)) {
    throw ConfigError(fmt::format(
        "loss scale: expected 0 (off) or a power of two from 1 to 2^30, got {}", initial));
  }
  scale_ = Tensor::empty({}, Dtype::f32, device);
  fill(scale_, initial == 0 ? 1 : static_cast<float>(initial));
  if (initial != 0) counts_ = Tensor::zeros({3}, Dtype::i32, device);
}

void LossScale::unscale(std::span<const Parameter> parameters) const {
  if (!on()) return;
  std::vector<GradSegment> segments;
  std::vector<Tensor> rounded;  // read by the kernel
  for (const Parameter& p : parameters) {
    const Tensor grad = p.var.grad();
    if (!grad.defined()) continue;
    GradSegment segment{.grad = grad.data(), .elements = grad.storage_numel()};
    if (grad.dtype() != Dtype::f32) {
      const Tensor own = Tensor::empty(grad.shape(), Dtype::f32, grad.device(), grad.layout());
      segment = {own.data(), grad.storage_numel(), grad.data(), grad.dtype()};
      rounded.push_back(grad);
      p.var.set_grad(own);
    }
    segments.push_back(segment);
  }
  loss_scale_kernels.run(&LossScaleKernels::unscale, scale_.device(), LossScaleSpec{},
                         scale_.data(), counts_.data(), std::span<const GradSegment>(segments));
}

void LossScale::update() const {
  if (!on()) return;
  loss_scale_kernels.run(&LossScaleKernels::update, scale_.device(), LossScaleSpec{}, scale_.data(),
                         counts_.data());
}

std::int64_t LossScale::skipped() const {
  return on() ? counts_.to(Device{}).as<std::int32_t>()[2] : 0;
}

std::map<std::string, Tensor> LossScale::state() const {
  if (!on()) return {};
  return {{"loss_scale.scale", scale_}, {"loss_scale.counts", counts_}};
}

void LossScale::load_state(const std::map<std::string, Tensor>& given) const {
  const std::map<std::string, Tensor> own = state();
  for (const auto& [name, tensor] : own) {
    const auto it = given.find(name);
    if (it == given.end() || it->second.shape() != tensor.shape() ||
        it->second.dtype() != tensor.dtype()) {
      throw IoError(fmt::format("optimizer state: '{}' is missing or malformed", name));
    }
  }
  if (on()) {
    int exponent = 0;
    const float scale = given.at("loss_scale.scale").item();
    const Tensor counts = given.at("loss_scale.counts").to(Device{});
    const std::int32_t* c = counts.as<std::int32_t>();
    if (!(scale > 0) || std::frexp(scale, &exponent) != 0.5f || c[0] != 0 || c[1] < 0 || c[2] < 0) {
      throw IoError(fmt::format(
          "optimizer state: expected a loss scale that is a power of two, got {} with counts {}, "
          "{}, {}",
          scale, c[0], c[1], c[2]));
    }
  }
  for (const auto& [name, tensor] : own) tensor.copy_from(given.at(name));
}

}  // namespace hac
