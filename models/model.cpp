#include "models/model.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <optional>

#include "engine/autograd/ops.h"
#include "engine/nn/layers.h"
#include "kernels/core/error.h"
#include "kernels/core/isa.h"

namespace hac {
namespace {

// An operation without parameters.
class Function final : public Module {
 public:
  using F = std::function<Var(std::span<const Var>)>;
  explicit Function(F f) : f_(std::move(f)) {}
  Var forward(std::span<const Var> inputs) override { return f_(inputs); }

 private:
  F f_;
};

struct Builder {
  const Graph& graph;
  const std::string& name;
  std::uint64_t seed;
  std::size_t index;
  Device device;

  using Made = std::unique_ptr<Module>;
  Made operator()(const Conv2dSpec& s) {
    return std::make_unique<nn::Conv2d>(name, s, normalized(graph, static_cast<int>(index)), seed,
                                        device);
  }
  Made operator()(const BatchNormSpec& s) {
    return std::make_unique<nn::BatchNorm2d>(name, s, device);
  }
  Made operator()(const LinearSpec& s) {
    return std::make_unique<nn::Linear>(name, s, seed, device);
  }
  Made operator()(const DropoutSpec& s) {
    return std::make_unique<nn::Dropout>(s.p, s.images, seed * 1000 + index);
  }
  Made operator()(const ActivationSpec& s) {
    return std::make_unique<Function>(
        [a = s.activation](std::span<const Var> in) { return ops::activate(in[0], a); });
  }
  Made operator()(const AddSpec&) {
    return std::make_unique<Function>(
        [](std::span<const Var> in) { return ops::add(in[0], in[1]); });
  }
  Made operator()(const GateSpec&) {
    return std::make_unique<Function>(
        [](std::span<const Var> in) { return ops::gate(in[0], in[1]); });
  }
  Made operator()(const FlattenSpec&) {
    return std::make_unique<Function>([](std::span<const Var> in) { return ops::flatten(in[0]); });
  }
  Made operator()(const Pool2dSpec& s) {
    return std::make_unique<Function>([s](std::span<const Var> in) {
      return ops::pool(in[0], s.mode, {.kernel = s.kernel, .stride = s.stride, .pad = s.pad});
    });
  }
};

// Runs the graph, calling visit(index, output) after each operation. A value is freed after the
// last operation that reads it. With a tape, a batch norm is run with the max pool behind it.
template <class Visit>
Var run(const Graph& graph, const std::vector<std::unique_ptr<Module>>& modules, const Var& images,
        Visit visit) {
  std::vector<Var> values(graph.ops.size());
  std::vector<int> readers = reader_counts(graph);
  std::vector<Var> inputs;
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    inputs.clear();
    for (const int j : graph.ops[i].inputs) inputs.push_back(j < 0 ? images : values[j]);
    const std::vector<int>& read = graph.ops[i].inputs;
    if (grad_enabled() && pooled_alone(graph, readers, i)) {
      auto& norm = static_cast<nn::BatchNorm2d&>(*modules[i]);
      values[++i] = norm.forward_max_pool(inputs[0]);
    } else {
      values[i] = modules[i]->forward(inputs);
    }
    visit(i, values[i]);
    for (const int j : read) {
      if (j >= 0 && --readers[j] == 0) values[j] = Var();
    }
  }
  return values.back();
}

// What no parameter and no statistic may hold: the first such number, or "".
std::string broken_number(const std::string& name, const Tensor& tensor) {
  const bool variance = name.ends_with(".running_var");
  if (!variance && all_finite(tensor)) return "";
  const std::vector<float> values = tensor.to_vector();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && (!variance || values[i] >= 0)) continue;
    return fmt::format("{} holds {} at {}, expected {}", name, values[i], i,
                       variance ? "variances" : "finite numbers");
  }
  return "";
}

}  // namespace

std::string TensorOptions::str() const {
  return fmt::format("{} {}", to_string(device), name_of(dtype));
}

void TensorOptions::validate() const {
  const bool on_cpu = device.kind == DeviceKind::cpu;
  if (dtype == Dtype::f32 || (dtype == Dtype::f16 && !on_cpu)) return;
  if (dtype == Dtype::bf16 && (!on_cpu || cpu::has_bf16())) return;
  const std::string asked = fmt::format("dtype '{}' on {}", name_of(dtype), to_string(device));
  if (dtype == Dtype::bf16) {
    throw ConfigError(
        fmt::format("{}: expected a CPU with AVX512_BF16 or AMX, got the instruction set {} (hint: "
                    "--dtype f32; inference can keep its weights in bf16: --weights bf16)",
                    asked, cpu::isa_name()));
  }
  throw ConfigError(asked + ": expected f32 or bf16, or f16 on a GPU");
}

Model::Model(Architecture arch, std::uint64_t seed, Device device, Dtype dtype)
    : arch_(std::move(arch)), graph_(lower(arch_, 1, dtype)), device_(device), dtype_(dtype) {
  TensorOptions{device, dtype}.validate();
  for (std::size_t i = 0; i < graph_.ops.size(); ++i) {
    const Op& op = graph_.ops[i];
    modules_.push_back(std::visit(Builder{graph_, op.name, seed, i, device}, op.spec));
    const bool multiplies =
        std::holds_alternative<Conv2dSpec>(op.spec) || std::holds_alternative<LinearSpec>(op.spec);
    if (!multiplies) continue;
    for (const Parameter& p : modules_.back()->parameters) p.var.keep_copy(dtype);
  }
}

