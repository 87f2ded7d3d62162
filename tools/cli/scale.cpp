// hacscale scale: Algorithm 1 on one network, from laws and a latency model to wider layers.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/latency/device_model.h"
#include "scaling/methods/compound_factors.h"
#include "scaling/methods/method.h"
#include "tools/cli/commands.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

constexpr std::uint64_t max_law_bytes = 1 << 26;

struct Options {
  ModelOptions model;
  std::string laws, latency = "1.05x", params = "1.3x", memory;
  double latency_slack = 0;
  std::string method;
  LatencyModelOptions latency_model;
  std::string device_model;
  WideningOptions widening;
  std::optional<double> largest_growth;  // alpha of the compound method
  std::vector<double> given;             // coefficients but the last
  std::vector<double> coefficients;      // all of them: no budget
  Rounding rounding;
  std::string out;
  MachineOptions machine;
  bool json = false;
};

std::vector<ImportanceLaw> load_laws(const std::string& path, const Architecture& arch) {
  std::vector<ImportanceLaw> laws;
  try {
    laws = laws_from_json(read_file(path, max_law_bytes));
    require_importance(laws);
  } catch (const ConfigError& e) {
    throw ConfigError(fmt::format("laws '{}': {}", path, e.what()));
  }
  const std::vector<std::string> names = width_names(arch);
  bool same = laws.size() == names.size();
  for (std::size_t l = 0; same && l < laws.size(); ++l) same = laws[l].layer == names[l];
  if (!same) {
    throw ConfigError(fmt::format(
        "laws '{}': expected the {} layers of '{}' ({}, ...), got {} "
        "({}, ...)",
        path, names.size(), arch.name, names[0], laws.size(), laws.empty() ? "" : laws[0].layer));
  }
  return laws;
}

LatencyModelPtr model_of(const Options& o, const Architecture& arch, const TensorOptions& where) {
  if (!o.device_model.empty()) return device_model(o.device_model, where.dtype);
  return latency_model_here(o.latency_model, arch, where);
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.2f} MiB of weights and peak activations",
                     static_cast<double>(bytes) / (1 << 20));
}

// What a method with a formula came to: its coefficients, the one that was found first. `by`: what
// predicted its latency.
void print_growth(const Method& method, const ScaledNetwork& grown, double limit_ms,
                  const std::string& by, bool json) {
  const std::size_t found = method.coefficients.size() - 1;
  if (json) {
    nlohmann::ordered_json j;
    for (std::size_t i = 0; i <= found; ++i) {
      j[method.coefficients[i].name] = grown.coefficients[i];
    }
    j.update({{"latency_by", by},
              {"latency_limit_ms", limit_ms},
              {"latency_ms", grown.cost.latency_ms},
              {"resolution", grown.arch.resolution},
              {"widths", widths(grown.arch)},
              {"macs", count(grown.arch).macs},
              {"params", grown.cost.params},
              {"memory_bytes", grown.cost.memory_bytes},
              {"feasible", grown.feasible()},
              {"stop", grown.limit},
              {"note", grown.note}});
    return print_json(j);
  }
  std::string growth =
      fmt::format("{} = {:.3f}", method.coefficients[found].name, grown.coefficients[found]);
  for (std::size_t i = 0; i < found; ++i) {
    growth += fmt::format(" at {} {:g}", method.coefficients[i].name, grown.coefficients[i]);
  }
  print_rows(stdout, {{grown.feasible() ? "largest growth" : "smallest growth", growth},
                      {"latency", fmt::format("{:.4f} ms predicted, limit {:.4f}",
                                              grown.cost.latency_ms, limit_ms)},
                      {"predicted by", by},
                      {"resolution", fmt::format("{}", grown.arch.resolution)},
                      {"widths", fmt::format("{}", fmt::join(widths(grown.arch), ", "))},
                      {"parameters", grouped(grown.cost.params)},
                      {"memory", mebibytes(grown.cost.memory_bytes)},
                      {"stopped by", grown.limit}});
  if (!grown.note.empty()) print_rows(stdout, {{"note", grown.note}});
}

void warn(const std::vector<std::string>& warnings) {
  for (const std::string& line : warnings) print(stderr, fmt::format("warning: {}\n", line));
}

