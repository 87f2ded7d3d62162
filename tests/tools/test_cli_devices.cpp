// Devices that are not here as a user asks for them: explain, calibrate.

#include "engine/io/file.h"
#include "scaling/latency/device_model.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using CliDevices = Cli;

const Words tiny_times{"--networks", "5", "--ladder", "off", "--depths", "2", "--allow-unsteady"};

TEST_F(CliDevices, ExplainPutsModelledDevicesBesideThisOne) {
  const Words explain =
      Words{"explain"} + tiny_model +
      Words{"--device-model", "xavier,h100:eager", "--budgets", "1.1,1.5", "--out", path("why")};
  const json j = json_of(explain + tiny_times);
  ASSERT_EQ(j["devices"].size(), 3u);
  EXPECT_FALSE(j["devices"][0]["modelled"]);
  EXPECT_CONTAINS(j["devices"][1]["device"].get<std::string>(), "Xavier (modelled)", "eager");
  EXPECT_CONTAINS(j["devices"][2]["device"].get<std::string>(), "H100 SXM (modelled)", "eager");
  EXPECT_EQ(j["devices"][1]["dimensions"].size(), 3u);
  EXPECT_EQ(j["devices"][1]["dimensions"][0]["bought"][1]["budget"], 1.5);
  EXPECT_FALSE(j["devices"][1]["layers"].empty());
  EXPECT_EQ(json::parse(read_file(path("why/explanation.json"))), j);
  EXPECT_CONTAINS(read_file(path("why/index.html")), "<svg", "Jetson AGX Xavier (modelled)",
                  "</html>");

  const Outcome o = run(Words{"explain"} + tiny_model + Words{"--latency-model", "none"});
  EXPECT_EQ(o.exit, 0);
  EXPECT_CONTAINS(o.out, "Xavier (modelled), f32, roofline, graph launch", "H100", "Bound by");
}

TEST_F(CliDevices, CalibrateWritesAProfileThatExplainTakes) {
  const Words calibrate = Words{"calibrate"} + tiny_model +
                          Words{"--profile", "desktop-cpu", "--out", path("mine.json")} +
                          tiny_times;
  const json j = json_of(calibrate);
  EXPECT_EQ(j["before"]["networks"], 7);
  EXPECT_EQ(j["after"]["networks"], 7);
  const DeviceProfile mine = load_device_profile(path("mine.json"));
  EXPECT_EQ(mine.units, 1);  // the thread
  EXPECT_CONTAINS(mine.source.peak_gmacs, "fitted to 7 networks timed on");
  const json why = json_of(Words{"explain"} + tiny_model +
                           Words{"--latency-model", "none", "--device-model", path("mine.json")});
  EXPECT_CONTAINS(why["devices"][0]["device"].get<std::string>(), "calibrated on", "(modelled)");
}

TEST_F(CliDevices, BadInputIsOneLine) {
  expect_error({"explain", "vgg11", "--device-model", "xaver"}, 2, {"did you mean xavier?"});
  expect_error({"explain", "vgg11", "--device-model", "xavier:slow"}, 2, {"eager or graph"});
  expect_error({"explain", "vgg11", "--device-model", path("none.json")}, 1, {"none.json"});
  expect_error({"explain", "vgg11", "--latency-model", "none", "--budgets", "1.4,1.1"}, 2,
               {"'budgets'", "ascending"});
  expect_error({"calibrate", "vgg11"}, 2, {"--profile"});
  expect_error({"calibrate", "vgg11", "--profile", "xavier"}, 2, {"--out"});
  const Words to{"--out", path("p.json")};
  expect_error(Words{"calibrate", "vgg11", "--profile", "desktop-cpu:graph"} + to, 2,
               {"'launch_us.graph'"});
  expect_error(Words{"calibrate", "vgg11", "--profile", "tx2", "--from", path("no.json")} + to, 1,
               {"no.json"});
  write("p.json", "{}");
  expect_error({"explain", "vgg11", "--device-model", path("p.json")}, 2, {"'name'", "got none"});
}

}  // namespace
}  // namespace hac
