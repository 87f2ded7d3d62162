// The whole pipeline on a recipe of seconds: what it leaves behind, and what a second run does
// again.

#include "scaling/experiment/experiment.h"

#include <sys/stat.h>

#include <map>
#include <set>

#include "engine/io/file.h"
#include "kernels/core/isa.h"
#include "models/zoo/zoo.h"
#include "scaling/latency/device_model.h"
#include "scaling/methods/method.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_recipe.h"
#include "tools/report/report.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json run(const Recipe& recipe, const std::string& out) {
  return json::parse(to_json(run_experiment(
      recipe, {.out = out, .command = "test", .quiet = true, .allow_unsteady = true})));
}

json parse_file(const std::string& path) { return json::parse(read_file(path)); }

// Every file under `folder` by its path there, with what changes when it is written again.
std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    struct stat s = {};
    EXPECT_EQ(::stat(entry.path().c_str(), &s), 0);
    files[fs::relative(entry.path(), folder).string()] = std::to_string(s.st_ino) + " " +
                                                         std::to_string(s.st_mtim.tv_sec) + "." +
                                                         std::to_string(s.st_mtim.tv_nsec);
  }
  return files;
}

// The names that are new or were written again.
std::set<std::string> written(const std::map<std::string, std::string>& before,
                              const std::map<std::string, std::string>& after) {
  std::set<std::string> names;
  for (const auto& [name, stamp] : after) {
    const auto it = before.find(name);
    if (it == before.end() || it->second != stamp) names.insert(name);
  }
  return names;
}

// What two runs may differ in although nothing was done again.
json without_time(json results) {
  results.erase("created");
  return results;
}

std::size_t networks_of(const json& results) {
  std::set<std::string> distinct;
  for (const json& row : results["table"]) {
    distinct.insert(row["widths"].dump() + row["resolution"].dump());
  }
  return distinct.size();
}

void expect_interval(const json& accuracy, const std::string& where) {
  ASSERT_TRUE(accuracy.contains("values")) << where << ": " << accuracy;
  EXPECT_LE(accuracy.at("low"), accuracy.at("mean")) << where;
  EXPECT_GE(accuracy.at("high"), accuracy.at("mean")) << where;
  EXPECT_CONTAINS(accuracy.at("interval").get<std::string>(), "95 %") << where;
}

using Experiment = InFolder;

