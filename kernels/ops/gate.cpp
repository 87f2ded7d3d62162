#include "kernels/ops/gate.h"

#include "kernels/core/spec_text.h"

namespace hac {

namespace {

constexpr auto visit = [](auto& s, auto& text) {
  text.kind("gate");
  text.dtype(s.dtype);
  visit_image(s, text);
};

}  // namespace

Cost GateSpec::cost() const {
  return {.activation_bytes = static_cast<std::int64_t>(size_of(dtype)) *
                              (2 * in_shape().numel() + gate_shape().numel())};
}
std::string GateSpec::str() const { return write_spec(*this, visit); }
bool GateSpec::parse(std::string_view text) { return read_spec(*this, text, visit); }

GateSpec GateSpec::with(Widths widths) const {
  GateSpec spec = *this;
  spec.c = widths.in;
  return spec;
}

}  // namespace hac
