// Table I of the paper: the rebuilt networks against the counts of the specification (rows,
// witnesses: scaling/paper/table1.json), what the printed figures say of each other, and each row
// from its method's formula with one round parameter (spec 1).

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/io/file.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/compound_factors.h"
#include "scaling/paper/table1.h"
#include "scaling/paper/witness.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using nlohmann::json;
using enum Constraint;

RowCheck checked(const char* baseline, Constraint constraint, const char* method) {
  return check(table1_row(baseline, constraint, method));
}

json file() { return json::parse(read_file(HAC_SOURCE_DIR "/scaling/paper/table1.json")); }

void expect_counts(const Architecture& arch, const json& counts) {
  const Counters c = count(arch);
  EXPECT_EQ(c.params, counts["params"]);
  EXPECT_EQ(c.macs, counts["macs"]);
  EXPECT_EQ(c.ops_thop2021, counts["ops_thop2021"]);
  EXPECT_EQ(c.activations, counts["activations"]);
  EXPECT_EQ(architecture_from_json(to_json(arch)), arch);
}

TEST(Table1, RebuiltRowsCountExactly) {
  const json rows = file()["rows"];
  ASSERT_EQ(rows.size(), 24u);
  ASSERT_EQ(table1().rows.size(), 24u);
  int rebuilt = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Table1Row& row = table1().rows[i];
    SCOPED_TRACE(row.name());
    ASSERT_EQ(row.rebuilt(), rows[i].contains("counts"));
    if (!row.rebuilt()) continue;
    expect_counts(network_of(row), rows[i]["counts"]);
    ++rebuilt;
  }
  EXPECT_EQ(rebuilt, 20);
}

TEST(Table1, FifteenRowsAgreeToTheLastDigit) {
  std::map<std::string, int> matches;
  for (const Table1Row& row : table1().rows) ++matches[to_string(check(row).match)];
  EXPECT_EQ(
      matches,
      (std::map<std::string, int>{
          {"exact", 14}, {"exact (MACs)", 1}, {"close", 3}, {"differs", 2}, {"constraint", 4}}));
  EXPECT_EQ(checked("vgg11", tight, "Dollar").match, Match::exact_macs);
  EXPECT_EQ(checked("preact_resnet18", loose, "Zagoruyko").match, Match::close);
  EXPECT_EQ(checked("vgg11", baseline, "baseline").match, Match::differs) << "150 for 153.22";
  EXPECT_EQ(checked("vgg11", loose, "VGG19").match, Match::differs) << "20.4 for 20.04";
}

TEST(Table1, DigitsAreRoundedOrCut) {
  EXPECT_TRUE(agrees(1.68, 1.689));
  EXPECT_TRUE(agrees(1.69, 1.689));
  EXPECT_FALSE(agrees(1.70, 1.689));
  EXPECT_FALSE(agrees(1.67, 1.689));
  EXPECT_TRUE(agrees(11.68, 11.68));
  EXPECT_FALSE(agrees(20.4, 20.0405));
}

// Spec 3.2: mJ an image = W * ms, and its ratio to the baseline's.
TEST(Table1, EnergyAnImageRises) {
  const auto expect = [](const RowCheck& row, int millijoules, double ratio) {
    EXPECT_EQ(std::lround(row.energy_mj), millijoules);
    EXPECT_NEAR(row.energy_ratio, ratio, 0.005);
  };
  expect(checked("preact_resnet18", baseline, "baseline"), 203, 1);
  expect(checked("preact_resnet18", tight, "HACScale"), 340, 1.67);
  expect(checked("preact_resnet18", loose, "HACScale"), 638, 3.14);
  expect(checked("vgg11", baseline, "baseline"), 91, 1);
  expect(checked("vgg11", tight, "HACScale"), 164, 1.81);
  expect(checked("vgg11", loose, "HACScale"), 361, 3.97);
}

// Parameters of widths w times the baseline's, for any real w: a polynomial of degree 2, that of
// the counted networks with w = 1, 2 and 3.
double uniform_params(const Architecture& from, double w) {
  const auto counted = [&](double times) {
    return static_cast<double>(count(scale_width(from, times, 1)).params);
  };
  return counted(1) * (w - 2) * (w - 3) / 2 - counted(2) * (w - 1) * (w - 3) +
         counted(3) * (w - 1) * (w - 2) / 2;
}

