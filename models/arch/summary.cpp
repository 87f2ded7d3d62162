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

constexpr struct {
  const char *title, *key;
  std::int64_t Counters::*value;
} totals[] = {
    {"Params", "params", &Counters::params},
    {"MACs", "macs", &Counters::macs},
    {"Operations (THOP 2021)", "ops_thop2021", &Counters::ops_thop2021},
    {"Activations (convolution outputs)", "activations", &Counters::activations},
    {"Weight bytes", "weight_bytes", &Counters::weight_bytes},
    {"Activation bytes, read and written", "activation_bytes", &Counters::activation_bytes},
    {"Activation bytes, peak", "peak_activation_bytes", &Counters::peak_activation_bytes},
};

}  // namespace

Summary summarize(const Architecture& arch, std::int64_t batch) {
  const Graph graph = lower(arch, batch);
  return {.name = arch.name, .graph = graph, .total = count(graph)};
}

std::string to_text(const Summary& summary) {
  std::vector<std::string> titles;
  std::size_t width = 12;
  for (const Op& op : summary.graph.ops) {
    const std::string kind = op.spec.kind();
    titles.push_back(op.name.empty() ? kind : fmt::format("{} ({})", op.name, kind));
    width = std::max(width, titles.back().size());
  }
  const std::string rule(width + 56, '=');
  std::string text = fmt::format("{0}\n{1:<{2}}  {3:<22}{4:>14}  {5:>16}\n{0}\n", rule,
                                 "Layer (kind)", width, "Output shape", "Params", "MACs");
  for (std::size_t i = 0; i < titles.size(); ++i) {
    const Op& op = summary.graph.ops[i];
    const Cost cost = op.spec.cost();
    text += fmt::format("{:<{}}  {:<22}{:>14}  {:>16}\n", titles[i], width, op.out().str(),
                        cost.params ? grouped(cost.params) : "--",
                        cost.macs ? grouped(cost.macs) : "--");
  }
  text += rule + "\n";
  text += fmt::format("{}, input {}\n", summary.name, summary.graph.input.str());
  for (const auto& row : totals) {
    text += fmt::format("{:<36}{:>16}\n", row.title, grouped(summary.total.*row.value));
  }
  return text;
}

std::string to_json(const Summary& summary) {
  nlohmann::ordered_json json{{"name", summary.name}, {"input", dims(summary.graph.input)}};
  for (const auto& row : totals) json[row.key] = summary.total.*row.value;
  json["layers"] = nlohmann::ordered_json::array();
  for (const Op& op : summary.graph.ops) {
    const Cost cost = op.spec.cost();
    json["layers"].push_back({{"name", op.name},
                              {"kind", op.spec.kind()},
                              {"spec", op.spec.str()},
                              {"output", dims(op.out())},
                              {"params", cost.params},
                              {"macs", cost.macs}});
  }
  return json.dump(2) + "\n";
}

}  // namespace hac
