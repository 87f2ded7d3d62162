#include "kernels/ops/gate.h"

#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"

namespace hac::ops {

Var gate(const Var& x, const Var& g) {
  check_rank("gate", x.name(), x.shape(), 4);
  const Shape& s = x.shape();
  const GateSpec spec{.dtype = x.value().dtype(), .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
  if (g.shape() != spec.gate_shape()) {
    throw ShapeError(fmt::format("gate: input {} expects gates {}, got {}", s.str(),
                                 spec.gate_shape().str(), g.shape().str()));
  }
  const Device device = x.device();
  const Tensor in = in_own_layout(x.value()), gates = in_own_layout(g.value());
  Tensor y = Tensor::activation(spec.out_shape(), spec.dtype, device);
  gate_kernels.run(&GateKernels::forward, device, spec, in.data(), gates.data(), y.data());
  const Layout layout = x.value().layout(), gate_layout = g.value().layout();
  return make_var("gate", y, {x, g}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx = over_gradient(dy);
    Tensor dg = Tensor::activation(spec.gate_shape(), spec.dtype, device);
    gate_kernels.run(&GateKernels::backward, device, spec, in.data(), gates.data(), dy.data(),
                     dx.data(), dg.data());
    return {dx.to(layout), dg.to(gate_layout)};
  });
}

}  // namespace hac::ops
