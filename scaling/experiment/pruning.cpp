#include "scaling/experiment/pruning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"

namespace hac {

namespace {

bool feeds(const Op& reader, std::size_t op) {
  return std::find(reader.inputs.begin(), reader.inputs.end(), static_cast<int>(op)) !=
         reader.inputs.end();
}

// Of the first batch norm behind op i, through residual sums; "" if there is none.
std::string batch_norm_behind(const Graph& graph, std::size_t i) {
  for (std::size_t j = i + 1; j < graph.ops.size(); ++j) {
    const Op& reader = graph.ops[j];
    if (!feeds(reader, i)) continue;
    if (std::holds_alternative<BatchNormSpec>(reader.spec)) return reader.name;
    if (std::holds_alternative<AddSpec>(reader.spec)) return batch_norm_behind(graph, j);
  }
  return "";
}

std::vector<float> on_host(const Tensor& tensor) {
  const Tensor host = tensor.to(Device{});
  return {host.as<float>(), host.as<float>() + host.numel()};
}

}  // namespace

std::vector<std::string> gates_of(const Graph& graph) {
  std::vector<std::string> gates;
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (op.width_index < 0) continue;
    gates.resize(std::max<std::size_t>(gates.size(), op.width_index + 1));
    gates[op.width_index] = batch_norm_behind(graph, i);
    if (!gates[op.width_index].empty()) continue;
    throw ConfigError(fmt::format(
        "pruning '{}': expected a batch norm behind the convolution, got none", op.name));
  }
  return gates;
}

Pruning::Pruning(Model& model, const PruneOptions& options, std::int64_t first)
    : options_(options), first_(first) {
  const std::vector<Parameter> parameters = model.parameters();
  const auto named = [&](const std::string& name) {
    return std::find_if(parameters.begin(), parameters.end(),
                        [&](const Parameter& p) { return p.name == name; })
        ->var;
  };
  for (const std::string& gate : gates_of(model.graph())) {
    const Var gamma = named(gate + ".weight"), beta = named(gate + ".bias");
    const auto n = static_cast<std::size_t>(gamma.value().numel());
    gates_.push_back({gamma, beta, std::vector<double>(n), std::vector<bool>(n, true)});
    channels_ += gamma.value().numel();
  }
  at_once_ =
      std::max<std::int64_t>(1, std::llround(options.share * static_cast<double>(channels_)));
}

std::int64_t Pruning::prunings() const {
  return static_cast<std::int64_t>(
      std::ceil(options_.stop * static_cast<double>(channels_) / static_cast<double>(at_once_)));
}

void Pruning::accumulate(const Model&, const Tensor&) {
  for (Gate& gate : gates_) {
    const std::vector<float> gamma = on_host(gate.gamma.value()), beta = on_host(gate.beta.value());
    const std::vector<float> dgamma = on_host(gate.gamma.grad()), dbeta = on_host(gate.beta.grad());
    for (std::size_t c = 0; c < gamma.size(); ++c) {
      const double dz =
          static_cast<double>(gamma[c]) * dgamma[c] + static_cast<double>(beta[c]) * dbeta[c];
      gate.score[c] += dz * dz;
    }
  }
}

void Pruning::count_step() {
  if (++counted_ % options_.every == 0) prune();
  switch_off();  // also what momentum has moved since
}

void Pruning::prune() {
  struct Channel {
    double score;
    std::size_t gate, index;
  };
  std::vector<Channel> alive;
  for (std::size_t g = 0; g < gates_.size(); ++g) {
    for (std::size_t c = 0; c < gates_[g].alive.size(); ++c) {
      if (gates_[g].alive[c]) alive.push_back({gates_[g].score[c], g, c});
    }
    std::fill(gates_[g].score.begin(), gates_[g].score.end(), 0.0);
  }
  const auto off = std::min<std::int64_t>(at_once_, std::ssize(alive));
  std::stable_sort(alive.begin(), alive.end(),
                   [](const Channel& a, const Channel& b) { return a.score < b.score; });
  for (std::int64_t i = 0; i < off; ++i) gates_[alive[i].gate].alive[alive[i].index] = false;

  std::vector<std::int64_t> row;
  bool all_lost = true;
  for (const Gate& gate : gates_) {
    row.push_back(std::count(gate.alive.begin(), gate.alive.end(), true));
    all_lost &= row.back() < std::ssize(gate.alive);
  }
  const std::int64_t least = *std::min_element(row.begin(), row.end());
  if (all_lost && least >= 1) rows_.push_back(row);
  const auto left = static_cast<double>(std::ssize(alive) - off);
  done_ = least <= 1 || left <= (1 - options_.stop) * static_cast<double>(channels_);
}

void Pruning::switch_off() const {
  for (const Gate& gate : gates_) {
    for (const Var& parameter : {gate.gamma, gate.beta}) {
      std::vector<float> values = on_host(parameter.value());
      for (std::size_t c = 0; c < values.size(); ++c) {
        if (!gate.alive[c]) values[c] = 0;
      }
      Tensor(parameter.value())
          .copy_from(Tensor::from(std::span<const float>(values), parameter.shape()));
    }
  }
}

std::vector<std::vector<std::int64_t>> prune(const Architecture& arch, const DataSplit& data,
                                             TrainConfig config, const PruneOptions& options,
                                             const TensorOptions& where) {
  Model model(arch, config.seed, where.device, where.dtype);
  const std::int64_t epoch = steps_per_epoch(data.train->size(), config.batch);
  const std::int64_t warm = options.warmup * epoch;
  Pruning pruning(model, options, warm);
  config.max_steps = warm + pruning.prunings() * options.every;
  config.epochs = ceil_div(config.max_steps, epoch);
  config.optimizer.kind = OptimizerKind::sgd;
  config.optimizer.momentum = 0.5;
  config.optimizer.nesterov = false;
  config.schedule = {.kind = ScheduleKind::step,
                     .lr = config.schedule.lr,
                     .milestones = {static_cast<double>(options.warmup)},
                     .gamma = 0.1};
  config.launch = LaunchMode::eager;
  config.evaluate_test = false;
  config.evaluate_every = std::max<std::int64_t>(1, config.epochs);
  config.out.clear();
  if (train(model, data, config, &pruning).interrupted) {
    throw Interrupted("interrupted while pruning (hint: the same command prunes again)");
  }
  if (!pruning.rows().empty()) return pruning.rows();
  throw ConfigError(fmt::format(
      "pruning '{}': expected every layer to lose a channel before one is down to one, got none "
      "(hint: a smaller share, or more minibatches between prunings)",
      arch.name));
}

}  // namespace hac
