// Each rebuilt row of Table I follows from its method's formula with one round parameter (spec 1).

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "models/zoo/zoo.h"
#include "scaling/methods/compound_factors.h"
#include "scaling/paper/table1.h"

namespace hac {
namespace {

const Architecture resnet = zoo("preact_resnet18"), vgg = zoo("vgg11");

Architecture row(const char* baseline, Constraint constraint, const char* method) {
  return network_of(table1_row(baseline, constraint, method));
}

std::int64_t units(const Architecture& arch) {
  const auto all = blocks(arch);
  return std::accumulate(all.begin(), all.end(), std::int64_t{0});
}

TEST(Table1Formulas, Baselines) {
  EXPECT_EQ(row("preact_resnet18", Constraint::baseline, "baseline"), resnet);
  EXPECT_EQ(row("vgg11", Constraint::baseline, "baseline"), vgg);
}

TEST(Table1Formulas, UniformWidth) {
  const auto expect = [](const Architecture& rebuilt, const Architecture& scaled) {
    EXPECT_EQ(widths(rebuilt), widths(scaled));
    EXPECT_EQ(rebuilt, scaled);
  };
  expect(row("preact_resnet18", Constraint::tight, "Zagoruyko"), scale_width(resnet, 1.18, 8));
  expect(row("preact_resnet18", Constraint::loose, "Zagoruyko"), scale_width(resnet, 1.3, 2));
  expect(row("vgg11", Constraint::tight, "Zagoruyko"), scale_width(vgg, 1.5, 8));
  expect(row("vgg11", Constraint::loose, "Zagoruyko"), scale_width(vgg, 2, 8));
}

TEST(Table1Formulas, Resolution) {
  EXPECT_EQ(row("preact_resnet18", Constraint::tight, "Szegedy"), with_resolution(resnet, 299));
}

TEST(Table1Formulas, CanonicalDepths) {
  const auto same_but_name = [](const Architecture& rebuilt, const char* name) {
    Architecture canonical = zoo(name);
    canonical.name = rebuilt.name;
    EXPECT_EQ(rebuilt, canonical);
  };
  same_but_name(row("preact_resnet18", Constraint::loose, "ResNet34"), "preact_resnet34");
  same_but_name(row("vgg11", Constraint::tight, "VGG16"), "vgg16");
  same_but_name(row("vgg11", Constraint::loose, "VGG19"), "vgg19");
}

// Widths to the nearest even number, the resolution rounded down, the total of units by d; which
// stages get them is given (spec 1.3).
void expect_tan(const Architecture& baseline, const Architecture& rebuilt, double phi) {
  const CompoundFactors f = tan_factors(phi);
  EXPECT_EQ(units(scale_depth(baseline, f.d)), units(rebuilt));
  const Architecture deep = with_blocks(baseline, blocks(rebuilt));
  const auto size = static_cast<std::int64_t>(f.r * static_cast<double>(baseline.resolution));
  EXPECT_EQ(with_resolution(scale_width(deep, f.w, 2), size), rebuilt) << phi;
}

TEST(Table1Formulas, Tan) {
  expect_tan(resnet, row("preact_resnet18", Constraint::loose, "Tan"), 0.7);
  EXPECT_EQ(blocks(scale_depth(resnet, tan_factors(0.7).d)),
            (std::vector<std::int64_t>{2, 2, 2, 3}))
      << "here the rule itself gives the stages";
  expect_tan(vgg, row("vgg11", Constraint::tight, "Tan"), 1.7);
  expect_tan(vgg, row("vgg11", Constraint::loose, "Tan"), 2.54);
}

// w to two decimals, widths to the nearest 4, the resolution to the nearest 8.
void expect_dollar(const Architecture& baseline, const Architecture& rebuilt, double s) {
  const CompoundFactors f = dollar_factors(s);
  EXPECT_EQ(units(scale_depth(baseline, f.d)), units(rebuilt));
  const Architecture deep = with_blocks(baseline, blocks(rebuilt));
  const double w = std::round(f.w * 100) / 100;
  EXPECT_EQ(scale_resolution(scale_width(deep, w, 4), f.r, 8), rebuilt) << s;
}

TEST(Table1Formulas, Dollar) {
  expect_dollar(resnet, row("preact_resnet18", Constraint::loose, "Dollar"), 1.5);
  expect_dollar(vgg, row("vgg11", Constraint::tight, "Dollar"), 2);
  expect_dollar(vgg, row("vgg11", Constraint::loose, "Dollar"), 4);
}

// Activations grow with d w r^2 = s^(1 - alpha / 2) where rounding takes next to nothing.
TEST(Table1Formulas, ActivationsGrowAsDollarSays) {
  const Architecture wide = scale_width(vgg, 16, 1);
  const auto activations = [](const Architecture& arch) {
    return static_cast<double>(count(arch).activations);
  };
  for (const double s : {2.0, 4.0, 16.0}) {
    const CompoundFactors f = dollar_factors(s, 1);
    EXPECT_NEAR(activations(scale_width(wide, f.w, 1)) / activations(wide), std::pow(s, 0.5), 1e-3);
  }
  const CompoundFactors f = dollar_factors(64, 1.0 / 3);
  EXPECT_NEAR(f.d, 4, 1e-12);
  EXPECT_NEAR(f.w, 2, 1e-12);
  EXPECT_NEAR(f.r, 2, 1e-12);
  EXPECT_NEAR(f.d * f.w * f.r * f.r, std::pow(64, 1 - 1.0 / 6), 1e-9);
  const Architecture large = scale_resolution(scale_width(scale_depth(vgg, f.d), f.w, 1), f.r, 1);
  // The added convolutions of a stage are as large as its others, so each stage grows by d w r^2.
  EXPECT_NEAR(activations(large) / activations(vgg), 32, 1e-9);
}

}  // namespace
}  // namespace hac
