// The program as a user calls it: help, results, interrupted and resumed runs.

#include <set>

#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

void expect_keys(const json& j, const Words& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(j.contains(key)) << key << " in " << j.dump();
}

const Words verbs = {"run",        "train",         "eval",  "infer", "summary", "profile",
                     "importance", "latency-table", "sweep", "scale", "table1",  "calibrate",
                     "explain",    "report",        "data",  "doctor"};

TEST_F(Cli, EveryVerbHelpsWithAnExample) {
  for (const std::string& verb : verbs) {
    const Outcome o = run({verb, "--help"});
    EXPECT_EQ(o.exit, 0) << verb;
    EXPECT_CONTAINS(o.out, "Example: hacscale " + verb);
    EXPECT_CONTAINS(o.out, "--json") << verb;
    EXPECT_EQ(o.err, "") << verb;
  }
  const Outcome all = run({"--help"});
  EXPECT_EQ(all.exit, 0);
  for (const std::string& verb : verbs) EXPECT_CONTAINS(all.out, verb);
  EXPECT_EQ(run({"--version"}).out.rfind("hacscale 0.", 0), 0u);
}

// The options of fields: tests/tools/test_fields.cpp.
TEST_F(Cli, BadUsageIsOneLineAndExitTwo) {
  expect_error({}, 2, {"expected one of", "--help"});
  expect_error({"trian"}, 2, {"'trian'", "did you mean train?"});
  expect_error({"train", "--epoch", "3"}, 2, {"'--epoch'", "did you mean --epochs?"});
  expect_error({"train", "--epochs", "many"}, 2, {"--epochs", "many"});
  expect_error({"train", "--epochs", "-1"}, 2, {"epochs", "-1"});
  expect_error({"train", "--schedule", "poly"}, 2, {"--schedule", "poly", "cosine"});
  expect_error({"train", "--augment", "mixup"}, 2, {"--augment", "mixup", "standard"});
  expect_error({"train", "--resume"}, 2, {"--resume", "--out"});
  expect_error({"train", "--select", "best"}, 2, {"select", "--validation 0.1"});
  expect_error(tiny_train + Words{"--validation", "4"}, 2, {"'--validation'", "10 classes", "4"});
  expect_error(tiny_train + Words{"--launch", "graph"}, 2, {"graph", "cpu"});
  expect_error({"train", "--data", "mnits"}, 2, {"mnits", "fashion-mnist"});
  expect_error({"summary", "vgg12"}, 2, {"vgg12", "did you mean vgg11?"});
  expect_error({"summary", "vgg11", "resnet18"}, 2, {"resnet18"});
  expect_error({"summary", "--widths", "8,x"}, 2, {"--widths", "8,x"});
  expect_error({"summary", "--count", "thop"}, 2, {"--count", "totals or all", "thop"});
  expect_error({"summary", "--widths", "8,8"}, 2, {"vgg11", "8"});
  expect_error({"summary", "--width", "0"}, 2, {"width", "0"});
  expect_error({"summary", "--width", "2", "--widths", "8"}, 2, {"--width", "--widths"});
  expect_error({"summary", "--resolution", "16"}, 2, {"vgg11", "16"});
  expect_error({"eval"}, 2, {"checkpoint"});
  expect_error({"infer"}, 2, {"CHECKPOINT IMAGE"});
  expect_error({"infer", "only.safetensors"}, 2, {"no image"});
  expect_error({"run"}, 2, {"quick"});
  expect_error({"run", "quik", "--out", path("r")}, 2, {"quik", "did you mean quick?"});
  expect_error({"run", "quick"}, 2, {"--out"});
  EXPECT_FALSE(fs::exists(path("r")));
}

