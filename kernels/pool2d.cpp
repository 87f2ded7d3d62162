#include "kernels/pool2d.h"

#include <fmt/format.h>

#include "kernels/error.h"

namespace hac {

std::int64_t Pool2dSpec::oh() const {
  return kind == PoolKind::global_avg ? 1 : (h + 2 * pad - kernel) / stride + 1;
}

std::int64_t Pool2dSpec::ow() const {
  return kind == PoolKind::global_avg ? 1 : (w + 2 * pad - kernel) / stride + 1;
}

Cost Pool2dSpec::cost() const {
  Cost cost;
  if (kind == PoolKind::global_avg) cost.ops_thop = n * c * (h * w + 1);
  cost.activation_bytes =
      static_cast<std::int64_t>(size_of(dtype)) * (in_shape().numel() + out_shape().numel());
  return cost;
}

std::string Pool2dSpec::str() const {
  const std::string input = fmt::format("{},n{}c{}h{}w{}", name_of(dtype), n, c, h, w);
  if (kind == PoolKind::global_avg) return fmt::format("globalavgpool:{}", input);
  return fmt::format("{}pool:{},k{}st{}p{}", kind == PoolKind::max ? "max" : "avg", input, kernel,
                     stride, pad);
}

void Pool2dSpec::validate() const {
  const auto fail = [this](const char* expected, const std::string& got) {
    throw ShapeError(fmt::format("pool2d '{}': expected {}, got {}", str(), expected, got));
  };
  if (n < 1 || c < 1 || h < 1 || w < 1) fail("a non-empty input", in_shape().str());
  if (kind == PoolKind::global_avg) return;
  if (kernel < 1) fail("kernel >= 1", fmt::format("{}", kernel));
  if (stride < 1) fail("stride >= 1", fmt::format("{}", stride));
  // A window that lies in the padding alone would have no maximum.
  if (pad < 0 || pad >= kernel) fail("0 <= pad < kernel", fmt::format("{}", pad));
  if (h + 2 * pad < kernel || w + 2 * pad < kernel) {
    fail("a window no larger than the padded input",
         fmt::format("{} on {}x{}", kernel, h + 2 * pad, w + 2 * pad));
  }
}

}  // namespace hac
