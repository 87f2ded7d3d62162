#include "engine/optim/sgd.h"

#include <fmt/format.h>

#include "kernels/error.h"
#include "kernels/sgd.h"

namespace hac {
namespace {

constexpr std::string_view prefix = "momentum.";

std::string key_of(const Parameter& p) { return std::string(prefix) + p.name; }

}  // namespace

Sgd::Sgd(std::vector<Parameter> parameters, SgdOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const Parameter& p : parameters_) {
    const Tensor& w = p.var.value();
    velocity_.push_back(Tensor::zeros(w.shape(), w.dtype(), w.device(), w.layout()));
  }
}

void Sgd::step(double lr) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Var& p = parameters_[i].var;
    const Tensor &w = p.value(), &grad = p.grad();
    if (!grad.defined()) continue;
    if (grad.shape() != w.shape() || grad.layout() != w.layout())
      throw ShapeError(fmt::format("sgd '{}': expected a gradient of {}, got {}",
                                   parameters_[i].name, w.shape().str(), grad.shape().str()));
    const SgdSpec spec{.dtype = w.dtype(),
                       .elements = w.storage_numel(),
                       .lr = static_cast<float>(lr),
                       .momentum = static_cast<float>(options_.momentum),
                       .weight_decay = static_cast<float>(options_.weight_decay),
                       .nesterov = options_.nesterov};
    Context& context = Context::current(w.device());
    sgd_kernels.on(w.device(), spec.str())
        .step(context, spec, grad.data(), w.data(), velocity_[i].data());
  }
}

std::map<std::string, Tensor> Sgd::state() const {
  std::map<std::string, Tensor> state;
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
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    velocity_[i].copy_from(state.at(key_of(parameters_[i])));
}

}  // namespace hac