TEST_F(Cli, Table1StandsBesideOurNetworks) {
  const json j = json_of({"table1"});
  ASSERT_EQ(j["rows"].size(), 24u);
  const json& uniform = j["rows"][1];
  EXPECT_EQ(uniform["method"], "Zagoruyko");
  EXPECT_EQ(uniform["printed"]["params"], 16.33);
  EXPECT_EQ(uniform["counts"]["ops_thop2021"], 2365947584);
  EXPECT_EQ(uniform["match"], "exact");
  expect_keys(uniform["counts"], {"params", "macs", "ops_fvcore", "ops_ptflops"});
  expect_keys(uniform, {"widths", "energy_mj", "energy_ratio", "modelled_latency"});
  EXPECT_EQ(j["rows"][4]["method"], "HACScale");
  EXPECT_FALSE(j["rows"][4].contains("counts"));
  EXPECT_EQ(j["slips"].size(), 11u);
  EXPECT_EQ(j["witnesses"].size(), 4u);
  expect_keys(j["witnesses"][0], {"row", "widths", "highest_resolution", "modelled_latency"});
  EXPECT_CONTAINS(j["modelled"][0]["device"].get<std::string>(), "Xavier", "(modelled)");
  // The two rows of ResNet18 whose printed latency is twice that of their neighbours.
  EXPECT_EQ(j["modelled"][0]["unexplained"],
            json({"preact_resnet18 loose Zagoruyko", "preact_resnet18 loose Tan"}));

  const std::string text = succeed({"table1"}).out;
  EXPECT_CONTAINS(text, "16.3318", "2365.948", "Xavier (modelled)", "Slips", "resolution",
                  "Fitted to half");
  expect_error({"table1", "vgg11"}, 2, {"vgg11"});
}

TEST_F(Cli, SummaryCountsAndTakesArchitectures) {
  const json j = json_of({"summary", "vgg11"});
  expect_keys(j, {"params", "macs", "ops_thop2021", "activations", "layers"});
  EXPECT_EQ(j["params"], 9231114);  // spec 5, exact
  EXPECT_EQ(j["ops_thop2021"], 153224192);
  EXPECT_GT(j["layers"].size(), 8u);
  EXPECT_EQ(json_of({"summary", "--model", "vgg11"}), j);
  expect_keys(json_of({"summary", "vgg11", "--count", "all"}), {"ops_fvcore", "ops_ptflops"});
  const json narrow = json_of({"summary", "vgg11", "--widths", "8,16,24,24,32,32,40,40",
                               "--classes", "7", "--in-channels", "1", "--resolution", "40"});
  EXPECT_EQ(narrow["input"], json({1, 1, 40, 40}));
  EXPECT_EQ(narrow["layers"][0]["output"][1], 8);
  EXPECT_EQ(narrow["layers"].back()["output"][1], 7);

  ASSERT_EQ(run({"summary", "resnet20", "--blocks", "2,2,2", "--save", path("a.json")}).exit, 0);
  EXPECT_EQ(json_of({"summary", path("a.json")})["params"],
            json_of({"summary", "resnet20", "--blocks", "2,2,2"})["params"]);
}

TEST_F(Cli, ProfileMeasures) {
  const json j = json_of(Words{"profile"} + tiny_model + Words{"--runs", "5", "--warmup", "1"});
  expect_keys(j, {"latency_ms", "gmacs_per_s", "peak_fraction", "layers"});
  EXPECT_LE(j["multiplications"], j["macs"]);
  EXPECT_NEAR(j["peak_fraction"],
              double(j["multiplied_gmacs_per_s"]) / double(j["peak_gmacs_per_s"]), 1e-12);
  EXPECT_CONTAINS(std::string(j["peak_of"]), std::string(j["isa"]));
  EXPECT_CONTAINS(std::string(j["peak_of"]), "threads");
  expect_keys(j["latency_ms"], {"mean", "median", "p95", "runs"});
  EXPECT_EQ(j["latency_ms"]["runs"], 5);
  EXPECT_GT(j["latency_ms"]["median"], 0);
  EXPECT_GT(j["peak_fraction"], 0);
  EXPECT_GT(j["layers"].size(), 8u);
}

