#include "kernels/ops/elementwise.h"

#include <fmt/format.h>

#include "kernels/core/spec_text.h"

namespace hac {

namespace {

std::int64_t bytes_of(const Shape& shape, Dtype dtype) {
  return shape.numel() * static_cast<std::int64_t>(size_of(dtype));
}

// The second dimension is the width of an image's or a matrix's rows.
Widths widths_of(const Shape& s) { return s.rank() > 1 ? Widths{s[1], 0} : Widths{}; }

template <class Spec>
Spec with_width(Spec spec, std::int64_t width) {
  const Shape& s = spec.shape;
  if (s.rank() == 4) spec.shape = Shape{s[0], width, s[2], s[3]};
  if (s.rank() == 2) spec.shape = Shape{s[0], width};
  return spec;
}

constexpr auto visit_activation = [](auto& s, auto& text) {
  text.kind(activation_names, s.activation);
  text.dtype(s.dtype);
  text.shape(s.shape);
};

constexpr auto visit_add = [](auto& s, auto& text) {
  text.kind("add");
  text.dtype(s.dtype);
  text.shape(s.shape);
  text.choice(activation_names, s.activation);
};

constexpr auto visit_dropout = [](auto& s, auto& text) {
  text.kind("dropout");
  text.dtype(s.dtype);
  text.shape(s.shape);
  text.number(",p", s.p);
  text.flag(",images", s.images);
  text.field(",seed", s.seed, 0);
  text.field("o", s.offset, 0);
};

constexpr auto visit_flatten = [](auto& s, auto& text) {
  text.kind("flatten");
  text.dtype(s.dtype);
  text.shape(s.shape);
};

}  // namespace

Cost ActivationSpec::cost() const { return {.activation_bytes = 2 * bytes_of(shape, dtype)}; }
std::string ActivationSpec::str() const { return write_spec(*this, visit_activation); }
bool ActivationSpec::parse(std::string_view text) {
  return read_spec(*this, text, visit_activation);
}
Widths ActivationSpec::widths() const { return widths_of(shape); }
ActivationSpec ActivationSpec::with(Widths w) const { return with_width(*this, w.in); }

Cost AddSpec::cost() const { return {.activation_bytes = 3 * bytes_of(shape, dtype)}; }
std::string AddSpec::str() const { return write_spec(*this, visit_add); }
bool AddSpec::parse(std::string_view text) { return read_spec(*this, text, visit_add); }
Widths AddSpec::widths() const { return widths_of(shape); }
AddSpec AddSpec::with(Widths w) const { return with_width(*this, w.in); }

std::string DropoutSpec::str() const { return write_spec(*this, visit_dropout); }
bool DropoutSpec::parse(std::string_view text) { return read_spec(*this, text, visit_dropout); }
Widths DropoutSpec::widths() const { return widths_of(shape); }
DropoutSpec DropoutSpec::with(Widths w) const { return with_width(*this, w.in); }

std::string FlattenSpec::str() const { return write_spec(*this, visit_flatten); }
bool FlattenSpec::parse(std::string_view text) { return read_spec(*this, text, visit_flatten); }
Widths FlattenSpec::widths() const { return widths_of(shape); }
FlattenSpec FlattenSpec::with(Widths w) const { return with_width(*this, w.in); }

std::string ReorderSpec::str() const {
  return fmt::format("reorder:{},{},{}->{}", name_of(dtype), shape.str(), name_of(from),
                     name_of(to));
}

std::string CastSpec::str() const {
  return fmt::format("cast:{}>{},n{}", name_of(from), name_of(to), elements);
}

}  // namespace hac
