#include "data/sets/dataset.h"

#include <fmt/format.h>

#include "engine/tensor/hash.h"

namespace hac {

std::string fingerprint(const Dataset& set) {
  std::uint64_t hash = 0;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    hash = fnv1a(fmt::format("{:016x} {} {}", hash, set.label(i), set.identity(i)));
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace hac
