#include "models/zoo/timm_names.h"

#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace hac {
namespace {

using Names = std::map<std::string, std::string>;
using Parts = std::vector<std::pair<const char*, const char*>>;  // timm's, ours

// The parts of one block, all below the name that it has with us.
Parts parts_of(const InvertedResidual& b) {
  if (b.mid == 0) {
    return {{"conv_dw", "conv.0.0"}, {"bn1", "conv.0.1"}, {"conv_pw", "conv.1"}, {"bn2", "conv.2"}};
  }
  return {{"conv_pw", "conv.0.0"}, {"bn1", "conv.0.1"},    {"conv_dw", "conv.1.0"},
          {"bn2", "conv.1.1"},     {"conv_pwl", "conv.2"}, {"bn3", "conv.3"}};
}

Parts parts_of(const MBConv& b) {
  if (b.mid == 0) {
    return {{"conv_dw", "block.0.0"},          {"bn1", "block.0.1"},
            {"se.conv_reduce", "block.1.fc1"}, {"se.conv_expand", "block.1.fc2"},
            {"conv_pw", "block.2.0"},          {"bn2", "block.2.1"}};
  }
  return {{"conv_pw", "block.0.0"},          {"bn1", "block.0.1"},
          {"conv_dw", "block.1.0"},          {"bn2", "block.1.1"},
          {"se.conv_reduce", "block.2.fc1"}, {"se.conv_expand", "block.2.fc2"},
          {"conv_pwl", "block.3.0"},         {"bn3", "block.3.1"}};
}

// The block that a tensor of "blocks.STAGE.BLOCK." belongs to.
std::optional<std::pair<int, int>> block_of(const std::string& tensor) {
  constexpr std::string_view prefix = "blocks.";
  if (!tensor.starts_with(prefix)) return std::nullopt;
  std::pair<int, int> at;
  const char* const end = tensor.data() + tensor.size();
  const auto stage = std::from_chars(tensor.data() + prefix.size(), end, at.first);
  if (stage.ec != std::errc() || stage.ptr == end || *stage.ptr != '.') return std::nullopt;
  const auto block = std::from_chars(stage.ptr + 1, end, at.second);
  if (block.ec != std::errc() || block.ptr == end || *block.ptr != '.') return std::nullopt;
  return at;
}

// What stands outside the blocks: a convolution with its batch norm on either side, and the head.
void add_ends(const Architecture& arch, Names& names) {
  int convs = 0, norms = 0;
  for (const Layer& layer : arch.layers) {
    if (const auto* conv = std::get_if<Conv>(&layer)) {
      names[convs++ == 0 ? "conv_stem" : "conv_head"] = conv->name;
    } else if (const auto* norm = std::get_if<BatchNorm>(&layer)) {
      names[norms++ == 0 ? "bn1" : "bn2"] = norm->name;
    } else if (const auto* linear = std::get_if<Linear>(&layer)) {
      names["classifier"] = linear->name;
    }
  }
}

}  // namespace

Names timm_layers(const Architecture& arch, const std::vector<std::string>& tensors) {
  std::set<std::pair<int, int>> numbered;
  for (const std::string& tensor : tensors) {
    if (const auto at = block_of(tensor)) numbered.insert(*at);
  }
  Names names;
  auto next = numbered.begin();
  const auto add = [&](const auto& block) {
    if (next == numbered.end()) return false;
    const auto [stage, index] = *next++;
    for (const auto& [theirs, ours] : parts_of(block)) {
      names["blocks." + std::to_string(stage) + "." + std::to_string(index) + "." + theirs] =
          block.name + "." + ours;
    }
    return true;
  };
  for (const Layer& layer : arch.layers) {
    const auto* residual = std::get_if<InvertedResidual>(&layer);
    const auto* mb = std::get_if<MBConv>(&layer);
    if ((residual && !add(*residual)) || (mb && !add(*mb))) return {};
  }
  if (names.empty() || next != numbered.end()) return {};
  add_ends(arch, names);
  return names;
}

std::string zoo_name_of_timm(const std::string& name) {
  const std::string model = name.substr(0, name.find('.')), mobile = "mobilenetv2_";
  if (!model.starts_with(mobile)) return model;
  const std::string percent = model.substr(mobile.size());
  return percent == "100" ? "mobilenet_v2" : "mobilenet_v2_" + percent;
}

}  // namespace hac
