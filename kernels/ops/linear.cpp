#include "kernels/ops/linear.h"

#include "kernels/core/spec_text.h"

namespace hac {

Cost LinearSpec::cost() const {
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  Cost cost;
  cost.params = in * out + (bias ? out : 0);
  cost.macs = n * in * out;
  cost.ops_thop = cost.macs;  // THOP 2021 does not count the bias of a linear layer
  cost.weight_bytes = bytes * cost.params;
  cost.activation_bytes = bytes * n * (in + out);
  return cost;
}

namespace {

constexpr auto visit = [](auto& s, auto& text) {
  text.kind("linear");
  text.dtype(s.dtype);
  text.field(",n", s.n);
  text.width("i", s.in);
  text.width("o", s.out);
  text.flag(",bias", s.bias);
};

}  // namespace

std::string LinearSpec::str() const { return write_spec(*this, visit); }
bool LinearSpec::parse(std::string_view text) { return read_spec(*this, text, visit); }

LinearSpec LinearSpec::with(Widths widths) const {
  LinearSpec spec = *this;
  spec.in = widths.in;
  spec.out = widths.out;
  return spec;
}

}  // namespace hac
