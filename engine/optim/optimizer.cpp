#include "engine/optim/optimizer.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/ops/norms.h"

namespace hac {
namespace {

Device device_of(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? Device{} : parameters.front().var.device();
}

void require_fit(const std::string& key, const Tensor& got, const Tensor& expected) {
  if (got.shape() == expected.shape() && got.dtype() == expected.dtype()) return;
  throw IoError(fmt::format("optimizer state '{}': expected {} {}, got {} {}", key,
                            name_of(expected.dtype()), expected.shape().str(), name_of(got.dtype()),
                            got.shape().str()));
}

}  // namespace

Optimizer::Optimizer(std::vector<Parameter> parameters, const OptimizerOptions& options,
                     double loss_scale, std::vector<std::string> slots)
    : options_(options),
      parameters_(std::move(parameters)),
      lr_(Tensor::zeros({}, Dtype::f32, device_of(parameters_))),
      loss_scale_(lr_.device(), loss_scale) {
  for (std::string& name : slots) {
    Slot slot{.prefix = std::move(name) + "."};
    for (const Parameter& p : parameters_) {
      const Tensor& w = p.var.value();
      slot.tensors.push_back(Tensor::zeros(w.shape(), w.dtype(), w.device(), w.layout()));
    }
    slots_.push_back(std::move(slot));
  }
  const auto bytes = static_cast<std::int64_t>(parameters_.size() * sizeof(double));
  if (options_.clip_norm > 0) squares_ = Tensor::zeros({bytes}, Dtype::u8, lr_.device());
}

void Optimizer::step(double lr) {
  set_rate(lr);
  unscale();
  update();
}

void Optimizer::unscale() { loss_scale_.unscale(parameters_); }

void Optimizer::set_rate(double lr) {
  const float rate = static_cast<float>(lr);
  lr_.copy_from(Tensor::from(std::span(&rate, 1), {}));
}

void Optimizer::update() {
  clip();
  apply(lr_.data(), skip().defined() ? skip().data() : nullptr);
  loss_scale_.update();
}

void Optimizer::float_gradients() const {
  for (const Parameter& p : parameters_) {
    if (p.var.grad().defined()) p.var.float_grad();
  }
}

void Optimizer::clip() {
  if (options_.clip_norm == 0) return;
  float_gradients();
  std::vector<NormSegment> norms;
  std::vector<GradSegment> gradients;
  for (const Parameter& p : parameters_) {
    const Tensor& grad = p.var.grad();
    if (!grad.defined()) continue;
    norms.push_back({grad.data(), grad.storage_numel()});
    gradients.push_back({grad.data(), grad.storage_numel()});
  }
  if (gradients.empty()) return;
  const NormSpec spec{.tensors = std::ssize(gradients),
                      .max_norm = static_cast<float>(options_.clip_norm)};
  norm_kernels.run(&NormKernels::squares, device(), spec, squares_.data(),
                   std::span<const NormSegment>(norms));
  norm_kernels.run(&NormKernels::clip, device(), spec, squares_.data(),
                   std::span<const GradSegment>(gradients));
}

std::vector<Optimizer::Operand> Optimizer::operands(Dtype& copies) const {
  std::vector<Operand> all;
  copies = Dtype::f32;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Var& p = parameters_[i].var;
    const Tensor &w = p.value(), &grad = p.grad(), &copy = p.copy();
    if (!grad.defined()) continue;
    if (grad.shape() != w.shape() || grad.layout() != w.layout()) {
      throw ShapeError(fmt::format("optimizer '{}': expected a gradient of {}, got {}",
                                   parameters_[i].name, w.shape().str(), grad.shape().str()));
    }
    if (copy.defined() && copies != Dtype::f32 && copies != copy.dtype()) {
      throw ShapeError(fmt::format("optimizer '{}': expected a copy in {}, got {}",
                                   parameters_[i].name, name_of(copies), name_of(copy.dtype())));
    }
    if (copy.defined()) copies = copy.dtype();
    const bool is_matrix = w.shape().rank() > 1;
    all.push_back({.index = i,
                   .grad = grad.data(),
                   .grad_dtype = grad.dtype(),
                   .weight = w.data(),
                   .copy = copy.defined() ? copy.data() : nullptr,
                   .elements = w.storage_numel(),
                   .is_matrix = is_matrix,
                   .decays = is_matrix || options_.weight_decay_on == WeightDecayOn::all});
  }
  return all;
}

void* Optimizer::slot(std::size_t which, std::size_t parameter) const {
  return slots_[which].tensors[parameter].data();
}

std::map<std::string, Tensor> Optimizer::state() const {
  std::map<std::string, Tensor> state = loss_scale_.state();
  for (const Slot& slot : slots_) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      state.emplace(slot.prefix + parameters_[i].name, slot.tensors[i]);
    }
  }
  return state;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& state) {
  // Everything is checked before anything is changed.
  for (const Slot& slot : slots_) {
    std::size_t known = 0;
    for (const auto& [name, tensor] : state) known += name.starts_with(slot.prefix);
    if (known != parameters_.size()) {
      throw IoError(fmt::format("optimizer state: expected {} tensors '{}*', got {}",
                                parameters_.size(), slot.prefix, known));
    }
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const std::string key = slot.prefix + parameters_[i].name;
      const auto found = state.find(key);
      if (found == state.end()) throw IoError(fmt::format("optimizer state: '{}' is missing", key));
      require_fit(key, found->second, slot.tensors[i]);
    }
  }
  loss_scale_.load_state(state);
  for (const Slot& slot : slots_) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      slot.tensors[i].copy_from(state.at(slot.prefix + parameters_[i].name));
    }
  }
}

}  // namespace hac
