#include "kernels/ops/conv2d_operands.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/core/half.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

std::vector<std::uint8_t> random_numbers(Dtype dtype) {
  constexpr std::int64_t count = 1 << 16;
  const Philox random{.seed = 1};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  by_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = 2 * random.uniform(static_cast<std::uint64_t>(i)) - 1;
      reinterpret_cast<T*>(bytes.data())[i] = from_float<T>(value);
    }
  });
  return bytes;
}

}  // namespace

std::shared_ptr<void> allocate_to_measure(Context& ctx, std::size_t bytes) {
  std::shared_ptr<void> p = allocate_unkept(ctx.device(), bytes);
  if (!p) {
    throw OutOfMemory(
        fmt::format("{} bytes requested on {} to measure plans (hint: a smaller batch, or without "
                    "autotuning)",
                    bytes, to_string(ctx.device())));
  }
  return p;
}

RandomOperands::RandomOperands(Context& ctx, const Conv2dSpec& s) : ctx_(ctx) {
  const auto activation = [&](const Shape& shape) {
    return take(s.dtype, storage_elements(layout_of(ctx.device(), shape), shape));
  };
  x = activation(s.in_shape());
  // What the CPU is given; other devices' plans take what pack() has rounded.
  const bool given = ctx.device().kind == DeviceKind::cpu;
  w = take(given ? weight_dtype(s) : s.dtype, s.weight_shape().numel());
  bias = take(given && s.pass != Pass::forward ? Dtype::f32 : s.dtype, round_up(s.k, 16));
  y = activation(s.out_shape());
  if (s.add) residual = activation(s.out_shape());
}

void* RandomOperands::take(Dtype dtype, std::int64_t elements) {
  const std::vector<std::uint8_t> block = random_numbers(dtype);
  const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(dtype);
  char* p = as<char>(memory_.emplace_back(allocate_to_measure(ctx_, bytes)).get());
  for (std::size_t at = 0; at < bytes; at += block.size()) {
    ctx_.runtime().copy_in(ctx_, p + at, block.data(), std::min(block.size(), bytes - at));
  }
  return p;
}

}  // namespace hac
