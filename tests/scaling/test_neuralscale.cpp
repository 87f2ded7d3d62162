// NeuralScale's formulas against what its authors published: fits, widths, and the search loop
// whose early end is in the paper's Table I.

#include "scaling/methods/neuralscale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/io/file.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/method.h"
#include "scaling/paper/table1.h"
#include "tests/support/macs_latency.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Widths = std::vector<std::int64_t>;

const std::string folder = HAC_SOURCE_DIR "/../shared/spec/neuralscale/";

// A pruning record: a line a step.
std::vector<Widths> record(const std::string& file) {
  std::vector<Widths> rows;
  std::istringstream text(read_file(folder + file));
  for (std::string line; std::getline(text, line);) {
    std::istringstream cells(line);
    Widths row;
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stoll(cell));
    rows.push_back(row);
  }
  return rows;
}

const NeuralScaleFit& published_fit(const std::string& name, std::int64_t descent) {
  const auto fits = published_fits();
  return *std::ranges::find_if(
      fits, [&](const NeuralScaleFit& fit) { return fit.name == name && fit.descent == descent; });
}

Widths even(const NeuralScaleFit& fit, double tau) {
  Widths rounded;
  for (const double width : fit.widths(tau)) rounded.push_back(round_to(width, 2));
  return rounded;
}

Widths floors(const NeuralScaleFit& fit, double tau) {
  const std::vector<double> all = fit.floored(tau);
  return {all.begin(), all.end()};
}

Widths baseline_of(const NeuralScaleFit& fit) {
  return widths(zoo(fit.shape.residual ? "preact_resnet18" : "vgg11"));
}

// By hand: 3 -> 2 -> 4 channels, 5 classes.
TEST(NeuralScale, CountsParametersAsPublished) {
  constexpr double widths[] = {2, 4};
  EXPECT_EQ(neuralscale_params({.classes = 5}, widths), 9 * (6 + 8) + 3 * (2 + 4) + 4 * 5 + 5);
  constexpr double residual[] = {2, 3, 4, 5, 4};  // 2 -> 4 is projected, 4 -> 4 is not
  EXPECT_EQ(neuralscale_params({.residual = true, .classes = 5}, residual),
            9 * (6 + 6 + 12 + 20 + 20) + 2 * 18 + 2 * 4 + 4 * 5 + 5);
  EXPECT_TRUE(shape_of(zoo("preact_resnet18")).residual);
  EXPECT_FALSE(shape_of(zoo("vgg11")).residual);
}

TEST(NeuralScale, PublishedWidths) {
  const auto expect = [](const char* name, std::int64_t descent, double rho, const Widths& widths) {
    const NeuralScaleFit& fit = published_fit(name, descent);
    const double tau = fit.solve(fit.target(baseline_of(fit), rho));
    EXPECT_EQ(floors(fit, tau), widths) << name << " " << descent << " at " << rho;
  };
  expect("vgg_10_eff_c10", 0, 0.25, {55, 108, 148, 130, 100, 57, 32, 74});
  expect("vgg_10_eff_c10", 0, 1, {89, 275, 546, 604, 558, 237, 122, 185});
  expect("vgg_10_eff_c10", 0, 2, {112, 429, 1016, 1253, 1263, 464, 230, 286});
  expect("vgg_10_eff_c10", 14, 0.25, {88, 132, 137, 120, 82, 56, 31, 53});
  expect("vgg_10_eff_c10", 14, 1, {211, 392, 523, 615, 415, 278, 111, 120});
  expect("vgg_10_eff_c10", 14, 2, {319, 659, 994, 1341, 899, 597, 202, 177});
  expect("vgg_10_eff_c100", 14, 1, {170, 352, 440, 520, 454, 374, 234, 379});
  expect("resnet18_10_eff_c100", 14, 1,
         {81, 81, 120, 129, 39, 139, 246, 223, 207, 325, 798, 411, 467, 159, 265, 57, 90});
  expect("resnet18_10_eff_tinyimagenet", 14, 0.25,
         {33, 29, 54, 24, 64, 51, 76, 29, 83, 68, 99, 42, 102, 86, 110, 82, 86});
  expect("resnet18_10_eff_tinyimagenet", 14, 1,
         {59, 62, 114, 57, 150, 127, 216, 122, 268, 237, 404, 304, 458, 414, 481, 307, 242});
}

