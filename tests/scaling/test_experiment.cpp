// The whole pipeline on a recipe of seconds: what it leaves behind, and what a second run does
// again.

#include "scaling/experiment/experiment.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/sets/derived_set.h"
#include "data/sets/image_set.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/train/weights.h"
#include "scaling/experiment/stage_cache.h"
#include "scaling/experiment/trained_network.h"
#include "scaling/measure/measure.h"
#include "scaling/methods/method.h"
#include "tests/support/message_of.h"
#include "tests/support/temp_folder.h"
#include "tools/report/report.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// VGG11 at an eighth of its width on 60 images: every training is three steps.
Recipe tiny() {
  Recipe r;
  r.name = "tiny";
  r.arch.width = 0.125;
  r.seeds = {1};
  r.train.data = {.name = "synthetic", .limit_train = 60, .limit_test = 50};
  r.train.epochs = 1;
  r.train.batch = 20;
  r.train.schedule.lr = 0.02;
  r.importance.sampling.kind = SamplingKind::latin_hypercube;
  r.importance.proxy.epochs = 1;
  r.latency.networks = 5;
  r.latency.runs = 3;
  r.latency.warmup = 1;
  r.alpha.grid = {0.3, 0.7};
  r.alpha.proxy.epochs = 1;
  r.scale.widening.stride = 4;
  r.sweep_growth = {1, 2};
  return r;
}

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
  for (const char* key : {"mean", "low", "high", "values", "interval"}) {
    ASSERT_TRUE(accuracy.contains(key)) << where << ": " << accuracy;
  }
  EXPECT_LE(accuracy["low"], accuracy["mean"]) << where;
  EXPECT_GE(accuracy["high"], accuracy["mean"]) << where;
  EXPECT_NE(accuracy["interval"].get<std::string>().find("95 %"), std::string::npos) << where;
}

TEST(Experiment, EndsInResultsThatTheReportShows) {
  const TempFolder folder;
  const std::string out = folder.file("out");
  Recipe recipe = tiny();
  recipe.train.data.limit_train = 80;
  recipe.train.validation = 20;
  const json results = run(recipe, out);
  EXPECT_EQ(results, parse_file(out + "/results.json"));
  EXPECT_EQ(results["accuracy"]["table"], "test top-1 of the epoch selected by validation");
  EXPECT_EQ(results["accuracy"]["alpha"], "validation top-1 of the best epoch");
  EXPECT_NE(
      render_result_table(results_from_json(results.dump())).find(results["accuracy"]["table"]),
      std::string::npos);

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
    EXPECT_LE(row["predicted_ms"], results["budget"]["latency_ms"].get<double>() * (1 + 1e-12));
    if (row["method"].get<std::string>().starts_with("hacscale")) {
      EXPECT_LE(row["params"], results["budget"]["params"]);
      EXPECT_NE(row["limit"], "") << "which limit bound";
    }
  }
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
  EXPECT_EQ(results["settings"]["importance"]["reduction"], "mean");
  EXPECT_EQ(results["settings"]["alpha"]["seeds"], json({1}));
  for (const char* key : {"hacscale", "onednn", "compiler"}) {
    EXPECT_TRUE(results["versions"].contains(key)) << key;
  }

  const std::string page = render_report(results_from_json(results.dump()), "");
  EXPECT_NE(page.find("hacscale (per-latency)"), std::string::npos);
  EXPECT_EQ(page.find("This run has no"), std::string::npos) << "a section is missing";
  EXPECT_NE(render_result_table(results_from_json(results.dump())).find("uniform width"),
            std::string::npos);
}

