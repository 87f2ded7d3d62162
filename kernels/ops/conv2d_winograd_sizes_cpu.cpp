#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "kernels/ops/conv2d_winograd_cpu.h"

namespace hac::cpu {

bool has_winograd(const Conv2dSpec& s) {
  const auto blocked = [](const Shape& shape) {
    return block_of(layout_of({}, shape), shape[1]) == vector_lanes();
  };
  return s.dtype == Dtype::f32 && s.r == 3 && s.s == 3 && s.stride == 1 && s.groups == 1 &&
         s.pad <= 2 && blocked(s.in_shape()) && blocked(s.out_shape());
}

Winograd winograd(const Conv2dSpec& s, std::int64_t outputs) {
  constexpr std::int64_t near = 1 << 18;  // floats that stay in a core's second-level cache
  const bool back = s.pass == Pass::backward_data, gradient = s.pass == Pass::backward_weights;
  const std::int64_t positions = (outputs + 2) * (outputs + 2);
  const std::int64_t c = round_up(s.c, vector_lanes()), k = round_up(s.k, vector_lanes());
  const std::int64_t h = back ? s.h : s.oh(), w = back ? s.w : s.ow();
  const std::int64_t tiles = s.n * ceil_div(h, outputs) * ceil_div(w, outputs);
  const std::int64_t threads = num_threads();
  Winograd p{.outputs = outputs, .weights = static_cast<std::size_t>(positions * c * k)};
  p.part = near / (positions * (c + k)) / 12 * 12;
  p.alone = !gradient && p.part >= 24 && tiles >= 2 * p.part * threads;
  if (!p.alone) p.part = std::min(tiles, std::max<std::int64_t>(96, 4 * threads * p.part));
  p.work = positions * p.part * (c + k);
  return p;
}

}  // namespace hac::cpu
