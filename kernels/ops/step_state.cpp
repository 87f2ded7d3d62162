#include "kernels/ops/step_state.h"

#include <fmt/format.h>

#include <cstring>

namespace hac {
namespace {

void advance(Context&, const StepTableSpec& spec, const void* table, void* totals,
             std::span<const RowPart> parts) {
  std::int32_t& row = as<StepTotals>(totals)->row;
  const char* from = as<char>(table) + row * spec.row_bytes;
  for (const RowPart& p : parts) std::memcpy(p.to, from + p.offset, p.bytes);
  ++row;
}

}  // namespace

// The CPU records nothing: its steps ask the host for their sums.
const StepStateKernels step_state_cpu{.advance = advance};

std::string StepCountSpec::str() const {
  return fmt::format("step_count:n{}c{},images{}{}{}", n, classes, images, first ? ",first" : "",
                     last ? ",last" : "");
}

}  // namespace hac