TEST_F(Experiment, EndsInResultsThatTheReportShows) {
  const std::string out = folder.file("out");
  Recipe recipe = tiny();
  recipe.train.data.limit_train = 80;
  recipe.train.validation = 20;
  recipe.sweep.models = {"resnet20"};
  const json results = run(recipe, out);
  EXPECT_EQ(results, parse_file(out + "/results.json"));
  EXPECT_EQ(results["accuracy"]["table"], "test top-1 of the epoch selected by validation");
  EXPECT_EQ(results["accuracy"]["alpha"], "validation top-1 of the best epoch");
  EXPECT_CONTAINS(render_result_table(results_from_json(results.dump())),
                  results["accuracy"]["table"]);

  std::vector<std::string> methods;
  for (const json& row : results["table"]) {
    methods.push_back(row["method"]);
    for (const char* key : {"params", "macs", "predicted_ms", "gmacs_per_s", "peak_fraction"}) {
      EXPECT_GT(row[key], 0) << row["method"] << " " << key;
    }
    for (const char* key : {"mean", "median", "p95"}) EXPECT_GT(row["measured_ms"][key], 0) << key;
    EXPECT_EQ(row["measured_ms"]["runs"], 3);
    expect_interval(row["top1"], row["method"]);
    for (const json& weights : row["weights"]) {
      EXPECT_TRUE(fs::exists(out + "/" + weights.get<std::string>())) << weights;
    }
    EXPECT_EQ(row["weights"].size(), 1u);
  }
  EXPECT_EQ(methods, (std::vector<std::string>{"baseline", "uniform width", "resolution",
                                               "hacscale (plain)", "hacscale (per-latency)"}));
  for (const json& row : results["table"]) {
    const double limit_ms = results["budget"]["latency_ms"].get<double>() * (1 + 1e-12);
    EXPECT_TRUE(row["predicted_ms"] <= limit_ms || row["limit"] == "infeasible") << row;
    if (row["method"].get<std::string>().starts_with("hacscale")) {
      EXPECT_LE(row["params"], results["budget"]["params"]);
      EXPECT_NE(row["limit"], "") << "which limit bound";
    }
  }
  ASSERT_EQ(results["evaluations"].size(), methods.size());
  std::size_t pictures = 0, whole = 0;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const json& e = results["evaluations"][i];
    EXPECT_EQ(e["network"], methods[i]);
    EXPECT_EQ(e["seed"], 1);
    EXPECT_EQ(e["test"]["top1"], results["table"][i]["top1"]["values"][0]);
    EXPECT_GT(e["details"]["brier"], 0);
    whole += !e["details"]["confusion"].empty();
    for (const json& image : e["details"]["worst"]) {
      pictures += image["picture"].get<std::string>().starts_with("data:image/png;base64,");
    }
  }
  EXPECT_EQ(pictures, 16u) << "of the most accurate alone";
  EXPECT_TRUE(whole == 2 || whole == 1) << whole;
  EXPECT_FALSE(results["evaluations"][0]["details"]["confusion"].empty()) << "the baseline's";
  EXPECT_CONTAINS(results["sweep_model"], "Jetson AGX Xavier (modelled)");
  for (const auto& [dimension, points] : results["sweeps"].items()) {
    for (const json& point : points) EXPECT_GT(point["modelled_ms"], 0) << dimension;
  }
  ASSERT_EQ(results["other_sweeps"].size(), 1u);
  EXPECT_EQ(results["other_sweeps"][0]["network"], "resnet20");
  EXPECT_EQ(results["other_sweeps"][0]["sweeps"].size(), 3u);
  EXPECT_CONTAINS(render_report(results_from_json(results.dump()), ""),
                  "<figure id=\"utilization-2\"", "operations, resnet20");
  const json& devices = results["explanation"]["devices"];
  ASSERT_EQ(devices.size(), 4u);  // this one and those to compare with
  EXPECT_EQ(devices[0]["modelled"], false);
  EXPECT_CONTAINS(devices[3]["device"], "H100");
  EXPECT_EQ(devices[0]["latency_ms"], results["table"][0]["predicted_ms"]);
  for (const json& point : results["alpha"]["points"]) {
    expect_interval(point["top1"], "alpha");
    EXPECT_EQ(point["top1"]["interval"], "95 % (Wilson) over 20 validation images");
  }
  for (const json& layer : results["importance"]) {
    EXPECT_EQ(layer["points"].size(), 5u);
    EXPECT_EQ(layer["residuals"].size(), 5u);
    EXPECT_LT(layer["b"], 0);
  }
  ASSERT_EQ(results["latency_models"].size(), 3u);  // both kinds, and the one used on its choices
  for (const json& model : results["latency_models"]) {
    EXPECT_EQ(model["points"].size(), model["networks"]);
    std::vector<double> errors;  // the points are those that the error is said of
    for (const json& p : model["points"]) {
      errors.push_back(std::abs(p[1].get<double>() - p[0].get<double>()) / p[1].get<double>());
    }
    EXPECT_NEAR(*std::max_element(errors.begin(), errors.end()), model["max_error"], 1e-12);
  }
  const json& staircase = results["staircase"];
  EXPECT_EQ(staircase["points"].size(), 25u);
  EXPECT_EQ(staircase["points"][0]["width"], staircase["width"]);
  for (const json& p : staircase["points"]) EXPECT_LE(p["low_ms"], p["high_ms"]);
  EXPECT_EQ(results["settings"]["importance"]["reduction"], "mean");
  EXPECT_EQ(results["settings"]["alpha"]["seeds"], json({1}));
  for (const char* key : {"hacscale", "onednn", "compiler"}) {
    EXPECT_TRUE(results["versions"].contains(key)) << key;
  }

  const std::string page = render_report(results_from_json(results.dump()), "");
  EXPECT_CONTAINS(page, "hacscale (per-latency)");
  EXPECT_LACKS(page, "This run has no") << "a section is missing";
  EXPECT_CONTAINS(render_result_table(results_from_json(results.dump())), "uniform width");
}

