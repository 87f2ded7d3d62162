#pragma once
// What depthwise convolution and the gradient of its weights share. For .cpp files that end in
// HAC_CPU_TABLE.
//
// Loops over arrays of Lanes are unrolled whole, by pragmas: g++ 12 keeps such an array in
// registers only if its indices are constants early, which those of lambdas are not.

#include "kernels/cpu/lanes.h"
#include "kernels/ops/conv2d.h"

namespace hac::cpu {
namespace {

// A load once for all its uses: left to itself, g++ loads inputs again for each.
[[gnu::always_inline]] inline Lanes load_once(const float* from) {
  Lanes value = load(from);
#if defined(__x86_64__)
  asm("" : "+v"(value));
#endif
  return value;
}

// How far the window over the input moves from one output to the next: with step half, which is
// that of backward data with stride 2, the outputs are those of dx and the inputs of dy.
enum class Step { one, two, half };

// A row of S taps over a row of inputs; its first input, column 0, is the one in the middle of the
// first output's window, or left of it. Where all outputs lie in the map, so do the inputs in the
// middle, but not those before and after them.
template <int S, Step step>
struct Window {
  static constexpr int pad = S / 2;
  static constexpr int before = step == Step::half ? pad / 2 : pad;
  static constexpr int after = step == Step::half ? (pad + 1) / 2 : pad;
  static constexpr int middle(int outputs) {
    if (step == Step::half) return outputs / 2;
    return step == Step::two ? 2 * outputs - 1 : outputs;
  }
  // The one between column c and output t, where it is one of S.
  static constexpr int tap(int c, int t) {
    if (step == Step::half) return t + pad - 2 * c;
    return c - t * (step == Step::two ? 2 : 1) + pad;
  }
  // The column in the middle of output `out`, an even one with step half.
  static std::int64_t column(std::int64_t out) {
    if (step == Step::half) return out / 2;
    return out * (step == Step::two ? 2 : 1);
  }
};

// One call: what is read and what is written.
struct Maps {
  explicit Maps(const Conv2dSpec& s)
      : back(s.pass == Pass::backward_data),
        h(back ? s.oh() : s.h),
        w(back ? s.ow() : s.w),
        oh(back ? s.h : s.oh()),
        ow(back ? s.w : s.ow()),
        blocks(ceil_div(s.c, lanes)) {}
  bool back;
  std::int64_t h, w, oh, ow, blocks;
};

}  // namespace
}  // namespace hac::cpu