TEST(NeuralScale, AllPublishedFitsAtAllRatios) {
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto all = nlohmann::json::parse(read_file(folder + "neuralscale_fits.json"));
  int configs = 0;
  for (const NeuralScaleFit& fit : published_fits()) {
    const std::string key = fit.name + "#" + std::to_string(fit.descent);
    SCOPED_TRACE(key);
    ASSERT_TRUE(all.contains(key));
    EXPECT_EQ(fit.a, all[key]["a"].get<std::vector<double>>());
    EXPECT_EQ(fit.b, all[key]["b"].get<std::vector<double>>());
    for (const auto& [rho, config] : all[key]["configs"].items()) {
      const double target = fit.target(baseline_of(fit), std::stod(rho));
      const double tau = fit.solve(target);
      EXPECT_EQ(target, config["target"]);
      EXPECT_NEAR(tau, config["tau"].get<double>(), 1e-9 * tau);
      EXPECT_EQ(floors(fit, tau), config["widths"].get<Widths>());
      EXPECT_EQ(neuralscale_params(fit.shape, fit.floored(tau)), config["params"]);
      ++configs;
    }
  }
  EXPECT_EQ(published_fits().size(), all.size());
  EXPECT_EQ(configs, 72);
}

TEST(NeuralScale, LeastSquaresGiveThePublishedFits) {
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  for (const char* name : {"resnet18_10_eff_tinyimagenet", "vgg_10_eff_c10"}) {
    const NeuralScaleFit& stored = published_fit(name, 14);
    const NeuralScaleFit fit = fit_neuralscale(record(std::string(name) + "_14.csv"), stored.shape);
    for (std::size_t l = 0; l < stored.a.size(); ++l) {
      EXPECT_NEAR(fit.a[l], stored.a[l], 1e-10 * stored.a[l]) << name << " layer " << l;
      EXPECT_NEAR(fit.b[l], stored.b[l], 1e-10 * stored.b[l]) << name << " layer " << l;
    }
  }
}

// The rows of Table I follow from the published loop and nearest even widths.
TEST(NeuralScale, Table1) {
  const auto expect = [](const char* name, std::int64_t descent, double rho, double low,
                         double high, const char* baseline, Constraint constraint) {
    const NeuralScaleFit& fit = published_fit(name, descent);
    const double tau = fit.solve_as_published(fit.target(baseline_of(fit), rho));
    EXPECT_GE(tau, (low - 5e-5) * 1e6) << name << " at " << rho;
    EXPECT_LE(tau, (high + 5e-5) * 1e6) << name << " at " << rho;
    const Table1Row& row = table1_row(baseline, constraint, "NeuralScale");
    EXPECT_EQ(even(fit, tau), row.widths);
    const std::vector coefficients{static_cast<double>(descent), rho};
    EXPECT_EQ(
        method_of("neuralscale-paper").scale(zoo(baseline), coefficients, {.width_multiple = 2}),
        network_of(row));
  };
  const char *tiny = "resnet18_10_eff_tinyimagenet", *vgg = "vgg_10_eff_c10";
  expect(tiny, 14, 1.05, 11.2263, 11.2446, "preact_resnet18", Constraint::tight);
  expect(tiny, 14, 1.25, 15.2898, 15.3358, "preact_resnet18", Constraint::loose);
  expect(vgg, 0, 1.25, 10.4285, 10.4551, "vgg11", Constraint::tight);
  expect(vgg, 0, 2, 23.1916, 23.2134, "vgg11", Constraint::loose);
}

TEST(NeuralScale, PublishedStepsThatNeverEndAreBisected) {
  const NeuralScaleFit steep{.a = {4, 4}, .b = {0.5, 3}};
  EXPECT_EQ(steep.solve_as_published(1e6), steep.solve(1e6)) << "leave the positive numbers";
  const NeuralScaleFit& small = published_fit("resnet18_10_eff_tinyimagenet", 14);
  EXPECT_EQ(small.solve_as_published(79350), small.solve(79350)) << "swing about the size";
}

TEST(NeuralScale, ExactPowersAreFound) {
  const NeuralScaleShape shape{.classes = 10};
  // Widths of one network scaled as a whole: tau is nearly quadratic in the factor, and each
  // layer's law passes through the data.
  std::vector<Widths> rows;
  for (std::int64_t k = 40; k > 20; --k) rows.push_back({4 * k, 8 * k, 16 * k});
  const NeuralScaleFit fit = fit_neuralscale(rows, shape);
  for (std::size_t l = 0; l < 3; ++l) EXPECT_NEAR(fit.b[l], 0.5, 0.01);
  EXPECT_NEAR(fit.b[0], fit.b[2], 1e-12);
  EXPECT_NEAR(fit.a[2] / fit.a[0], 4, 1e-9);
}

