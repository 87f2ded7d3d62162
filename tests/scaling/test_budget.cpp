// Budgets as people write them, and the plans that are made within them.

#include "scaling/methods/budget.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/width_scaling.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using nlohmann::json;
using Widths = std::vector<std::int64_t>;

TEST(BudgetText, Parses) {
  EXPECT_EQ(parse_latency_limit("1.05x"), (Limit{1.05, true}));
  EXPECT_EQ(parse_latency_limit("3.2ms"), (Limit{3.2, false}));
  EXPECT_EQ(parse_params_limit("1.3x"), (Limit{1.3, true}));
  EXPECT_EQ(parse_params_limit("12.9M"), (Limit{12.9e6, false}));
  EXPECT_EQ(parse_params_limit("500k"), (Limit{500e3, false}));
  EXPECT_EQ(parse_params_limit("123456"), (Limit{123456, false}));
  EXPECT_EQ(parse_memory_limit("64MiB"), (Limit{64 << 20, false}));
  EXPECT_EQ(parse_memory_limit("1.5x"), (Limit{1.5, true}));
  EXPECT_EQ(parse_memory_limit("4096"), (Limit{4096, false}));
  EXPECT_EQ(parse_latency_limit(""), Limit{});
  for (const char* bad : {"x", "1.05", "3.2 ms", "ms", "-1x", "0ms", "1e400ms", "nanms", "infms",
                          "1.05xx", " 2x", "2M", "1,5x"}) {
    EXPECT_THROW(parse_latency_limit(bad), ConfigError) << bad;
  }
  for (const char* bad : {"M", "1.3X", "3ms", "-5", "0", "0x10", "12.9 M", "nan", "1e309"}) {
    EXPECT_THROW(parse_params_limit(bad), ConfigError) << bad;
  }
  for (const char* bad : {"MiB", "64MB", "64 MiB", "-1x", "3ms", "12M", "inf"}) {
    EXPECT_THROW(parse_memory_limit(bad), ConfigError) << bad;
  }
}

TEST(BudgetText, FactorsMultiplyTheBaseline) {
  const auto resolved = [](const Limit& latency, const Limit& params, double ms,
                           const Limit& memory = {}) {
    return resolve({.latency = latency, .params = params, .memory = memory},
                   {.latency_ms = ms, .params = 1001, .memory_bytes = 4097});
  };
  const Budget b = resolved({1.05, true}, {1.3, true}, 2.0, {1.5, true});
  EXPECT_DOUBLE_EQ(b.latency_ms, 2.1);
  EXPECT_EQ(b.params, 1301);        // 1301.3 parameters are 1301
  EXPECT_EQ(b.memory_bytes, 6145);  // and 6145.5 bytes 6145
  EXPECT_EQ(resolved({}, {}, 2.0), Budget{});
  EXPECT_TRUE(resolved({1, true}, {1, true}, 2.0, {1, true}).allows({2.0, 1001, 4097}));
  EXPECT_THROW(resolved({0.9, true}, {}, 2.0), ConfigError);
  EXPECT_THROW(resolved({1.9, false}, {}, 2.0), ConfigError);
  EXPECT_THROW(resolved({}, {1000, false}, 2.0), ConfigError);
  EXPECT_THROW(resolved({}, {}, 2.0, {4096, false}), ConfigError);
  // A latency model that predicts nothing.
  EXPECT_THROW(resolved({1.5, true}, {}, 0.0), ConfigError);
  EXPECT_THROW(resolved({}, {1.5, true}, NAN), ConfigError);
}

std::vector<ImportanceLaw> vgg_laws() {
  const double a[] = {.02, .03, .02, .015, .02, .015, .012, .01};
  std::vector<ImportanceLaw> laws;
  for (int l = 0; l < 8; ++l) laws.push_back({.a = a[l], .b = l < 2 ? -.6 : -.5});
  return laws;
}

ScalingPlan vgg_plan(double params, StepPolicy policy) {
  return decide(zoo("vgg11"), vgg_laws(), MacsLatency(), {.params = params},
                {.policy = policy, .stride = 10});
}

