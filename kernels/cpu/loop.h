#pragma once
// What own CPU loops share: how they are chosen, when to go parallel, and one view of every layout.

#include <cstdint>
#include <type_traits>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/isa.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

// HAC_CPU_TABLE(SgdKernels, sgd_cpu, {.step = step}) at the end of a file of own loops defines its
// table. On x86 such a file is compiled twice, for the floor and for AVX-512
// (kernels/CMakeLists.txt sets the macros), and the table is the one that fits the instruction set
// in use. The file throws nothing itself: for AVX-512 an error's type would be one of its own,
// which no code catches as an Error.
#if defined(HAC_AVX512)
#define HAC_CPU_TABLE(Table, name, ...) \
  namespace avx512 {                    \
  extern const Table name;              \
  const Table name __VA_ARGS__;         \
  }
#elif defined(HAC_HAS_AVX512)
#define HAC_CPU_TABLE(Table, name, ...) \
  namespace avx512 {                    \
  extern const Table name;              \
  }                                     \
  namespace avx2 {                      \
  constexpr Table name __VA_ARGS__;     \
  }                                     \
  const Table name = cpu::vector_lanes() == 16 ? avx512::name : avx2::name;
#else
#define HAC_CPU_TABLE(Table, name, ...) const Table name __VA_ARGS__;
#endif

namespace hac::cpu {

// Loops shorter than this many elements stay on one thread: waking the team costs more than it
// saves (some 5 us against 0.3 ns an element).
inline constexpr std::int64_t serial_elements = 1 << 14;

// run(T{}) with T the element type of operands, f32 or bf16; any other is "not available on the
// CPU". Loops compute in f32.
template <class Spec, class Run>
void by_type(const Context& context, const Spec& spec, Run run) {
  if (spec.dtype == Dtype::f32) return run(float{});
  if (spec.dtype == Dtype::bf16) return run(bf16{});
  throw_unavailable(spec.str(), context.device());
}

// Any layout as (n, padded / block, hw, block). A tensor of lower rank is n = 1 with its first
// dimension as the channels.
struct Planes {
  Planes(Layout layout, const Shape& shape) {
    if (shape.numel() == 0) return;
    if (shape.rank() == 4) {
      n = shape[0];
      c = shape[1];
      block = block_of(layout, c);
    } else {
      c = shape.rank() > 0 ? shape[0] : 1;
    }
    padded = round_up(c, block);
    hw = shape.numel() / (n * c);
  }

  // Where channel `channel` of image `image` begins; its pixels are `block` elements apart.
  std::int64_t offset(std::int64_t image, std::int64_t channel) const {
    return (image * padded + channel / block * block) * hw + channel % block;
  }

  std::int64_t n = 1, c = 0, padded = 0, hw = 0, block = 1;
};

// run(the block as a constant).
template <class Run>
void by_block(const Planes& v, Run run) {
  if (v.block == 16) return run(std::integral_constant<int, 16>());
  if (v.block == 8) return run(std::integral_constant<int, 8>());
  if (v.block == 4) return run(std::integral_constant<int, 4>());
  run(std::integral_constant<int, 1>());
}

// run(the block as a constant, T{}).
template <class Spec, class Run>
void by_block_and_type(const Context& context, const Spec& spec, const Planes& v, Run run) {
  by_block(v, [&](auto block) { by_type(context, spec, [&](auto t) { run(block, t); }); });
}

}  // namespace hac::cpu
