// Networks of inverted residuals: MobileNetV2 and EfficientNet.

#include <fmt/format.h>

#include <algorithm>

#include "models/zoo/families.h"

namespace hac {
namespace {

// width * factor to a multiple of 8, never below 90 % of it (torchvision's _make_divisible).
std::int64_t scaled(std::int64_t width, double factor) {
  const double wanted = static_cast<double>(width) * factor;
  const auto nearest = std::max<std::int64_t>(8, static_cast<std::int64_t>(wanted + 4) / 8 * 8);
  return static_cast<double>(nearest) < 0.9 * wanted ? nearest + 8 : nearest;
}

void add_conv(Architecture& arch, const std::string& name, const Conv& conv,
              Activation activation) {
  arch.layers.emplace_back(conv);
  Conv& added = std::get<Conv>(arch.layers.back());
  added.name = name + ".0";
  arch.layers.emplace_back(BatchNorm{.name = name + ".1", .activation = activation});
}

void add_classifier(Architecture& arch, float dropout) {
  arch.layers.emplace_back(Pool{.kind = PoolMode::global_avg});
  arch.layers.emplace_back(Flatten{});
  arch.layers.emplace_back(Dropout{.p = dropout});
  arch.layers.emplace_back(Linear{.name = "classifier.1"});
}

struct Stage {
  std::int64_t expansion, out, stride, kernel = 3;
};

}  // namespace

Architecture mobilenet_v2(const std::string& name, const std::vector<std::int64_t>& stages,
                          double width) {
  constexpr Stage table[] = {{1, 16, 1}, {6, 24, 2},  {6, 32, 2}, {6, 64, 2},
                             {6, 96, 1}, {6, 160, 2}, {6, 320, 1}};
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  std::int64_t in = scaled(32, width);
  int number = 0;
  add_conv(arch, fmt::format("features.{}", number++), {.out = in, .stride = 2}, Activation::relu6);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const std::int64_t out = scaled(table[s].out, width);
    for (std::int64_t i = 0; i < stages[s]; ++i) {
      const std::int64_t stride = i == 0 ? table[s].stride : 1;
      arch.layers.emplace_back(
          InvertedResidual{.name = fmt::format("features.{}", number++),
                           .mid = table[s].expansion == 1 ? 0 : table[s].expansion * in,
                           .out = stride == 1 && in == out ? 0 : out,
                           .stride = stride});
      in = out;
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
  add_conv(arch, fmt::format("features.{}", number),
           {.out = scaled(1280, std::max(1.0, width)), .kernel = 1, .pad = 0}, Activation::relu6);
  add_classifier(arch, 0.2f);
  return arch;
}

Architecture efficientnet(const std::string& name, const std::vector<std::int64_t>& stages) {
  constexpr Stage table[] = {{1, 16, 1, 3},  {6, 24, 2, 3},  {6, 40, 2, 5}, {6, 80, 2, 3},
                             {6, 112, 1, 5}, {6, 192, 2, 5}, {6, 320, 1, 3}};
  constexpr double depth_dropout = 0.2;  // of the last block; it grows from 0 block by block
  Architecture arch{.name = name, .channels = 3, .resolution = 224, .classes = 1000};
  std::int64_t in = 32, blocks = 0, total = 0;
  for (const std::int64_t n : stages) total += n;
  add_conv(arch, "features.0", {.out = in, .stride = 2}, Activation::silu);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const std::int64_t out = table[s].out;
    for (std::int64_t i = 0; i < stages[s]; ++i, ++blocks) {
      const std::int64_t stride = i == 0 ? table[s].stride : 1;
      const double p = depth_dropout * static_cast<double>(blocks) / static_cast<double>(total);
      arch.layers.emplace_back(MBConv{.name = fmt::format("features.{}.{}", s + 1, i),
                                      .mid = table[s].expansion == 1 ? 0 : table[s].expansion * in,
                                      .out = stride == 1 && in == out ? 0 : out,
                                      .kernel = table[s].kernel,
                                      .stride = stride,
                                      .p = static_cast<float>(p)});
      in = out;
    }
    arch.stage_ends.push_back(static_cast<int>(arch.layers.size()));
  }
  add_conv(arch, fmt::format("features.{}", stages.size() + 1),
           {.out = 4 * in, .kernel = 1, .pad = 0}, Activation::silu);
  add_classifier(arch, 0.2f);
  return arch;
}

}  // namespace hac