TEST_F(Experiment, ASecondRunDoesNothingAgain) {
  const std::string out = folder.file("out");
  const json first = run(tiny(), out);
  const auto stages = files_of(out + "/stages"), networks = files_of(out + "/networks");
  EXPECT_EQ(stages.size(), 9u);
  EXPECT_GT(networks.size(), 0u);
  const json second = run(tiny(), out);
  EXPECT_EQ(without_time(second), without_time(first));
  EXPECT_EQ(files_of(out + "/stages"), stages);
  EXPECT_EQ(files_of(out + "/networks"), networks);

  // A stage that was lost or damaged is done again, from the networks that are there.
  fs::remove(out + "/stages/train.json");
  write_file_atomically(out + "/stages/importance.json", "{\"inputs\": ");
  EXPECT_EQ(without_time(run(tiny(), out)), without_time(first));
  EXPECT_EQ(written(stages, files_of(out + "/stages")),
            (std::set<std::string>{"importance.json", "train.json"}));
  EXPECT_EQ(files_of(out + "/networks"), networks);

  // So is one that was measured in another way, whose rows lack what is read today; and a peak
  // that networks exceed.
  json sweep = parse_file(out + "/stages/sweep.json");
  sweep["inputs"]["machine"].erase("measurement");
  for (json& row : sweep["result"]) row.erase("multiplications");
  write_file_atomically(out + "/stages/sweep.json", sweep.dump());
  json peak = parse_file(out + "/stages/peak.json");
  peak["result"]["peak_gmacs"] = first["table"][0]["multiplied_gmacs_per_s"].get<double>() / 2;
  write_file_atomically(out + "/stages/peak.json", peak.dump());
  const auto before = files_of(out + "/stages");
  const json again = run(tiny(), out);
  for (const json& row : again["table"]) EXPECT_LE(row["peak_fraction"], 1) << row;
  EXPECT_EQ(written(before, files_of(out + "/stages")),
            (std::set<std::string>{"peak.json", "sweep.json"}));
}

TEST_F(Experiment, AChangeRedoesOnlyWhatDependsOnIt) {
  const std::string out = folder.file("out"), stages = out + "/stages", nets = out + "/networks";
  Recipe recipe = tiny();
  recipe.alpha.proxy.validation = 10;
  const json results = run(recipe, out);
  EXPECT_EQ(results["accuracy"]["alpha"], "validation top-1 of the best epoch");
  EXPECT_CONTAINS(results["notes"].dump(), "Alpha is chosen by images held out");

  auto stages_before = files_of(stages), nets_before = files_of(nets);
  recipe.sweep.growth = {1, 3};
  run(recipe, out);
  EXPECT_EQ(written(stages_before, files_of(stages)), (std::set<std::string>{"sweep.json"}));
  EXPECT_EQ(files_of(nets), nets_before);

  stages_before = files_of(stages);
  recipe.seeds = {1, 2};
  const json two_seeds = run(recipe, out);
  EXPECT_EQ(written(stages_before, files_of(stages)), (std::set<std::string>{"train.json"}));
  std::size_t trained = 0;
  for (const std::string& name : written(nets_before, files_of(nets))) {
    EXPECT_EQ(nets_before.count(name), 0u) << name << " was trained before";
    trained += name.ends_with("result.json");
  }
  EXPECT_EQ(trained, networks_of(two_seeds)) << "one network a method for the new seed";
  EXPECT_EQ(two_seeds["table"][0]["top1"]["interval"], "95 % over 2 seeds");

  // Another reduction of the same kernels: the laws and what follows, no sample trained again.
  stages_before = files_of(stages), nets_before = files_of(nets);
  recipe.importance.reduction = KernelReduction::sum;
  run(recipe, out);
  const auto redone = written(stages_before, files_of(stages));
  EXPECT_EQ(redone.count("importance.json"), 1u);
  for (const char* name : {"peak.json", "latency.json", "alpha.json", "sweep.json"}) {
    EXPECT_EQ(redone.count(name), 0u) << name;
  }
  for (const std::string& name : written(nets_before, files_of(nets))) {
    EXPECT_EQ(nets_before.count(name), 0u) << name << " was trained before";
  }
}

