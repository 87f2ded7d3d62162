#include "models/zoo/families.h"
#include "models/zoo/residual.h"

namespace hac {

Architecture preact_resnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  arch.layers.push_back(Conv{.name = "conv1", .out = 64, .stride = 2});
  add_stages<PreactBlock>(arch, stages, 64, 2);
  arch.layers.push_back(BatchNorm{.name = "bn"});
  add_classifier(arch, "linear");
  return arch;
}

}  // namespace hac
