#include "models/deploy/inference_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/elementwise.h"
#include "models/deploy/folding.h"

namespace hac {
namespace {

bool adds(const OpSpec& spec) {
  const auto* conv = std::get_if<Conv2dSpec>(&spec);
  return conv && conv->add;
}

// A flatten of 1x1 maps moves nothing.
bool is_alias(const OpSpec& spec, Device device) {
  const auto* flatten = std::get_if<FlattenSpec>(&spec);
  if (!flatten) return false;
  const Shape& s = flatten->shape;
  const bool unpadded = padded_channels(layout_of(device, s), s[1]) == s[1];
  return s[2] == 1 && s[3] == 1 && (s[0] == 1 || unpadded);
}

// Memory that several values hold in turn.
struct Slot {
  std::size_t bytes = 0;
  int holder = -1;  // value, -1 = free
};

// The free slot that has to change least to hold `bytes`; a new one if all are held.
int take_slot(std::vector<Slot>& slots, std::size_t bytes) {
  int best = -1;
  std::size_t least = SIZE_MAX;
  for (std::size_t s = 0; s < slots.size(); ++s) {
    const std::size_t have = slots[s].bytes;
    const std::size_t distance = have > bytes ? have - bytes : bytes - have;
    if (slots[s].holder == -1 && distance < least) {
      least = distance;
      best = static_cast<int>(s);
    }
  }
  if (best >= 0) return best;
  slots.emplace_back();
  return static_cast<int>(slots.size()) - 1;
}

// Fills in the tensors of steps.
class Packer {
 public:
  explicit Packer(const Model& model)
      : state_(model.state()), device_(model.device()), dtype_(model.dtype()) {}

  InferenceSession::Step pack(int index, const Op& op) const {
    InferenceSession::Step step{.op = index};
    if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
      step.packed = packed(*conv, op);
    } else if (std::holds_alternative<BatchNormSpec>(op.spec)) {
      step.gamma = copy_of(op.name + ".weight").to(device_);
      step.beta = copy_of(op.name + ".bias").to(device_);
      step.mean = copy_of(op.name + ".running_mean").to(device_);
      step.var = copy_of(op.name + ".running_var").to(device_);
    } else if (const auto* linear = std::get_if<LinearSpec>(&op.spec)) {
      step.packed = copy_of(op.name + ".weight").to(device_).cast(dtype_);
      if (linear->bias) step.bias = copy_of(op.name + ".bias").to(device_).cast(dtype_);
    }
    return step;
  }

 private:
  Tensor packed(const Conv2dSpec& conv, const Op& op) const {
    const ConvWeights weights = folded_weights(state_, op);
    const auto bytes =
        static_cast<std::int64_t>(conv2d_kernels.run(&Conv2dKernels::packed_bytes, device_, conv));
    const Tensor packed = Tensor::empty({bytes}, Dtype::u8, device_);
    const Tensor weight = weights.weight.to(device_).to(weight_layout(device_));
    const Tensor bias = weights.bias.to(device_);
    conv2d_kernels.run(&Conv2dKernels::pack, device_, conv, weight.data(), bias.data(),
                       packed.data());
    return packed;
  }

  Tensor copy_of(const std::string& name) const { return host_copy(state_, name); }

  const std::map<std::string, Tensor> state_;
  Device device_;
  Dtype dtype_;
};

}  // namespace

InferenceSession::InferenceSession(const Model& model, std::int64_t batch)
    : graph_(fuse(lower(model.arch(), batch, model.dtype()))),
      device_(model.device()),
      dtype_(model.dtype()) {
  const Packer packer(model);
  std::vector<int> alias;  // of each operation: whose value it passes on, mostly its own
  for (int i = 0; i < static_cast<int>(graph_.ops.size()); ++i) {
    Op& op = graph_.ops[i];
    for (int& input : op.inputs) input = input < 0 ? input : alias[input];
    const bool passes_on = is_alias(op.spec, device_);
    alias.push_back(passes_on ? op.inputs[0] : i);
    if (!passes_on) steps_.push_back(packer.pack(i, op));
  }
  plan_buffers();
}

// Each value gets a slot of memory from the step that makes it to the last that reads it.
void InferenceSession::plan_buffers() {
  std::vector<Slot> slots;
  std::vector<int> slot_of(graph_.ops.size(), -1), last_use(graph_.ops.size(), -1);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int i : graph_.ops[steps_[s].op].inputs) {
      if (i >= 0) last_use[i] = static_cast<int>(s);
    }
  }
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const int output = steps_[s].op;
    const Op& op = graph_.ops[output];
    const Shape shape = op.out();
    const std::size_t bytes = storage_elements(layout_of(device_, shape), shape) * size_of(dtype_);
    const auto dies = [&](int i) { return i >= 0 && last_use[i] == static_cast<int>(s); };
    // A residual add sums in the residual's own buffer when no later step reads it.
    const int residual = adds(op.spec) ? op.inputs[1] : -1;
    int slot = dies(residual) && residual != op.inputs[0] ? slot_of[residual] : -1;
    if (slot < 0) slot = take_slot(slots, bytes);
    slots[slot].bytes = std::max(slots[slot].bytes, bytes);
    slots[slot].holder = output;
    slot_of[output] = slot;
    for (const int i : op.inputs) {
      if (dies(i) && slot_of[i] != slot) slots[slot_of[i]].holder = -1;
    }
  }
  std::vector<std::shared_ptr<Storage>> memory;
  for (const Slot& slot : slots) {
    memory.push_back(std::make_shared<Storage>(slot.bytes, device_));
    activation_bytes_ += slot.bytes;
  }
  values_.resize(graph_.ops.size());
  for (const Step& step : steps_) {
    const Shape shape = graph_.ops[step.op].out();
    values_[step.op] =
        Tensor::over(memory[slot_of[step.op]], shape, dtype_, layout_of(device_, shape));
  }
}

