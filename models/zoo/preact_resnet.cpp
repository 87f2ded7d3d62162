#include <fmt/format.h>

#include "models/zoo/families.h"

namespace hac {

Architecture preact_resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  arch.layers.push_back(Conv{.name = "conv1", .out = 64, .stride = 2});
  std::int64_t width = 64;
  for (std::size_t s = 0; s < stages.size(); ++s, width *= 2) {
    for (std::int64_t i = 0; i < stages[s]; ++i) {
      arch.layers.push_back(PreactBlock{.name = fmt::format("layer{}.{}", s + 1, i),
                                        .mid = width,
                                        .out = width,
                                        .stride = i == 0 ? 2 : 1});
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
  arch.layers.push_back(BatchNorm{.name = "bn"});
  arch.layers.push_back(Pool{.kind = "global_avg"});
  arch.layers.push_back(Flatten{});
  arch.layers.push_back(Linear{.name = "linear"});
  return arch;
}

}  // namespace hac
