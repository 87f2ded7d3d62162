#include "models/zoo/families.h"
#include "models/zoo/residual.h"

namespace hac {

Architecture resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  arch.layers.push_back(Conv{.name = "conv1", .out = 64, .kernel = 7, .stride = 2, .pad = 3});
  arch.layers.push_back(BatchNorm{.name = "bn1", .activation = Activation::relu});
  arch.layers.push_back(Pool{.kernel = 3, .stride = 2, .pad = 1});
  add_stages<BasicBlock>(arch, stages, 64, 1);
  add_classifier(arch, "fc");
  return arch;
}

}  // namespace hac
