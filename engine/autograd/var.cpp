#include "engine/autograd/var.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "kernels/core/error.h"
#include "kernels/ops/elementwise.h"

namespace hac {

struct Node {
  const char* op = "";
  std::vector<Var> inputs;
  Backward backward;

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
    backward = {};
    take(inputs);
    while (!doomed.empty()) {
      const std::shared_ptr<Node> node = std::move(doomed.back());
      doomed.pop_back();
      if (node.use_count() > 1) continue;
      node->backward = {};
      take(node->inputs);
    }
  }
};

namespace {

thread_local bool recording = true;

void check_alike(const Tensor& a, const Tensor& b) {
  if (a.shape() == b.shape() && a.layout() == b.layout() && a.dtype() == b.dtype()) return;
  const auto text = [](const Tensor& t) {
    return fmt::format("{} {} {}", name_of(t.dtype()), t.shape().str(), name_of(t.layout()));
  };
  throw ShapeError(fmt::format("backward: gradients {} and {} meet", text(a), text(b)));
}

// What paths have given so far for the gradient of a value: first + second. Two are kept where the
// value's node adds them itself.
struct Gradients {
  Tensor first, second;

  void add(Tensor&& gradient, bool keep_two) {
    if (!gradient.defined()) return;
    if (!first.defined()) {
      first = std::move(gradient);
      return;
    }
    check_alike(first, gradient);
    if (second.defined()) add_up();
    second = std::move(gradient);
    if (!keep_two) add_up();
  }
  Tensor take_last() { return std::exchange(second.defined() ? second : first, Tensor()); }

 private:
  void add_up() {
    // The first gradient may be shared with another path, so the sum gets memory of its own.
    Tensor out = Tensor::empty(first.shape(), first.dtype(), first.device(), first.layout());
    const AddSpec spec{.dtype = first.dtype(), .shape = {first.storage_numel()}};
    add_kernels.run(&AddKernels::forward, first.device(), spec, first.data(), second.data(),
                    out.data());
    first = std::move(out);
    second = Tensor();
  }
};

using GradientsOf = std::unordered_map<const Node::Impl*, Gradients>;

// Runs the node's closure and adds what it returns to the gradients of the inputs.
void run_backward(Node& node, const Gradients& of_output, GradientsOf& gradients) {
  const auto wanted = [&](std::size_t i) {
    const auto& input = Node::impl(node.inputs[i]);
    return input && input->requires_grad ? input.get() : nullptr;
  };
  std::vector<Tensor> grads;
  if (const auto* adding = std::get_if<AddingBackwardFn>(&node.backward)) {
    const Node::Impl* const x = wanted(0);
    const Tensor addend = x ? gradients[x].take_last() : Tensor();
    grads = (*adding)(of_output.first, of_output.second, addend);
  } else {
    grads = std::get<BackwardFn>(node.backward)(of_output.first);
  }
  node.backward = {};
  for (std::size_t i = 0; i < grads.size(); ++i) {
    const Node::Impl* const input = wanted(i);
    if (!input) continue;
    const bool keep_two =
        input->node && std::holds_alternative<AddingBackwardFn>(input->node->backward);
    gradients[input].add(std::move(grads[i]), keep_two);
  }
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

Var make_var(const char* op, Tensor value, std::vector<Var> inputs, Backward backward) {
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

  GradientsOf gradients;
  const float one = 1;
  gradients[loss.impl_.get()].first =
      seed.defined() ? seed : Tensor::from(std::span(&one, 1), loss.shape()).to(loss.device());
  while (!order.empty()) {
    const std::shared_ptr<Impl> impl = std::move(order.back());
    order.pop_back();
    const auto found = gradients.extract(impl.get());
    if (!found) continue;
    Gradients gradient = std::move(found.mapped());
    if (!impl->node) {
      if (impl->grad.defined()) {
        Gradients all{.first = impl->grad.cast(Dtype::f32)};
        all.add(gradient.first.cast(Dtype::f32), false);
        gradient = std::move(all);
      }
      impl->grad = std::move(gradient.first);
      if (after_leaf) after_leaf();
      continue;
    }
    const std::shared_ptr<Node> node = std::move(impl->node);
    impl->consumed = true;
    if (impl.use_count() == 1) impl->value = Tensor();
    run_backward(*node, gradient, gradients);
  }
}

bool grad_enabled() { return recording; }

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }

}  // namespace hac
