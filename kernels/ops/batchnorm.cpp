#include "kernels/ops/batchnorm.h"

#include "kernels/core/spec_text.h"

namespace hac {

Cost BatchNormSpec::cost() const {
  const std::int64_t elements = shape().numel();
  Cost cost;
  cost.params = 2 * c;
  cost.ops_thop = 2 * elements;
  // gamma, beta and the running statistics are f32 whatever the activations are.
  cost.weight_bytes = 4 * c * static_cast<std::int64_t>(size_of(Dtype::f32));
  cost.activation_bytes = (add ? 3 : 2) * elements * static_cast<std::int64_t>(size_of(dtype));
  return cost;
}

namespace {

constexpr auto visit = [](auto& s, auto& text) {
  text.kind("batchnorm");
  text.dtype(s.dtype);
  visit_image(s, text);
  text.flag(",add", s.add);
  text.choice(activation_names, s.activation);
  text.number(",eps", s.eps);
};

}  // namespace

std::string BatchNormSpec::str() const { return write_spec(*this, visit); }
bool BatchNormSpec::parse(std::string_view text) { return read_spec(*this, text, visit); }

BatchNormSpec BatchNormSpec::with(Widths widths) const {
  BatchNormSpec spec = *this;
  spec.c = widths.in;
  return spec;
}

}  // namespace hac