// What a kernel must move is known for two of them: SGD reads 12 bytes a parameter and writes 8,
// and the 16-bit copy of the convolutions' and the linear layer's.
TEST_F(Cli, ProfileTracesTheKernelsOfAStep) {
  const Words base = Words{"profile"} + tiny_model + Words{"--device", "simt", "--trace", "step"};
  const std::int64_t params = json_of({"summary", "vgg11", "--width", "0.125"})["params"];
  for (const char* dtype : {"f32", "f16"}) {
    const json j = json_of(base + Words{"--batch", "2", "--dtype", dtype});
    std::set<std::string> kernels;
    for (const json& launch : j["launches"]) {
      kernels.insert(launch["kernel"]);
      for (const char* kind : {"load", "store"}) {
        const std::string name = kind;
        EXPECT_LE(launch["distinct_" + name + "_bytes"], 32 * launch[name + "_sectors"].get<int>());
      }
      if (launch["kernel"] != "sgd") continue;
      EXPECT_GE(launch["load_bytes"], 12 * params);
      EXPECT_GE(launch["store_bytes"], 8 * params);
      EXPECT_LT(launch["store_bytes"], (std::string(dtype) == "f16" ? 10 : 8) * params + 1);
      EXPECT_NEAR(launch["distinct_load_bytes"].get<double>(), 12. * params, 4096);
    }
    for (const char* name : {"batchnorm_apply", "max_pool_backward", "softmax_xent", "sgd"}) {
      EXPECT_TRUE(kernels.contains(name)) << name << " " << dtype;
    }
    EXPECT_EQ(kernels.contains("unscale"), std::string(dtype) == "f16");
  }
  const std::string table = run(base + Words{"--batch", "2"}).out;
  EXPECT_CONTAINS(table, "least KiB");
}

TEST_F(Cli, ProfileReplaysAGraphWhereTheDeviceRecords) {
  const Words base = Words{"profile"} + tiny_model + Words{"--runs", "2", "--warmup", "1"};
  for (const std::string mode : {"eager", "graph"}) {
    const json j = json_of(base + Words{"--device", "simt", "--launch", mode});
    EXPECT_EQ(j["launch"], mode);
    EXPECT_TRUE(j["peak_gmacs_per_s"].is_null() && j["peak_fraction"].is_null());
    EXPECT_CONTAINS(std::string(j["peak_of"]), "simt");
    for (const char* key :
         {"latency_ms", "event_latency_ms", "cold_latency_ms", "cold_event_latency_ms"}) {
      EXPECT_GT(j[key]["median"], 0) << key;
    }
  }
  EXPECT_EQ(json_of(base)["launch"], "eager");
  expect_error(base + Words{"--launch", "graph"}, 2, {"graph", "cpu", "--launch eager"});
  expect_error(base + Words{"--launch", "lazy"}, 2, {"--launch", "lazy"});
}

TEST_F(Cli, DoctorExamines) {
  ::setenv("HAC_PLAN_CACHE", path("none.txt").c_str(), 1);
  const json j = json_of({"doctor", "--threads", "1"});
  expect_keys(j, {"isa", "threads", "threads_from", "cores", "cpu_quota", "cpu_quota_from",
                  "memory_limit_bytes", "memory_limit_from", "peak_gmacs_per_s",
                  "bandwidth_gb_per_s", "libraries", "data"});
  EXPECT_EQ(j["threads"], 1);
  EXPECT_GT(j["peak_gmacs_per_s"], 0);
  EXPECT_EQ(run({"doctor"}).exit, 0);
  EXPECT_FALSE(j.contains("plan_cache"));
  ::setenv("HAC_PLAN_CACHE", path("plans.txt").c_str(), 1);
  write("plans.txt", "not plans\n");
  const Outcome o = succeed({"doctor"});
  EXPECT_CONTAINS(o.out, "tuned plans '" + path("plans.txt") + "', line 1");
  ::unsetenv("HAC_PLAN_CACHE");
}