// Spec 3, of HACScale's rows: printed figures to the counted baseline's, s = F / F0 and P / P0, and
// of the widths by one factor that have as many parameters the factor, to the next thousandth.
TEST(Table1, WhatCanBeSaidOfHacscaleRows) {
  const auto expect = [](const char* name, Constraint constraint, double s, double same_params,
                         double params_ratio) {
    const PrintedFigures printed = table1_row(name, constraint, "HACScale").printed;
    SCOPED_TRACE(table1_row(name, constraint, "HACScale").name());
    const Architecture from = zoo(name);
    const Counters base = count(from);
    EXPECT_NEAR(1e6 * printed.ops / static_cast<double>(base.ops_thop2021), s,
                s < 9 ? 0.0005 : 0.005);
    EXPECT_NEAR(1e6 * printed.params / static_cast<double>(base.params), params_ratio, 0.0005);
    EXPECT_GE(uniform_params(from, same_params), 1e6 * printed.params);
    EXPECT_LT(uniform_params(from, same_params - 0.001), 1e6 * printed.params);
    EXPECT_NEAR(uniform_params(from, 4), static_cast<double>(count(scale_width(from, 4, 1)).params),
                1e-3)
        << "another polynomial";
  };
  expect("preact_resnet18", tight, 1.936, 1.055, 1.109);
  expect("preact_resnet18", loose, 2.774, 1.217, 1.467);
  expect("vgg11", tight, 9.41, 1.152, 1.326);
  expect("vgg11", loose, 16.62, 1.513, 2.286);
}

const Slip* find(const std::vector<Slip>& all, const std::string& row, const std::string& figure) {
  for (const Slip& slip : all) {
    if (slip.row == row && slip.figure == figure) return &slip;
  }
  return nullptr;
}

// Spec 3.1, item by item, and nothing else.
TEST(Table1, SlipsAreThoseOfTheSpecification) {
  const std::vector<Slip> all = slips();
  const auto expect = [&](const char* row, const char* figure, double computed, double to,
                          bool cut) {
    SCOPED_TRACE(std::string(row) + " " + figure);
    const Slip* slip = find(all, row, figure);
    ASSERT_TRUE(slip);
    EXPECT_NEAR(slip->computed, computed, to);
    EXPECT_EQ(slip->cut, cut);
  };
  expect("vgg11 baseline", "ops", 153.224, 1e-3, false);
  expect("vgg11 loose VGG19", "params", 20.0405, 1e-4, false);
  expect("vgg11 loose VGG19", "efficiency", 1.605, 1e-3, false);
  expect("vgg11 loose Dollar", "efficiency", 1.715, 1e-3, false);
  expect("vgg11 tight HACScale", "params", 33.04, 5e-3, false);
  expect("preact_resnet18 loose NeuralScale", "params", 53.77, 5e-3, false);
  expect("vgg11 loose Zagoruyko", "efficiency", 1.637, 1e-3, true);
  expect("vgg11 tight Tan", "efficiency", 2.698, 1e-3, true);
  expect("vgg11 loose Zagoruyko", "utilization_ratio", 1.689, 1e-3, true);
  expect("preact_resnet18 loose NeuralScale", "efficiency_ratio", 0.8595, 1e-4, true);
  expect("preact_resnet18 loose HACScale", "latency", 40.63, 5e-3, true);
  EXPECT_EQ(all.size(), 11u);
  EXPECT_CONTAINS(find(all, "vgg11 baseline", "ops")->note, "2.1 % high");
  EXPECT_CONTAINS(find(all, "vgg11 tight HACScale", "params")->note, "32.6 %");
  EXPECT_CONTAINS(find(all, "preact_resnet18 loose NeuralScale", "params")->note, "tight", "9.1 %",
                  "1.81");
}

TEST(Table1, HacscaleRowsAreNotRebuilt) {
  EXPECT_ERROR(network_of(table1_row("vgg11", tight, "HACScale")), ConfigError,
               "vgg11 tight HACScale", "not published");
  EXPECT_ERROR(table1_row("vgg11", tight, "VGG19"), ConfigError, "vgg11 tight VGG19");
}

// Networks that come close to HACScale's rows, of the specification.
TEST(Table1, WitnessesOfTheSpecification) {
  const json witnesses = file()["witnesses"];
  ASSERT_EQ(witnesses.size(), 6u);
  for (const json& w : witnesses) {
    Architecture arch = zoo(w["baseline"]);
    arch = with_widths(arch, w["widths"].get<std::vector<std::int64_t>>());
    expect_counts(with_resolution(arch, w["resolution"]), w["counts"]);
  }
}

