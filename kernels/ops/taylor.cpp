#include "kernels/ops/taylor.h"

#include <fmt/format.h>

namespace hac {

std::string TaylorSpec::str() const { return fmt::format("taylor:layers{}", layers); }

}  // namespace hac
