#include "engine/autograd/var.h"

#include <fmt/format.h>

#include <unordered_map>

#include "kernels/core/error.h"
#include "kernels/ops/elementwise.h"

namespace hac {

struct Node {
  const char* op = "";
  std::vector<Var> inputs;
  BackwardFn backward;

  using Impl = Var::Impl;
  static const std::shared_ptr<Impl>& impl(const Var& v) { return v.impl_; }
  // A long tape must not be freed by recursion: each node hands its producers over to a list.
  ~Node() {
    std::vector<std::shared_ptr<Node>> doomed;
    const auto take = [&](std::vector<Var>& vars) {
      for (Var& v : vars) {
        // Taken out first: an op may hold the same variable twice.
        const std::shared_ptr<Impl> impl = std::move(v.impl_);
        if (impl && impl.use_count() == 1 && impl->node) doomed.push_back(std::move(impl->node));
      }
      vars.clear();
    };
    backward = nullptr;
    take(inputs);
    while (!doomed.empty()) {
      const std::shared_ptr<Node> node = std::move(doomed.back());
      doomed.pop_back();
      if (node.use_count() > 1) continue;
      node->backward = nullptr;
      take(node->inputs);
    }
  }
};

namespace {

thread_local bool recording = true;

void add_into(Tensor& sum, Tensor&& gradient) {
  if (!gradient.defined()) return;
  if (!sum.defined()) {
    sum = std::move(gradient);
    return;
  }
  if (gradient.shape() != sum.shape() || gradient.layout() != sum.layout()) {
    throw ShapeError(fmt::format("backward: gradients {} {} and {} {} meet", sum.shape().str(),
                                 name_of(sum.layout()), gradient.shape().str(),
                                 name_of(gradient.layout())));
  }
  // The first gradient may be shared with another path, so the sum gets memory of its own.
  Tensor out = Tensor::empty(sum.shape(), sum.dtype(), sum.device(), sum.layout());
  const AddSpec spec{.dtype = sum.dtype(), .shape = {sum.storage_numel()}};
  add_kernels.run(&AddKernels::forward, sum.device(), spec, sum.data(), gradient.data(),
                  out.data());
  sum = std::move(out);
}

}  // namespace

Var::Var(Tensor value, bool requires_grad, std::string name) : impl_(std::make_shared<Impl>()) {
  impl_->value = std::move(value);
  impl_->requires_grad = requires_grad;
  impl_->name = std::move(name);
}

Tensor Var::value_as(Dtype dtype) const {
  const Tensor& copy = impl_->copy;
  return copy.defined() && copy.dtype() == dtype ? copy : impl_->value.cast(dtype);
}

void Var::keep_copy(Dtype dtype) const {
  if (dtype == impl_->value.dtype()) return;
  const Tensor rounded = impl_->value.cast(dtype);
  if (impl_->copy.defined()) {
    impl_->copy.copy_from(rounded);
  } else {
    impl_->copy = rounded;
  }
}

Var make_var(const char* op, Tensor value, std::vector<Var> inputs, BackwardFn backward) {
  bool wanted = false;
  for (const Var& v : inputs) wanted = wanted || v.requires_grad();
  Var out(std::move(value), recording && wanted);
  if (out.requires_grad()) {
    out.impl_->node = std::make_shared<Node>(
        Node{.op = op, .inputs = std::move(inputs), .backward = std::move(backward)});
  }
  return out;
}

void backward(const Var& loss, const Tensor& seed, const std::function<void()>& after_leaf) {
  using Impl = Node::Impl;
  if (!loss.defined() || loss.value().numel() != 1) {
    throw ShapeError("backward: expected a loss of one element");
  }
  if (!loss.impl_->node) {
    throw Error("backward: the loss has no tape (it was consumed, or made without gradients)");
  }
  // Post-order walk with a stack of its own: depth is bounded by memory, not by the call stack.
  std::vector<std::shared_ptr<Impl>> order;
  std::unordered_map<const Impl*, bool> done;
  std::vector<std::pair<std::shared_ptr<Impl>, std::size_t>> stack{{loss.impl_, 0}};
  done[loss.impl_.get()] = true;
  while (!stack.empty()) {
    auto& [impl, next] = stack.back();
    if (impl->consumed) throw Error("backward: a part of the tape was consumed by another loss");
    if (impl->node && next < impl->node->inputs.size()) {
      const std::shared_ptr<Impl> input = Node::impl(impl->node->inputs[next++]);
      if (input && input->requires_grad && !done[input.get()]) {
        done[input.get()] = true;
        stack.emplace_back(input, 0);
      }
    } else {
      order.push_back(impl);
      stack.pop_back();
    }
  }

  std::unordered_map<const Impl*, Tensor> gradients;
  const float one = 1;
  gradients[loss.impl_.get()] =
      seed.defined() ? seed : Tensor::from(std::span(&one, 1), loss.shape()).to(loss.device());
  while (!order.empty()) {
    const std::shared_ptr<Impl> impl = std::move(order.back());
    order.pop_back();
    const auto found = gradients.find(impl.get());
    if (found == gradients.end()) continue;
    Tensor gradient = std::move(found->second);
    gradients.erase(found);
    if (!impl->node) {
      if (impl->grad.defined()) gradient = gradient.cast(Dtype::f32);
      impl->grad = impl->grad.defined() ? impl->grad.cast(Dtype::f32) : Tensor();
      add_into(impl->grad, std::move(gradient));
      if (after_leaf) after_leaf();
      continue;
    }
    const std::shared_ptr<Node> node = std::move(impl->node);
    impl->consumed = true;
    if (impl.use_count() == 1) impl->value = Tensor();
    std::vector<Tensor> grads = node->backward(gradient);
    node->backward = nullptr;
    for (std::size_t i = 0; i < grads.size(); ++i) {
      const auto& input = Node::impl(node->inputs[i]);
      if (input && input->requires_grad) add_into(gradients[input.get()], std::move(grads[i]));
    }
  }
}

bool grad_enabled() { return recording; }

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }

}  // namespace hac