Var Model::forward(const Tensor& images) { return ops::cast(logits(images), Dtype::f32); }

Var Model::logits(const Tensor& images) {
  const Shape& s = images.shape();
  const Shape expected{s.rank() == 4 ? s[0] : 0, arch_.channels, arch_.resolution,
                       arch_.resolution};
  if (s != expected) {
    throw ShapeError(fmt::format("{}: expected images (N, {}, {}, {}), got {}", arch_.name,
                                 arch_.channels, arch_.resolution, arch_.resolution, s.str()));
  }
  std::optional<NoGrad> no_grad;
  if (!training_) no_grad.emplace();
  const Var input(images.to(device_).cast(dtype_));
  return run(graph_, modules_, input, [](std::size_t, const Var&) {});
}

void Model::train(bool on) {
  for (auto& m : modules_) m->training = on;
  training_ = on;
}

void Model::set_step(std::uint64_t step, const Tensor& counter) {
  for (auto& m : modules_) {
    if (auto* dropout = dynamic_cast<nn::Dropout*>(m.get())) dropout->set_step(step, counter);
  }
}

void Model::set_statistics_momentum(float momentum) {
  for (auto& m : modules_) {
    if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(m.get())) norm->set_momentum(momentum);
  }
}

void Model::set_statistics_group(DeviceGroup* group) {
  for (auto& m : modules_) {
    if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(m.get())) norm->set_group(group);
  }
}

std::vector<Parameter> Model::parameters() const {
  std::vector<Parameter> all;
  for (const auto& m : modules_) all.insert(all.end(), m->parameters.begin(), m->parameters.end());
  return all;
}

std::vector<Buffer> Model::buffers() const {
  std::vector<Buffer> all;
  for (const auto& m : modules_) all.insert(all.end(), m->buffers.begin(), m->buffers.end());
  return all;
}

void Model::zero_grad() {
  for (Parameter& p : parameters()) p.var.zero_grad();
}

std::map<std::string, Tensor> Model::state() const {
  std::map<std::string, Tensor> state;
  for (const Parameter& p : parameters()) state[p.name] = p.var.value();
  for (const Buffer& b : buffers()) state[b.name] = b.tensor;
  return state;
}

void Model::load_state(const std::map<std::string, Tensor>& given) {
  const std::map<std::string, Tensor> own = state();
  std::vector<std::string> problems;
  for (const auto& [name, tensor] : own) {
    const auto it = given.find(name);
    if (it == given.end()) {
      problems.push_back(fmt::format("missing {} {}", name, tensor.shape().str()));
    } else if (it->second.shape() != tensor.shape() || it->second.dtype() != tensor.dtype()) {
      problems.push_back(fmt::format("{} is {} {}, expected {} {}", name, it->second.shape().str(),
                                     name_of(it->second.dtype()), tensor.shape().str(),
                                     name_of(tensor.dtype())));
    } else if (const std::string broken = broken_number(name, it->second); !broken.empty()) {
      problems.push_back(broken);
    }
  }
  for (const auto& [name, tensor] : given) {
    if (!own.contains(name)) problems.push_back(fmt::format("unexpected {}", name));
  }
  if (!problems.empty()) {
    const std::size_t shown = std::min<std::size_t>(problems.size(), 4);
    throw IoError(fmt::format(
        "weights of '{}': {}{}", arch_.name,
        fmt::join(problems.begin(), problems.begin() + shown, "; "),
        problems.size() > shown ? fmt::format("; and {} more", problems.size() - shown) : ""));
  }
  for (const auto& [name, tensor] : own) {
    const Tensor& from = given.at(name);
    if (from.data() != tensor.data()) tensor.copy_from(from);
  }
  for (const Parameter& p : parameters()) {
    if (p.var.copy().defined()) p.var.keep_copy(dtype_);
  }
}

std::vector<Var> Model::width_weights() const {
  std::vector<Var> weights(widths(arch_).size());
  for (std::size_t i = 0; i < graph_.ops.size(); ++i) {
    const int index = graph_.ops[i].width_index;
    if (index >= 0) weights[index] = modules_[i]->parameters[0].var;
  }
  return weights;
}

std::string Model::first_not_finite(const Tensor& images) {
  const NoGrad no_grad;
  set_statistics_group(nullptr);  // the other ranks go on
  std::string found;
  const Var input(images.to(device_).cast(dtype_));
  run(graph_, modules_, input, [&](std::size_t i, const Var& out) {
    for (const Parameter& p : modules_[i]->parameters) {
      if (found.empty() && !all_finite(p.var.value())) found = p.name;
    }
    for (const Buffer& b : modules_[i]->buffers) {
      if (found.empty() && !all_finite(b.tensor)) found = b.name;
    }
    const Op& op = graph_.ops[i];
    if (found.empty() && !all_finite(out.value())) {
      found = fmt::format("{} ({})", op.name.empty() ? op.spec.kind() : op.name, op.spec.str());
    }
  });
  return found;
}

}  // namespace hac