TEST_F(Cli, TrainThenEvalThenInfer) {
  const Outcome o = succeed(tiny_train + Words{"--epochs", "2", "--lr", "0.05", "--validation",
                                               "0.25", "--out", path("r")});
  EXPECT_CONTAINS(o.err, "threads", "vgg11", "synthetic", "cosine", "next: hacscale eval",
                  "120 training, 40 validation, 100 test images", "epoch 1/2  validation loss",
                  "test top-1 of the epoch selected by validation");
  EXPECT_CONTAINS(o.out, "selected by validation", "validation top-1", "test top-1", "best.saf");
  for (const char bad : {'\r', '\x1b'}) {
    EXPECT_EQ((o.out + o.err).find(bad), std::string::npos) << "no terminal, yet redrawn";
  }
  for (const char* name :
       {"config.json", "architecture.json", "log.jsonl", "last.safetensors", "best.safetensors"}) {
    EXPECT_TRUE(fs::exists(path("r") + "/" + name)) << name;
  }
  EXPECT_EQ(lines_of(path("r/log.jsonl")).size(), 3u) << "two epochs and the result";

  const std::string last = path("r/best.safetensors");
  const json eval = json_of({"eval", last, "--limit-test", "100"});
  expect_keys(eval, {"loss", "top1", "top1_interval95", "top5", "images"});
  EXPECT_EQ(eval["images"], 100);
  EXPECT_LT(eval["top1_interval95"][0], eval["top1"]);
  EXPECT_GT(eval["top1_interval95"][1], eval["top1"]);
  EXPECT_EQ(eval["data"], "synthetic");
  std::string log = slurp(path("r/log.jsonl"));
  log.pop_back();
  const json epoch = json::parse(log.substr(log.rfind('\n') + 1));
  EXPECT_EQ(eval["top1"], epoch["test_top1"]);

  write("grey.png", testing::png(std::string(41 * 40, '\x00'), 40, 40, 8, 0));
  write("red.jpg", testing::jpeg(std::vector<std::uint8_t>(3 * 30 * 20, 90), 30, 20));
  const json seen = json_of({"infer", last, path("grey.png"), path("red.jpg")});
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0]["top"].size(), 5u);
  double sum = 0;
  for (const json& guess : seen[1]["top"]) {
    expect_keys(guess, {"class", "index", "probability"});
    sum += guess["probability"].get<double>();
  }
  EXPECT_GT(sum, 0.5);
  EXPECT_LE(sum, 1 + 1e-9);
  const Outcome text = run({"infer", "--checkpoint", last, path("red.jpg")});
  EXPECT_CONTAINS(text.out, " %  ");
}

TEST_F(Cli, TrainPrintsOneJsonObject) {
  const json j = json_of(tiny_train + Words{"--epochs", "1"});
  expect_keys(
      j, {"model", "data", "params", "steps", "test_loss", "top1", "top5", "select", "accuracy"});
  EXPECT_EQ(j["accuracy"], "test top-1 of the last epoch");
  const json held = json_of(tiny_train + Words{"--epochs", "1", "--validation", "32"});
  EXPECT_EQ(held["select"], "best");
  EXPECT_EQ(held["steps"], 8);
  EXPECT_EQ(held["validation"]["images"], 32);
  EXPECT_EQ(held["validation"]["accuracy"], "validation top-1 of the best epoch");
  EXPECT_EQ(j["steps"], 10);
  EXPECT_EQ(j["images"], 100);
}

TEST_F(Cli, InitialWeightsStepsAndGradientsForOtherPrograms) {
  const Words plain = tiny_train + Words{"--augment", "none", "--shuffle", "off", "--quiet"};
  ASSERT_EQ(run(plain + Words{"--max-steps", "0", "--out", path("zero")}).exit, 0);
  const std::string start = path("zero/last.safetensors");
  ASSERT_TRUE(fs::exists(start));
  // Other seed, same weights given: the same training.
  const auto steps = [&](const char* seed, const std::string& out) {
    return plain + Words{"--max-steps",      "3",           "--seed", seed, "--init", start,
                         "--save-gradients", out + ".grad", "--out",  out};
  };
  ASSERT_EQ(run(steps("0", path("a"))).exit, 0);
  ASSERT_EQ(run(steps("7", path("b"))).exit, 0);
  EXPECT_EQ(slurp(path("a.grad")), slurp(path("b.grad")));
  EXPECT_CONTAINS(slurp(path("a.grad")), "features.0.weight");
  EXPECT_NE(slurp(path("a/last.safetensors")), slurp(start));
  expect_error(plain + Words{"--init", path("none")}, 1, {path("none")});
}

