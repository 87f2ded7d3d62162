#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "kernels/ops/conv2d_depthwise_cpu.h"
#include "kernels/ops/conv2d_taps_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"

namespace hac::cpu {

namespace {

// Where own loops over vectors of channels can compute it.
bool has_own(const Conv2dSpec& s) {
  const auto blocked = [](const Shape& shape) {
    return block_of(layout_of({}, shape), shape[1]) == vector_lanes();
  };
  return s.dtype == Dtype::f32 && blocked(s.in_shape()) && blocked(s.out_shape());
}

}  // namespace

bool has_winograd(const Conv2dSpec& s) {
  return has_own(s) && s.groups == 1 && s.r == 3 && s.s == 3 && s.stride == 1 && s.pad <= 2;
}

Winograd winograd(const Conv2dSpec& s, std::int64_t outputs) {
  constexpr std::int64_t near = 1 << 17;  // floats that stay in a small second-level cache
  const bool back = s.pass == Pass::backward_data, gradient = s.pass == Pass::backward_weights;
  const std::int64_t positions = (outputs + 2) * (outputs + 2);
  const std::int64_t c = round_up(s.c, vector_lanes()), k = round_up(s.k, vector_lanes());
  const std::int64_t h = back ? s.h : s.oh(), w = back ? s.w : s.ow();
  const std::int64_t tiles = s.n * ceil_div(h, outputs) * ceil_div(w, outputs);
  const std::int64_t threads = num_threads();
  Winograd p{
      .outputs = outputs, .tiles = tiles, .weights = static_cast<std::size_t>(positions * c * k)};
  const std::int64_t most = near / (positions * (c + k)) / 12 * 12, own = ceil_div(tiles, threads);
  // On its own a thread waits for no other, but reads all weights itself.
  const bool few_weights = positions * c * k <= near && own >= 8;
  p.alone = !gradient && most >= 12 && (few_weights || own >= 2 * most);
  p.part = p.alone ? ceil_div(own, ceil_div(own, most))
                   : std::min(tiles, std::max<std::int64_t>(96, 4 * threads * most));
  p.work = positions * p.part * (c + k);
  return p;
}

bool has_taps(const Conv2dSpec& s) {
  return has_own(s) && s.groups == 1 && (s.pass == Pass::forward || s.pass == Pass::inference);
}

Taps taps(const Conv2dSpec& s) {
  const std::int64_t hw = s.oh() * s.ow(), total = s.n * hw;
  const std::int64_t c = round_up(s.c, vector_lanes()), k = round_up(s.k, vector_lanes());
  Taps t{.chunks = ceil_div(total, Taps::chunk)};
  t.weights = static_cast<std::size_t>(s.r * s.s * c * k);
  t.work = static_cast<std::size_t>(s.n * s.h * s.w * c);
  for (std::int64_t begin = 0; begin < total; begin += Taps::chunk) {
    for (std::int64_t tap = 0; tap < s.r * s.s; ++tap) {
      t.first.push_back(static_cast<std::int64_t>(t.reached.size()));
      for (std::int64_t p = begin; p < std::min(begin + Taps::chunk, total); ++p) {
        const std::int64_t y = p % hw / s.ow() * s.stride + tap / s.s - s.pad;
        const std::int64_t x = p % s.ow() * s.stride + tap % s.s - s.pad;
        if (y < 0 || y >= s.h || x < 0 || x >= s.w) continue;
        t.reached.push_back({static_cast<std::int32_t>((p / hw * s.h + y) * s.w + x),
                             static_cast<std::int32_t>(p - begin)});
      }
    }
  }
  t.first.push_back(static_cast<std::int64_t>(t.reached.size()));
  return t;
}

bool has_depthwise(const Conv2dSpec& s) {
  const bool sized = s.r == s.s && (s.r == 3 || s.r == 5) && s.pad == s.r / 2 && s.stride <= 2;
  const bool pairs = s.pass != Pass::backward_data || s.stride == 1 || s.w % 2 == 0;
  return has_own(s) && s.groups == s.c && s.k == s.c && sized && pairs && !s.add;
}

std::size_t depthwise_weights(const Conv2dSpec& s) {
  return static_cast<std::size_t>(round_up(s.c, vector_lanes()) * s.r * s.s);
}

DepthwiseParts depthwise_parts(const Conv2dSpec& s) {
  constexpr std::int64_t most_pixels = 1 << 14;  // of one sum in f32
  constexpr std::int64_t tasks = 64;             // for any number of threads
  const std::int64_t rows = s.n * s.oh(), blocks = ceil_div(s.c, vector_lanes());
  DepthwiseParts p;
  p.count = std::max(tasks / blocks, ceil_div(rows * s.ow(), most_pixels));
  p.count = std::min(p.count, rows);
  p.floats = static_cast<std::size_t>(p.count) * depthwise_weights(s);
  return p;
}

}  // namespace hac::cpu
