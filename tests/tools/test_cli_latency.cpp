// Latency tables as a user makes them: of this machine, of times that were taken elsewhere.

#include "scaling/latency/latency.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using CliLatency = Cli;

const Words tiny_table = Words{"latency-table"} + tiny_model +
                         Words{"--networks", "5", "--resolutions", "32", "--ladder",        "off",
                               "--runs",     "2", "--warmup",      "0",  "--allow-unsteady"};

TEST_F(CliLatency, ATableOfThisMachineSteersScale) {
  const json j = json_of(tiny_table + Words{"--staircase", "1", "--out", path("d.json")});
  EXPECT_EQ(j["model"], "table");
  EXPECT_EQ(j["measured_on"]["threads"], 1);
  EXPECT_GE(j["error"]["networks"], 6);
  EXPECT_GT(j["spread"], 0);
  EXPECT_EQ(j["staircase"]["layers"].size(), 1u);
  EXPECT_EQ(j["staircase"]["layers"][0]["points"].size(), 24u);
  const LatencyModelPtr model = load_latency_model(path("d.json"));
  EXPECT_EQ(model->networks.size(), 6u);
  EXPECT_GT(model->networks[0].timing.high_ms, 0);

  const Words scale = Words{"scale"} + tiny_model +
                      Words{"--method", "uniform-width", "--latency", "2x", "--allow-unsteady"};
  EXPECT_GT(json_of(scale + Words{"--latency-model", path("d.json")})["latency_ms"], 0);
  // The other kind, from the file alone.
  EXPECT_EQ(json_of({"latency-table", "--from", path("d.json"), "--kind", "regression", "--out",
                     path("r.json")})["model"],
            "regression");
  EXPECT_GT(json_of(scale + Words{"--latency-model", path("r.json")})["latency_ms"], 0);
}

TEST_F(CliLatency, TimesOfAnotherDeviceAreTakenWithConsent) {
  const Words model{"latency-table", "vgg11", "--width", "0.125"};
  const Words networks{"--networks", "8", "--resolutions", "32", "--ladder", "off"};
  EXPECT_EQ(json_of(model + networks + Words{"--list", path("nets")})["networks"], 9);
  std::string table = "network,ms\n";
  for (int i = 0; i < 9; ++i) {
    const std::string file = "net-00" + std::to_string(i) + ".json";
    const json s = json_of({"summary", path("nets/" + file)});
    table += file + "," + std::to_string(0.1 + 1e-7 * s["macs"].get<double>()) + "\n";
  }
  write("nets/times.csv", table);
  const Words from = model + Words{"--from", path("nets/times.csv"), "--out", path("o.json")};
  expect_error(from, 2, {"--device-name"});
  const json j = json_of(from + Words{"--device-name", "a phone", "--dtype", "f16"});
  EXPECT_EQ(j["measured_on"]["device"], "a phone");
  EXPECT_EQ(j["measured_on"]["dtype"], "f16");
  EXPECT_LT(j["error"]["worst"], 0.02);
  EXPECT_TRUE(j["staircase"].is_null());
  const Words scale{"scale",         "vgg11",     "--width", "0.125",           "--method",
                    "uniform-width", "--latency", "2x",      "--latency-model", path("o.json")};
  expect_error(scale, 2, {"o.json", "a phone", "--foreign-latency"});
  EXPECT_GT(json_of(scale + Words{"--foreign-latency"})["latency_ms"], 0.2);
  expect_error(Words{"latency-table", "resnet20", "--from", path("nets/times.csv"), "--out",
                     path("x.json"), "--device-name", "x"},
               2, {"times.csv", "line 2", "scaled from 'resnet20'"});
  EXPECT_FALSE(fs::exists(path("x.json")));
}

TEST_F(CliLatency, TheListCoversTwoSizesUnlessTold) {
  const json j = json_of({"latency-table", "vgg11", "--width", "0.125", "--networks", "5",
                          "--ladder", "off", "--list", path("nets")});
  EXPECT_EQ(j["networks"], 2 * (5 + 1));
  EXPECT_EQ(json_of({"summary", path("nets/net-011.json")})["input"], json({1, 3, 48, 48}));
  EXPECT_CONTAINS(slurp(path("nets/README.md")), "times.csv");
}

TEST_F(CliLatency, BadUsageIsOneLine) {
  expect_error({"latency-table", "vgg11"}, 2, {"--out", "--list"});
  expect_error({"latency-table", "--list", path("l"), "--out", path("o")}, 2, {"--out"});
  expect_error({"latency-table", "--list", path("l"), "--from", "t.csv"}, 2, {"--from"});
  expect_error({"latency-table", "--out", path("o"), "--device-name", "x"}, 2,
               {"--device-name", "--from"});
  expect_error({"latency-table", "--out", path("no/o.json")}, 1, {path("no")});
  expect_error(
      {"latency-table", "--out", path("o"), "--from", path("no.csv"), "--device-name", "x"}, 1,
      {path("no.csv")});
  expect_error({"latency-table", "--out", path("o"), "--from", path("no.json")}, 1,
               {path("no.json")});
  expect_error({"latency-table", "--out", path("o"), "--kind", "oracle"}, 2, {"oracle", "table"});
  expect_error({"latency-table", "--list", path("l"), "--resolutions", "8"}, 2, {"vgg11", "8"});
  EXPECT_FALSE(fs::exists(path("l")));
}

}  // namespace
}  // namespace hac
