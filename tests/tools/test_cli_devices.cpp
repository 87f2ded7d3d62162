// What asks how long networks take on a device, here, measured elsewhere or modelled: explain,
// calibrate, latency-table, sweep.

#include "engine/io/csv.h"
#include "scaling/latency/device_model.h"
#include "scaling/latency/latency.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

using CliDevices = Cli;

const Words tiny_times = "--networks 5 --ladder off --depths 2 --allow-unsteady";

TEST_F(CliDevices, ExplainPutsModelledDevicesBesideThisOne) {
  const Words explain =
      "explain" + tiny_model + " --device-model xavier,h100:eager --budgets 1.1,1.5 --out why";
  const json j = json_of(explain + tiny_times);
  ASSERT_EQ(j["devices"].size(), 3u);
  EXPECT_FALSE(j["devices"][0]["modelled"]);
  EXPECT_CONTAINS(j["devices"][1]["device"], "Xavier (modelled)", "eager");
  EXPECT_CONTAINS(j["devices"][2]["device"], "H100 SXM (modelled)", "eager");
  EXPECT_EQ(j["devices"][1]["dimensions"].size(), 3u);
  EXPECT_EQ(j["devices"][1]["dimensions"][0]["bought"][1]["budget"], 1.5);
  EXPECT_FALSE(j["devices"][1]["layers"].empty());
  EXPECT_EQ(json_in("why/explanation.json"), j);
  EXPECT_CONTAINS(slurp("why/index.html"), "<svg", "Jetson AGX Xavier (modelled)", "</html>");

  EXPECT_CONTAINS(succeed("explain" + tiny_model + " --latency-model none").out,
                  "Xavier (modelled), f32, roofline, graph launch", "H100", "Bound by");
}

TEST_F(CliDevices, CalibrateWritesAProfileThatExplainTakes) {
  const json j =
      json_of("calibrate" + tiny_model + " --profile desktop-cpu --out mine.json" + tiny_times);
  EXPECT_EQ(j["before"]["networks"], 7);
  EXPECT_EQ(j["after"]["networks"], 7);
  const DeviceProfile mine = load_device_profile("mine.json");
  EXPECT_EQ(mine.units, 1);  // the thread
  EXPECT_CONTAINS(mine.source.peak_gmacs, "fitted to 7 networks timed on");
  const json why =
      json_of("explain" + tiny_model + " --latency-model none --device-model mine.json");
  EXPECT_CONTAINS(why["devices"][0]["device"], "calibrated on", "(modelled)");
}

TEST_F(CliDevices, ExplainAndCalibrateRefuse) {
  expect_error("explain vgg11 --device-model xaver", 2, {"did you mean xavier?"});
  expect_error("explain vgg11 --device-model none.json", 1, {"none.json"});
  expect_error("explain vgg11 --latency-model none --budgets 1.4,1.1", 2,
               {"'budgets'", "ascending"});
  expect_error("calibrate vgg11", 2, {"--profile"});
  expect_error("calibrate vgg11 --profile xavier", 2, {"--out"});
  const Words to = "--out p.json";
  expect_error("calibrate vgg11 --profile desktop-cpu:graph" + to, 2, {"'launch_us.graph'"});
  expect_error("calibrate vgg11 --profile tx2 --from no.json" + to, 1, {"no.json"});
  write("p.json", "{}");
  expect_error("explain vgg11 --device-model p.json", 2, {"'name'", "got none"});
}

const Words table = "latency-table vgg11 --width 0.125 --ladder off --networks";
const Words scale = "scale" + tiny_model + " --method uniform-width --latency 2x --allow-unsteady";

TEST_F(CliDevices, ATableOfThisMachineSteersScale) {
  const json j = json_of(
      table + " 5 --resolutions 32 --threads 1 --runs 2 --warmup 0 --allow-unsteady --staircase 1" +
      " --out d.json");
  EXPECT_EQ(j["model"], "table");
  EXPECT_EQ(j["measured_on"]["threads"], 1);
  EXPECT_GE(j["error"]["networks"], 6);
  EXPECT_GT(j["spread"], 0);
  EXPECT_EQ(j["staircase"]["layers"].size(), 1u);
  EXPECT_EQ(j["staircase"]["layers"][0]["points"].size(), 24u);
  const LatencyModelPtr model = load_latency_model("d.json");
  EXPECT_EQ(model->networks.size(), 6u);
  EXPECT_GT(model->networks[0].timing.high_ms, 0);

  EXPECT_GT(json_of(scale + " --latency-model d.json")["latency_ms"], 0);
  // The other kind, from the file alone.
  EXPECT_EQ(json_of("latency-table --from d.json --kind regression --out r.json")["model"],
            "regression");
  EXPECT_GT(json_of(scale + " --latency-model r.json")["latency_ms"], 0);
}