TEST(Experiment, ASecondRunDoesNothingAgain) {
  const TempFolder folder;
  const std::string out = folder.file("out");
  const json first = run(tiny(), out);
  const auto stages = files_of(out + "/stages"), networks = files_of(out + "/networks");
  EXPECT_EQ(stages.size(), 7u);
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

  // So is one that was measured in another way, whose rows lack what is read today.
  const auto before = files_of(out + "/stages");
  json sweep = parse_file(out + "/stages/sweep.json");
  sweep["inputs"]["machine"].erase("measurement");
  for (json& row : sweep["result"]) row.erase("multiplications");
  write_file_atomically(out + "/stages/sweep.json", sweep.dump());
  run(tiny(), out);
  EXPECT_EQ(written(before, files_of(out + "/stages")), (std::set<std::string>{"sweep.json"}));
}

TEST(Experiment, AChangeRedoesOnlyWhatDependsOnIt) {
  const TempFolder folder;
  const std::string out = folder.file("out"), stages = out + "/stages", nets = out + "/networks";
  Recipe recipe = tiny();
  run(recipe, out);

  auto stages_before = files_of(stages), nets_before = files_of(nets);
  recipe.sweep_growth = {1, 3};
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

TEST(Experiment, TheSameLatencyTableGivesTheSamePlans) {
  const TempFolder folder;
  const std::string measured = folder.file("measured"), given = folder.file("given");
  run(tiny(), measured);
  Recipe recipe = tiny();
  recipe.latency.file = measured + "/latency_model.json";
  run(recipe, given);
  EXPECT_FALSE(fs::exists(given + "/stages/latency.json")) << "it was measured all the same";
  for (const char* name : {"/latency_model.json", "/plan-plain.json", "/plan-per-latency.json"}) {
    EXPECT_EQ(read_file(given + name), read_file(measured + name)) << name;
  }
  EXPECT_GT(parse_file(given + "/plan-plain.json")["steps"].size(), 0u);
}

// A regression on times that follow from the operations: 10 us each, and 1 ms for 100 M MACs.
LatencyModelPtr given_latency() {
  std::vector<NetworkTiming> timings;
  for (const double width : {0.125, 0.25, 0.5}) {
    NetworkTiming t{.graph = fuse(lower(resolve("vgg11", {.width = width}))), .op_ms = {}};
    for (int op = 0; op < static_cast<int>(t.graph.ops.size()); ++op) {
      t.op_ms[op] = 0.01 + 1e-8 * static_cast<double>(t.graph.ops[op].spec.cost().macs);
      t.total_ms += t.op_ms[op];
    }
    timings.push_back(std::move(t));
  }
  return fit_latency_regression(timings);
}

TEST(Experiment, GrowthIsAtMostWhatTheLatencyAllows) {
  const TempFolder folder;
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
}

TEST(Experiment, OtherDataUnderTheSameNameAreTrainedOn) {
  const DataConfig config{.name = "synthetic", .limit_train = 50, .limit_test = 50};
  const DataSplit data = open_data(config);
  const std::string key = data_key(data);
  EXPECT_EQ(key, data_key(open_data(config)));
  EXPECT_NE(key, data_key({.train = data.test, .test = data.train})) << "as many images, others";
  // One pixel of one image, and the name of a class.
  ImageSet set{.channels = 1, .resolution = 1, .classes = {"a", "b"}};
  for (int i = 0; i < 200; ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(i));
    set.labels.push_back(i % 2);
  }
  const auto key_of = [](const ImageSet& s) { return data_key({in_memory(s), in_memory(s)}); };
  ImageSet other = set, renamed = set;
  other.pixels[101] = 0;
  renamed.classes[1] = "c";
  EXPECT_NE(key_of(set), key_of(other));
  EXPECT_NE(key_of(set), key_of(renamed));

  const TempFolder folder;
  const Recipe recipe = tiny();
  const TrainingRequest request{.arch = resolve(recipe.model, recipe.arch), .config = recipe.train};
  const auto trained = [&](const std::string& data) {
    NetworkCache(folder.file("n"), data, true).train(request);
    return std::distance(fs::directory_iterator(folder.file("n")), {});
  };
  EXPECT_EQ(trained(key), 1);
  EXPECT_EQ(trained(key), 1);
  EXPECT_EQ(trained("other"), 2);
}

