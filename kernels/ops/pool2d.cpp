#include "kernels/ops/pool2d.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/core/spec_text.h"

namespace hac {

Cost Pool2dSpec::cost() const {
  Cost cost;
  if (mode == PoolMode::global_avg) cost.ops_thop = n * c * (h * w + 1);
  cost.activation_bytes =
      static_cast<std::int64_t>(size_of(dtype)) * (in_shape().numel() + out_shape().numel());
  return cost;
}

namespace {

constexpr std::string_view kinds[] = {"maxpool", "avgpool", "globalavgpool"};

constexpr auto visit = [](auto& s, auto& text) {
  text.kind(kinds, s.mode);
  text.dtype(s.dtype);
  visit_image(s, text);
  if (s.mode == PoolMode::global_avg) return;
  text.field(",k", s.kernel);
  text.field("st", s.stride);
  text.field("p", s.pad, 0);
};

}  // namespace

std::string_view Pool2dSpec::kind() const { return kinds[static_cast<std::size_t>(mode)]; }
std::string Pool2dSpec::str() const { return write_spec(*this, visit); }
bool Pool2dSpec::parse(std::string_view text) { return read_spec(*this, text, visit); }

Pool2dSpec Pool2dSpec::with(Widths widths) const {
  Pool2dSpec spec = *this;
  spec.c = widths.in;
  return spec;
}

void Pool2dSpec::validate() const {
  const auto fail = [this](const char* expected, const std::string& got) {
    throw ShapeError(fmt::format("pool2d '{}': expected {}, got {}", str(), expected, got));
  };
  if (n < 1 || c < 1 || h < 1 || w < 1) fail("a non-empty input", in_shape().str());
  if (mode == PoolMode::global_avg) return;
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