TEST_F(Cli, EqualTrainingsWriteEqualFiles) {
  EXPECT_EQ(slurp(checkpoint("a")), slurp(checkpoint("b")));
}

// The run that the interrupted ones below must match, byte for byte.
class CliResume : public Cli {
 protected:
  Words training(const std::string& out) const {
    return Words{"train"} + tiny_model +
           Words{"--data",       "synthetic", "--limit-train", "480",    "--limit-test", "100",
                 "--batch",      "16",        "--epochs",      "8",      "--seed",       "3",
                 "--validation", "80",        "--out",         path(out)};
  }

  // Starts the training, sends `signal` when two epochs are logged, and gives how it ended.
  Outcome stop_with(int signal, const std::string& out) const {
    Program program(folder_.path(), training(out));
    EXPECT_TRUE(program.wait_until([&] { return lines_of(path(out + "/log.jsonl")).size() >= 2; }));
    program.send(signal);
    return program.wait();
  }

  void expect_resumed_equals_whole(const std::string& out) const {
    EXPECT_LT(lines_of(path(out + "/log.jsonl")).size(), 8u) << "the run ended before the signal";
    succeed(training(out) + Words{"--resume"});
    ASSERT_EQ(run(training("whole")).exit, 0);
    for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
      const std::string resumed = slurp(path(out + name));
      EXPECT_GT(resumed.size(), 1000u);
      EXPECT_TRUE(resumed == slurp(path("whole") + name)) << name << " differs";
    }
    EXPECT_EQ(lines_of(path(out + "/log.jsonl")).size(), 9u) << "eight epochs and the result";
  }
};

TEST_F(CliResume, AfterKillItEndsInTheSameBytes) {
  const Outcome killed = stop_with(SIGKILL, "killed");
  ASSERT_EQ(killed.signal, SIGKILL) << killed.err;
  expect_resumed_equals_whole("killed");
}

TEST_F(CliResume, AfterCtrlCItSaysHowAndEndsInTheSameBytes) {
  const Outcome stopped = stop_with(SIGINT, "stopped");
  EXPECT_EQ(stopped.exit, 130) << stopped.err;
  EXPECT_EQ(stopped.out, "");
  EXPECT_CONTAINS(stopped.err, "resume with: hacscale train vgg11", "--resume)");
  expect_resumed_equals_whole("stopped");
}

TEST_F(CliResume, ResumeRefusesAnotherTraining) {
  checkpoint("r");
  const Words other = tiny_train + Words{"--epochs", "2", "--out", path("r")};
  const std::string before = slurp(path("r/last.safetensors"));
  expect_error(other, 2, {"--out", "--resume"});
  expect_error(other + Words{"--quiet", "--resume", "--lr", "0.3"}, 2, {"schedule"});
  expect_error(Words{"train", "vgg13", "--batch", "16", "--quiet", "--resume", "--out", path("r")} +
                   tiny_data,
               2, {"last.safetensors", "another architecture"});
  EXPECT_EQ(slurp(path("r/last.safetensors")), before);
  EXPECT_EQ(run(other + Words{"--overwrite"}).exit, 0);
}

