#pragma once
// Fields whose keys are the names of the members, each said once:
//   Fields fields() { return HAC_FIELDS(row, figure, printed); }

#include <algorithm>
#include <string_view>

#include "engine/io/fields.h"

#define HAC_FIELDS(...) hac::named_fields(#__VA_ARGS__, __VA_ARGS__)

namespace hac {

// `names` are those of the members: "row, figure, printed".
template <class... Members>
Fields named_fields(std::string_view names, Members&... members) {
  Fields fields;
  const auto next = [&] {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 2));
    return name;
  };
  (fields.add(next(), members), ...);
  return fields;
}

}  // namespace hac