const Tensor& InferenceSession::value(int index, const Tensor& images) const {
  return index < 0 ? images : values_[index];
}

void InferenceSession::execute(const Step& step, const Tensor& images) const {
  const Op& op = graph_.ops[step.op];
  const Tensor& x = value(op.inputs[0], images);
  const Tensor& y = values_[step.op];
  const void* other = op.inputs.size() > 1 ? value(op.inputs[1], images).data() : nullptr;
  const auto run = [&]<class Spec>(const Spec& s) {
    if constexpr (std::is_same_v<Spec, Conv2dSpec>) {
      conv2d_kernels.run(&Conv2dKernels::inference, device_, s,
                         x.to(input_layout(device_, s)).data(), step.packed.data(), other,
                         y.data());
    } else if constexpr (std::is_same_v<Spec, BatchNormSpec>) {
      batchnorm_kernels.run(&BatchNormKernels::forward_eval, device_, s, x.data(), other,
                            step.gamma.data(), step.beta.data(), step.mean.data(), step.var.data(),
                            y.data());
    } else if constexpr (std::is_same_v<Spec, ActivationSpec>) {
      ActivationSpec flat = s;
      flat.shape = {y.storage_numel()};
      activation_kernels.run(&ActivationKernels::forward, device_, flat, x.data(), y.data());
    } else if constexpr (std::is_same_v<Spec, AddSpec>) {
      AddSpec flat = s;
      flat.shape = {y.storage_numel()};
      add_kernels.run(&AddKernels::forward, device_, flat, x.data(), other, y.data());
    } else if constexpr (std::is_same_v<Spec, Pool2dSpec>) {
      pool2d_kernels.run(&Pool2dKernels::forward, device_, s, x.data(), y.data(), nullptr);
    } else if constexpr (std::is_same_v<Spec, GateSpec>) {
      gate_kernels.run(&GateKernels::forward, device_, s, x.data(), other, y.data());
    } else if constexpr (std::is_same_v<Spec, LinearSpec>) {
      linear_kernels.run(&LinearKernels::forward, device_, s, x.data(), step.packed.data(),
                         step.bias.defined() ? step.bias.data() : nullptr, y.data());
    } else if constexpr (std::is_same_v<Spec, FlattenSpec>) {
      const ReorderSpec reorder{
          .dtype = dtype_, .shape = s.shape, .from = x.layout(), .to = Layout::plain};
      reorder_kernels.run(&ReorderKernels::apply, device_, reorder, x.data(), y.data());
    }
  };
  std::visit(run, op.spec);
}

void InferenceSession::check_images(const Tensor& images) const {
  if (images.shape() == graph_.input) return;
  throw ShapeError(fmt::format("deployment: expected images {}, got {}", graph_.input.str(),
                               images.shape().str()));
}

void InferenceSession::capture(bool on) {
  capture_.reset();
  input_ = Tensor();
  if (!on) return;
  auto capture = std::make_unique<Capture>(device_);
  const Tensor input = Tensor::zeros(graph_.input, Dtype::f32, device_);
  const auto work = [&] {
    logits_ = Tensor();
    logits_ = execute_all(input);
  };
  capture->warm_up(work);
  capture->record(work);
  input_ = input;
  capture_ = std::move(capture);
}

Tensor InferenceSession::as_input(const Tensor& images) const {
  return images.to(device_).cast(dtype_).to(input_layout(device_, graph_));
}

Tensor InferenceSession::execute_all(const Tensor& images) {
  const Tensor own = as_input(images);
  for (const Step& step : steps_) execute(step, own);
  return values_[steps_.back().op].cast(Dtype::f32);
}

Tensor InferenceSession::run(const Tensor& images) {
  check_images(images);
  if (!capture_) return execute_all(images);
  if (images.device() != device_ || images.data() != input_.data()) input_.copy_from(images);
  capture_->replay();
  return logits_;
}

std::vector<double> InferenceSession::step_ms(const Tensor& images, int runs) {
  check_images(images);
  const Tensor own = as_input(images);
  Context& context = Context::current(device_);
  const Runtime& runtime = context.runtime();
  const ArenaScope scope(std::make_shared<Arena>(device_));  // what recordings may ask for
  for (const Step& step : steps_) execute(step, own);        // leaves every step something to read
  std::vector<double> medians;
  if (runtime.begin_capture) {
    for (const Step& step : steps_) {
      medians.push_back(recorded_ms(context, 1, runs, [&] { execute(step, own); }));
    }
    return medians;
  }
  std::vector<std::vector<double>> times(steps_.size());
  for (int run = 0; run < runs; ++run) {
    std::vector<Event> events{runtime.event_record(context)};
    for (const Step& step : steps_) {
      execute(step, own);
      events.push_back(runtime.event_record(context));
    }
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      times[s].push_back(runtime.elapsed_ms(context, events[s], events[s + 1]));
    }
  }
  for (std::vector<double>& t : times) {
    std::sort(t.begin(), t.end());
    medians.push_back((t[(t.size() - 1) / 2] + t[t.size() / 2]) / 2);
  }
  return medians;
}

std::size_t InferenceSession::weight_bytes() const {
  std::size_t bytes = 0;
  for (const Step& s : steps_) {
    for (const Tensor* t : {&s.packed, &s.bias, &s.gamma, &s.beta, &s.mean, &s.var}) {
      if (t->defined()) bytes += t->bytes();
    }
  }
  return bytes;
}

}  // namespace hac
