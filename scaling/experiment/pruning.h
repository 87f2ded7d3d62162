#pragma once
// Iterative pruning (Molchanov et al. 2019 with the gate form of the Taylor score; NeuralScale's
// use of it, spec in scaling/methods/neuralscale.h): after a warm-up, the channels of the whole
// network that matter least are switched off, a few at a time while it trains, and the widths that
// survive are recorded. A gate z = 1 behind the batch norm of a channel has the gradient
//   dL/dz = gamma dL/dgamma + beta dL/dbeta,
// so its score, the mean over minibatches of (z dL/dz)^2, needs no gate; and a channel is off where
// gamma and beta are zero.

#include <cstdint>
#include <string>
#include <vector>

#include "models/train/train.h"

namespace hac {

struct PruneOptions {
  std::int64_t warmup = 10;  // epochs at the training's rate; then a tenth of it
  std::int64_t every = 50;   // minibatches between two prunings
  double share = 0.0036;     // of all channels that are switched off at once, at least one
  double stop = 0.95;        // of all channels; also where a layer is down to one
  std::int64_t descent = 0;  // prunings of networks that the fit before gives (neuralscale.h)

  Fields fields() {
    return Fields()
        .add("warmup", warmup, {0, 10000}, "epochs before the first pruning")
        .add("every", every, {1, 1000000}, "minibatches between two")
        .add("share", share, {.low = 0, .high = 1, .above = true}, "of all channels at once")
        .add("stop", stop, {.low = 0, .high = 1, .above = true}, "of all channels")
        .add("descent", descent, {0, 100}, "prunings of networks that the fit before gives");
  }
  bool operator==(const PruneOptions&) const = default;
};

// The name of the batch norm that each width's convolution feeds, of a residual one through the
// sum. Throws ConfigError for a convolution without one.
std::vector<std::string> gates_of(const Graph& graph);

// Prunes while `model` trains from step `first` on. The model outlives it, and is trained eagerly.
class Pruning : public StepObserver {
 public:
  Pruning(Model& model, const PruneOptions& options, std::int64_t first);

  bool wants(std::int64_t step, std::int64_t) const override { return step >= first_ && !done_; }
  void accumulate(const Model& model, const Tensor& skip = {}) override;
  void count_step() override;
  std::map<std::string, Tensor> state() const override { return {}; }
  void load_state(const std::map<std::string, Tensor>&) override {}

  // Of each channel of a width, summed since the last pruning.
  const std::vector<double>& score(std::size_t width) const { return gates_[width].score; }
  // The widths that survive, a row a pruning, once every layer has lost a channel.
  const std::vector<std::vector<std::int64_t>>& rows() const { return rows_; }
  // Prunings until the end, at most.
  std::int64_t prunings() const;

 private:
  struct Gate {
    Var gamma, beta;
    std::vector<double> score;
    std::vector<bool> alive;
  };

  void prune();
  void switch_off() const;

  PruneOptions options_;
  std::int64_t first_, counted_ = 0, channels_ = 0, at_once_ = 1;
  std::vector<Gate> gates_;
  std::vector<std::vector<std::int64_t>> rows_;
  bool done_ = false;
};

// Trains and prunes a new network. `config` says data, batch and rate; its momentum is replaced by
// NeuralScale's 0.5, and nothing is written.
std::vector<std::vector<std::int64_t>> prune(const Architecture& arch, const DataSplit& data,
                                             TrainConfig config, const PruneOptions& options,
                                             const TensorOptions& where);

}  // namespace hac
