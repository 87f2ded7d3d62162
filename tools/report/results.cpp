#include "tools/report/results.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace hac::report {
namespace {

using nlohmann::json;

// A value together with its place, so that every complaint names the path.
struct Node {
  const json* value;
  std::string path;

  [[noreturn]] void expected(const std::string& what) const {
    throw ConfigError(fmt::format("results '{}': expected {}, got {}",
                                  path.empty() ? "the top level" : path, what,
                                  value ? value->type_name() : "nothing"));
  }
  std::string path_of(const std::string& key) const {
    return path.empty() ? key : path + "." + key;
  }
  // Absent and null are the same: not there.
  std::optional<Node> find(const std::string& key) const {
    if (!value->is_object()) expected("an object");
    const auto found = value->find(key);
    if (found == value->end() || found->is_null()) return std::nullopt;
    return Node{&*found, path_of(key)};
  }
  Node at(const std::string& key) const {
    if (!value->is_object()) expected("an object");
    const auto found = value->find(key);
    if (found == value->end()) Node{nullptr, path_of(key)}.expected("a field of this name");
    return Node{&*found, path_of(key)};
  }
  std::vector<Node> list() const {
    if (!value->is_array()) expected("an array");
    std::vector<Node> items;
    for (std::size_t i = 0; i < value->size(); ++i)
      items.push_back({&(*value)[i], fmt::format("{}[{}]", path, i)});
    return items;
  }
  std::string text() const {
    if (!value->is_string()) expected("a string");
    return value->get<std::string>();
  }
  double number() const {
    if (value->is_null()) return unknown;
    if (!value->is_number()) expected("a number or null");
    const double number = value->get<double>();
    // Beyond is no measurement, and would overflow in the axes; as is what is nearer to zero.
    if (!(std::fabs(number) <= 1e18)) expected("a number of at most 1e18 in size");
    return std::fabs(number) < 1e-18 ? 0 : number;
  }
  bool boolean() const {
    if (!value->is_boolean()) expected("true or false");
    return value->get<bool>();
  }
  double number(const std::string& key) const { return at(key).number(); }
  std::string text(const std::string& key) const { return at(key).text(); }
  // Remarks may be left out.
  std::string remark(const std::string& key) const {
    const auto found = find(key);
    return found ? found->text() : "";
  }
};

std::string scalar_text(const Node& node) {
  if (node.value->is_structured()) node.expected("a string, number or true or false");
  if (node.value->is_string()) return node.text();
  if (node.value->is_null()) return "-";
  return node.value->is_number_float() ? fmt::format("{:.6g}", node.number()) : node.value->dump();
}

std::string setting_text(const Node& node) {
  if (!node.value->is_array()) return scalar_text(node);
  std::string text;
  for (const Node& item : node.list()) text += (text.empty() ? "" : ", ") + scalar_text(item);
  return text;
}

Facts parse_facts(const Node& root, const std::string& section,
                  std::string (*text)(const Node&) = scalar_text) {
  Facts facts;
  const auto node = root.find(section);
  if (!node) return facts;
  if (!node->value->is_object()) node->expected("an object");
  for (const auto& item : node->value->items())
    facts.emplace_back(item.key(), text(node->at(item.key())));
  return facts;
}

std::vector<std::pair<std::string, Facts>> parse_settings(const Node& root) {
  std::vector<std::pair<std::string, Facts>> settings;
  const auto node = root.find("settings");
  if (!node) return settings;
  if (!node->value->is_object()) node->expected("an object");
  for (const auto& item : node->value->items())
    settings.emplace_back(item.key(), parse_facts(*node, item.key(), setting_text));
  return settings;
}

template <class T, class Parse>
std::vector<T> parse_list(const Node& root, const std::string& key, Parse parse) {
  std::vector<T> out;
  if (const auto node = root.find(key))
    for (const Node& item : node->list()) out.push_back(parse(item));
  return out;
}

std::vector<std::pair<double, double>> parse_pairs(const Node& node) {
  std::vector<std::pair<double, double>> pairs;
  for (const Node& item : node.list()) {
    const auto both = item.list();
    if (both.size() != 2) item.expected("an array of 2 numbers");
    pairs.emplace_back(both[0].number(), both[1].number());
  }
  return pairs;
}

Accuracy parse_accuracy(const Node& owner) {
  owner.at("top1");
  const auto node = owner.find("top1");
  if (!node) return {};
  Accuracy accuracy{node->number("mean"), node->number("low"), node->number("high")};
  if (const auto values = node->find("values"))
    for (const Node& value : values->list()) accuracy.values.push_back(value.number());
  accuracy.interval = node->remark("interval");
  return accuracy;
}

double optional_number(const Node& owner, const char* key) {
  const auto node = owner.find(key);
  return node ? node->number() : unknown;
}

bool is_steady(const Node& figure) {
  const auto node = figure.find("steady");
  return !node || node->boolean();
}

TableRow parse_row(const Node& node) {
  TableRow row{.method = node.text("method"),
               .params = node.number("params"),
               .macs = node.number("macs"),
               .ops_thop2021 = node.number("ops_thop2021"),
               .resolution = node.number("resolution"),
               .predicted_ms = node.number("predicted_ms"),
               .gmacs_per_s = node.number("gmacs_per_s"),
               .peak_fraction = node.number("peak_fraction"),
               .top1 = parse_accuracy(node),
               .limit = node.remark("limit")};
  node.at("measured_ms");
  if (const auto ms = node.find("measured_ms"))
    row.measured_ms = {ms->number("median"),
                       ms->number("mean"),
                       ms->number("p95"),
                       ms->number("runs"),
                       optional_number(*ms, "disturbed"),
                       is_steady(*ms)};
  return row;
}

std::vector<Sweep> parse_sweeps(const Node& root) {
  std::vector<Sweep> sweeps;
  const auto node = root.find("sweeps");
  if (!node) return sweeps;
  for (const char* dimension : {"width", "depth", "resolution"}) {
    auto points = parse_list<SweepPoint>(*node, dimension, [](const Node& p) {
      return SweepPoint{p.text("label"), p.number("macs"), p.number("params"), p.number("ms"),
                        p.number("gmacs_per_s")};
    });
    if (!points.empty()) sweeps.push_back({dimension, std::move(points)});
  }
  return sweeps;
}

AlphaCurve parse_alpha(const Node& root) {
  const auto node = root.find("alpha");
  if (!node) return {};
  AlphaCurve curve{.s = node->number("s"), .best = node->number("best")};
  curve.note = node->remark("note");
  curve.points = parse_list<AlphaPoint>(*node, "points", [](const Node& p) {
    return AlphaPoint{p.number("alpha"),         p.number("resolution"), p.number("width"),
                      p.number("macs"),          parse_accuracy(p),      p.number("ms"),
                      p.at("feasible").boolean()};
  });
  if (const auto parabola = node->find("parabola")) {
    const auto c = parabola->list();
    if (c.size() != 3) parabola->expected("an array of 3 numbers");
    curve.parabola = {c[0].number(), c[1].number(), c[2].number()};
  }
  return curve;
}

Plan parse_plan(const Node& node) {
  Plan plan{.name = node.text("name"),
            .gain = node.remark("gain"),
            .policy = node.remark("policy"),
            .stride = node.number("stride"),
            .resolution = node.number("resolution"),
            .stop = node.remark("stop")};
  plan.layers = parse_list<LayerWidths>(node, "layers", [](const Node& l) {
    return LayerWidths{l.text("name"), l.number("before"), l.number("after"), l.remark("reason")};
  });
  plan.steps = parse_list<PlanStep>(node, "steps", [](const Node& s) {
    return PlanStep{s.text("layer"), s.number("width"), s.number("latency_ms"), s.number("params")};
  });
  return plan;
}

LayerImportance parse_importance(const Node& node) {
  return {node.text("layer"), parse_pairs(node.at("points")), node.number("a"), node.number("b"),
          node.number("r2"),  node.remark("warning")};
}

LatencyFit parse_latency_fit(const Node& node) {
  return {node.text("name"), node.number("median_error"), node.number("max_error"),
          node.number("r2"), node.number("networks"),     parse_pairs(node.at("points"))};
}

Results parse_root(const Node& root) {
  if (root.number("schema") != 1) root.at("schema").expected("schema 1 (written by this version)");
  Results r{.recipe = root.text("recipe"),
            .command = root.remark("command"),
            .created = root.remark("created"),
            .baseline = root.remark("baseline"),
            .machine = parse_facts(root, "machine"),
            .versions = parse_facts(root, "versions"),
            .dataset = parse_facts(root, "dataset"),
            .training = parse_facts(root, "training"),
            .settings = parse_settings(root)};
  for (const auto& seed : parse_list<std::string>(root, "seeds", scalar_text))
    r.seeds += (r.seeds.empty() ? "" : ", ") + seed;
  if (const auto budget = root.find("budget"))
    r.budget = {budget->number("latency_ms"), budget->number("params"),
                budget->remark("latency_text"), budget->remark("params_text")};
  if (const auto accuracy = root.find("accuracy")) {
    r.table_accuracy = accuracy->remark("table");
    r.alpha_accuracy = accuracy->remark("alpha");
  }
  r.table = parse_list<TableRow>(root, "table", parse_row);
  r.sweeps = parse_sweeps(root);
  r.importance = parse_list<LayerImportance>(root, "importance", parse_importance);
  r.alpha = parse_alpha(root);
  r.plans = parse_list<Plan>(root, "plans", parse_plan);
  r.latency_models = parse_list<LatencyFit>(root, "latency_models", parse_latency_fit);
  if (const auto unsteady = root.find("unsteady_figures")) r.unsteady_figures = unsteady->number();
  r.notes = parse_list<std::string>(root, "notes", [](const Node& n) { return n.text(); });
  return r;
}

}  // namespace

Results parse_results(const std::string& json_text) {
  json document;
  try {
    document = json::parse(json_text);
  } catch (const json::exception& error) {
    throw ConfigError(fmt::format("results.json: expected JSON, got {}", error.what()));
  }
  return parse_root(Node{&document, ""});
}

}  // namespace hac::report
