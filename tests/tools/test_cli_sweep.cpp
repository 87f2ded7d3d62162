// Sweeps as a user runs them: of networks and of one layer, measured and modelled.

#include "engine/io/csv.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

using CliSweep = Cli;

const Words tiny_net{"sweep", "resnet20", "--base-width", "0.5", "--threads", "1"};

TEST_F(CliSweep, WidthAgainstDepthAgainstResolution) {
  const json j = json_of(tiny_net + Words{"--width", "1:2:0.5", "--depth", "2", "--resolution",
                                          "24:48:24", "--runs", "3", "--warmup", "0",
                                          "--allow-unsteady", "--out", path("s")});
  ASSERT_EQ(j["rows"].size(), 1u + 2 + 1 + 2);
  EXPECT_EQ(j["modelled"], false);
  EXPECT_EQ(j["measured_on"]["threads"], 1);
  for (const json& row : j["rows"]) {
    EXPECT_LE(row["low_ms"], row["ms"]);
    EXPECT_GT(row["peak_fraction"], 0);
    EXPECT_EQ(row["modelled"], false);
  }
  EXPECT_EQ(json::parse(slurp(path("s/sweep.json"))), j);
  const Csv csv = parse_csv(slurp(path("s/sweep.csv")), "sweep.csv");
  EXPECT_EQ(csv.rows.size(), j["rows"].size());
  EXPECT_EQ(csv.columns[0], "dimension");
  for (const char* name : {"s/sweep.svg", "s/utilization.svg"}) {
    EXPECT_CONTAINS(slurp(path(name)), "resolution");
    EXPECT_CONTAINS(slurp(path(name)), "xmlns");
  }
}

TEST_F(CliSweep, AModelledDeviceIsCalledSoEverywhere) {
  const Words modelled = tiny_net + Words{"--width", "1,2", "--device-model", "xavier"};
  const json j = json_of(modelled + Words{"--out", path("m")});
  EXPECT_EQ(j["modelled"], true);
  EXPECT_CONTAINS(std::string(j["measured_on"]["device"]), "modelled");
  for (const json& row : j["rows"]) EXPECT_EQ(row["modelled"], true);
  for (const char* name : {"m/sweep.csv", "m/sweep.json", "m/sweep.svg", "m/utilization.svg"}) {
    EXPECT_CONTAINS(slurp(path(name)), "modelled") << name;
  }
  const Csv csv = parse_csv(slurp(path("m/sweep.csv")), "sweep.csv");
  const auto column = std::find(csv.columns.begin(), csv.columns.end(), "modelled");
  for (const CsvRow& row : csv.rows) {
    EXPECT_EQ(row.cells[column - csv.columns.begin()], "true");
  }
  EXPECT_CONTAINS(succeed(modelled).out, "(modelled)");
}

TEST_F(CliSweep, ALayerAgainstItsWidth) {
  const json j = json_of(tiny_net + Words{"--layer", "layer1.0.conv1", "--width", "8:40:4",
                                          "--rounds", "1", "--out", path("l")});
  EXPECT_EQ(j["layer"], "layer1.0.conv1");
  EXPECT_EQ(j["points"].size(), 9u);
  EXPECT_CONTAINS(std::string(j["free"]), "layer1.0.conv1");
  EXPECT_EQ(json::parse(slurp(path("l/staircase.json"))), j);
  EXPECT_EQ(parse_csv(slurp(path("l/staircase.csv")), "s").rows.size(), 9u);
  EXPECT_CONTAINS(slurp(path("l/staircase.svg")), "layer1.0.conv1");

  const Words modelled = tiny_net + Words{"--layer", "layer1.0.conv1", "--device-model", "h100"};
  EXPECT_CONTAINS(std::string(json_of(modelled)["free"]), "(modelled)");
  EXPECT_CONTAINS(succeed(modelled).out, "modelled");
}

TEST_F(CliSweep, BadUsageIsOneLine) {
  expect_error({"sweep", "resnet20"}, 2, {"widths, depths or resolutions"});
  expect_error({"sweep", "resnet20", "--width", "1:2"}, 2, {"'--width'", "from:to:step", "1:2"});
  expect_error({"sweep", "resnet20", "--resolution", "24:64:0.5"}, 2, {"'--resolution'", "whole"});
  expect_error({"sweep", "vgg11", "--resolution", "24:64:8"}, 2, {"vgg11", "24"});
  expect_error({"sweep", "vgg11", "--layer", "features.9"}, 2, {"features.9", "did you mean"});
  expect_error({"sweep", "vgg11", "--layer", "features.8", "--depth", "2"}, 2, {"--width alone"});
  expect_error(tiny_net + Words{"--layer", "layer1.0.conv1", "--width", "8,16", "--rounds", "1"}, 2,
               {"8 or more", "got 2"});
  expect_error({"sweep", "resnet20", "--width", "1.01"}, 2, {"differ from 'resnet20'"});
  expect_error({"sweep", "resnet20", "--width", "x", "--out", path("o")}, 2, {"'x'"});
  EXPECT_FALSE(fs::exists(path("o")));
  expect_error({"sweep", "resnet20", "--width", "2", "--device-model", "xavierr"}, 2,
               {"xavierr", "xavier"});
}

}  // namespace
}  // namespace hac
