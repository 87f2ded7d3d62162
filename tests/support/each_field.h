#pragma once

#include "engine/io/fields.h"

namespace hac {

// Visits every field that is no struct, with its path ("train.epochs").
template <class F>
void each_field(const Fields& fields, F f, const std::string& path = "") {
  for (const Field& field : fields) {
    const std::string at = (path.empty() ? "" : path + ".") + std::string(field.key);
    if (const auto* inner = std::get_if<Fields>(&field.value.at)) {
      each_field(*inner, f, at);
    } else {
      f(field, at);
    }
  }
}

}  // namespace hac