TEST(Plan, Vgg11Golden) {
  const ScalingPlan back = vgg_plan(12.24e6, StepPolicy::rollback);
  EXPECT_EQ(back.result.widths(), (Widths{184, 368, 516, 296, 522, 512, 512, 512}));
  EXPECT_EQ(back.result.steps.size(), 67u);
  EXPECT_EQ(back.result.scaled.params, 12227964);
  EXPECT_EQ(count(with_widths(zoo("vgg11"), back.result.widths())).params, 12227964);
  EXPECT_EQ(vgg_plan(12.24e6, StepPolicy::paper).result.scaled.params, 12287754);
  const ScalingPlan fill = vgg_plan(12.20e6, StepPolicy::fill);
  EXPECT_EQ(fill.result.widths(), (Widths{194, 358, 516, 296, 522, 512, 512, 512}));
  EXPECT_EQ(fill.result.scaled.params, 12197454);
  EXPECT_EQ(vgg_plan(12.20e6, StepPolicy::rollback).result.scaled.params, 12164934);
}

TEST(Plan, RisingLawRunsAwayWithAWarning) {
  std::vector<ImportanceLaw> laws = vgg_laws();
  laws[3].b = 0.2;
  const ScalingPlan plan =
      decide(zoo("vgg11"), laws, MacsLatency(), {.params = 12.24e6}, {.stride = 10});
  ASSERT_FALSE(plan.result.steps.empty());
  for (const ScalingStep& s : plan.result.steps) EXPECT_EQ(s.layer, 3);
  ASSERT_EQ(plan.warnings.size(), 1u);
  EXPECT_CONTAINS(plan.warnings[0], "not below 0");
}

TEST(Plan, ResidualNetworksCanBeTied) {
  const Architecture arch = with_resolution(zoo("preact_resnet18"), 64);
  const std::size_t n = widths(arch).size();
  std::vector<ImportanceLaw> laws;
  for (std::size_t l = 0; l < n; ++l)
    laws.push_back({.a = 1 + 0.1 * static_cast<double>(l), .b = -1});
  const double params = 1.2 * static_cast<double>(count(arch).params);
  const ScalingPlan plan =
      decide(arch, laws, MacsLatency(), {.params = params}, widening_presets[1].options);
  ASSERT_FALSE(plan.result.steps.empty());
  EXPECT_LE(static_cast<double>(plan.result.scaled.params), params);
  const Widths after = plan.result.widths();
  for (const std::vector<int>& group : residual_groups(arch)) {
    for (const int l : group) EXPECT_EQ(after[l], after[group[0]]);
  }
  EXPECT_EQ(widths(with_widths(arch, after)), after);
  EXPECT_TRUE(plan.warnings.empty());

  Widths uneven = widths(arch);
  uneven[2] += 8;
  const auto warned = decide(with_widths(arch, uneven), laws, MacsLatency(), {.params = 2 * params},
                             widening_presets[1].options)
                          .warnings;
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_CONTAINS(warned[0], "not tied", "layer1.1");
}

TEST(Plan, WarnsOfForeignResolution) {
  std::vector<ImportanceLaw> laws = vgg_laws();
  for (ImportanceLaw& law : laws) law.resolution = 32;
  const Architecture larger = with_resolution(zoo("vgg11"), 40);
  EXPECT_EQ(decide(larger, laws, MacsLatency(), {.params = 1e7}).warnings.size(), 8u);
  EXPECT_TRUE(decide(zoo("vgg11"), laws, MacsLatency(), {.params = 1e7}).warnings.empty());
}