// Of all importance that the added kernels have by their laws, beside the most that others have.
std::string gained(const OptimalityGap& g) {
  if (g.proven && g.gap() == 0) return fmt::format("{:.4g}, the optimum within the budget", g.gain);
  return fmt::format(
      "{:.4g}, {:.2f} % {} {:.4g}, {}", g.gain, 100 * std::abs(g.gap()),
      g.gap() < 0 ? "above" : "below", g.bound,
      g.proven ? "the optimum within the budget" : "which no network within the budget exceeds");
}

void print_plan(const ScalingPlan& plan, const std::string& by) {
  const WideningResult& r = plan.result;
  fmt::print("{:<24}  {:>6}  {:>6}  {:>7}  {}\n", "Layer", "Before", "After", "Factor", "Reason");
  for (const LayerPlan& l : r.layers) {
    fmt::print("{:<24}  {:>6}  {:>6}  {:>6.2f}x  {}\n", l.layer, l.before, l.after, l.factor(),
               l.reason);
  }
  const NetworkCost &before = r.baseline, &after = r.scaled;
  print_rows(stdout,
             {{"latency", fmt::format("{:.4f} -> {:.4f} ms predicted ({:.2f}x)", before.latency_ms,
                                      after.latency_ms, after.latency_ms / before.latency_ms)},
              {"predicted by", by},
              {"parameters",
               fmt::format("{} -> {} ({:.2f}x)", grouped(before.params), grouped(after.params),
                           static_cast<double>(after.params) / static_cast<double>(before.params))},
              {"memory", fmt::format("{} -> {}", mebibytes(before.memory_bytes),
                                     mebibytes(after.memory_bytes))},
              {"gain", plan.optimality ? gained(*plan.optimality) : "not compared"},
              {"stopped by", fmt::format("{} after {} steps", to_string(r.stop), r.steps.size())}});
}

// Methods that decide by laws spend what alpha and s of Eq. 3 would (spend_as_uniform).
void check_coefficients(const Options& o, const Method& method) {
  const bool by_laws = method.needs_laws && !method.needs_proxy;
  if (!method.scale && !by_laws) {
    throw ConfigError(
        fmt::format("option '--coefficients': expected none for '{}', which has no "
                    "formula (hint: give limits)",
                    method.key));
  }
  std::vector<std::string> names;
  if (by_laws) names = {"alpha", "s"};
  for (const Coefficient& c : method.coefficients) names.emplace_back(c.name);
  if (o.coefficients.size() != names.size()) {
    throw ConfigError(fmt::format("option '--coefficients': expected {} of '{}', got {} values",
                                  fmt::join(names, ", "), method.key, o.coefficients.size()));
  }
  if (by_laws) hacscale_factors(o.coefficients[1], o.coefficients[0]);  // in their range
}

// The network of given coefficients, whatever it costs.
void scale_by(const Options& o, const Method& method, const Architecture& arch) {
  const Architecture scaled = method.scale(arch, o.coefficients, o.rounding);
  const Counters counted = count(scaled);
  if (!o.out.empty()) {
    make_folder(o.out);
    save_architecture(scaled, o.out + "/architecture.json");
  }
  if (o.json) {
    return print_json({{"method", method.key},
                       {"resolution", scaled.resolution},
                       {"widths", widths(scaled)},
                       {"blocks", blocks(scaled)},
                       {"macs", counted.macs},
                       {"params", counted.params}});
  }
  print_rows(stdout, {{"resolution", fmt::format("{}", scaled.resolution)},
                      {"widths", fmt::format("{}", fmt::join(widths(scaled), ", "))},
                      {"MACs", grouped(counted.macs)},
                      {"parameters", grouped(counted.params)}});
}

