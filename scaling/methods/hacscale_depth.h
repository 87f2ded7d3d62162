#pragma once
// HACScale with the depth d searched too, which the paper leaves at 1.

#include <span>
#include <vector>

#include "models/arch/architecture.h"
#include "scaling/importance/law.h"

namespace hac {

// Laws of a deeper network from those of its baseline, in the order of widths(deeper): a unit that
// was added has the laws of the unit that it copies, the last of its stage. Throws ConfigError as
// with_blocks() does.
std::vector<ImportanceLaw> laws_of_deeper(const Architecture& baseline,
                                          std::span<const ImportanceLaw> laws,
                                          const std::vector<std::int64_t>& blocks);

}  // namespace hac