// A network of a few layers: simt is slow.
Architecture small_net() {
  return {.name = "small",
          .channels = 3,
          .resolution = 8,
          .classes = 10,
          .layers = {Conv{.name = "conv", .out = 8},
                     BatchNorm{.name = "norm", .activation = Activation::relu}, Pool{}, Flatten{},
                     Linear{.name = "classifier"}}};
}

TEST(Experiment, TrainsAndMeasuresWhereItIsTold) {
  constexpr Device simt{DeviceKind::simt, 0};
  TrainConfig config;
  config.data = {.name = "synthetic", .limit_train = 24, .limit_test = 12, .resolution = 8};
  config.epochs = 1;
  config.batch = 8;
  config.quiet = true;
  const TempFolder folder;
  const auto trained = [&](const Placement& where) {
    NetworkCache(folder.file("n"), "key", true, where)
        .train({.arch = small_net(), .config = config, .observe = true});
    return std::distance(fs::directory_iterator(folder.file("n")), {});
  };
  EXPECT_EQ(trained({}), 1);
  EXPECT_EQ(trained({simt}), 2) << "the CPU's result was taken for simt's";
  EXPECT_EQ(trained({simt, Dtype::bf16}), 3);
  EXPECT_EQ(trained({simt}), 3);

  Model model(small_net(), config.seed, simt, Dtype::bf16);
  const TrainResult expected = train(model, open_data(config.data), config);
  const TrainedNetwork cached =
      NetworkCache(folder.file("n"), "key", true, {simt, Dtype::bf16})
          .train({.arch = small_net(), .config = config, .observe = true});
  EXPECT_EQ(cached.test.loss, expected.test.loss);

  const auto net = deploy_random(small_net(), {simt, Dtype::bf16});
  EXPECT_EQ(net->device(), simt);
  const NetworkTiming timing = time_network(small_net(), {.runs = 2, .warmup = 0}, {simt});
  EXPECT_GT(timing.op_ms.size(), 2u);
  for (const auto& [op, ms] : timing.op_ms) EXPECT_GT(ms, 0) << op;
}

// The weights of the selected epoch are kept; what is only compared leaves the test set alone.
TEST(Experiment, ANetworkThatIsOnlyComparedIsNotTested) {
  TrainConfig config;
  config.data = {.name = "synthetic", .limit_train = 40, .limit_test = 10, .resolution = 8};
  config.epochs = 2;
  config.batch = 8;
  config.validation = 0.5;
  const TempFolder folder;
  NetworkCache cache(folder.file("n"), "key", true);
  const TrainedNetwork compared =
      cache.train({.arch = small_net(), .config = config, .test = false});
  EXPECT_EQ(compared.test.images, 0);
  EXPECT_EQ(compared.validation.images, 20);
  EXPECT_EQ(compared.weights, "");
  const TrainingRequest whole{.arch = small_net(), .config = config, .keep_weights = true};
  const TrainedNetwork tested = cache.train(whole);
  EXPECT_EQ(tested.test.images, 10) << "the answer without a test was taken";
  EXPECT_EQ(tested.validation.loss, compared.validation.loss);
  EXPECT_TRUE(tested.weights.ends_with("/best.safetensors")) << tested.weights;
  EXPECT_FALSE(fs::exists(fs::path(tested.weights).replace_filename("last.safetensors")));
  Model model(small_net(), 5);
  load_weights(tested.weights, model);
  EXPECT_EQ(evaluate(model, open_data(config.data).test).loss, tested.test.loss);
  const TrainedNetwork again = cache.train(whole);
  EXPECT_EQ(again.test.loss, tested.test.loss);
  EXPECT_EQ(again.weights, tested.weights);
  // Weights that are gone are trained again.
  fs::remove(tested.weights);
  EXPECT_EQ(cache.train(whole).test.loss, tested.test.loss);
  EXPECT_TRUE(fs::exists(tested.weights));
}

