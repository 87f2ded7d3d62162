// Table I of the paper: the rebuilt networks against the counts of the specification (rows,
// witnesses: scaling/paper/table1.json), and what the printed figures say of each other.

#include "scaling/paper/table1.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/io/file.h"
#include "models/zoo/zoo.h"
#include "scaling/paper/witness.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using nlohmann::json;

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
  const auto match = [](const char* baseline, Constraint constraint, const char* method) {
    return check(table1_row(baseline, constraint, method)).match;
  };
  EXPECT_EQ(match("vgg11", Constraint::tight, "Dollar"), Match::exact_macs);
  EXPECT_EQ(match("preact_resnet18", Constraint::loose, "Zagoruyko"), Match::close);
  EXPECT_EQ(match("vgg11", Constraint::baseline, "baseline"), Match::differs) << "150 for 153.22";
  EXPECT_EQ(match("vgg11", Constraint::loose, "VGG19"), Match::differs) << "20.4 for 20.04";
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
  const auto energy = [](const char* baseline, Constraint constraint, const char* method) {
    return check(table1_row(baseline, constraint, method));
  };
  const RowCheck base = energy("preact_resnet18", Constraint::baseline, "baseline"),
                 tight = energy("preact_resnet18", Constraint::tight, "HACScale"),
                 loose = energy("vgg11", Constraint::loose, "HACScale");
  EXPECT_EQ(std::lround(base.energy_mj), 203);
  EXPECT_EQ(base.energy_ratio, 1);
  EXPECT_EQ(std::lround(tight.energy_mj), 340);
  EXPECT_NEAR(tight.energy_ratio, 1.67, 0.005);
  EXPECT_EQ(std::lround(loose.energy_mj), 361);
  EXPECT_NEAR(loose.energy_ratio, 3.97, 0.005);
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
  const Table1Row& row = table1_row("vgg11", Constraint::tight, "HACScale");
  EXPECT_CONTAINS(error_of<ConfigError>([&] { network_of(row); }), "vgg11 tight HACScale",
                  "not published");
  EXPECT_CONTAINS(error_of<ConfigError>([] { table1_row("vgg11", Constraint::tight, "VGG19"); }),
                  "vgg11 tight VGG19");
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
    const Architecture baseline = zoo(row.baseline);
    const Counters c = count(with_resolution(with_widths(baseline, w.widths), w.resolution));
    EXPECT_EQ(c.params, w.params);
    EXPECT_EQ(c.ops_thop2021, w.ops_thop2021);
    EXPECT_TRUE(agrees(row.printed.params, static_cast<double>(c.params) * 1e-6)) << c.params;
    EXPECT_TRUE(agrees(row.printed.ops, static_cast<double>(c.ops_thop2021) * 1e-6));
    const auto before = widths(baseline);
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

}  // namespace
}  // namespace hac
