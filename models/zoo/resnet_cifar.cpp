#include <fmt/format.h>

#include "models/zoo/families.h"

namespace hac {

Architecture resnet_cifar(const std::string& name, std::int64_t units) {
  Architecture arch{.name = name, .channels = 3, .resolution = 32, .classes = 10};
  arch.layers.push_back(Conv{.name = "conv1", .out = 16});
  arch.layers.push_back(BatchNorm{.name = "bn1", .relu = true});
  std::int64_t width = 16;
  for (int s = 0; s < 3; ++s, width *= 2) {
    for (std::int64_t i = 0; i < units; ++i) {
      arch.layers.push_back(BasicBlock{.name = fmt::format("layer{}.{}", s + 1, i),
                                       .mid = width,
                                       .out = width,
                                       .stride = s > 0 && i == 0 ? 2 : 1});
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
  arch.layers.push_back(Pool{.kind = "global_avg"});
  arch.layers.push_back(Flatten{});
  arch.layers.push_back(Linear{.name = "fc"});
  return arch;
}

}  // namespace hac
