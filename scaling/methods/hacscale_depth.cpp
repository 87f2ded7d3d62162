// HACScale with the depth searched too: N(d, r, 1) for none to four units more, each widened to the
// edges of the staircase, and the one that short trainings like best.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/core/error.h"
#include "scaling/methods/method.h"
#include "scaling/methods/optimum.h"

namespace hac {

namespace {

constexpr std::int64_t kMostUnits = 4;  // added, each of them one training

struct Candidate {
  Architecture grown;
  std::vector<ImportanceLaw> laws;
  ScaledNetwork network;
  std::vector<std::int64_t> blocks;
  double top1 = 0;
};

// The baseline, and as many units more as are within the budget before any is widened.
std::vector<Candidate> widened_candidates(const ScalingTask& task) {
  const Architecture baseline = grown_of(task);
  const Budget budget = widening_budget(task);
  const std::vector<std::int64_t> units = blocks(baseline);
  const auto n = std::accumulate(units.begin(), units.end(), std::int64_t{0});
  std::vector<Candidate> all;
  for (std::int64_t more = 0; n > 0 && more <= kMostUnits; ++more) {
    const double d = static_cast<double>(n + more) / static_cast<double>(n);
    Candidate c{.grown = scale_depth(baseline, d)};
    c.blocks = blocks(c.grown);
    if (more > 0 && !budget.allows(cost_of(c.grown, task.model))) break;
    c.laws = laws_of_deeper(baseline, task.laws, c.blocks);
    c.network =
        network_of(decide_by_edges(c.grown, c.laws, task.model, budget, task.widening), c.grown);
    all.push_back(std::move(c));
  }
  return all;
}

ScaledNetwork best_depth(const ScalingTask& task) {
  std::vector<Candidate> all = widened_candidates(task);
  if (all.empty()) {
    throw ConfigError(fmt::format("hacscale-depth: expected stages with units in '{}', got none",
                                  task.baseline.name));
  }
  if (!all[0].network.feasible()) return all[0].network;
  std::vector<std::string> tried;
  for (Candidate& c : all) {
    c.top1 = task.proxy->top1(c.network.arch);
    tried.push_back(fmt::format("{} {:.2f} %", fmt::join(c.blocks, "-"), 100 * c.top1));
  }
  // A tie goes to the lower latency: one mean cannot show what lies within its noise.
  Candidate& c = *std::ranges::max_element(all, {}, [](const Candidate& one) {
    return std::pair(one.top1, -one.network.cost.latency_ms);
  });
  ScaledNetwork n = std::move(c.network);
  n.plan = with_gap(std::move(*n.plan), c.grown, c.laws, task.model);
  n.note = fmt::format("units of each stage {}, of those tried: {}", fmt::join(c.blocks, "-"),
                       fmt::join(tried, ", "));
  return n;
}

}  // namespace

std::vector<ImportanceLaw> laws_of_deeper(const Architecture& baseline,
                                          std::span<const ImportanceLaw> laws,
                                          const std::vector<std::int64_t>& blocks) {
  // Widths are copied with the units, so numbers in their place tell where each came from.
  std::vector<std::int64_t> numbers(laws.size());
  std::iota(numbers.begin(), numbers.end(), 1);
  const std::vector<std::string> names = width_names(with_blocks(baseline, blocks));
  std::vector<ImportanceLaw> deeper;
  for (const std::int64_t n : widths(with_blocks(with_widths(baseline, numbers), blocks))) {
    deeper.push_back(laws[n - 1]);
    deeper.back().layer = names[deeper.size() - 1];
  }
  return deeper;
}

Method hacscale_depth() {
  return {.key = "hacscale-depth",
          .name = "hacscale (depth)",
          .help = "as hacscale-cost, with up to four units more, by short trainings",
          .needs_laws = true,
          .needs_proxy = true,
          .decide = best_depth};
}

}  // namespace hac