// Importance of five widths, their laws, a latency table and Algorithm 1, all by hand.
TEST_F(Cli, ImportanceThenLawsThenScale) {
  Words files;
  for (const char* widths :
       {"8,8,8,8,8,8,8,8", "16,8,16,12,12,16,8,12", "12,16,12,16,16,8,16,16"}) {
    const Outcome o = succeed(Words{"importance", "vgg11", "--widths", widths, "--threads", "1",
                                    "--batch", "16", "--epochs", "1", "--quiet", "--json"} +
                              tiny_data);
    const json j = json::parse(o.out);
    ASSERT_EQ(j["layers"].size(), 8u);
    EXPECT_EQ(j["layers"][0]["kernels"].size(), j["layers"][0]["width"]);
    files.push_back(path("w" + std::to_string(files.size()) + ".json"));
    std::ofstream(files.back()) << o.out;
  }
  const Outcome fit = succeed(Words{"importance", "--json", "--fit"} + files);
  write("laws.json", fit.out);
  EXPECT_EQ(json::parse(fit.out)["laws"].size(), 8u);

  const Words scale = {"scale",           "vgg11",     "--widths", "8,8,8,8,8,8,8,8", "--laws",
                       path("laws.json"), "--threads", "1",        "--allow-unsteady"};
  const Words loose = {"--latency", "3x", "--params", "1.5x", "--stride", "4"};
  const Outcome plan =
      succeed(scale + loose + Words{"--networks", "5", "--out", path("s"), "--json"});
  const json p = json::parse(plan.out);
  EXPECT_LE(p["scaled"]["params"], p["budget"]["params"]);
  EXPECT_GT(p["steps"].size(), 0u);
  EXPECT_EQ(json_of({"summary", path("s/architecture.json")})["params"], p["scaled"]["params"]);

  const Words fixed = scale + Words{"--latency-model", path("s/latency_model.json")};
  const Outcome again = run(fixed + loose + Words{"--json"});
  EXPECT_EQ(again.out, plan.out) << "the same latency table gives the same plan";
  const json regression =
      json_of(scale + loose + Words{"--networks", "5", "--latency-model", "regression"});
  EXPECT_EQ(regression["latency_model"], "regression");
  EXPECT_EQ(p["latency_model"], "table");
  EXPECT_EQ(p["measured_on"]["threads"], 1);
  EXPECT_GT(p["error"]["networks"], 0);
  expect_error(scale + Words{"--latency-model", "oracle"}, 1, {"oracle"});
  Words other = fixed + loose + Words{"--json"};
  *(std::find(other.begin(), other.end(), "--threads") + 1) = "2";
  expect_error(other, 2, {"latency_model.json", "threads", "'2'", "'1'", "--foreign-latency"});
  EXPECT_EQ(json_of(other + Words{"--foreign-latency"})["measured_on"]["threads"], 1);
  const json slack = json_of(fixed + loose + Words{"--latency-slack", "0.25"});
  EXPECT_EQ(slack["budget"]["latency_slack"], 0.25);
  EXPECT_EQ(slack["budget"]["latency_ms"], p["budget"]["latency_ms"]);
  const json growth = json_of({"scale", "vgg11", "--widths", "8,8,8,8,8,8,8,8", "--threads", "1",
                               "--latency", "3x", "--latency-model", path("s/latency_model.json"),
                               "--allow-unsteady", "--largest-growth", "0.5"});
  EXPECT_GT(growth["s"], 1);
  EXPECT_GE(growth["resolution"], 32);
  EXPECT_LE(growth["latency_ms"], growth["latency_limit_ms"]);
  const Words method =
      Words(scale.begin(), scale.begin() + 4) +
      Words{"--threads", "1", "--allow-unsteady", "--latency-model", path("s/latency_model.json")};
  const json wide = json_of(method + Words{"--latency", "3x", "--params", "9x", "--method",
                                           "uniform-width", "--out", path("u")});
  EXPECT_GT(wide["w"], 1);
  EXPECT_LE(wide["latency_ms"], wide["latency_limit_ms"]);
  EXPECT_EQ(json_of({"summary", path("u/architecture.json")})["params"], wide["params"]);
  const json half = json_of(method + Words{"--latency", "3x", "--params", "99x", "--method",
                                           "compound", "--given", "0.5"});
  EXPECT_EQ(half["s"], growth["s"]);
  const json best = json_of(fixed + loose + Words{"--method", "dp"});
  EXPECT_GE(best["optimality"]["gain"], p["optimality"]["gain"]);
  EXPECT_EQ(best["optimality"]["optimum"], p["optimality"]["optimum"]);
  EXPECT_GE(p["optimality"]["gap"], 0);
  EXPECT_CONTAINS(succeed(fixed + loose).out, "% below ", " within the budget");
  const json preset = json_of(fixed + Words{"--preset", "paper", "--stride", "4"});
  EXPECT_EQ(preset["options"]["policy"], "paper");
  EXPECT_EQ(preset["options"]["stride"], 4) << "the preset won over an option";
  expect_error(method + Words{"--method", "wider"}, 2, {"--method", "wider"});
  expect_error(method + Words{"--method", "compound", "--given", "1,2"}, 2, {"--given", "2"});
  expect_error(Words(scale.begin(), scale.begin() + 4), 2, {"--laws", "none"});
  expect_error(fixed + Words{"--largest-growth", "2"}, 2, {"--largest-growth", "2"});
  expect_error(fixed + Words{"--latency-slack", "-1"}, 2, {"--latency-slack", "-1"});
  expect_error(fixed + Words{"--latency", "0.5x"}, 2, {"latency budget", "at least"});
  expect_error(fixed + Words{"--params", "1000"}, 2, {"parameter budget", "at least"});
  expect_error(fixed + Words{"--latency", "fast"}, 2, {"latency budget", "fast"});
  expect_error({"scale", "vgg13", "--laws", path("laws.json")}, 2, {"laws.json", "vgg13"});
  json zeros = json::parse(fit.out);
  for (json& law : zeros["laws"]) law["a"] = 0;
  write("zeros.json", zeros.dump());
  expect_error({"scale", "vgg11", "--widths", "8,8,8,8,8,8,8,8", "--laws", path("zeros.json")}, 2,
               {"zeros.json", "importance above 0"});
  write("bad.json", "{\"layers\": 3}");
  expect_error({"importance", "--fit", path("bad.json")}, 2, {"bad.json"});
}

