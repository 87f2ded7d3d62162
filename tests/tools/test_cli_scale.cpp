// hacscale scale by laws, by the formula of a method within limits, and by given coefficients;
// compare by methods under one budget, on trainings that several runs share.

#include <map>
#include <regex>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/importance/law.h"
#include "scaling/methods/method.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

// With laws of no training, on a device that is not here: nothing is timed.
class CliScale : public Cli {
 protected:
  CliScale() {
    std::vector<ImportanceLaw> laws;
    for (const std::string& name : width_names(zoo("vgg11"))) {
      laws.push_back({.layer = name, .a = 1, .b = -0.6 - 0.1 * static_cast<double>(laws.size())});
    }
    write("laws.json", to_json(laws));
  }

  const Words net = "scale vgg11 --widths 8,8,8,8,8,8,8,8 --device-model desktop-cpu";
  const Words by_laws = net + " --laws laws.json";
  const Words loose = "--latency 3x --params 1.5x --stride 4";
};

TEST_F(CliScale, ByLawsAndItsOptimum) {
  const json plan = json_of(by_laws + loose + " --out s");
  EXPECT_GT(plan["steps"].size(), 0u);
  EXPECT_EQ(json_of("summary s/architecture.json")["params"], plan["scaled"]["params"]);
  EXPECT_EQ(json_in("s/plan.json"), plan);
  const json slack = json_of(by_laws + loose + " --latency-slack 0.25");
  EXPECT_EQ(slack["budget"]["latency_slack"], 0.25);
  EXPECT_EQ(slack["budget"]["latency_ms"], plan["budget"]["latency_ms"]);
  const json best = json_of(by_laws + loose + " --method dp");
  EXPECT_GE(best["optimality"]["gain"], plan["optimality"]["gain"]);
  EXPECT_EQ(best["optimality"]["optimum"], plan["optimality"]["optimum"]);
  EXPECT_GT(plan["optimality"]["gap"], 0);
  EXPECT_CONTAINS(succeed(by_laws + loose).out, "% below ", " within the budget");
  const json preset = json_of(by_laws + " --preset paper --stride 4");
  EXPECT_EQ(preset["options"]["policy"], "paper");
  EXPECT_EQ(preset["options"]["stride"], 4) << "the preset won over an option";
}

TEST_F(CliScale, ByAFormulaWithinLimits) {
  const json wide = json_of(net + " --latency 3x --params 9x --method uniform-width --out u");
  EXPECT_GT(wide["w"], 1);
  EXPECT_LE(wide["latency_ms"], wide["latency_limit_ms"]);
  EXPECT_EQ(json_of("summary u/architecture.json")["params"], wide["params"]);
  const json growth = json_of(net + " --latency 3x --largest-growth 0.5");
  EXPECT_GT(growth["s"], 1);
  EXPECT_GE(growth["resolution"], 32);
  EXPECT_LE(growth["latency_ms"], growth["latency_limit_ms"]);
  EXPECT_EQ(json_of(net + " --latency 3x --params 99x --method compound --given 0.5")["s"],
            growth["s"]);
}

// Zagoruyko's row of Table I, Tan's, and what has no formula.
TEST_F(CliScale, ByCoefficients) {
  const Words scale = "scale preact_resnet18 --classes 1000 --method";
  const Words uniform = scale + " uniform-width --coefficients";
  const json wide = json_of(uniform + " 1.18");
  EXPECT_EQ(wide["params"], 16331792);
  EXPECT_EQ(wide["widths"][16], 608);
  EXPECT_EQ(json_of(uniform + " 1.3 --width-multiple 2")["params"], 19538244);
  EXPECT_EQ(json_of(uniform + " 1.18 --scale-stem off")["widths"][0], 64);
  expect_error(scale + " greedy-enlarge --coefficients 1.5", 2, {"no formula"});
  expect_error(scale + " compound --coefficients 1.5", 2, {"alpha, s"});
}

// What the uniform network of Eq. 3 spends on every layer, spent by the laws.
TEST_F(CliScale, ByTheCoefficientsOfEquation3) {
  const Words grown = "--stride 4 --width-multiple 4 --coefficients 0.5,4";
  const json uniform = json_of(net + grown + " --method compound");
  const json best = json_of(by_laws + grown + " --method dp");
  for (const char* method : {"hacscale", "hacscale-cost", "dp"}) {
    SCOPED_TRACE(method);
    const json plan = json_of(by_laws + grown + " --method" + method);
    EXPECT_EQ(plan["resolution"], uniform["resolution"]);
    EXPECT_GT(plan["scaled"]["params"], plan["baseline"]["params"]);
    EXPECT_LE(plan["scaled"]["params"], uniform["params"]);
    EXPECT_EQ(plan["budget"]["params"], uniform["params"]);
    EXPECT_LE(plan["optimality"]["gain"], best["optimality"]["gain"]);
  }
  EXPECT_TRUE(json_of(by_laws + " --coefficients 1,4")["steps"].empty()) << "all to resolution";
  expect_error(by_laws + " --coefficients 0.5", 2, {"alpha, s", "1 values"});
  expect_error(by_laws + " --coefficients 2,4", 2, {"alpha", "2"});
  expect_error(by_laws + " --coefficients 0.5,0.5", 2, {"'s'", "0.5"});
  expect_error(net + " --coefficients 0.5,4", 2, {"--laws", "none"});
}

