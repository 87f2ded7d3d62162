#include "engine/optim/sgd.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/ops/sgd.h"

namespace hac {
namespace {

constexpr std::string_view prefix = "momentum.";

std::string key_of(const Parameter& p) { return std::string(prefix) + p.name; }

Device device_of(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? Device{} : parameters.front().var.device();
}

}  // namespace

Sgd::Sgd(std::vector<Parameter> parameters, SgdOptions options, double loss_scale)
    : parameters_(std::move(parameters)),
      lr_(Tensor::zeros({}, Dtype::f32, device_of(parameters_))),
      options_(options),
      loss_scale_(lr_.device(), loss_scale) {
  for (const Parameter& p : parameters_) {
    const Tensor& w = p.var.value();
    velocity_.push_back(Tensor::zeros(w.shape(), w.dtype(), w.device(), w.layout()));
  }
}

void Sgd::step(double lr) {
  set_rate(lr);
  unscale();
  update();
}

void Sgd::unscale() { loss_scale_.unscale(parameters_); }

void Sgd::set_rate(double lr) {
  const float rate = static_cast<float>(lr);
  lr_.copy_from(Tensor::from(std::span(&rate, 1), {}));
}

void Sgd::update() {
  std::vector<SgdSegment> segments;
  SgdSpec spec{.momentum = static_cast<float>(options_.momentum),
               .weight_decay = static_cast<float>(options_.weight_decay),
               .nesterov = options_.nesterov};
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Var& p = parameters_[i].var;
    const Tensor &w = p.value(), &grad = p.grad();
    if (!grad.defined()) continue;
    if (grad.shape() != w.shape() || grad.layout() != w.layout())
      throw ShapeError(fmt::format("sgd '{}': expected a gradient of {}, got {}",
                                   parameters_[i].name, w.shape().str(), grad.shape().str()));
    const Tensor& copy = p.copy();
    if (copy.defined() && spec.copy != Dtype::f32 && spec.copy != copy.dtype()) {
      throw ShapeError(fmt::format("sgd '{}': expected a copy in {}, got {}", parameters_[i].name,
                                   name_of(spec.copy), name_of(copy.dtype())));
    }
    if (copy.defined()) spec.copy = copy.dtype();
    segments.push_back({.grad = grad.data(),
                        .weight = w.data(),
                        .velocity = velocity_[i].data(),
                        .copy = copy.defined() ? copy.data() : nullptr,
                        .elements = w.storage_numel()});
  }
  const void* skip = loss_scale_.on() ? loss_scale_.skip().data() : nullptr;
  if (!segments.empty()) {
    sgd_kernels.run(&SgdKernels::step, lr_.device(), spec, lr_.data(), skip,
                    std::span<const SgdSegment>(segments));
  }
  loss_scale_.update();
}

std::map<std::string, Tensor> Sgd::state() const {
  std::map<std::string, Tensor> state = loss_scale_.state();
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    state.emplace(key_of(parameters_[i]), velocity_[i]);
  return state;
}

void Sgd::load_state(const std::map<std::string, Tensor>& state) {
  // Everything is checked before anything is changed.
  std::size_t known = 0;
  for (const auto& [name, tensor] : state) known += name.starts_with(prefix);
  if (known != parameters_.size())
    throw IoError(
        fmt::format("optimizer state: expected {} velocities, got {}", parameters_.size(), known));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string key = key_of(parameters_[i]);
    const auto found = state.find(key);
    if (found == state.end()) throw IoError(fmt::format("optimizer state: '{}' is missing", key));
    const Tensor &got = found->second, &expected = velocity_[i];
    if (got.shape() != expected.shape() || got.dtype() != expected.dtype())
      throw IoError(fmt::format("optimizer state '{}': expected {} {}, got {} {}", key,
                                name_of(expected.dtype()), expected.shape().str(),
                                name_of(got.dtype()), got.shape().str()));
  }
  loss_scale_.load_state(state);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    velocity_[i].copy_from(state.at(key_of(parameters_[i])));
}

}  // namespace hac
