#pragma once
// Reverse-mode automatic differentiation on a tape (Wengert list). An op computes its value and, if
// any input wants a gradient, attaches a Node whose closure maps the output's gradient to the
// inputs' gradients. backward() walks the nodes in reverse topological order, adds gradients where
// paths meet, and frees what each node saved as soon as it has run.

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/tensor/tensor.h"

namespace hac {

struct Node;

// Maps dL/d(output) to dL/d(input i), in the order of the inputs; an undefined tensor where an
// input wants no gradient.
using BackwardFn = std::function<std::vector<Tensor>(const Tensor& grad_output)>;
// Of an op whose kernels add gradients where paths meet: dL/d(output) is grad_output + second, and
// addend, what another path gave for the gradient of the first input, is added to the one returned.
// second and addend may be undefined; addend may be another path's too, and is not written.
using AddingBackwardFn = std::function<std::vector<Tensor>(
    const Tensor& grad_output, const Tensor& second, const Tensor& addend)>;
using Backward = std::variant<BackwardFn, AddingBackwardFn>;

class Var {
 public:
  Var() = default;
  explicit Var(Tensor value, bool requires_grad = false, std::string name = "");

  bool defined() const { return impl_ != nullptr; }
  const Tensor& value() const { return impl_->value; }
  // Undefined until backward() reached this leaf. f32; off the CPU, of a convolution's weights, in
  // the type that it computes in, until gradients are added or float_grad() is asked for.
  const Tensor& grad() const { return impl_->grad; }
  // In f32, which it is from now on: for whoever changes it.
  const Tensor& float_grad() const { return impl_->grad = impl_->grad.cast(Dtype::f32); }
  // The value in another float type: the copy that is kept beside it, or one made now.
  Tensor value_as(Dtype dtype) const;
  // Keeps such a copy from now on, or renews it. Whoever changes the value renews it too: Sgd does
  // so in its update, Model when it loads weights. f32 needs none.
  void keep_copy(Dtype dtype) const;
  const Tensor& copy() const { return impl_->copy; }  // undefined if none is kept
  void zero_grad() { impl_->grad = Tensor(); }
  void set_grad(Tensor grad) const { impl_->grad = std::move(grad); }
  bool requires_grad() const { return defined() && impl_->requires_grad; }
  const std::string& name() const { return impl_->name; }
  const Shape& shape() const { return impl_->value.shape(); }
  Device device() const { return impl_->value.device(); }

 private:
  friend struct Node;
  friend Var make_var(const char* op, Tensor value, std::vector<Var> inputs, Backward backward);
  friend void backward(const Var& loss, const Tensor& seed,
                       const std::function<void()>& after_leaf);
  struct Impl {
    Tensor value, grad, copy;
    bool requires_grad = false;
    std::string name;
    std::shared_ptr<Node> node;  // null for a leaf, and once the tape is consumed
    bool consumed = false;
  };
  std::shared_ptr<Impl> impl_;
};

// What an op returns. Keeps the closure only if gradients are on and an input wants one.
Var make_var(const char* op, Tensor value, std::vector<Var> inputs, Backward backward);

// Fills grad() of every leaf that requires it (adding to what is there). loss has one element.
// The tape is consumed: a second call on the same loss is an Error. seed: the gradient of the loss,
// on its device, where a 1 cannot be copied there (captured work). after_leaf: called once a leaf
// has its gradient, which may be taken away; those of the last layers come first.
void backward(const Var& loss, const Tensor& seed = {},
              const std::function<void()>& after_leaf = nullptr);

bool grad_enabled();

// While one lives, ops of this thread record no tape.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();

 private:
  bool before_;
};

}  // namespace hac
