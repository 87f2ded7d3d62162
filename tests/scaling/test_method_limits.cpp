// Every scaling method under every limit: random budgets over random architectures, and a limit on
// the memory that alone is tight.

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/autograd/ops.h"
#include "engine/io/fields_json.h"
#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "models/arch/counters.h"
#include "models/model.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/method.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"
#include "tests/support/pretended_trainings.h"
#include "tests/support/random_architecture.h"
#include "tests/support/random_laws.h"

namespace hac {
namespace {

const MacsLatency kModel;

void train_a_step(const Architecture& arch) {
  Model model(arch, 1);
  model.train();
  Sgd sgd(model.parameters(), {});
  const Tensor images = Tensor::empty({2, arch.channels, arch.resolution, arch.resolution});
  fill_normal(images, 5, "images", 1);
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1}, {2});
  const Var loss = ops::softmax_cross_entropy(model.forward(images), labels).loss;
  EXPECT_TRUE(std::isfinite(loss.value().to_vector()[0]));
  backward(loss);
  sgd.step(0.01);
}

// What has to be within the budget: as the paper prints Algorithm 1, the network before the last
// step.
NetworkCost limited_cost(const ScaledNetwork& n, const LatencyModel& model) {
  if (n.key != "hacscale-paper" || n.plan->result.steps.empty()) return n.cost;
  std::vector<std::int64_t> before = widths(n.arch);
  before[n.plan->result.steps.back().layer] -= n.plan->options.stride;
  return cost_of(with_widths(n.arch, before), model);
}

// A network that is valid, within the budget or marked, and what its cost says; what is named as
// its end is a limit that there is.
ScaledNetwork holds(const Method& method, const ScalingTask& task) {
  const ScaledNetwork n = method.to_budget(task);
  EXPECT_EQ(n.method, method.name);
  EXPECT_NO_THROW(validate(n.arch));
  EXPECT_EQ(n.cost, cost_of(n.arch, task.model));
  if (n.feasible()) {
    EXPECT_TRUE(task.budget.allows(limited_cost(n, task.model)));
  }
  if (std::isinf(task.budget.memory_bytes)) {
    EXPECT_LACKS(n.limit, "memory");
  }
  return n;
}

// Of latency `most` times the baseline's at most; of memory at times. Some methods spend latency
// alone, and the optimum that plans are compared with is to be found fast, so there is always a
// limit on both it and the parameters.
Budget random_budget(RandomArchitecture& random, const NetworkCost& cost, double most) {
  const auto room = [&](double largest) {
    return 1.1 + 0.01 * static_cast<double>(random.pick(1, 100)) * (largest - 1.1);
  };
  Budget budget{.latency_ms = room(most) * cost.latency_ms,
                .params = room(2.5) * static_cast<double>(cost.params)};
  if (random.coin()) budget.memory_bytes = room(2) * static_cast<double>(cost.memory_bytes);
  return budget;
}

std::string named(const Method& method, std::uint64_t seed, const ScalingTask& task) {
  Budget budget = task.budget;
  return method.key + ", seed " + std::to_string(seed) + ", budget " +
         to_json(budget.fields()).dump() + " of " + to_json(task.baseline);
}

// Of published units (below), of as many widths as a published fit has (test_neuralscale.cpp).
bool of_published_networks(const Method& method) {
  return method.key == "depth-canonical" || method.key == "neuralscale-paper";
}

TEST(Methods, OverRandomArchitectures) {
  const StaircaseLatency stairs(8);
  const ProxyTrainings proxy = pretended();
  std::map<std::string, int> grown;
  std::set<std::string> limits;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    RandomArchitecture random(seed);
    const Architecture arch = random();
    const LatencyModel& model = seed % 2 == 0 ? static_cast<const LatencyModel&>(stairs) : kModel;
    const std::vector<ImportanceLaw> laws = random_laws(arch, seed);
    const ScalingTask task{.baseline = arch,
                           .model = model,
                           .budget = random_budget(random, cost_of(arch, model), 1.8),
                           .rounding = {.width_multiple = 4},
                           .proxy = &proxy,
                           .laws = laws,
                           .widening = {.stride = 4, .tie_residual = random.coin()}};
    for (const Method& method : methods()) {
      if (of_published_networks(method)) continue;
      SCOPED_TRACE(named(method, seed, task));
      const ScaledNetwork n = holds(method, task);
      const ScaledNetwork again = method.to_budget(task);
      EXPECT_EQ(again.arch, n.arch);
      EXPECT_EQ(again.coefficients, n.coefficients);
      EXPECT_EQ(again.plan, n.plan);
      grown[method.key] += n.feasible() && n.arch != arch;
      limits.insert(n.limit);
      // Each method twice, on different architectures.
      if ((seed + static_cast<std::uint64_t>(&method - methods().data())) % 5 == 0) {
        train_a_step(n.arch);
      }
    }
  }
  for (const Method& method : methods()) {
    EXPECT_EQ(grown[method.key] > 0, !of_published_networks(method)) << method.key;
  }
  for (const char* limit : {"latency", "params", "memory"}) {
    EXPECT_TRUE(limits.contains(limit)) << limit << " ended no growth";
  }
}