// A model that errs by 8 % cannot tell what fits into 5 %, and can what fits into 20 %.
TEST(Plan, WarnsOfALatencyModelThatErrsByMoreThanTheRoom) {
  MacsLatency model;
  const double baseline_ms = model.predict(zoo("vgg11"));
  const auto warnings = [&](double factor, double slack = 0) {
    return decide(zoo("vgg11"), vgg_laws(), model,
                  {.latency_ms = factor * baseline_ms, .latency_slack = slack}, {.step_cap = 3})
        .warnings;
  };
  ASSERT_EQ(warnings(1.05).size(), 1u);
  EXPECT_CONTAINS(warnings(1.05)[0], "does not say its error");
  model.error = LatencyError{.networks = 9, .median = 0.08, .worst = 0.3};
  ASSERT_EQ(warnings(1.05).size(), 1u);
  EXPECT_CONTAINS(warnings(1.05)[0], "8.0 %", "30.0 %", "5.0 %");
  EXPECT_TRUE(warnings(1.2).empty());
  EXPECT_TRUE(warnings(1.05, 0.1).empty()) << "slack is room";
  EXPECT_TRUE(decide(zoo("vgg11"), vgg_laws(), model, {.params = 1e7}).warnings.empty());
}

TEST(Plan, LawsOfOtherLayersAreRefused) {
  std::vector<ImportanceLaw> laws = vgg_laws();
  laws[2].layer = "another";
  EXPECT_THROW(decide(zoo("vgg11"), laws, MacsLatency(), {.params = 1e9}), ConfigError);
}

TEST(Plan, LawsThatTellNoLayerFromAnotherAreRefused) {
  std::vector<ImportanceLaw> laws = vgg_laws();
  for (ImportanceLaw& law : laws) law.a = 0;
  EXPECT_THROW(decide(zoo("vgg11"), laws, MacsLatency(), {.params = 1e7}), ConfigError);
  laws[3].a = 0.1;
  const ScalingPlan plan = decide(zoo("vgg11"), laws, MacsLatency(), {.params = 1e7});
  EXPECT_GT(plan.result.layers[3].after, plan.result.layers[3].before);
  EXPECT_EQ(plan.result.layers[0].after, plan.result.layers[0].before);
}

TEST(Plan, AThousandStepsAreFast) {
  const auto start = std::chrono::steady_clock::now();
  const ScalingPlan plan = decide(zoo("vgg11"), vgg_laws(), MacsLatency(), {.params = 1e9},
                                  {.stride = 2, .step_cap = 1000});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(plan.result.steps.size(), 1000u);
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_LT(seconds.count(), 10);  // well under one when nothing else runs
}

TEST(Plan, JsonSaysWhatWasDecided) {
  ScalingPlan plan = vgg_plan(12.24e6, StepPolicy::paper);
  plan.warnings = {"a \"warning\"", "\xc3\xa9"};
  plan.latency_source = {"cpu", "f32", 2, "avx2", "oneDNN 2.6.3"};
  plan.latency_error = LatencyError{.networks = 9, .median = 0.08, .worst = 0.3, .r2 = 0.9};
  const json j = json::parse(to_json(plan));
  EXPECT_EQ(j["options"], json::parse(R"({"policy": "paper", "gain": "plain", "stride": 10,
      "tie_residual": false, "width_cap": 16384, "step_cap": 20000})"));
  EXPECT_EQ(j["budget"], json::parse(R"({"latency_ms": null, "params": 12240000.0,
      "latency_slack": 0.0})"));
  EXPECT_EQ(j["scaled"]["params"], 12287754);
  EXPECT_EQ(j["stop"], "params");
  EXPECT_EQ(j["feasible"], true);
  EXPECT_EQ(j["layers"][0], json::parse(R"({"layer": "features.0", "before": 64, "after": 184,
      "factor": 2.875, "reason": "widened until others were more important"})"));
  EXPECT_EQ(j["steps"].size(), plan.result.steps.size());
  EXPECT_EQ(j["steps"].back()["params"], 12287754);
  EXPECT_EQ(j["warnings"], json(plan.warnings));
  EXPECT_EQ(j["measured_on"]["isa"], "avx2");
  EXPECT_EQ(j["error"]["median"], 0.08);
  const ScalingPlan none = decide(zoo("vgg11"), vgg_laws(), MacsLatency(), {.latency_ms = 1e-3});
  EXPECT_FALSE(none.feasible());
  EXPECT_EQ(json::parse(to_json(none))["stop"], "infeasible");
}

}  // namespace
}  // namespace hac