TEST(NeuralScale, FewRowsScaleUniformly) {
  const std::vector<Widths> rows(5, {10, 20, 40});
  const NeuralScaleFit fit = fit_neuralscale(rows, {});
  constexpr double first[] = {10, 20, 40};
  const double tau = neuralscale_params({}, first);
  const std::vector<double> same = fit.widths(tau), wider = fit.widths(9 * tau);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_NEAR(same[l], first[l], 1e-9);
    EXPECT_NEAR(wider[l], 3 * first[l], 1e-9);
  }
}

TEST(NeuralScale, SolvesToTheStepAtTheTarget) {
  const NeuralScaleFit& fit = published_fit("vgg_10_eff_c100", 14);
  for (const double target : {1e3, 1e5, 3e6, 1e8}) {
    const double tau = fit.solve(target);
    EXPECT_GE(neuralscale_params(fit.shape, fit.floored(tau)), target);
    EXPECT_LT(neuralscale_params(fit.shape, fit.floored(tau * (1 - 1e-12))), target);
  }
}

TEST(NeuralScale, ScalesBySizeAndRounds) {
  const Architecture vgg = zoo("vgg11");
  const NeuralScaleFit& fit = published_fit("vgg_10_eff_c10", 14);
  const Architecture same = with_size(vgg, fit, 1, 8);
  for (const std::int64_t width : widths(same)) EXPECT_EQ(width % 8, 0);
  const auto params = [](const Architecture& a) { return static_cast<double>(count(a).params); };
  EXPECT_NEAR(params(same) / params(vgg), 1, 0.03) << "rho = 1 has the baseline's size";
  EXPECT_NEAR(params(with_size(vgg, fit, 2, 2)) / params(scale_width(vgg, 2)), 1, 0.01);
}

TEST(NeuralScale, TakesTheNearestPublishedFit) {
  EXPECT_EQ(published_fit_for(zoo("vgg11"), 14).name, "vgg_10_eff_c10");
  EXPECT_EQ(published_fit_for(with_classes(zoo("vgg11"), 1000), 14).name, "vgg_10_eff_c100");
  EXPECT_EQ(published_fit_for(zoo("preact_resnet18"), 14).name, "resnet18_10_eff_tinyimagenet");
  EXPECT_EQ(published_fit_for(with_classes(zoo("preact_resnet18"), 10), 0).name,
            "resnet18_eff_c10");
}

ScaledNetwork to_budget(const Architecture& baseline, const Budget& budget,
                        const std::vector<double>& given = {}, const ProxyTrainings* proxy = {}) {
  static const MacsLatency model;
  return method_of("neuralscale")
      .to_budget(
          {.baseline = baseline, .model = model, .budget = budget, .given = given, .proxy = proxy});
}

TEST(NeuralScaleMethod, TakesTheLargestSizeWithinTheBudget) {
  const Architecture vgg = zoo("vgg11");
  const MacsLatency model;
  const Method& method = method_of("neuralscale");
  EXPECT_EQ(method.scale(vgg, std::vector{14.0, 2.0}, {}),
            with_size(vgg, published_fit("vgg_10_eff_c10", 14), 2, 8));
  for (const double times : {1.05, 12.0}) {
    const Budget budget{.latency_ms = times * model.predict(vgg)};
    const ScaledNetwork n = to_budget(vgg, budget);
    EXPECT_TRUE(n.feasible());
    EXPECT_EQ(n.limit, "latency");
    EXPECT_LE(n.cost.latency_ms, budget.latency_ms);
    EXPECT_EQ(n.arch, method.scale(vgg, n.coefficients, {}));
    EXPECT_CONTAINS(n.note, "vgg_10_eff_c10", "descent 14");
    const double rho = n.coefficients.back();
    EXPECT_GT(model.predict(method.scale(vgg, std::vector{14.0, 1.09 * rho}, {})),
              budget.latency_ms);
    EXPECT_EQ(rho < 1, times < 2) << "at equal parameters it takes longer";
  }
  const double params = 1.5 * static_cast<double>(count(vgg).params);
  const ScaledNetwork early = to_budget(vgg, {.params = params}, {0});
  EXPECT_NEAR(static_cast<double>(early.cost.params) / params, 1, 0.02);
  EXPECT_CONTAINS(early.note, "descent 0");
  EXPECT_FALSE(to_budget(vgg, {.latency_ms = 1e-6}).feasible());
}