using Units = std::vector<std::int64_t>;

// The published networks after the one with these units.
std::vector<Units> published_after(const Units& units) {
  const std::vector<std::vector<Units>> families = {
      {{1, 1, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}},
      {{2, 2, 2, 2}, {3, 4, 6, 3}},
      {{3, 3, 3}, {5, 5, 5}, {7, 7, 7}, {9, 9, 9}, {18, 18, 18}}};
  for (const std::vector<Units>& family : families) {
    const auto own = std::ranges::find(family, units);
    if (own != family.end()) return {own + 1, family.end()};
  }
  throw std::logic_error("no such network");
}

// Of named networks, slim, and of random layers in stages of as many units as a ResNet for CIFAR.
Architecture published(RandomArchitecture& random, std::uint64_t seed) {
  const std::vector<const char*> names = {"vgg11",    "vgg13",    "vgg16",    "preact_resnet18",
                                          "resnet18", "resnet34", "resnet20", "resnet32"};
  if (seed < names.size()) return scale_width(with_resolution(zoo(names[seed]), 32), 0.125);
  Architecture arch = random();
  while (blocks(arch).size() != 3) arch = random();
  return with_blocks(arch, random.coin() ? Units{3, 3, 3} : Units{5, 5, 5});
}

// Which grows networks with published units alone: the largest of them within the budget.
TEST(Methods, CanonicalDepthOverPublishedUnits) {
  const Method& method = method_of("depth-canonical");
  std::map<std::string, int> limits;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomArchitecture random(seed);
    const Architecture arch = published(random, seed);
    Budget budget = random_budget(random, cost_of(arch, kModel), 6);
    if (random.coin()) budget.params = Budget{}.params;
    const ScalingTask task{.baseline = arch, .model = kModel, .budget = budget};
    SCOPED_TRACE(named(method, seed, task));
    const ScaledNetwork n = holds(method, task);
    ++limits[n.limit];
    const std::vector<Units> larger = published_after(blocks(arch));
    Architecture expected = larger.empty() ? arch : with_blocks(arch, larger[0]);
    bool within = false;
    for (const Units& units : larger) {
      const Architecture deeper = with_blocks(arch, units);
      if (task.budget.allows(cost_of(deeper, kModel))) expected = deeper, within = true;
    }
    EXPECT_EQ(n.arch, expected);
    EXPECT_EQ(n.feasible(), within);
    if (seed % 8 == 0) train_a_step(n.arch);
  }
  for (const char* limit : {"latency", "params", "memory", "last-member", "infeasible"}) {
    EXPECT_GT(limits[limit], 0) << limit;
  }
}

// Half as much memory again, and of all else a thousand times: every growth ends there. ResNet18's
// next published network takes twice the memory.
TEST(MemoryLimit, EndsTheGrowthOfEveryMethod) {
  const ProxyTrainings proxy = pretended();
  for (const char* name : {"vgg11", "preact_resnet18"}) {
    const Architecture arch = scale_width(with_resolution(zoo(name), 32), 0.25);
    const std::vector<ImportanceLaw> laws = random_laws(arch, 1);
    const NetworkCost cost = cost_of(arch, kModel);
    const ScalingTask task{.baseline = arch,
                           .model = kModel,
                           .budget = {.latency_ms = 1e3 * cost.latency_ms,
                                      .params = 1e3 * static_cast<double>(cost.params),
                                      .memory_bytes = 1.5 * static_cast<double>(cost.memory_bytes)},
                           .proxy = &proxy,
                           .laws = laws,
                           .widening = {.stride = 32, .tie_residual = true}};
    for (const Method& method : methods()) {
      SCOPED_TRACE(method.key + " of " + name);
      const ScaledNetwork n = holds(method, task);
      EXPECT_GT(n.cost.memory_bytes, cost.memory_bytes);
      if (n.feasible()) {
        EXPECT_EQ(n.limit, "memory");
      } else {
        EXPECT_EQ(method.key + " of " + name, "depth-canonical of preact_resnet18");
        EXPECT_EQ(to_string(stopped_by(task.budget.broken_by(n.cost))), "memory");
      }
    }
  }
}

TEST(MemoryLimit, BelowTheBaselineLeavesNoNetworkOfAnyMethod) {
  const ProxyTrainings proxy = pretended();
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  const std::vector<ImportanceLaw> laws = random_laws(vgg, 1);
  const NetworkCost cost = cost_of(vgg, kModel);
  const ScalingTask task{.baseline = vgg,
                         .model = kModel,
                         .budget = {.latency_ms = 3 * cost.latency_ms,
                                    .memory_bytes = static_cast<double>(cost.memory_bytes) - 1},
                         .proxy = &proxy,
                         .laws = laws};
  for (const Method& method : methods()) {
    SCOPED_TRACE(method.key);
    EXPECT_FALSE(holds(method, task).feasible());
  }
}

}  // namespace
}  // namespace hac
