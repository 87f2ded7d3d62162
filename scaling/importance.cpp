#include "scaling/importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/error.h"
#include "kernels/taylor.h"

namespace hac {

KernelReduction parse_kernel_reduction(const std::string& name) {
  if (name == "mean") return KernelReduction::mean;
  if (name == "sum") return KernelReduction::sum;
  if (name == "min") return KernelReduction::min;
  throw ConfigError(fmt::format("kernel reduction '{}': expected mean, sum or min", name));
}

std::string to_string(KernelReduction how) {
  return how == KernelReduction::mean ? "mean" : how == KernelReduction::sum ? "sum" : "min";
}

double LayerImportance::reduce(KernelReduction how) const {
  double sum = 0;
  for (const double k : kernels) sum += k;
  switch (how) {
    case KernelReduction::sum:
      return sum;
    case KernelReduction::min:
      return *std::min_element(kernels.begin(), kernels.end());
    case KernelReduction::mean:
      break;
  }
  return sum / static_cast<double>(kernels.size());
}

void ImportanceObserver::observe(const Model& model, std::int64_t step, std::int64_t total_steps) {
  if (step < total_steps - minibatches_) return;
  const std::vector<Var> weights = model.width_weights();
  sums_.resize(weights.size());
  for (std::size_t l = 0; l < weights.size(); ++l) {
    const Tensor &w = weights[l].value(), &dw = weights[l].grad();
    const std::int64_t kernels = w.shape()[0];
    const TaylorSpec spec{.kernels = kernels, .weights = w.numel() / kernels};
    sums_[l].resize(kernels, 0.0);
    taylor_kernels.on(w.device(), spec.str())
        .accumulate(Context::current(w.device()), spec, w.data(), dw.data(), sums_[l].data());
  }
  ++observed_;
}

std::map<std::string, Tensor> ImportanceObserver::state() const {
  const std::int32_t count = static_cast<std::int32_t>(observed_);
  std::map<std::string, Tensor> state{{"minibatches", Tensor::from(std::span(&count, 1), {1})}};
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    // Doubles as bytes: the file format of checkpoints keeps f32 only.
    const auto bytes = static_cast<std::int64_t>(sums_[l].size() * sizeof(double));
    const Tensor t = Tensor::empty({bytes}, Dtype::u8);
    std::memcpy(t.data(), sums_[l].data(), bytes);
    state[fmt::format("importance.{}", l)] = t;
  }
  return state;
}

void ImportanceObserver::load_state(const std::map<std::string, Tensor>& state) {
  const auto count = state.find("minibatches");
  if (count == state.end() || count->second.dtype() != Dtype::i32 || count->second.numel() != 1) {
    throw IoError("no count of observed minibatches (hint: the run did not observe importance)");
  }
  observed_ = *count->second.as<std::int32_t>();
  sums_.assign(state.size() - 1, {});
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    const std::string name = fmt::format("importance.{}", l);
    const auto it = state.find(name);
    if (it == state.end() || it->second.dtype() != Dtype::u8 ||
        it->second.bytes() % sizeof(double) != 0) {
      throw IoError(fmt::format("observer '{}' is missing or malformed", name));
    }
    sums_[l].resize(it->second.bytes() / sizeof(double));
    std::memcpy(sums_[l].data(), it->second.data(), it->second.bytes());
  }
}

std::vector<LayerImportance> ImportanceObserver::result(const Model& model) const {
  if (observed_ == 0) throw ConfigError("importance: no minibatch was observed");
  const std::vector<std::string> names = width_names(model.arch());
  std::vector<LayerImportance> layers;
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    LayerImportance layer{.layer = names[l], .width = static_cast<std::int64_t>(sums_[l].size())};
    for (const double sum : sums_[l]) {
      layer.kernels.push_back(sum / static_cast<double>(observed_));
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace hac
