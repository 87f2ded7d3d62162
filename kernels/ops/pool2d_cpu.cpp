// Pooling on the CPU: max pooling whose windows do not overlap, or any other.

#include "kernels/ops/max_pool_tiles_cpu.h"
#include "kernels/ops/pool_windows_cpu.h"

namespace hac {
namespace {

bool is_tiled(const Pool2dSpec& s) {
  return s.mode == PoolMode::max && s.dtype != Dtype::f16 && s.kernel == s.stride && s.pad == 0 &&
         s.kernel * s.kernel <= 256;
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  if (!is_tiled(s)) return cpu::pool_windows.forward(ctx, s, x, y, index);
  s.validate();
  cpu::max_pool_tiles.forward(ctx, s, x, y, index);
}

std::size_t index_bytes(Context& ctx, const Pool2dSpec& s) {
  if (!is_tiled(s)) return cpu::pool_windows.index_bytes(ctx, s);
  return storage_elements(layout_of({}, s.out_shape()), s.out_shape());
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  if (!is_tiled(s)) return cpu::pool_windows.backward(ctx, s, dy, index, dx);
  cpu::max_pool_tiles.backward(ctx, s, dy, index, dx);
}

}  // namespace

const Pool2dKernels pool2d_cpu{
    .forward = forward, .index_bytes = index_bytes, .backward = backward};

}  // namespace hac