// Zagoruyko's row of Table I, Tan's, and what has no formula.
TEST_F(Cli, ScaleGivesTheNetworkOfCoefficients) {
  const Words scale = {"scale", "preact_resnet18", "--classes", "1000", "--method"};
  const json wide = json_of(scale + Words{"uniform-width", "--coefficients", "1.18"});
  EXPECT_EQ(wide["params"], 16331792);
  EXPECT_EQ(wide["widths"][16], 608);
  const json fine =
      json_of(scale + Words{"uniform-width", "--coefficients", "1.3", "--width-multiple", "2"});
  EXPECT_EQ(fine["params"], 19538244);
  EXPECT_EQ(json_of(scale + Words{"uniform-width", "--coefficients", "1.18", "--scale-stem",
                                  "off"})["widths"][0],
            64);
  expect_error(scale + Words{"hacscale", "--coefficients", "1.5"}, 2, {"no formula"});
  expect_error(scale + Words{"compound", "--coefficients", "1.5"}, 2, {"alpha, s"});
}

TEST_F(Cli, ReportDrawsAgain) {
  const std::string sample = slurp(HAC_SOURCE_DIR "/tests/golden/results_sample.json");
  write("d/results.json", sample);
  const Outcome o = succeed({"report", path("d")});
  EXPECT_CONTAINS(o.out, path("d/report/index.html"));
  EXPECT_CONTAINS(slurp(path("d/report/index.html")), "<svg");
  EXPECT_CONTAINS(slurp(path("d/report/data/accuracy-latency.csv")), "series,x,y");
  expect_error({"report", path("none")}, 1, {"results.json"});
  write("bad/results.json", sample.substr(0, 1000));
  expect_error({"report", path("bad")}, 2, {"JSON"});
  EXPECT_FALSE(fs::exists(path("bad/report"))) << "something half-written";
}

}  // namespace
}  // namespace hac
