// Greedy network enlarging (Liu et al. 2021, arXiv 2108.00177), in milliseconds where the paper
// counts operations: the room of the latency budget is spent in equal steps. In each, every stage
// grows in width or in depth, or the input in resolution, by as much as the step allows; what is
// the most accurate after a short training is kept. At most kMostNetworks networks are trained.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "scaling/methods/method.h"

namespace hac {

namespace {

constexpr std::size_t kMostNetworks = 24;

// Of each width the stage that it lies in; what stands before the first stage belongs to it.
std::vector<std::size_t> stages_of_widths(const Architecture& arch) {
  std::vector<std::size_t> stages;
  for (std::size_t i = 0; i < arch.layers.size(); ++i) {
    std::size_t stage = 0;
    while (stage + 1 < arch.stage_ends.size() && static_cast<int>(i) >= arch.stage_ends[stage]) {
      ++stage;
    }
    std::visit(
        [&](auto layer) {
          layer.own_widths(layer, [&](auto&, const std::string&) { stages.push_back(stage); });
        },
        arch.layers[i]);
  }
  return stages;
}

// The widest layer of the stage grows by `steps` multiples, the others by the same factor.
Architecture wider(const Architecture& arch, std::size_t stage, std::int64_t steps,
                   std::int64_t multiple) {
  const std::vector<std::size_t> stages = stages_of_widths(arch);
  std::vector<std::int64_t> w = widths(arch);
  std::int64_t widest = 1;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (stages[i] == stage) widest = std::max(widest, w[i]);
  }
  const double factor = 1 + static_cast<double>(steps * multiple) / static_cast<double>(widest);
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (stages[i] != stage) continue;
    w[i] = std::max(w[i], round_to(factor * static_cast<double>(w[i]), multiple));
  }
  return with_widths(arch, w);
}

Architecture deeper(const Architecture& arch, std::size_t stage, std::int64_t units) {
  std::vector<std::int64_t> counts = blocks(arch);
  counts[stage] += units;
  return with_blocks(arch, counts);
}

using Move = std::function<Architecture(std::int64_t steps)>;

std::vector<Move> moves(const Architecture& arch, const Rounding& q) {
  std::vector<Move> all;
  for (std::size_t s = 0; s < arch.stage_ends.size(); ++s) {
    all.push_back([&, s](std::int64_t k) { return wider(arch, s, k, q.width_multiple); });
    all.push_back([&, s](std::int64_t k) { return deeper(arch, s, k); });
  }
  const std::int64_t pixels = q.resolution_step(arch);
  all.push_back([&, pixels](std::int64_t k) {
    return with_resolution(arch, (arch.resolution / pixels + k) * pixels);
  });
  return all;
}

// The furthest that a move goes within the budget; none where its first step breaks it.
std::optional<Architecture> furthest(const Move& move, const LatencyModel& model,
                                     const Budget& budget) {
  std::optional<Architecture> best;
  for (std::int64_t k = 1; k <= 64; ++k) {
    Architecture next = move(k);
    if (!budget.allows(cost_of(next, model))) break;
    best = std::move(next);
  }
  return best;
}

// The limits that a further step of the moves would break.
StopReason ended_by(const Architecture& arch, const ScalingTask& task) {
  unsigned broken = 0;
  for (const Move& move : moves(arch, task.rounding)) {
    broken |= task.budget.broken_by(cost_of(move(1), task.model));
  }
  return broken == 0 ? StopReason::step_cap : stopped_by(broken);
}

ScaledNetwork enlarge(const ScalingTask& task) {
  ScaledNetwork n{.arch = task.baseline, .cost = cost_of(task.baseline, task.model)};
  if (!task.budget.allows(n.cost)) {
    n.limit = to_string(StopReason::infeasible);
    return n;
  }
  const std::size_t directions = 2 * task.baseline.stage_ends.size() + 1;
  const auto steps = std::max<std::size_t>(1, kMostNetworks / directions);
  const double room = task.budget.latency_limit() - n.cost.latency_ms, start = n.cost.latency_ms;
  std::size_t trained = 0;
  for (std::size_t i = 1; i <= steps; ++i) {
    Budget budget = task.budget;
    budget.latency_slack = 0;
    budget.latency_ms =
        start + room * static_cast<double>(i) / static_cast<double>(steps) * (1 + 1e-12);
    std::optional<Architecture> best;
    double most = 0;
    for (const Move& move : moves(n.arch, task.rounding)) {
      const std::optional<Architecture> next = furthest(move, task.model, budget);
      if (!next) continue;
      const double top1 = task.proxy->top1(*next);
      ++trained;
      if (!best || top1 > most) best = next, most = top1;
    }
    if (best) n.arch = *best;
  }
  n.cost = cost_of(n.arch, task.model);
  n.limit = to_string(n.arch == task.baseline ? StopReason::infeasible : ended_by(n.arch, task));
  n.note = fmt::format("{} networks trained in {} steps", trained, steps);
  return n;
}

}  // namespace

Method greedy_enlarge() {
  return {.key = "greedy-enlarge",
          .name = "greedy enlarging",
          .help = "stage by stage what short trainings find best (2108.00177, by latency)",
          .needs_proxy = true,
          .needs_latency = true,
          .decide = enlarge};
}

}  // namespace hac
