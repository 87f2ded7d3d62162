#pragma once
// The scale of the loss in f16 training, kept on the device (kernels/ops/loss_scale.h has the
// rule).

#include <map>
#include <span>
#include <string>

#include "engine/nn/module.h"

namespace hac {

// What a scale may begin with: a power of two from 1 to 2^30, or 0 for none.
bool is_loss_scale(double scale);

class LossScale {
 public:
  // initial: is_loss_scale(), else ConfigError; 0 = off, the scale is 1 and stays so.
  explicit LossScale(Device device, double initial = 0);

  bool on() const { return counts_.defined(); }
  // What backward() starts from: one f32.
  const Tensor& seed() const { return scale_; }
  // Its first i32 is not 0 in a step whose gradients must not be used; undefined if off.
  const Tensor& skip() const { return counts_; }

  // Work of the device alone, which can be captured. Off: nothing. No two parameters may share the
  // tensor of their gradient: it is divided in place.
  void unscale(std::span<const Parameter> parameters) const;
  void update() const;

  double scale() const { return scale_.item(); }
  std::int64_t skipped() const;  // steps left out so far

  // "loss_scale.scale" and "loss_scale.counts"; empty if off.
  std::map<std::string, Tensor> state() const;
  // Throws IoError if they are missing, of another kind or no such numbers; nothing is changed
  // then.
  void load_state(const std::map<std::string, Tensor>& state) const;

 private:
  Tensor scale_, counts_;
};

}  // namespace hac
