#include "kernels/elementwise.h"

#include <fmt/format.h>

namespace hac {

// One buffer read, one written; add reads one more, which the spec does not tell.
Cost ElementwiseSpec::cost() const {
  return {.activation_bytes = 2 * elements * static_cast<std::int64_t>(size_of(dtype))};
}

std::string ElementwiseSpec::str() const {
  return fmt::format("elementwise:{},n{}", name_of(dtype), elements);
}

std::string DropoutSpec::str() const {
  return fmt::format("dropout:{},{},p{},seed{}o{}", name_of(dtype), shape.str(), p, seed, offset);
}

std::string ReorderSpec::str() const {
  return fmt::format("reorder:{},{},{}->{}", name_of(dtype), shape.str(), name_of(from),
                     name_of(to));
}

std::string CastSpec::str() const {
  return fmt::format("cast:{}>{},n{}", name_of(from), name_of(to), elements);
}

}  // namespace hac
