#include "scaling/methods/explanation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/latency/device_model.h"

namespace hac {

namespace {

constexpr const char* kDimensions[] = {"uniform-width", "resolution", "depth"};

// In milliseconds.
void add_parts(TimeParts& sum, const LatencyParts& p) {
  sum.launch += p.launch;
  const bool compute = p.compute >= p.traffic();
  sum.arithmetic += compute ? p.arithmetic : 0;
  sum.tail += compute ? p.tail() : 0;
  sum.weights += compute ? 0 : p.weights;
  sum.activations += compute ? 0 : p.activations;
}

// One network under one model.
struct Account {
  Counters counts;
  double ms = 0;
  std::optional<TimeParts> parts;  // ms
};

class Explainer {
 public:
  Explainer(const Architecture& arch, const LatencyModel& model, const ExplainOptions& options)
      : arch_(arch),
        model_(model),
        device_(dynamic_cast<const DeviceModel*>(&model)),
        options_(options),
        base_(account(arch)) {}

  DeviceExplanation device() const {
    const Rounding& q = options_.rounding;
    DeviceExplanation d{
        .device = model_.source ? model_.source->str() : "an unknown device",
        .modelled = device_ != nullptr,
        .latency_ms = base_.ms,
        .layers = layers(),
        .half_width = resized(0.5, scale_width(arch_, 0.5, q.width_multiple, q.scale_stem))};
    if (base_.parts) d.parts = fractions(*base_.parts, {});
    if (model_.error) d.error = model_.error->median;
    for (const char* key : kDimensions) d.dimensions.push_back(dimension(method_of(key)));
    return d;
  }

 private:
  Account account(const Architecture& arch) const {
    const Graph graph = model_.graph_of(arch);
    Account a{.counts = count(arch), .ms = model_.predict(graph)};
    if (!device_) return a;
    a.parts.emplace();
    for (const Op& op : graph.ops) add_parts(*a.parts, device_->explain(op.spec));
    return a;
  }

  // Of the baseline's time.
  TimeParts fractions(const TimeParts& a, const TimeParts& b) const {
    return {.launch = (a.launch - b.launch) / base_.ms,
            .tail = (a.tail - b.tail) / base_.ms,
            .arithmetic = (a.arithmetic - b.arithmetic) / base_.ms,
            .weights = (a.weights - b.weights) / base_.ms,
            .activations = (a.activations - b.activations) / base_.ms};
  }

  std::vector<LayerTime> layers() const {
    std::vector<LayerTime> rows;
    const auto macs = static_cast<double>(base_.counts.macs);
    for (const Op& op : model_.graph_of(arch_).ops) {
      const double ms = model_.predict(op.spec);
      if (ms <= 0) continue;
      rows.push_back({.name = op.name.empty() ? op.spec.kind() : op.name,
                      .spec = op.spec.str(),
                      .macs_share = static_cast<double>(op.spec.cost().macs) / macs,
                      .ms = ms,
                      .time_share = ms / base_.ms,
                      .bound = device_ ? to_string(device_->explain(op.spec).bound()) : ""});
    }
    return rows;
  }

  Resized resized(double factor, const Architecture& arch) const {
    const Account a = account(arch);
    const auto ratio = [](std::int64_t x, std::int64_t y) {
      return static_cast<double>(x) / static_cast<double>(y);
    };
    Resized r{.factor = factor,
              .macs = ratio(a.counts.macs, base_.counts.macs),
              .params = ratio(a.counts.params, base_.counts.params),
              .latency = a.ms / base_.ms,
              .extrapolated = static_cast<std::int64_t>(model_.extrapolated(arch).size())};
    if (a.parts) r.added = fractions(*a.parts, *base_.parts);
    return r;
  }

  DimensionExplanation dimension(const Method& method) const {
    ScalingTask task{.baseline = arch_, .model = model_, .rounding = options_.rounding};
    DimensionExplanation d{.method = method.key};
    for (std::int64_t i = 1; d.smallest.macs <= 1; ++i) {
      const double factor = method.step(task, i);
      d.smallest = resized(factor, method.scale(arch_, std::array{factor}, task.rounding));
    }
    for (const double budget : options_.budgets) {
      task.budget.latency_ms = budget * base_.ms;
      const ScaledNetwork grown = method.to_budget(task);
      Purchase bought{.budget = budget, .stopped_by = grown.limit};
      if (grown.feasible()) bought.largest = resized(grown.coefficients.back(), grown.arch);
      d.bought.push_back(std::move(bought));
    }
    return d;
  }

  const Architecture& arch_;
  const LatencyModel& model_;
  const DeviceModel* device_;
  const ExplainOptions& options_;
  const Account base_;
};

const char* noun_of(const std::string& method) {
  return method == "uniform-width" ? "width" : method == "resolution" ? "resolution" : "depth";
}

// "launch 71 %, tail 12 %", the larger ones.
std::string largest_parts(TimeParts parts, double least) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const Field& field : parts.fields()) {
    const double x = *std::get<double*>(field.value.at);
    if (std::abs(x) >= least) sorted.emplace_back(x, field.key);
  }
  std::ranges::stable_sort(sorted, std::greater(), [](const auto& p) { return std::abs(p.first); });
  std::vector<std::string> words;
  for (const auto& [x, key] : sorted) words.push_back(fmt::format("{} {:.0f} %", key, 100 * x));
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

Freedom Resized::freedom() const {
  if (factor == 1) return Freedom::nothing;
  if (2 * std::log(latency) < std::log(macs)) return Freedom::free;
  return utilization() > 1.1 ? Freedom::partly : Freedom::none;
}

const Resized& DimensionExplanation::judged() const {
  return bought.empty() || bought.back().largest.factor == 1 ? smallest : bought.back().largest;
}

std::string DeviceExplanation::finding() const {
  std::string text = parts ? "Time: " + largest_parts(*parts, 0.01) + ". " : "";
  text += fmt::format("At half the width {:.0f} % of the MACs take {:.0f} % of the time.",
                      100 * half_width.macs, 100 * half_width.latency);
  for (const DimensionExplanation& d : dimensions) {
    const Resized& r = d.judged();
    text += fmt::format(" {} is {}: {:.2f}x the MACs take {:.2f}x the time", noun_of(d.method),
                        to_string(r.freedom()), r.macs, r.latency);
    const std::string added = r.added ? largest_parts(*r.added, 0.01) : "";
    text += added.empty() ? "." : fmt::format(" (added: {}).", added);
  }
  return text;
}

Explanation explain(const Architecture& arch, std::span<const LatencyModelPtr> models,
                    const ExplainOptions& options) {
  const std::vector<double>& budgets = options.budgets;
  if (budgets.empty() || budgets[0] < 1 || !std::ranges::is_sorted(budgets)) {
    throw ConfigError(
        fmt::format("explain 'budgets': expected ascending factors from 1 on, got {}", budgets));
  }
  if (models.empty()) throw ConfigError("explain: expected a device, got none");
  const Counters counts = count(arch);
  Explanation e{.network = arch.name,
                .macs = counts.macs,
                .params = counts.params,
                .resolution = arch.resolution};
  for (const LatencyModelPtr& model : models) {
    e.devices.push_back(Explainer(arch, *model, options).device());
  }
  return e;
}

}  // namespace hac