// A pruning that takes from all layers alike gives uniform scaling; descents prune what it gave.
TEST(NeuralScaleMethod, PrunesWhereItCan) {
  const Architecture small = scale_width(zoo("vgg11"), 0.25);
  std::vector<std::vector<std::int64_t>> asked;
  const ProxyTrainings proxy{.prune = [&](const Architecture& arch) {
    asked.push_back(widths(arch));
    std::vector<Widths> rows;
    for (double left = 1; left > 0.5; left -= 0.05) {
      rows.push_back(widths(scale_width(arch, left, 1)));
    }
    return rows;
  }};
  const Budget budget{.params = 4.0 * static_cast<double>(count(small).params)};
  const ScaledNetwork n = to_budget(small, budget, {}, &proxy);
  EXPECT_EQ(asked, (std::vector<Widths>{widths(small)}));
  EXPECT_CONTAINS(n.note, "own pruning", "descent 0");
  for (std::size_t l = 0; l < widths(small).size(); ++l) {
    EXPECT_NEAR(static_cast<double>(widths(n.arch)[l]) / static_cast<double>(widths(small)[l]), 2,
                0.3);
  }
  asked.clear();
  EXPECT_CONTAINS(to_budget(small, budget, {2}, &proxy).note, "descent 2");
  ASSERT_EQ(asked.size(), 3u);
  for (std::size_t l = 0; l < asked[2].size(); ++l) EXPECT_NEAR(asked[2][l], asked[0][l], 2);
}

TEST(NeuralScaleMethod, ResidualNetworksStartEachDescentWithTenKernels) {
  const Architecture net = scale_width(zoo("resnet20"), 0.5, 8);
  std::vector<Widths> asked;
  descend(net, 1, [&](const Architecture& arch) {
    asked.push_back(widths(arch));
    std::vector<Widths> rows;
    for (std::int64_t k = 0; k < 8; ++k) {
      rows.emplace_back(widths(arch));
      for (std::size_t l = 0; l < rows.back().size(); ++l) rows.back()[l] -= l == 0 ? k : k / 2;
    }
    return rows;
  });
  ASSERT_EQ(asked.size(), 2u);
  for (const std::int64_t width : asked[1]) EXPECT_GE(width, 10);
}

TEST(NeuralScaleMethod, Refuses) {
  const auto says = [](const Architecture& arch, const std::vector<double>& given) {
    return error_of<ConfigError>([&] { to_budget(arch, {.params = 1e9}, given); });
  };
  EXPECT_CONTAINS(says(zoo("resnet20"), {}), "residual network of 19 widths", "hacscale compare");
  EXPECT_CONTAINS(says(zoo("vgg11"), {0.5}), "'descent'", "got 0.5");
  EXPECT_CONTAINS(says(zoo("vgg11"), {3}), "0 or 14");
}

TEST(NeuralScale, Refuses) {
  const auto says = [](auto&& f) { return error_of<ConfigError>(f); };
  const NeuralScaleFit& fit = published_fit("vgg_10_eff_c10", 0);
  EXPECT_CONTAINS(says([] { published_fit_for(zoo("vgg16"), 14); }), "plain network of 13 widths",
                  "prune 'vgg16'");
  EXPECT_CONTAINS(says([] { published_fit_for(zoo("vgg11"), 7); }), "0 or 14", "and 7");
  EXPECT_CONTAINS(says([&] { fit.target(Widths{8, 8}, 1); }), "8 widths", "got 2");
  EXPECT_CONTAINS(says([&] { with_size(zoo("vgg11"), fit, 0, 8); }), "'rho'", "got 0");
  EXPECT_CONTAINS(says([] { fit_neuralscale({}, {}); }), "got none");
  const std::vector<Widths> odd = {{8, 8}, {8, 7, 6}}, gone = {{8, 8}, {8, 0}};
  EXPECT_CONTAINS(says([&] { fit_neuralscale(odd, {}); }), "row 2", "2 widths", "8, 7, 6");
  EXPECT_CONTAINS(says([&] { fit_neuralscale(gone, {}); }), "row 2", "at least 1", "8, 0");
  NeuralScaleFit flat{.a = {4, 4}, .b = {0, 0}}, down{.a = {4, 4}, .b = {0.5, -0.1}};
  EXPECT_CONTAINS(says([&] { flat.solve(1e6); }), "grow to", "at most 0");
  EXPECT_CONTAINS(says([&] { down.solve(1e6); }), "layer 2", "-0.1");
}

}  // namespace
}  // namespace hac
