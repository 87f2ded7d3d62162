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

// The rules side by side.
std::string rules_text(const Counters& total) {
  std::string text = fmt::format("\n{:<12}{:>16}{:>8}  {}\n", "Operations", "", "/ MACs",
                                 "beside convolutions and linear layers");
  for (const CountingRule& rule : counting_rules) {
    const std::int64_t ops = total.*rule.value;
    text += fmt::format("{:<12}{:>16}{:>8.4f}  {}\n", rule.name, grouped(ops),
                        static_cast<double>(ops) / static_cast<double>(total.macs), rule.counts);
  }
  return text;
}

}  // namespace

Summary summarize(const Architecture& arch, std::int64_t batch) {
  const Graph graph = lower(arch, batch);
  Summary summary{.name = arch.name, .graph = graph, .total = count(graph)};
  for (const Op& op : graph.ops) {
    ConvImplementation& by = summary.by.emplace_back();
    if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
      Conv2dSpec inference = *conv;
      inference.pass = Pass::inference;
      by = conv2d_kernels.run(&Conv2dKernels::implementation, Device{}, inference);
    }
  }
  return summary;
}

std::string to_text(const Summary& summary, CountShown shown) {
  std::vector<std::string> titles;
  std::size_t width = 12;
  for (const Op& op : summary.graph.ops) {
    const std::string kind = op.spec.kind();
    titles.push_back(op.name.empty() ? kind : fmt::format("{} ({})", op.name, kind));
    width = std::max(width, titles.back().size());
  }
  const std::string rule(width + 82, '=');
  std::string text =
      fmt::format("{0}\n{1:<{2}}  {3:<18}{4:>12}  {5:>14}  {6:>14}  {7}\n{0}\n", rule,
                  "Layer (kind)", width, "Output shape", "Params", "MACs", "Multiplied", "By");
  for (std::size_t i = 0; i < titles.size(); ++i) {
    const Op& op = summary.graph.ops[i];
    const Cost cost = op.spec.cost();
    const ConvImplementation& by = summary.by[i];
    text += fmt::format(
        "{:<{}}  {:<18}{:>12}  {:>14}  {:>14}  {}\n", titles[i], width, op.out().str(),
        cost.params ? grouped(cost.params) : "--", cost.macs ? grouped(cost.macs) : "--",
        by.multiplications ? grouped(by.multiplications) : "--", by.name.empty() ? "--" : by.name);
  }
  text += rule + "\n";
  text += fmt::format("{}, input {}; multiplied at inference here, by what\n", summary.name,
                      summary.graph.input.str());
  for (const auto& row : totals) {
    text += fmt::format("{:<36}{:>16}\n", row.title, grouped(summary.total.*row.value));
  }
  if (shown == CountShown::all) text += rules_text(summary.total);
  return text;
}

std::string to_json(const Summary& summary, CountShown shown) {
  nlohmann::ordered_json json{{"name", summary.name}, {"input", dims(summary.graph.input)}};
  for (const auto& row : totals) json[row.key] = summary.total.*row.value;
  if (shown == CountShown::all) {
    for (const CountingRule& rule : counting_rules) json[rule.key] = summary.total.*rule.value;
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < summary.graph.ops.size(); ++i) {
    const Op& op = summary.graph.ops[i];
    const Cost cost = op.spec.cost();
    nlohmann::ordered_json layer{{"name", op.name},       {"kind", op.spec.kind()},
                                 {"spec", op.spec.str()}, {"output", dims(op.out())},
                                 {"params", cost.params}, {"macs", cost.macs}};
    if (!summary.by[i].name.empty()) {
      layer["implementation"] = summary.by[i].name;
      layer["multiplications"] = summary.by[i].multiplications;
    }
    json["layers"].push_back(layer);
  }
  return json.dump(2) + "\n";
}

}  // namespace hac
