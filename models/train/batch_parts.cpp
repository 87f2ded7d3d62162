#include "models/train/batch_parts.h"

#include <algorithm>

namespace hac {

std::vector<StepBatch> split(const StepBatch& batch, std::int64_t parts) {
  if (parts == 1) return {batch};
  const std::int64_t n = batch.size();
  const std::int64_t count = std::clamp<std::int64_t>(n / 2, 1, parts);
  std::vector<StepBatch> all;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t begin = n * i / count, end = n * (i + 1) / count;
    all.push_back({batch.images.slice(begin, end), batch.labels.slice(begin, end),
                   batch.target.slice(begin, end)});
  }
  return all;
}

}  // namespace hac