TEST_F(CliScale, BadInputIsOneLine) {
  expect_error(net + " --method wider", 2, {"--method", "wider"});
  expect_error(net + " --method compound --given 1,2", 2, {"--given", "2"});
  expect_error(net, 2, {"--laws", "none"});
  expect_error(by_laws + " --largest-growth 2", 2, {"--largest-growth", "2"});
  expect_error(by_laws + " --latency-slack -1", 2, {"--latency-slack", "-1"});
  expect_error(by_laws + " --latency 0.5x", 2, {"latency budget", "at least"});
  expect_error(by_laws + " --params 1000", 2, {"parameter budget", "at least"});
  expect_error(by_laws + " --latency fast", 2, {"latency budget", "fast"});
  expect_error("scale vgg13 --laws laws.json", 2, {"laws.json", "vgg13"});
  json zeros = json_in("laws.json");
  for (json& law : zeros["laws"]) law["a"] = 0;
  write("zeros.json", zeros.dump());
  expect_error(net + " --laws zeros.json", 2, {"zeros.json", "importance above 0"});
}

// Weights and peak activations of one image, where latency and parameters leave room.
TEST_F(CliScale, ByMemory) {
  const Words wide =
      "scale vgg11 --width 0.25 --device-model desktop-cpu --latency 99x --params 99x --method "
      "uniform-width --memory";
  const json n = json_of(wide + "8MiB --out m");
  EXPECT_EQ(n["stop"], "memory");
  EXPECT_EQ(n["feasible"], true);
  EXPECT_LE(n["memory_bytes"], 8 << 20);
  EXPECT_GT(n["memory_bytes"], 7 << 20);
  const Counters counted = count(load_architecture("m/architecture.json"));
  EXPECT_EQ(n["memory_bytes"], counted.weight_bytes + counted.peak_activation_bytes);
  const Outcome text = succeed(wide + "8MiB");
  EXPECT_TRUE(std::regex_search(text.out, std::regex("stopped by +memory\n"))) << text.out;
  EXPECT_CONTAINS(text.out, "MiB of weights and peak activations");
  EXPECT_LACKS(text.err, "infeasible");

  const json plan = json_of(by_laws + "--latency 99x --params 99x --stride 4 --memory 1.5x");
  EXPECT_EQ(plan["stop"], "memory");
  EXPECT_GT(plan["scaled"]["memory_bytes"], plan["baseline"]["memory_bytes"]);
  EXPECT_LE(plan["scaled"]["memory_bytes"], plan["budget"]["memory_bytes"]);

  const Outcome none = succeed(wide + "1.001x --json");
  EXPECT_EQ(json::parse(none.out)["feasible"], false);
  EXPECT_EQ(json::parse(none.out)["stop"], "infeasible");
  EXPECT_CONTAINS(none.err, "warning: ", "uniform-width", "no network but the baseline", "budget");
  expect_error(wide + "1MiB", 2, {"memory budget", "at least the baseline's", "1048576"});
}

class CliCompare : public Cli {
 protected:
  // Name and time of writing of each file.
  std::map<std::string, fs::file_time_type> trainings() const {
    std::map<std::string, fs::file_time_type> files;
    for (const auto& entry : fs::recursive_directory_iterator("trainings")) {
      if (entry.is_regular_file()) files[entry.path()] = entry.last_write_time();
    }
    return files;
  }

  // All but what the refused ones give another value of.
  const Words compare =
      "compare vgg11 --widths 8,8,8,8,8,8,8,8 --data synthetic --limit-train 64 --limit-test 20 "
      "--epochs 1 --batch 16 --proxy-epochs 1 --latency 1.5x --threads 1 --trainings trainings";
  const Words seeds = "--seeds 1", proxies = "--proxy-validation 20";
  const Words modelled = "--device-model desktop-cpu";
};

TEST_F(CliScale, SaysWhatPredictedTheLatency) {
  const Words scale = "scale vgg11 --width 0.125 --method uniform-width --latency 1.4x";
  const Words modelled = scale + " --device-model xavier";
  EXPECT_CONTAINS(json_of(modelled)["latency_by"].get<std::string>(), "Xavier (modelled)");
  EXPECT_CONTAINS(succeed(modelled).out, "Xavier (modelled)");
}