TEST_F(Experiment, TheSameLatencyTableGivesTheSamePlans) {
  const std::string measured = folder.file("measured"), given = folder.file("given");
  run(tiny(), measured);
  Recipe recipe = tiny();
  recipe.latency.file = measured + "/latency_model.json";
  run(recipe, given);
  EXPECT_FALSE(fs::exists(given + "/stages/latency.json")) << "it was measured all the same";
  for (const char* name :
       {"/latency_model.json", "/plan-hacscale.json", "/plan-hacscale-per-latency.json"}) {
    EXPECT_EQ(read_file(given + name), read_file(measured + name)) << name;
  }
  EXPECT_GT(parse_file(given + "/plan-hacscale.json")["steps"].size(), 0u);
}

// A regression on times that follow from the operations: 1 ms each, and 1 ms for 1 M MACs.
LatencyModelPtr given_latency() {
  std::vector<NetworkTiming> timings;
  for (const double width : {0.125, 0.25, 0.5}) {
    NetworkTiming t{.graph = fuse(lower(resolve("vgg11", {.width = width}))), .op_ms = {}};
    for (int op = 0; op < static_cast<int>(t.graph.ops.size()); ++op) {
      t.op_ms[op] = 1 + 1e-6 * static_cast<double>(t.graph.ops[op].spec.cost().macs);
      t.total_ms += t.op_ms[op];
    }
    timings.push_back(std::move(t));
  }
  return fit_latency_regression(timings);
}

TEST_F(Experiment, GrowthIsAtMostWhatTheLatencyAllows) {
  const LatencyModelPtr model = given_latency();
  Recipe recipe = tiny();
  recipe.latency.file = folder.file("model.json");
  recipe.latency.foreign = true;
  save_latency_model(*model, recipe.latency.file);
  recipe.scale.latency = "1.3x";
  recipe.alpha.growth = 8;
  recipe.alpha.largest_growth = 0.5;
  const json bounded = run(recipe, folder.file("out"));
  const Architecture baseline = resolve(recipe.model, recipe.arch);
  const double most =
      method_of("compound")
          .to_budget({.baseline = baseline,
                      .model = *model,
                      .budget = {.latency_ms = bounded["budget"]["latency_ms"]},
                      .rounding = {.width_multiple = recipe.alpha.width_multiple,
                                   .resolution_multiple = recipe.alpha.resolution_multiple},
                      .given = {0.5}})
          .coefficients.back();
  ASSERT_LT(most, recipe.alpha.growth) << "the limit does not bind";
  EXPECT_EQ(bounded["alpha"]["s"], most);
  EXPECT_CONTAINS(bounded["notes"].dump(), "baseline: measures", "times what it measures");
}