TEST(Table1, WitnessesMeetThePrintedDigits) {
  // Spec 3: 224..296, 224..~344, 44..95, ~31..112; ours at the printed digits, R >= the baseline's.
  const std::map<std::string, std::array<std::int64_t, 2>> ranges = {
      {"preact_resnet18 tight HACScale", {224, 290}},
      {"preact_resnet18 loose HACScale", {224, 336}},
      {"vgg11 tight HACScale", {44, 95}},
      {"vgg11 loose HACScale", {32, 108}}};
  int rows = 0;
  for (const Table1Row& row : table1().rows) {
    if (row.rebuilt()) continue;
    SCOPED_TRACE(row.name());
    const Witness w = witness_of(row);
    const Architecture from = zoo(row.baseline);
    const Counters c = count(with_resolution(with_widths(from, w.widths), w.resolution));
    EXPECT_EQ(c.params, w.params);
    EXPECT_EQ(c.ops_thop2021, w.ops_thop2021);
    EXPECT_TRUE(agrees(row.printed.params, static_cast<double>(c.params) * 1e-6)) << c.params;
    EXPECT_TRUE(agrees(row.printed.ops, static_cast<double>(c.ops_thop2021) * 1e-6));
    const auto before = widths(from);
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_GE(w.widths[i], before[i]);
      EXPECT_EQ((w.widths[i] - before[i]) % 10, 0);
    }
    EXPECT_LE(w.lowest, ranges.at(row.name())[0]);
    EXPECT_GE(w.highest, ranges.at(row.name())[1]);
    EXPECT_GE(w.resolution, w.lowest);
    EXPECT_LE(w.resolution, w.highest);
    ++rows;
  }
  EXPECT_EQ(rows, 4);
}

TEST(Table1, NoNetworkAboveTheCounts) {
  EXPECT_FALSE(find_witness(zoo("vgg11"), 32, 9.0, 1000)) << "fewer parameters than the baseline";
  EXPECT_FALSE(find_witness(zoo("vgg11"), 112, 12.24, 1442.37)) << "above its operations unwidened";
}

const Architecture resnet = zoo("preact_resnet18"), vgg = zoo("vgg11");

// A row of the table is rebuilt as its method's formula has it.
void expect_row(const Architecture& from, Constraint constraint, const char* method,
                Architecture formula) {
  formula.name = from.name;
  EXPECT_EQ(network_of(table1_row(from.name, constraint, method)), formula) << method;
}

TEST(Table1, RowsOfOneFactorAreTheirFormulas) {
  expect_row(resnet, baseline, "baseline", resnet);
  expect_row(vgg, baseline, "baseline", vgg);
  expect_row(resnet, tight, "Zagoruyko", scale_width(resnet, 1.18, 8));
  expect_row(resnet, loose, "Zagoruyko", scale_width(resnet, 1.3, 2));
  expect_row(vgg, tight, "Zagoruyko", scale_width(vgg, 1.5, 8));
  expect_row(vgg, loose, "Zagoruyko", scale_width(vgg, 2, 8));
  expect_row(resnet, tight, "Szegedy", with_resolution(resnet, 299));
  expect_row(resnet, loose, "ResNet34", zoo("preact_resnet34"));
  expect_row(vgg, tight, "VGG16", zoo("vgg16"));
  expect_row(vgg, loose, "VGG19", zoo("vgg19"));
}

// As deep as the row, whose total of units is that of d; which stages get them is given (spec 1.3).
Architecture as_deep(const Architecture& from, Constraint constraint, const char* method,
                     double d) {
  const auto units = blocks(network_of(table1_row(from.name, constraint, method)));
  const auto sum = [](const auto& all) { return std::accumulate(all.begin(), all.end(), 0); };
  EXPECT_EQ(sum(blocks(scale_depth(from, d))), sum(units)) << method;
  return with_blocks(from, units);
}

// Widths to the nearest even number, the resolution rounded down.
TEST(Table1, RowsOfTanAreHisFormula) {
  const auto expect = [](const Architecture& from, Constraint constraint, double phi) {
    const CompoundFactors f = tan_factors(phi);
    const Architecture wide = scale_width(as_deep(from, constraint, "Tan", f.d), f.w, 2);
    const auto size = static_cast<std::int64_t>(f.r * static_cast<double>(from.resolution));
    expect_row(from, constraint, "Tan", with_resolution(wide, size));
  };
  expect(resnet, loose, 0.7);
  EXPECT_EQ(blocks(scale_depth(resnet, tan_factors(0.7).d)),
            (std::vector<std::int64_t>{2, 2, 2, 3}))
      << "here the rule itself gives the stages";
  expect(vgg, tight, 1.7);
  expect(vgg, loose, 2.54);
}

// w to two decimals, widths to the nearest 4, the resolution to the nearest 8.
TEST(Table1, RowsOfDollarAreHisFormula) {
  const auto expect = [](const Architecture& from, Constraint constraint, double s) {
    const CompoundFactors f = dollar_factors(s);
    const Architecture deep = as_deep(from, constraint, "Dollar", f.d);
    const double w = std::round(f.w * 100) / 100;
    expect_row(from, constraint, "Dollar", scale_resolution(scale_width(deep, w, 4), f.r, 8));
  };
  expect(resnet, loose, 1.5);
  expect(vgg, tight, 2);
  expect(vgg, loose, 4);
}

// Activations grow with d w r^2 = s^(1 - alpha / 2) where rounding takes next to nothing.
TEST(Table1, ActivationsGrowAsDollarSays) {
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