TEST_F(CliDevices, TimesOfAnotherDeviceAreTakenWithConsent) {
  EXPECT_EQ(json_of(table + " 8 --resolutions 32 --list nets")["networks"], 9);
  std::string times = "network,ms\n";
  for (int i = 0; i < 9; ++i) {
    const std::string file = "net-00" + std::to_string(i) + ".json";
    const json s = json_of("summary nets/" + file);
    times += file + "," + std::to_string(0.1 + 1e-7 * s["macs"].get<double>()) + "\n";
  }
  write("nets/times.csv", times);
  const Words from = "latency-table vgg11 --width 0.125 --from nets/times.csv --out o.json";
  expect_error(from, 2, {"--device-name"});
  const json j = json_of(from + Words{"--device-name", "a phone", "--dtype", "f16"});
  EXPECT_EQ(j["measured_on"]["device"], "a phone");
  EXPECT_EQ(j["measured_on"]["dtype"], "f16");
  EXPECT_LT(j["error"]["worst"], 0.02);
  EXPECT_TRUE(j["staircase"].is_null());
  const Words there = scale + " --latency-model o.json";
  expect_error(there, 2, {"o.json", "a phone", "--foreign-latency"});
  EXPECT_GT(json_of(there + " --foreign-latency")["latency_ms"], 0.2);
  expect_error("latency-table resnet20 --from nets/times.csv --out x.json --device-name x", 2,
               {"times.csv", "line 2", "scaled from 'resnet20'"});
  EXPECT_FALSE(fs::exists("x.json"));
}

TEST_F(CliDevices, TheListCoversTwoSizesUnlessTold) {
  const json j = json_of(table + " 5 --list nets");
  EXPECT_EQ(j["networks"], 2 * (5 + 1));
  EXPECT_EQ(json_of("summary nets/net-011.json")["input"], json({1, 3, 48, 48}));
  EXPECT_CONTAINS(slurp("nets/README.md"), "times.csv");
}

TEST_F(CliDevices, LatencyTableRefuses) {
  expect_error("latency-table vgg11", 2, {"--out", "--list"});
  expect_error("latency-table --list l --out o", 2, {"--out"});
  expect_error("latency-table --list l --from t.csv", 2, {"--from"});
  expect_error("latency-table --out o --onnx", 2, {"--onnx", "--list"});
  expect_error("latency-table --out o --device-name x", 2, {"--device-name", "--from"});
  expect_error("latency-table --out no/o.json", 1, {"no/"});
  expect_error("latency-table --out o --from no.csv --device-name x", 1, {"no.csv"});
  expect_error("latency-table --out o --from no.json", 1, {"no.json"});
  expect_error("latency-table --out o --kind oracle", 2, {"oracle", "table"});
  expect_error("latency-table --list l --resolutions 8", 2, {"vgg11", "8"});
  EXPECT_FALSE(fs::exists("l"));
}

const Words tiny_net = "sweep resnet20 --base-width 0.5 --threads 1";

TEST_F(CliDevices, SweepOfWidthAgainstDepthAgainstResolution) {
  const json j = json_of(tiny_net + " --width 1:2:0.5 --depth 2 --resolution 24:48:24 --runs 3" +
                         " --warmup 0 --allow-unsteady --out s");
  ASSERT_EQ(j["rows"].size(), 1u + 2 + 1 + 2);
  EXPECT_EQ(j["modelled"], false);
  EXPECT_EQ(j["measured_on"]["threads"], 1);
  for (const json& row : j["rows"]) {
    EXPECT_LE(row["low_ms"], row["ms"]);
    EXPECT_GT(row["peak_fraction"], 0);
    EXPECT_EQ(row["modelled"], false);
  }
  EXPECT_EQ(json_in("s/sweep.json"), j);
  const Csv csv = parse_csv(slurp("s/sweep.csv"), "sweep.csv");
  EXPECT_EQ(csv.rows.size(), j["rows"].size());
  EXPECT_EQ(csv.columns[0], "dimension");
  for (const char* name : {"s/sweep.svg", "s/utilization.svg"}) {
    EXPECT_CONTAINS(slurp(name), "resolution", "xmlns");
  }
}