TEST_F(CliCompare, TrainsAndTellsWhatIsModelled) {
  const Words command = compare + seeds + proxies + modelled +
                        " --methods uniform-width,hacscale,dp,neuralscale --out";
  const Outcome table = succeed(command + "a");
  EXPECT_CONTAINS(table.out, "uniform width", "hacscale (plain)", "NeuralScale", "report: ");
  const json results = json_in("a/results.json");
  EXPECT_CONTAINS(results["modelled"], "(modelled)");
  ASSERT_EQ(results["table"].size(), 5U);
  const double limit = results["budget"]["latency_ms"];
  for (const json& row : results["table"]) {
    EXPECT_TRUE(row["measured_ms"]["modelled"]) << row["key"];
    EXPECT_EQ(row["measured_ms"]["median"], row["predicted_ms"]) << row["key"];
    if (row["limit"] != "infeasible") {
      EXPECT_LE(row["predicted_ms"], limit) << row["key"];
    }
    EXPECT_EQ(row["top1"]["values"].size(), 1U);
    EXPECT_EQ(row["weights"].size(), 0U) << "results alone are kept where they are shared";
  }
  EXPECT_EQ(results["table"][1]["search"]["trainings"], 0);
  const json law = results["table"][2];
  EXPECT_EQ(law["key"], "hacscale");
  EXPECT_GT(law["search"]["trainings"], 4);
  EXPECT_GT(law["search"]["cpu_seconds"], 0);
  EXPECT_EQ(results["table"][4]["search"]["trainings"], 1) << "one pruning";

  const auto kept = trainings();
  const json again = json_of(command + "b");
  EXPECT_TRUE(trainings() == kept) << "something was trained again";
  EXPECT_EQ(again["table"], results["table"]);
}

TEST_F(CliCompare, AllIsEveryMethod) {
  succeed(compare + seeds + proxies + modelled + " --memory 2x --methods all --quiet --out a");
  const json results = json_in("a/results.json");
  std::vector<std::string> keys, expected{"baseline"};
  for (const json& row : results["table"]) {
    keys.push_back(row["key"]);
    if (row["limit"] != "infeasible" && row["key"] != "hacscale-paper") {  // one step over
      EXPECT_LE(row["memory_bytes"], results["budget"]["memory_bytes"]) << row["key"];
    }
  }
  for (const Method& method : methods()) expected.push_back(method.key);
  EXPECT_EQ(keys, expected);
  EXPECT_CONTAINS(slurp("a/report/index.html"), "memory budget");
}

TEST_F(CliCompare, ChoosesNetworksAndTrainsThemLater) {
  const Words command =
      compare + seeds + proxies + modelled + " --methods uniform-width,lacs --out a ";
  const Outcome table = succeed(command + "--networks-only");
  EXPECT_CONTAINS(table.out, "uniform width", "LACS", "7700X (modelled)", "parameters",
                  "LACS: alpha", "note: the latency model does not say its error",
                  "hacscale train a/architecture-METHOD.json");
  EXPECT_FALSE(fs::exists("a/results.json"));
  const json chosen = json_in("a/chosen.json");
  ASSERT_EQ(chosen["networks"].size(), 3U);
  EXPECT_EQ(chosen["networks"][0]["key"], "baseline");
  const json& lacs = chosen["networks"][2];
  EXPECT_GT(lacs["search"]["trainings"], 0);
  const auto trained = std::distance(fs::directory_iterator("trainings"), {});
  EXPECT_EQ(trained, lacs["search"]["trainings"]) << "the networks themselves are not";
  EXPECT_LE(lacs["predicted_ms"], chosen["budget"]["latency_ms"]);
  const Architecture arch = load_architecture("a/architecture-lacs.json");
  EXPECT_EQ(lacs["params"], count(arch).params);
  EXPECT_EQ(lacs["macs"], count(arch).macs);
  EXPECT_EQ(json_of(command + "--networks-only"), chosen);

  succeed(command + "--quiet");
  const json row = json_in("a/results.json")["table"][2];
  EXPECT_EQ(row["key"], "lacs");
  EXPECT_EQ(row["params"], lacs["params"]);
  EXPECT_EQ(row["predicted_ms"], lacs["predicted_ms"]);
}

TEST_F(CliCompare, RefusesWhatItCannotDo) {
  expect_error(compare, 2, {"'--out'"});
  const Words to = compare + " --out a";
  expect_error(to + seeds + proxies + modelled + " --methods hacscal", 2,
               {"did you mean hacscale?"});
  expect_error(to + seeds + proxies + " --device-model xavie", 2, {"xavier"});
  expect_error(to + proxies + modelled + " --seeds 1,1", 2, {"different seeds"});
  expect_error(to + seeds + proxies + modelled + " --memory 64MB", 2, {"memory"});
  expect_error(to + seeds + modelled + " --proxy-validation 2", 2, {"validation"});
  expect_error(to + " --max-steps 1", 2, {"'--max-steps'", "unknown"});
}

}  // namespace
}  // namespace hac
