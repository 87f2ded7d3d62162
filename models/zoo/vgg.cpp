#include <fmt/format.h>

#include "models/zoo/families.h"

namespace hac {

Architecture vgg(const std::string& name, const std::vector<std::int64_t>& stages) {
  constexpr std::int64_t widths[] = {64, 128, 256, 512, 512};
  Architecture arch{.name = name, .channels = 3, .resolution = 32, .classes = 10};
  // torchvision's features is one Sequential: convolution, batch norm, ReLU, each with a number.
  int number = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    for (std::int64_t i = 0; i < stages[s]; ++i) {
      arch.layers.push_back(
          Conv{.name = fmt::format("features.{}", number), .out = widths[s], .bias = true});
      arch.layers.push_back(BatchNorm{.name = fmt::format("features.{}", number + 1),
                                      .activation = Activation::relu});
      number += 3;
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
    arch.layers.push_back(Pool{});
    ++number;
  }
  arch.layers.push_back(Flatten{});
  arch.layers.push_back(Linear{.name = "classifier"});
  return arch;
}

}  // namespace hac