// 30 images in batches of 29 are one step an epoch, for the image that is left has no batch norm.
TEST(Experiment, ImportanceIsOfTheLastEpochAlone) {
  Recipe recipe = tiny();
  recipe.train.data.limit_train = 30;
  recipe.train.batch = 29;
  recipe.train.epochs = 2;
  recipe.train.quiet = true;
  ASSERT_EQ(steps_per_epoch(30, 29), 1);
  const Architecture arch = resolve(recipe.model, recipe.arch);
  const TempFolder folder;
  const TrainedNetwork cached = NetworkCache(folder.file("n"), "key", true)
                                    .train({.arch = arch, .config = recipe.train, .observe = true});

  Model model(arch, recipe.train.seed);
  ImportanceObserver observer(1);
  EXPECT_EQ(train(model, open_data(recipe.train.data), recipe.train, &observer).steps, 2);
  const std::vector<LayerImportance> expected = observer.result(model);
  ASSERT_EQ(cached.importance.size(), expected.size());
  for (std::size_t l = 0; l < expected.size(); ++l) {
    EXPECT_EQ(cached.importance[l].kernels, expected[l].kernels) << expected[l].layer;
  }
}

// A table that nobody says where it was measured does not steer a run that measures here.
TEST(Experiment, RefusesALatencyModelOfAnotherSource) {
  const TempFolder folder;
  Recipe recipe = tiny();
  recipe.latency.file = folder.file("model.json");
  save_latency_model(*given_latency(), recipe.latency.file);
  const std::string message = message_of<ConfigError>([&] { run(recipe, folder.file("out")); });
  EXPECT_NE(message.find("measured on"), std::string::npos) << message;
  EXPECT_NE(message.find("latency.foreign"), std::string::npos) << message;
}

// What a busy machine disturbed is kept only by those who asked for it.
TEST(Experiment, StagesAreComputedAgainUntilTheyAreGood) {
  const TempFolder folder;
  StageCache stages(folder.path(), true);
  int computed = 0;
  const auto compute = [&] { return std::vector<double>{0.1 * ++computed, 1e-30, unknown}; };
  const auto good = [](const std::vector<double>& result) { return result[0] > 0.15; };
  EXPECT_EQ(stages.run("s", {}, compute)[0], 0.1);
  EXPECT_EQ(stages.run("s", {}, compute)[0], 0.1);
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(stages.run("s", {}, compute, good)[0], 0.2);
  const std::vector<double> kept = stages.run("s", {}, compute, good);
  EXPECT_EQ(computed, 2);
  EXPECT_EQ(kept[0], 0.2);
  EXPECT_EQ(kept[1], 1e-30);
  EXPECT_TRUE(std::isnan(kept[2]));
  // What is of another shape is computed again too.
  EXPECT_TRUE(stages.run("s", {}, [] { return true; }));
}

TEST(Experiment, RefusesBeforeAnythingIsMeasured) {
  const TempFolder folder;
  const auto refuses = [&](auto change) {
    Recipe recipe = tiny();
    change(recipe);
    EXPECT_THROW(run(recipe, folder.file("out")), ConfigError);
    EXPECT_FALSE(fs::exists(folder.file("out/stages/peak.json")));
  };
  refuses([](Recipe& r) { r.scale.latency = "0.9x"; });
  refuses([](Recipe& r) { r.scale.params = "0.9x"; });
  refuses([](Recipe& r) { r.scale.params = "1000"; });
  refuses([](Recipe& r) { r.scale.latency = r.scale.params = ""; });
  refuses([](Recipe& r) { r.scale.widening.stride = 0; });
  refuses([](Recipe& r) { r.alpha.resolution_multiple = 0; });
  refuses([](Recipe& r) { r.importance.sampling.round_to = 512; });
  refuses([](Recipe& r) { r.importance.sampling.samples = 2; });
  refuses([](Recipe& r) { r.model = "vgg12"; });
  refuses([](Recipe& r) { r.seeds.clear(); });
}

}  // namespace
}  // namespace hac
