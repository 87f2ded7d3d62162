#pragma once
// Importance of every layer, measured while a network trains (paper Eq. 5; Molchanov et al. 2019,
// method 0): per kernel, the mean over minibatches of
//   sum over the kernel's weights m of (g_m * m)^2,   g_m = d(batch-mean loss)/dm,
// taken from the gradients of ordinary backward passes. At convergence it scales like 1/batch, so
// batch size, number of minibatches and stage of training are part of a sample and kept with it.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "models/train/train.h"

namespace hac {

// How a layer's importance follows from its kernels' (the paper leaves it open).
enum class KernelReduction : std::uint8_t {
  mean,  // expectation of removing one kernel: what Algorithm 1 needs
  sum,
  min,  // the kernel one would really remove
};
template <>
inline constexpr std::string_view enum_names<KernelReduction>[] = {"mean", "sum", "min"};

struct LayerImportance {
  std::string layer;
  std::int64_t width = 0;
  std::vector<double> kernels;  // one a kernel
  double reduce(KernelReduction how) const;

  Fields fields() { return HAC_FIELDS(layer, kernels, width); }
};

// Observes the last `minibatches` steps of a training.
class ImportanceObserver : public StepObserver {
 public:
  explicit ImportanceObserver(std::int64_t minibatches) : minibatches_(minibatches) {}

  bool wants(std::int64_t step, std::int64_t total_steps) const override {
    return step >= total_steps - minibatches_;
  }
  void accumulate(const Model& model, const Tensor& skip = {}) override;
  void count_step() override { ++observed_; }
  std::map<std::string, Tensor> state() const override;
  void load_state(const std::map<std::string, Tensor>& state) override;

  std::int64_t observed() const { return observed_; }
  // In the order of widths(model.arch()). Throws ConfigError when nothing was observed.
  std::vector<LayerImportance> result(const Model& model) const;

 private:
  std::int64_t minibatches_;
  std::int64_t observed_ = 0;
  std::vector<Tensor> sums_;  // by layer: one double a kernel, as bytes on the model's device
};

}  // namespace hac
