#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "kernels/ops/pool2d.h"

namespace hac::ops {

Var pool(const Var& x, PoolMode mode, PoolOptions o) {
  check_rank("pool", x.name(), x.shape(), 4);
  const Shape& s = x.shape();
  const Pool2dSpec spec{.dtype = x.value().dtype(),
                        .mode = mode,
                        .n = s[0],
                        .c = s[1],
                        .h = s[2],
                        .w = s[3],
                        .kernel = o.kernel,
                        .stride = o.stride,
                        .pad = o.pad};
  spec.validate();
  const Device device = x.device();
  const Tensor in = in_own_layout(x.value());
  Tensor y = Tensor::activation(spec.out_shape(), spec.dtype, device), index;
  if (grad_enabled() && x.requires_grad()) {
    if (const std::size_t bytes = pool2d_kernels.run(&Pool2dKernels::index_bytes, device, spec);
        bytes > 0) {
      index = Tensor::empty({static_cast<std::int64_t>(bytes)}, Dtype::u8, device);
    }
  }
  pool2d_kernels.run(&Pool2dKernels::forward, device, spec, in.data(), y.data(),
                     data_or_null(index));
  const Layout layout = x.value().layout();
  return make_var("pool", y, {x}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx = Tensor::activation(spec.in_shape(), spec.dtype, device);
    pool2d_kernels.run(&Pool2dKernels::backward, device, spec, dy.data(), data_or_null(index),
                       dx.data());
    return {dx.to(layout)};
  });
}

}  // namespace hac::ops
