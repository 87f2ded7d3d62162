#include "kernels/conv2d.h"

#include <fmt/format.h>

#include "kernels/error.h"

namespace hac {

Cost Conv2dSpec::cost() const {
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t out = out_shape().numel();
  const std::int64_t weights = weight_shape().numel();
  const bool adds = epilogue == Epilogue::add || epilogue == Epilogue::add_relu;
  Cost cost;
  cost.params = weights + (bias ? k : 0);
  cost.macs = out * (c / groups) * r * s;
  cost.ops_thop = cost.macs + (bias ? out : 0);
  cost.weight_bytes = bytes * cost.params;
  cost.activation_bytes = bytes * (in_shape().numel() + out + (adds ? out : 0));
  return cost;
}

std::string Conv2dSpec::str() const {
  constexpr std::string_view epilogues[] = {"", ",relu", ",add", ",add_relu"};
  constexpr std::string_view passes[] = {"", ",inference", ",backward_data", ",backward_weights"};
  return fmt::format("conv2d:{},n{}c{}h{}w{},k{}r{}s{},st{}p{}g{}{}{}{}", name_of(dtype), n, c, h,
                     w, k, r, s, stride, pad, groups, bias ? ",bias" : "",
                     epilogues[static_cast<int>(epilogue)], passes[static_cast<int>(pass)]);
}

void Conv2dSpec::validate() const {
  const auto fail = [this](const char* expected, const std::string& got) {
    throw ShapeError(fmt::format("conv2d '{}': expected {}, got {}", str(), expected, got));
  };
  if (n < 1 || c < 1 || h < 1 || w < 1) fail("a non-empty input", in_shape().str());
  if (k < 1 || r < 1 || s < 1)
    fail("output channels and kernel >= 1", fmt::format("k{}r{}s{}", k, r, s));
  if (stride < 1) fail("stride >= 1", fmt::format("{}", stride));
  if (pad < 0) fail("pad >= 0", fmt::format("{}", pad));
  if (groups < 1 || c % groups != 0 || k % groups != 0) {
    fail("groups that divide input and output channels",
         fmt::format("{} groups for {} and {} channels", groups, c, k));
  }
  if (h + 2 * pad < r || w + 2 * pad < s) {
    fail("a kernel no larger than the padded input",
         fmt::format("{}x{} on {}x{}", r, s, h + 2 * pad, w + 2 * pad));
  }
}

}  // namespace hac
