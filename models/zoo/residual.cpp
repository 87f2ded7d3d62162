#include "models/zoo/residual.h"

#include <fmt/format.h>

namespace hac {

template <class Block>
void add_stages(Architecture& arch, const std::vector<std::int64_t>& stages, std::int64_t width,
                std::int64_t first_stride) {
  for (std::size_t s = 0; s < stages.size(); ++s, width *= 2) {
    for (std::int64_t i = 0; i < stages[s]; ++i) {
      const std::int64_t stride = i > 0 ? 1 : s > 0 ? 2 : first_stride;
      arch.layers.emplace_back(Block{.name = fmt::format("layer{}.{}", s + 1, i),
                                     .mid = width,
                                     .out = width,
                                     .stride = stride});
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
}

template void add_stages<BasicBlock>(Architecture&, const std::vector<std::int64_t>&, std::int64_t,
                                     std::int64_t);
template void add_stages<PreactBlock>(Architecture&, const std::vector<std::int64_t>&, std::int64_t,
                                      std::int64_t);

void add_classifier(Architecture& arch, const std::string& name) {
  arch.layers.emplace_back(Pool{.kind = "global_avg"});
  arch.layers.emplace_back(Flatten{});
  arch.layers.emplace_back(Linear{.name = name});
}

}  // namespace hac
