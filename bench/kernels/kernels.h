#pragma once
// Single kernels on Google Benchmark. A benchmark is named by what it runs,
//   conv2d:f32,n1c64h56w56,k64r3s3,st1p1g1,bias,relu/inference/winograd4
// the text of a spec, a pass, and who computes it: a device, or one of the CPU's algorithms.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/tensor/tensor.h"
#include "kernels/ops/softmax_xent.h"
#include "models/arch/graph.h"

namespace benchmark {
class State;
}

namespace hac::bench {

// What a kernel reads and writes: made when its benchmark begins, gone when it ends.
class Operands {
 public:
  explicit Operands(Device device) : device_(device) {}
  Device device() const { return device_; }

  // Random numbers: products of zeros run faster than real ones.
  Tensor random(const Shape& shape, Dtype dtype = Dtype::f32, Layout layout = Layout::plain);
  Tensor activation(const Shape& shape, Dtype dtype) {
    return random(shape, dtype, layout_of(device_, shape));
  }
  // What the kernel alone knows: packed weights, indices. Undefined of no bytes.
  Tensor workspace(std::size_t bytes) const;

  std::int64_t bytes() const { return bytes_; }  // of all but workspace

 private:
  Device device_;
  std::int64_t bytes_ = 0;
};

// Can be repeated. It owns its operands.
struct Work {
  std::function<void()> run;
  std::int64_t macs = 0;             // by definition: of the direct algorithm
  std::int64_t multiplications = 0;  // of these, really done
  std::string label;                 // what the library calls its choice
};

struct Variant {
  std::string pass;  // "inference", "forward", "backward_data", ...
  std::function<Work(Operands&)> prepare;
  std::string algorithm = {};  // "": what the engine chooses
};

std::vector<Variant> variants_of(const Conv2dSpec& spec, Device device);
std::vector<Variant> variants_of(const LinearSpec& spec, Device device);
std::vector<Variant> variants_of(const BatchNormSpec& spec, Device device);
std::vector<Variant> variants_of(const Pool2dSpec& spec, Device device);
std::vector<Variant> variants_of(const ActivationSpec& spec, Device device);
std::vector<Variant> variants_of(const AddSpec& spec, Device device);
std::vector<Variant> variants_of(const DropoutSpec& spec, Device device);
std::vector<Variant> variants_of(const GateSpec& spec, Device device);
std::vector<Variant> variants_of(const FlattenSpec& spec, Device device);  // none: no kernel
std::vector<Variant> variants_of(const SoftmaxXentSpec& spec, Device device);
// A step of SGD on all parameters of a network.
Variant sgd_of(const Graph& graph, Device device);

// No benchmark begins later than so many seconds from here.
void set_time_limit(double seconds);

// From now on the caches are overwritten before each run, of which there are four: CPU only.
void set_cold();
bool is_cold();

// The body of a benchmark. What the device cannot do is the benchmark's error.
void time_kernel(benchmark::State& state, Device device, Dtype dtype, const Variant& variant);

// What simt's executor itself costs, under executor/.
void add_executor();

// Registers benchmarks, each name once. Nothing is made before one runs.
class Registry {
 public:
  Registry(std::vector<Device> devices, std::vector<Dtype> dtypes)
      : devices_(std::move(devices)), dtypes_(std::move(dtypes)) {}

  // Every pass of it, at every device, in its own type. Throws ConfigError.
  void add(const std::string& spec);
  void add_cases();  // of tests/cases, in every type
  // Every layer of every network of the zoo: inference at batch 1, the passes of training at 128
  // images of CIFAR's size and 32 of ImageNet's, and its optimiser's step.
  void add_zoo();
  // What the choice among the CPU's algorithms is made from: every pass of 3x3 convolutions over
  // channels, sizes of maps and batches, under grid/.
  void add_grid();

 private:
  // Of training the first layer's: it has no gradient of the images.
  enum class Which { all, inference, training, training_first, algorithms };
  template <class Spec>
  void add(Spec spec, Which which, const std::string& prefix = "");
  void add(const OpSpec& spec, Which which);
  void add(const std::string& text, Device device, Dtype dtype, const Variant& variant);

  std::vector<Device> devices_;
  std::vector<Dtype> dtypes_;
  std::set<std::string> names_;
};

}  // namespace hac::bench