TEST_F(CliDevices, ASweptModelledDeviceIsCalledSoEverywhere) {
  const Words modelled = tiny_net + " --width 1,2 --device-model xavier";
  const json j = json_of(modelled + " --out m");
  EXPECT_EQ(j["modelled"], true);
  EXPECT_CONTAINS(j["measured_on"]["device"], "modelled");
  for (const json& row : j["rows"]) EXPECT_EQ(row["modelled"], true);
  for (const char* name : {"m/sweep.csv", "m/sweep.json", "m/sweep.svg", "m/utilization.svg"}) {
    EXPECT_CONTAINS(slurp(name), "modelled") << name;
  }
  const Csv csv = parse_csv(slurp("m/sweep.csv"), "sweep.csv");
  const auto column = std::find(csv.columns.begin(), csv.columns.end(), "modelled");
  for (const CsvRow& row : csv.rows) {
    EXPECT_EQ(row.cells.at(column - csv.columns.begin()), "true");
  }
  EXPECT_CONTAINS(succeed(modelled).out, "(modelled)");
}

TEST_F(CliDevices, SweepOfALayerAgainstItsWidth) {
  const json j = json_of(tiny_net + " --layer layer1.0.conv1 --width 8:40:4 --rounds 1 --out l");
  EXPECT_EQ(j["layer"], "layer1.0.conv1");
  EXPECT_EQ(j["points"].size(), 9u);
  EXPECT_CONTAINS(j["free"], "layer1.0.conv1");
  EXPECT_EQ(json_in("l/staircase.json"), j);
  EXPECT_EQ(parse_csv(slurp("l/staircase.csv"), "s").rows.size(), 9u);
  EXPECT_CONTAINS(slurp("l/staircase.svg"), "layer1.0.conv1");

  const Words modelled = tiny_net + " --layer layer1.0.conv1 --device-model h100";
  EXPECT_CONTAINS(json_of(modelled)["free"], "(modelled)");
  EXPECT_CONTAINS(succeed(modelled).out, "modelled");
}

TEST_F(CliDevices, SweepRefuses) {
  expect_error("sweep resnet20", 2, {"widths, depths or resolutions"});
  expect_error("sweep resnet20 --width 1:2", 2, {"'--width'", "from:to:step", "1:2"});
  expect_error("sweep vgg11 --resolution 24:64:8", 2, {"vgg11", "24"});
  expect_error("sweep vgg11 --layer features.9", 2, {"features.9", "did you mean"});
  expect_error("sweep vgg11 --layer features.8 --depth 2", 2, {"--width alone"});
  expect_error(tiny_net + " --layer layer1.0.conv1 --width 8,16 --rounds 1", 2,
               {"8 or more", "got 2"});
  expect_error("sweep resnet20 --width 1.01", 2, {"differ from 'resnet20'"});
  expect_error("sweep resnet20 --width x --out o", 2, {"'x'"});
  EXPECT_FALSE(fs::exists("o"));
  expect_error("sweep resnet20 --width 2 --device-model xavierr", 2, {"xavierr", "xavier"});
}

TEST_F(CliDevices, TrainingSaysWhereTensorCoresMissWidths) {
  const Words train =
      "train vgg11 --data synthetic --limit-train 10 --limit-test 10 --batch 10 --max-steps 1 "
      "--device simt";
  const Words uneven = " --widths 8,12,8,8,8,8,8,8", even = " --widths 8,16,8,8,8,8,8,8";
  const std::string note = "no multiple of 8";
  EXPECT_CONTAINS(succeed(train + Words(" --dtype bf16") + uneven).err, "note: 'vgg11'",
                  "2 convolutions", note, "first with 8 to 12");
  EXPECT_LACKS(succeed(train + Words(" --dtype bf16") + even).err, note);
  EXPECT_LACKS(succeed(train + uneven).err, note);
}

TEST_F(CliDevices, ProfilePredictsAStepOnAGpu) {
  // Nothing of it runs.
  const json j = json_of("profile resnet50 --trace counts --batch 128 --gpu h200");
  EXPECT_TRUE(j["launches"].empty());
  EXPECT_EQ(j["products"], 161);
  const Words small =
      "profile --device simt --trace step --dtype bf16 --batch 16 vgg11 --width 0.125";
  EXPECT_CONTAINS(
      succeed(small + Words(" --gpu orin --epoch-images 160 --epoch-test-images 0")).out,
      "predicted us", "Jetson AGX Orin (modelled", "160 images", "10 steps");
  expect_error(small + Words(" --gpu tx2"), 2, {"Jetson TX2", "peak_gmacs.bf16"});
  expect_error(small + Words(" --gpu desktop-cpu"), 2, {"--gpu", "of a CPU"});
  const std::string help = succeed("profile --help").out;
  EXPECT_CONTAINS(help, "a100, h100, h200, orin");
  EXPECT_LACKS(help, "desktop-cpu");
}

}  // namespace
}  // namespace hac