void scale(Options o) {
  if (!o.out.empty()) require_makeable(o.out);
  const Architecture arch = resolve(o.model);
  if (o.largest_growth) o.method = "compound", o.given = {*o.largest_growth};
  if (o.method.empty()) o.method = method_by(o.widening.criterion).key;
  const Method& method = method_of(o.method);
  if (!o.coefficients.empty()) check_coefficients(o, method);
  if (!o.coefficients.empty() && method.scale) return scale_by(o, method, arch);
  if (!o.given.empty() && o.given.size() + 1 != method.coefficients.size()) {
    throw ConfigError(fmt::format("option '--given': expected what '{}' is given, got {} values",
                                  method.key, o.given.size()));
  }
  const BudgetLimits limits{.latency = parse_latency_limit(o.latency),
                            .params = parse_params_limit(o.params),
                            .memory = parse_memory_limit(o.memory)};
  if (o.laws.empty() && method.needs_laws) {
    throw ConfigError("option '--laws': expected the file of the laws, got none");
  }
  std::vector<ImportanceLaw> laws;
  if (!o.laws.empty()) laws = load_laws(o.laws, arch);
  if (!o.out.empty()) make_folder(o.out);
  const TensorOptions where = start(o.machine);
  const LatencyModelPtr model = model_of(o, arch, where);
  if (!o.out.empty()) save_latency_model(*model, o.out + "/latency_model.json");
  Budget budget = resolve(limits, cost_of(arch, *model));
  budget.latency_slack = o.latency_slack;
  print_model(*model);
  ScalingTask task{.baseline = arch,
                   .model = *model,
                   .budget = o.largest_growth ? budget.latency_only() : budget,
                   .rounding = o.rounding,
                   .given = o.given,
                   .laws = laws,
                   .widening = o.widening};
  if (!o.coefficients.empty()) spend_as_uniform(task, o.coefficients[0], o.coefficients[1]);
  const ScaledNetwork scaled = method.to_budget(task);
  const std::string by =
      model->source ? model->source->str() : "a latency model of no known device";
  if (!o.out.empty()) save_architecture(scaled.arch, o.out + "/architecture.json");
  if (!scaled.plan) {
    warn(model_warnings(*model, budget, model->predict(arch)));
    warn(model->extrapolated(scaled.arch));
    if (!scaled.feasible()) {
      warn(
          {fmt::format("{}: no network but the baseline is within the budget; this is the smallest "
                       "other one, infeasible",
                       method.key)});
    }
    print_growth(method, scaled, budget.latency_limit(), by, o.json);
  } else {
    const std::string plan = to_json(*scaled.plan);
    if (!o.out.empty()) write_file_atomically(o.out + "/plan.json", plan + "\n");
    warn(scaled.plan->warnings);
    o.json ? fmt::print("{}\n", plan) : print_plan(*scaled.plan, by);
  }
  if (!o.out.empty()) {
    print(stderr, fmt::format("next: hacscale train {}/architecture.json\n", o.out));
  }
}

WideningOptions preset(const std::string& name) {
  std::vector<std::string_view> names;
  for (const WideningPreset& p : widening_presets) {
    if (name == p.name) return p.options;
    names.emplace_back(p.name);
  }
  throw ConfigError(
      fmt::format("option '--preset': expected {}, got '{}'", one_of(names), name.substr(0, 60)));
}

// "a (what a is), b (what b is)" of a table of choices.
template <class Rows, class Name>
std::string choices(const Rows& rows, Name name) {
  std::vector<std::string> help;
  for (const auto& row : rows) help.push_back(fmt::format("{} ({})", row.*name, row.help));
  return fmt::format("{}", fmt::join(help, ", "));
}

}  // namespace

void add_scale(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("scale", "Widen the layers that matter, within a budget");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  // Before those of the widening, which are read later and so win.
  verb->add_option_function<std::string>(
          "--preset", [o](const std::string& name) { o->widening = preset(name); },
          choices(widening_presets, &WideningPreset::name) + "; other options go before it")
      ->type_name("NAME");
  add_options(
      *verb,
      Fields()
          .add("laws", o->laws, "from hacscale importance --fit ... --json", {.type = "FILE"})
          .add(limit_fields(o->latency, o->params, o->memory))
          .add("latency_slack", o->latency_slack, {0, 10},
               "fraction by which the prediction may exceed --latency")
          .add("method", o->method,
               choices(methods(), &Method::key) + "; default hacscale by --gain",
               {.type = "NAME", .valid = [](const std::string& key) { method_of(key); }})
          .add("coefficients", o->coefficients,
               "all that the method has: their network, whatever it takes; of methods that decide "
               "by laws alpha and s, whose uniform network has the parameters to spend")
          .add(o->rounding.fields())
          .add("given", o->given, "coefficients that the method does not search: alpha of compound")
          .add(o->widening.fields())
          .add("largest_growth", o->largest_growth, {0, 1},
               "no plan: the largest s whose uniform network meets --latency at this alpha",
               {.type = "ALPHA"})
          .add("device_model", o->device_model, device_model_help, {.type = "NAME"})
          .add("out", o->out, "write plan.json, architecture.json and latency_model.json",
               {.type = "DIR"}));
  add_latency_model_options(*verb, o->latency_model);
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale scale vgg11 --width 0.25 --laws laws.json --latency 1.5x --out s");
  verb->callback([o] { scale(*o); });
}

}  // namespace hac
