#include "models/arch/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace hac {
namespace {

// 9231114 -> "9,231,114".
std::string grouped(std::int64_t value) {
  std::string text = fmt::format("{}", value);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(at, 1, ',');
  return text;
}

std::vector<std::int64_t> dims(const Shape& shape) {
  std::vector<std::int64_t> all;
  for (int i = 0; i < shape.rank(); ++i) all.push_back(shape[i]);
  return all;
}

}  // namespace

Summary summarize(const Architecture& arch, std::int64_t batch) {
  const Graph graph = lower(arch, batch);
  Summary summary{.name = arch.name, .input = graph.input, .total = count(graph)};
  for (const Op& op : graph.ops) {
    const Cost cost = op.spec.cost();
    summary.layers.push_back(
        {op.name, op.spec.kind(), op.spec.str(), op.out(), cost.params, cost.macs});
  }
  return summary;
}

std::string to_text(const Summary& summary) {
  std::vector<std::string> titles;
  std::size_t width = 12;
  for (const LayerSummary& layer : summary.layers) {
    titles.push_back(layer.name.empty() ? layer.kind
                                        : fmt::format("{} ({})", layer.name, layer.kind));
    width = std::max(width, titles.back().size());
  }
  const std::string rule(width + 56, '=');
  std::string text = fmt::format("{0}\n{1:<{2}}  {3:<22}{4:>14}  {5:>16}\n{0}\n", rule,
                                 "Layer (kind)", width, "Output shape", "Params", "MACs");
  for (std::size_t i = 0; i < titles.size(); ++i) {
    const LayerSummary& layer = summary.layers[i];
    text += fmt::format("{:<{}}  {:<22}{:>14}  {:>16}\n", titles[i], width, layer.output.str(),
                        layer.params ? grouped(layer.params) : "--",
                        layer.macs ? grouped(layer.macs) : "--");
  }
  text += rule + "\n";
  const Counters& total = summary.total;
  const std::pair<const char*, std::int64_t> rows[] = {
      {"Params", total.params},
      {"MACs", total.macs},
      {"Operations (THOP 2021)", total.ops_thop2021},
      {"Activations (convolution outputs)", total.activations},
      {"Weight bytes", total.weight_bytes},
      {"Activation bytes, read and written", total.activation_bytes},
      {"Activation bytes, peak", total.peak_activation_bytes},
  };
  text += fmt::format("{}, input {}\n", summary.name, summary.input.str());
  for (const auto& [title, value] : rows) {
    text += fmt::format("{:<36}{:>16}\n", title, grouped(value));
  }
  return text;
}

std::string to_json(const Summary& summary) {
  nlohmann::ordered_json json;
  json["name"] = summary.name;
  json["input"] = dims(summary.input);
  json["params"] = summary.total.params;
  json["macs"] = summary.total.macs;
  json["ops_thop2021"] = summary.total.ops_thop2021;
  json["activations"] = summary.total.activations;
  json["weight_bytes"] = summary.total.weight_bytes;
  json["activation_bytes"] = summary.total.activation_bytes;
  json["peak_activation_bytes"] = summary.total.peak_activation_bytes;
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerSummary& layer : summary.layers) {
    json["layers"].push_back({{"name", layer.name},
                              {"kind", layer.kind},
                              {"spec", layer.spec},
                              {"output", dims(layer.output)},
                              {"params", layer.params},
                              {"macs", layer.macs}});
  }
  return json.dump(2) + "\n";
}

}  // namespace hac
