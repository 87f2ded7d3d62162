#include <fmt/format.h>

#include "models/zoo/families.h"

namespace hac {
namespace {

// Appends stages[s] blocks a stage, named layer1.0 and on; the width doubles from stage to stage.
// Every stage begins with stride 2, the first one with `first_stride`.
template <class Block>
void add_stages(Architecture& arch, const std::vector<std::int64_t>& stages, std::int64_t width,
                std::int64_t first_stride) {
  for (std::size_t s = 0; s < stages.size(); ++s, width *= 2) {
    for (std::int64_t i = 0; i < stages[s]; ++i) {
      Block block{.name = fmt::format("layer{}.{}", s + 1, i)};
      block.mid = block.out = width;
      block.stride = i > 0 ? 1 : s > 0 ? 2 : first_stride;
      if constexpr (std::is_same_v<Block, Bottleneck>) {
        block.reduced = width;
        block.out = 4 * width;
      }
      arch.layers.emplace_back(block);
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
}

// Global average pooling and one linear layer.
void add_classifier(Architecture& arch, const std::string& name) {
  arch.layers.emplace_back(Pool{.kind = PoolMode::global_avg});
  arch.layers.emplace_back(Flatten{});
  arch.layers.emplace_back(Linear{.name = name});
}

}  // namespace

Architecture preact_resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  arch.layers.push_back(Conv{.name = "conv1", .out = 64, .stride = 2});
  add_stages<PreactBlock>(arch, stages, 64, 2);
  arch.layers.push_back(BatchNorm{.name = "bn"});
  add_classifier(arch, "linear");
  return arch;
}

namespace {

template <class Block>
Architecture torchvision_resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  arch.layers.push_back(Conv{.name = "conv1", .out = 64, .kernel = 7, .stride = 2, .pad = 3});
  arch.layers.push_back(BatchNorm{.name = "bn1", .activation = Activation::relu});
  arch.layers.push_back(Pool{.kernel = 3, .stride = 2, .pad = 1});
  add_stages<Block>(arch, stages, 64, 1);
  add_classifier(arch, "fc");
  return arch;
}

}  // namespace

Architecture resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  return torchvision_resnet<BasicBlock>(name, stages);
}

Architecture resnet_bottleneck(const std::string& name, const std::vector<std::int64_t>& stages) {
  return torchvision_resnet<Bottleneck>(name, stages);
}

Architecture resnet_cifar(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 32, .classes = 10};
  arch.layers.push_back(Conv{.name = "conv1", .out = 16});
  arch.layers.push_back(BatchNorm{.name = "bn1", .activation = Activation::relu});
  add_stages<BasicBlock>(arch, stages, 16, 1);
  add_classifier(arch, "fc");
  return arch;
}

}  // namespace hac
