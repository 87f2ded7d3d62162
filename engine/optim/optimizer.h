#pragma once
// What every optimiser shares: the learning rate and the scale of the loss on the device, clipping,
// which parameters decay, the state by name. An optimiser adds its own state and one fused kernel.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/fields.h"
#include "engine/nn/module.h"
#include "engine/optim/loss_scale.h"

namespace hac {

// weights: tensors of two and more dimensions, which leaves out biases and what norms learn
// (Goyal et al. 2017, section 5.3; He et al., Bag of Tricks, 2019, section 3.1).
enum class WeightDecayOn : std::uint8_t { all, weights };
template <>
inline constexpr std::string_view enum_names<WeightDecayOn>[] = {"all", "weights"};

enum class OptimizerKind : std::uint8_t { sgd, adamw, lars };
template <>
inline constexpr std::string_view enum_names<OptimizerKind>[] = {"sgd", "adamw", "lars"};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  double beta1 = 0.9, beta2 = 0.999;  // of AdamW
  double trust_coefficient = 1e-3;    // of LARS
  double eps = 1e-8;                  // of both
  double momentum = 0.9;
  std::optional<double> weight_decay;  // none: weight_decay_of()
  bool nesterov = false;
  WeightDecayOn weight_decay_on = WeightDecayOn::all;
  double clip_norm = 0;  // of all gradients together, as kernels/ops/norms.h has it; 0 = off

  Fields fields() {
    return Fields()
        .add("momentum", momentum, {.low = 0, .high = 1, .below = true}, "of SGD and LARS")
        .add("weight_decay", weight_decay, {0},
             "on the parameters that --weight-decay-on names (default: 0.0005; of AdamW 0.01)",
             {.optional = true})
        .add("nesterov", nesterov, "Nesterov's momentum")
        .add("weight_decay_on", weight_decay_on,
             "all parameters, or the weights alone of convolutions and linear layers (no biases, "
             "nothing of batch norms)",
             {.omit = weight_decay_on == WeightDecayOn::all})
        .add("clip_norm", clip_norm, {0},
             "scale the gradients down to this Euclidean norm of all together; 0 = off",
             {.type = "NORM", .omit = clip_norm == 0})
        .add("optimizer", own_fields(), {.omit = is_plain()});
  }
  // [train.optimizer] of a recipe.
  Fields own_fields() {
    const Bounds beta{.low = 0, .high = 1, .below = true};
    return Fields()
        .add("kind", kind, "sgd with momentum, adamw, or lars for large batches",
             {.flag = "--optimizer"})
        .add("beta1", beta1, beta, "AdamW's average of gradients")
        .add("beta2", beta2, beta, "AdamW's average of their squares")
        .add("eps", eps, {.low = 0, .above = true}, "added to the divisor of AdamW and LARS")
        .add("trust_coefficient", trust_coefficient, {.low = 0, .above = true},
             "LARS: a layer's rate is this share of its weights' norm to its gradient's",
             {.type = "ETA"});
  }
  bool is_plain() const {
    const OptimizerOptions plain;
    return kind == plain.kind && beta1 == plain.beta1 && beta2 == plain.beta2 && eps == plain.eps &&
           trust_coefficient == plain.trust_coefficient;
  }
  bool operator==(const OptimizerOptions&) const = default;
};

// As set, else PyTorch's of AdamW, which multiplies it by the rate alone, and of the others 5e-4,
// with which CIFAR's networks are trained (Zagoruyko and Komodakis 2016, section 3).
inline double weight_decay_of(const OptimizerOptions& options) {
  return options.weight_decay.value_or(options.kind == OptimizerKind::adamw ? 0.01 : 5e-4);
}

// Tensors that an optimiser keeps beside each parameter and its gradient.
inline int kept_tensors(OptimizerKind kind) { return kind == OptimizerKind::adamw ? 2 : 1; }

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates every parameter that has a gradient, and the 16-bit copies of those that keep one.
  void step(double lr);
  // Its parts: the rate is written from the host, the others are work of the device alone and can
  // be captured. Between unscale and update the gradients are those of the loss itself; update
  // clips them in place.
  void set_rate(double lr);
  void unscale();
  void update();
  const LossScale& loss_scale() const { return loss_scale_; }
  // The rate where the device reads it: one f32.
  const Tensor& rate() const { return lr_; }
  // Its first i32 is not 0 in a step whose gradients must not be used: the loss scale's, else what
  // stop_by() gave; or undefined.
  const Tensor& skip() const { return loss_scale_.on() ? loss_scale_.skip() : stop_; }
  void stop_by(Tensor stop) { stop_ = std::move(stop); }

  // By name, "momentum.features.0.weight", and the loss scale's.
  virtual std::map<std::string, Tensor> state() const;
  // Throws IoError if it does not fit; nothing is changed then.
  virtual void load_state(const std::map<std::string, Tensor>& state);

 protected:
  // slots: the names of the tensors that are kept beside each parameter, zero at first.
  // loss_scale: where the scale of the loss begins; 0 = none (LossScale).
  Optimizer(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale,
            std::vector<std::string> slots);

  // One parameter that has a gradient.
  struct Operand {
    std::size_t index = 0;  // of the parameter
    const void* grad = nullptr;
    Dtype grad_dtype = Dtype::f32;
    void* weight = nullptr;
    void* copy = nullptr;  // or null
    std::int64_t elements = 0;
    bool is_matrix = true;  // of two and more dimensions: no bias, nothing of a norm
    bool decays = true;
  };
  // In the order of the parameters. copy: the type of the copies, f32 if there are none. Throws
  // ShapeError for a gradient or a copy that does not fit its parameter.
  std::vector<Operand> operands(Dtype& copy) const;
  void float_gradients() const;  // whose norms are wanted
  std::size_t parameter_count() const { return parameters_.size(); }
  void* slot(std::size_t which, std::size_t parameter) const;
  // The update itself: rate, one f32 on the device; skip: null, or one i32 there.
  virtual void apply(const void* rate, const void* skip) = 0;

  Device device() const { return lr_.device(); }
  const OptimizerOptions options_;

 private:
  void clip();

  struct Slot {
    std::string prefix;  // "momentum."
    std::vector<Tensor> tensors;
  };

  std::vector<Parameter> parameters_;
  std::vector<Slot> slots_;
  Tensor lr_;  // one element on the parameters' device
  LossScale loss_scale_;
  Tensor stop_;     // or undefined
  Tensor squares_;  // where gradients are clipped: a double a parameter, as bytes
};

// What the names of an optimiser's state begin with, of whichever optimiser.
inline constexpr std::string_view optimizer_state[] = {"momentum.", "exp_avg.", "exp_avg_sq.",
                                                       "adamw.", "loss_scale."};

}  // namespace hac