// As where a paper trains in 16 bits and deploys in 32. Settings within settings are facts too.
TEST_F(Experiment, AModelledDeviceHasATypeOfItsOwn) {
  Recipe recipe = tiny();
  recipe.latency.device_model = "xavier";
  recipe.train.transforms = {.random_erasing = RandomErasing{}, .cutout = Cutout{}};
  recipe.train.optimizer.kind = OptimizerKind::adamw;
  recipe.scale.methods = {"uniform-width"};
  recipe.scale.gains = {};
  for (const std::optional<Dtype> dtype : {std::optional<Dtype>{}, {Dtype::f16}}) {
    recipe.latency.dtype = dtype;
    const json results = run(recipe, folder.file("out"));
    EXPECT_EQ(results["training"]["transforms.random_erasing.scale"], "0.02, 0.33");
    EXPECT_EQ(results["training"]["transforms.cutout.side"], 16);
    EXPECT_EQ(results["training"]["optimizer.kind"], "adamw");
    EXPECT_EQ(results["training"]["weight_decay"], 0.01);
    const LatencyModelPtr model = device_model("xavier", dtype.value_or(Dtype::f32));
    EXPECT_EQ(results["table"][0]["predicted_ms"],
              model->predict(resolve(recipe.model, recipe.arch)));
    EXPECT_EQ(load_latency_model(folder.file("out/latency_model.json"))->source, model->source);
    EXPECT_FALSE(fs::exists(folder.file("out/stages/staircase.json"))) << "it was measured";
    for (const json& p : results["staircase"]["points"]) EXPECT_EQ(p["high_ms"], 0);
  }
}

// Devices that results are compared with and that have no such type are left out of them, at the
// end of everything.
TEST_F(Experiment, TrainsInATypeThatOtherDevicesLack) {
  if (!cpu::has_bf16()) GTEST_SKIP() << "a CPU without bf16";
  Recipe recipe = tiny();
  recipe.latency.device_model = "desktop-cpu";
  recipe.scale.methods = {"uniform-width"};
  recipe.scale.gains = {};
  const Results results = run_experiment(recipe, {.out = folder.file("out"),
                                                  .command = "test",
                                                  .quiet = true,
                                                  .where = {.dtype = Dtype::bf16}});
  ASSERT_EQ(results.explanation->devices.size(), 2u);
  EXPECT_CONTAINS(results.explanation->devices[1].device, "H100");
}

// Hours of trainings do not end because one method knows nothing of the baseline.
TEST_F(Experiment, AMethodWithoutANetworkIsLeftOutAndNamed) {
  Recipe recipe = tiny();
  recipe.arch.blocks = {1, 1, 1, 1, 1};  // of no VGG that was published
  recipe.latency.device_model = "xavier";
  recipe.scale.gains = {};
  recipe.scale.methods = {"depth-canonical", "uniform-width"};
  const json results = run(recipe, folder.file("out"));
  EXPECT_CONTAINS(results["notes"].dump(), "canonical depth is left out: ");
  EXPECT_EQ(results["table"].size(), 2u);
  recipe.scale.methods = {"depth-canonical"};
  EXPECT_THROW(run(recipe, folder.file("alone")), ConfigError);
}

// A table that nobody says where it was measured does not steer a run that measures here.
TEST_F(Experiment, RefusesALatencyModelOfAnotherSource) {
  Recipe recipe = tiny();
  recipe.latency.file = folder.file("model.json");
  save_latency_model(*given_latency(), recipe.latency.file);
  EXPECT_ERROR(run(recipe, folder.file("out")), ConfigError, "measured on", "latency.foreign");
}

TEST_F(Experiment, RefusesBeforeAnythingIsMeasured) {
  const auto refuses = [&](auto change) {
    Recipe recipe = tiny();
    change(recipe);
    EXPECT_THROW(run(recipe, folder.file("out")), ConfigError);
    EXPECT_FALSE(fs::exists(folder.file("out/stages/latency.json")));
  };
  refuses([](Recipe& r) { r.scale.latency = "0.9x"; });
  refuses([](Recipe& r) { r.scale.params = "0.9x"; });
  refuses([](Recipe& r) { r.scale.params = "1000"; });
  refuses([](Recipe& r) { r.scale.latency = r.scale.params = ""; });
  refuses([](Recipe& r) { r.scale.widening.stride = 0; });
  refuses([](Recipe& r) { r.importance.sampling.round_to = 512; });
  refuses([](Recipe& r) { r.importance.sampling.samples = 2; });
  refuses([](Recipe& r) { r.model = "vgg12"; });
  refuses([](Recipe& r) { r.seeds.clear(); });
}

}  // namespace
}  // namespace hac
