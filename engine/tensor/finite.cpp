#include "engine/tensor/finite.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ops/norms.h"

namespace hac {
namespace {

// No square of an f32 number is beyond a double, and no sum of as many as a tensor holds.
std::vector<double> squares_of(std::span<const Tensor> tensors) {
  const Device device = tensors.front().device();
  std::vector<NormSegment> segments;
  for (const Tensor& t : tensors) segments.push_back({t.data(), t.storage_numel()});
  std::vector<double> squares(tensors.size());
  const auto bytes = static_cast<std::int64_t>(squares.size() * sizeof(double));
  const Tensor sums = Tensor::empty({bytes}, Dtype::u8, device);
  norm_kernels.run(&NormKernels::squares, device, NormSpec{.tensors = std::ssize(segments)},
                   sums.data(), std::span<const NormSegment>(segments));
  Context& context = Context::current(device);
  context.runtime().copy_out(context, squares.data(), sums.data(), sums.bytes());
  return squares;
}

}  // namespace

std::optional<std::size_t> first_not_finite(std::span<const Tensor> tensors) {
  if (tensors.empty()) return {};
  std::ptrdiff_t found = 0;
  if (tensors.front().device().kind == DeviceKind::cpu) {
    found = std::ranges::find_if_not(tensors, all_finite) - tensors.begin();
  } else {
    const std::vector<double> squares = squares_of(tensors);
    found = std::ranges::find_if_not(squares, [](double s) { return std::isfinite(s); }) -
            squares.begin();
  }
  if (found == std::ssize(tensors)) return {};
  return static_cast<std::size_t>(found);
}

}  // namespace hac
