#include "scaling/importance/importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/ops/taylor.h"

namespace hac {
namespace {

// Sums are doubles kept as bytes: the file format of checkpoints has no doubles.
constexpr auto size_of_double = static_cast<std::int64_t>(sizeof(double));

}  // namespace

double LayerImportance::reduce(KernelReduction how) const {
  if (how == KernelReduction::min) return std::ranges::min(kernels);
  const double sum = std::accumulate(kernels.begin(), kernels.end(), 0.0);
  return how == KernelReduction::sum ? sum : sum / static_cast<double>(kernels.size());
}

void ImportanceObserver::accumulate(const Model& model, const Tensor& skip) {
  const ArenaScope own(nullptr);  // the sums outlive a captured step
  const std::vector<Var> weights = model.width_weights();
  sums_.resize(weights.size());
  std::vector<TaylorSegment> segments;
  for (std::size_t l = 0; l < weights.size(); ++l) {
    const Tensor &w = weights[l].value(), &dw = weights[l].grad();
    const std::int64_t kernels = w.shape()[0];
    if (!sums_[l].defined()) {
      sums_[l] = Tensor::zeros({kernels * size_of_double}, Dtype::u8, w.device());
    }
    sums_[l] = sums_[l].to(w.device());  // a resumed observer read them on the host
    segments.push_back({.w = w.data(),
                        .dw = dw.data(),
                        .score = sums_[l].data(),
                        .kernels = kernels,
                        .weights = w.numel() / kernels,
                        .dw_dtype = dw.dtype()});
  }
  const TaylorSpec spec{.layers = static_cast<std::int64_t>(weights.size())};
  taylor_kernels.run(&TaylorKernels::accumulate, model.device(), spec,
                     skip.defined() ? skip.data() : nullptr,
                     std::span<const TaylorSegment>(segments));
}

std::map<std::string, Tensor> ImportanceObserver::state() const {
  const std::int32_t count = static_cast<std::int32_t>(observed_);
  std::map<std::string, Tensor> state{{"minibatches", Tensor::from(std::span(&count, 1), {1})}};
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    state[fmt::format("importance.{}", l)] = sums_[l];
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
        it->second.bytes() % size_of_double != 0) {
      throw IoError(fmt::format("observer '{}' is missing or malformed", name));
    }
    sums_[l] = it->second.clone();
  }
}

std::vector<LayerImportance> ImportanceObserver::result(const Model& model) const {
  if (observed_ == 0) throw ConfigError("importance: no minibatch was observed");
  const std::vector<std::string> names = width_names(model.arch());
  std::vector<LayerImportance> layers;
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    const Tensor sums = sums_[l].to(Device{});
    LayerImportance layer{.layer = names[l], .width = sums.numel() / size_of_double};
    for (std::int64_t k = 0; k < layer.width; ++k) {
      layer.kernels.push_back(sums.as<double>()[k] / static_cast<double>(observed_));
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace hac
