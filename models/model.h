#pragma once
// A network that can run and learn: an Architecture with parameters.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/module.h"
#include "models/arch/graph.h"

namespace hac {

class DeviceGroup;

// Where a network runs, and what its activations are computed in.
struct TensorOptions {
  Device device;
  Dtype dtype = Dtype::f32;
  bool operator==(const TensorOptions&) const = default;
  std::string str() const;  // "cuda:0 bf16"
  // ConfigError for a type without kernels: f32 always has some, bf16 on a CPU with
  // cpu::has_bf16(), bf16 and f16 on a GPU and simt.
  void validate() const;
};

class Model {
 public:
  // Initialised as PyTorch users expect: He normal (fan out) for convolutions, their biases zero,
  // gamma 1, beta 0, linear weights and biases uniform in +-1/sqrt(fan in). A function of the seed
  // alone.
  // dtype: what activations are computed in; parameters and the logits are f32 always, gradients
  // as Var::grad() says. Throws what TensorOptions::validate() does.
  explicit Model(Architecture arch, std::uint64_t seed = 0, Device device = {},
                 Dtype dtype = Dtype::f32);

  // images (N, C, R, R), of any device -> logits (N, classes). Records a tape unless NoGrad or
  // eval.
  Var forward(const Tensor& images);
  // The same in the model's dtype, as ops::softmax_cross_entropy takes them.
  Var logits(const Tensor& images);
  // In which forward() takes images without another pass over them, in its own type.
  Layout image_layout() const { return input_layout(device_, graph_); }
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  // Seeds dropout: with step, or with step plus the u64 in counter (8 bytes on the model's device).
  void set_step(std::uint64_t step, const Tensor& counter = {});
  // The share of a batch in the batch norms' running statistics.
  void set_statistics_momentum(float momentum);
  static constexpr float statistics_momentum = 0.1f;  // at first
  // From now on batch norms in training normalise by what all ranks of the group compute at once,
  // each of one image or more (ops::BatchNormOptions); null, as at first: by the own images. The
  // group outlives that.
  void set_statistics_group(DeviceGroup* group);

  const Architecture& arch() const { return arch_; }
  const Graph& graph() const { return graph_; }
  Device device() const { return device_; }
  Dtype dtype() const { return dtype_; }
  std::vector<Parameter> parameters() const;
  std::vector<Buffer> buffers() const;
  void zero_grad();
  // Everything a checkpoint holds of the network, by name.
  std::map<std::string, Tensor> state() const;
  // Throws IoError listing missing, unexpected and mis-shaped names, and numbers that are not
  // finite or a negative running variance; nothing is changed then.
  void load_state(const std::map<std::string, Tensor>& state);
  // The weight of each convolution that has a width, in the order of widths(arch).
  std::vector<Var> width_weights() const;
  // First layer, in order of execution, with a parameter, statistic or output that is not finite;
  // "" if none.
  std::string first_not_finite(const Tensor& images);

 private:
  Architecture arch_;
  Graph graph_;
  Device device_;
  Dtype dtype_;
  std::vector<std::unique_ptr<Module>> modules_;  // one an op
  bool training_ = true;
};

}  // namespace hac
