// Methods that train while they search, with trainings whose outcome is known, and canonical depth.

#include <algorithm>
#include <cmath>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/method.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Units = std::vector<std::int64_t>;

const MacsLatency kModel;

Architecture slim() { return scale_width(zoo("vgg11"), 0.25); }

// What a proxy says is a function of the network; it counts how often it is asked.
struct Pretended {
  std::function<double(const Architecture&)> truth;
  int asked = 0;
  ProxyTrainings proxy() {
    return {.top1 = [this](const Architecture& arch) {
      ++asked;
      return truth(arch);
    }};
  }
};

ScaledNetwork searched(const char* key, Pretended& pretended, double latency = 2) {
  const Architecture arch = slim();
  const ProxyTrainings proxy = pretended.proxy();
  return method_of(key).to_budget({.baseline = arch,
                                   .model = kModel,
                                   .budget = {.latency_ms = latency * kModel.predict(arch)},
                                   .proxy = &proxy});
}

double resolution_matters(const Architecture& arch) {
  return static_cast<double>(arch.resolution) / 100;
}
double width_matters(const Architecture& arch) {
  return static_cast<double>(widths(arch).back()) / 1000;
}
double depth_matters(const Architecture& arch) {
  return static_cast<double>(widths(arch).size()) / 100;
}

TEST(GridSearch, GrowsTheDimensionThatTrainingsReward) {
  for (const char* key : {"efficientnet-grid", "lacs"}) {
    Pretended resolution{resolution_matters}, width{width_matters}, depth{depth_matters};
    const ScaledNetwork larger = searched(key, resolution), wider = searched(key, width),
                        deeper = searched(key, depth);
    EXPECT_GT(larger.arch.resolution, 32) << key;
    EXPECT_EQ(widths(larger.arch), widths(slim())) << key;
    EXPECT_GT(widths(wider.arch).back(), 128) << key;
    EXPECT_EQ(wider.arch.resolution, 32) << key;
    EXPECT_GT(widths(deeper.arch).size(), 8U) << key;
    for (const ScaledNetwork& n : {larger, wider, deeper}) {
      EXPECT_TRUE(n.feasible()) << key;
      EXPECT_LE(n.cost.latency_ms, 2 * kModel.predict(slim())) << key;
      EXPECT_CONTAINS(n.note, "networks at phi = 1");
    }
    EXPECT_GT(depth.asked, 5) << key;
    EXPECT_LE(depth.asked, 25) << key;
  }
}

// Of networks that are equally good LACS takes the one whose latency is lower, the plain grid the
// first.
TEST(GridSearch, LacsCountsLatency) {
  double least = 1e9;
  Pretended equal{[&](const Architecture& arch) {
    least = std::min(least, kModel.predict(arch));
    return 0.5;
  }};
  const ScaledNetwork n = searched("lacs", equal);
  std::vector<double> at_phi_one(n.coefficients.begin(), n.coefficients.end() - 1);
  at_phi_one.push_back(2);
  EXPECT_EQ(kModel.predict(method_of("efficientnet").scale(slim(), at_phi_one, {})), least);
}

TEST(GreedyEnlarging, SpendsTheBudgetOnWhatTrainingsReward) {
  Pretended resolution{resolution_matters}, width{width_matters}, depth{depth_matters};
  const ScaledNetwork larger = searched("greedy-enlarge", resolution);
  EXPECT_GT(larger.arch.resolution, 40);
  EXPECT_EQ(widths(larger.arch), widths(slim()));
  const ScaledNetwork wider = searched("greedy-enlarge", width);
  EXPECT_EQ(wider.arch.resolution, 32);
  EXPECT_GT(widths(wider.arch).back(), 200);
  EXPECT_EQ(widths(wider.arch).front(), 16) << "another stage";
  const ScaledNetwork deeper = searched("greedy-enlarge", depth);
  EXPECT_GT(widths(deeper.arch).size(), 8U);
  for (const ScaledNetwork& n : {larger, wider, deeper}) {
    EXPECT_LE(n.cost.latency_ms, 2 * kModel.predict(slim()) * (1 + 1e-9));
    EXPECT_TRUE(n.feasible());
  }
  EXPECT_LE(depth.asked, 24);
}

TEST(GreedyEnlarging, IsInfeasibleWhereNoMoveFits) {
  Pretended any{width_matters};
  EXPECT_FALSE(searched("greedy-enlarge", any, 1.0001).feasible());
  EXPECT_EQ(any.asked, 0);
}

TEST(CanonicalDepth, IsThePublishedNetworkThatFits) {
  const Architecture vgg = zoo("vgg11");
  const auto within = [&](double ms) {
    return method_of("depth-canonical")
        .to_budget({.baseline = vgg, .model = kModel, .budget = {.latency_ms = ms}});
  };
  const double vgg16 = kModel.predict(zoo("vgg16")), vgg19 = kModel.predict(zoo("vgg19"));
  EXPECT_EQ(blocks(within(vgg16).arch), blocks(zoo("vgg16")));
  EXPECT_EQ(within(vgg16).limit, "latency");
  EXPECT_EQ(blocks(within(10 * vgg19).arch), blocks(zoo("vgg19")));
  EXPECT_EQ(within(10 * vgg19).limit, "last-member");
  EXPECT_EQ(count(within(vgg19).arch).params, count(zoo("vgg19")).params);
  EXPECT_FALSE(within(1.001 * kModel.predict(vgg)).feasible());
  const Architecture resnet = zoo("preact_resnet18");
  EXPECT_EQ(blocks(method_of("depth-canonical").scale(resnet, std::vector{2.0}, {})),
            (Units{3, 4, 6, 3}));
  EXPECT_ERROR(method_of("depth-canonical").scale(resnet, std::vector{1.5}, {}), ConfigError,
               "expected one of 1, 2");
  EXPECT_ERROR(
      method_of("depth-canonical").scale(with_blocks(vgg, {1, 1, 1, 1, 1}), std::vector{1.0}, {}),
      ConfigError, "got 1, 1, 1, 1, 1");
}

}  // namespace
}  // namespace hac
