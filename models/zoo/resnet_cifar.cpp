#include "models/zoo/families.h"
#include "models/zoo/residual.h"

namespace hac {

Architecture resnet_cifar(const std::string& name, std::int64_t units) {
  Architecture arch{.name = name, .channels = 3, .resolution = 32, .classes = 10};
  arch.layers.push_back(Conv{.name = "conv1", .out = 16});
  arch.layers.push_back(BatchNorm{.name = "bn1", .activation = Activation::relu});
  add_stages<BasicBlock>(arch, {units, units, units}, 16, 1);
  add_classifier(arch, "fc");
  return arch;
}

}  // namespace hac
