// What a run keeps of its trainings and stages, and when it does them again; which layer it sweeps;
// of energy, by a meter where there is one, else the reason.

#include <nlohmann/json.hpp>

#include "data/sets/image_set.h"
#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "models/train/checkpoint.h"
#include "models/train/weights.h"
#include "models/zoo/zoo.h"
#include "scaling/experiment/experiment_latency.h"
#include "scaling/experiment/stage_cache.h"
#include "scaling/experiment/trained_network.h"
#include "scaling/measure/measure.h"
#include "scaling/measure/network_times.h"
#include "tests/support/image_fixtures.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_recipe.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

// The entries of a folder.
std::ptrdiff_t count_in(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

using Caches = InFolder;

TEST_F(Caches, OtherDataUnderTheSameNameAreTrainedOn) {
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

  const Recipe recipe = tiny();
  const TrainingRequest request{.arch = resolve(recipe.model, recipe.arch), .config = recipe.train};
  const auto trained = [&](const std::string& data) {
    NetworkCache(folder.file("n"), data, true).train(request);
    return count_in(folder.file("n"));
  };
  EXPECT_EQ(trained(key), 1);
  EXPECT_EQ(trained(key), 1);
  EXPECT_EQ(trained("other"), 2);
}

TEST_F(Caches, TrainsAndMeasuresWhereItIsTold) {
  const TrainConfig config = tiny_config(24, 8);
  const auto trained = [&](const TensorOptions& where) {
    NetworkCache(folder.file("n"), "key", true, where)
        .train({.arch = tiny_net(), .config = config, .observe = true});
    return count_in(folder.file("n"));
  };
  EXPECT_EQ(trained({}), 1);
  EXPECT_EQ(trained({kSimt}), 2) << "the CPU's result was taken for simt's";
  EXPECT_EQ(trained({kSimt, Dtype::bf16}), 3);
  EXPECT_EQ(trained({kSimt}), 3);

  Model model(tiny_net(), config.seed, kSimt, Dtype::bf16);
  const TrainResult expected = train(model, open_data(config.data), config);
  const TrainedNetwork cached = NetworkCache(folder.file("n"), "key", true, {kSimt, Dtype::bf16})
                                    .train({.arch = tiny_net(), .config = config, .observe = true});
  EXPECT_EQ(cached.test.loss, expected.test.loss);

  const auto net = deploy_random(tiny_net(), {kSimt, Dtype::bf16});
  EXPECT_EQ(net->device(), kSimt);
  const NetworkTiming timing = time_network(tiny_net(), {.runs = 2, .warmup = 0}, {kSimt});
  EXPECT_GT(timing.op_ms.size(), 2u);
  for (const auto& [op, ms] : timing.op_ms) EXPECT_GT(ms, 0) << op;
}

// The weights of the selected epoch are kept; what is only compared leaves the test set alone.
TEST_F(Caches, ANetworkThatIsOnlyComparedIsNotTested) {
  TrainConfig config = tiny_config(40, 8);
  config.validation = 0.5;
  NetworkCache cache(folder.file("n"), "key", true);
  const TrainedNetwork compared =
      cache.train({.arch = tiny_net(), .config = config, .test = false});
  EXPECT_EQ(compared.test.images, 0);
  EXPECT_EQ(compared.validation.images, 20);
  EXPECT_EQ(compared.weights, "");
  const TrainingRequest whole{.arch = tiny_net(), .config = config, .keep_weights = true};
  const TrainedNetwork tested = cache.train(whole);
  EXPECT_EQ(tested.test.images, 20) << "the answer without a test was taken";
  EXPECT_EQ(tested.validation.loss, compared.validation.loss);
  EXPECT_TRUE(tested.weights.ends_with("/model.safetensors")) << tested.weights;
  EXPECT_FALSE(fs::exists(fs::path(tested.weights).replace_filename("last.safetensors")));
  Model model(tiny_net(), 5);
  load_weights(tested.weights, model);
  EXPECT_EQ(evaluate(model, open_data(config.data).test).loss, tested.test.loss);
  const TrainedNetwork again = cache.train(whole);
  EXPECT_EQ(again.test.loss, tested.test.loss);
  EXPECT_EQ(again.weights, tested.weights);
  // Of an earlier version, which called them so.
  const std::string bytes = read_file(tested.weights);
  fs::rename(tested.weights, fs::path(tested.weights).replace_filename("best.safetensors"));
  EXPECT_EQ(cache.train(whole).weights, tested.weights);
  EXPECT_TRUE(read_file(tested.weights) == bytes) << "trained again";
  // Weights that are gone are trained again.
  fs::remove(tested.weights);
  EXPECT_EQ(cache.train(whole).test.loss, tested.test.loss);
  EXPECT_TRUE(fs::exists(tested.weights));
}

// How a training is shown is no part of what it is.
TEST_F(Caches, LogsChangeNoKey) {
  TrainingRequest plain{.arch = tiny_net(), .config = tiny_config(24, 8)}, logged = plain;
  logged.config.log = {LogFormat::csv};
  NetworkCache cache(folder.file("n"), "key", true);
  EXPECT_EQ(cache.key(plain), cache.key(logged));
  cache.train(logged);
  EXPECT_TRUE(cache.find(plain));
  EXPECT_TRUE(fs::exists(folder.file("n/" + cache.key(plain) + "/log.csv")));
}

// Whatever the baseline reads: enlarged from its size, a photograph would show a larger network
// nothing more.
TEST_F(Caches, PhotographsArePreparedAtTheSizeOfEachNetwork) {
  for (const char* name : {"train/ant/0.jpg", "train/ant/1.jpg", "train/bee/0.jpg",
                           "train/bee/1.jpg", "val/ant/0.jpg", "val/bee/0.jpg"}) {
    std::vector<std::uint8_t> noise(3 * 40 * 40);
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = Philox{5, 1}.bits(i) >> 24;
    folder.write(std::string("set/") + name, testing::jpeg(noise, 40, 40));
  }
  TrainConfig config = tiny_config(0, 2);
  config.data = {.name = "imagefolder:" + folder.file("set"), .resolution = 24, .quiet = true};
  config.epochs = 1;
  NetworkCache cache(folder.file("n"), "key", true);
  for (const std::int64_t resolution : {24, 16, 32}) {
    Architecture arch = tiny_net();
    arch.classes = 2;
    arch.resolution = resolution;
    const auto loss_at = [&](std::int64_t prepared) {
      TrainConfig c = config;
      c.data.resolution = prepared;
      Model model(arch, c.seed);
      return train(model, open_data(c.data), c).test.loss;
    };
    const TrainedNetwork n = cache.train({.arch = arch, .config = config, .keep_weights = true});
    EXPECT_EQ(n.test.loss, loss_at(resolution)) << resolution;
    EXPECT_EQ(n.test.loss == loss_at(24), resolution == 24) << resolution;
    EXPECT_EQ(checkpoint_data(n.weights)->preprocessing.resolution, resolution);
  }
}

// Results of before there were details are answers as they are; what is only compared has none.
TEST_F(Caches, DetailsOfTheTestAreKeptAndMayBeMissing) {
  const TrainConfig config = tiny_config(24, 8);
  const TrainingRequest request{.arch = tiny_net(), .config = config};
  NetworkCache cache(folder.file("n"), "key", true);
  const TrainedNetwork trained = cache.train(request), kept = cache.train(request);
  ASSERT_TRUE(trained.details && kept.details);
  std::int64_t images = 0, right = 0;
  for (const auto& [label, guess, n] : kept.details->confusion) {
    images += n;
    right += label == guess ? n : 0;
  }
  EXPECT_EQ(images, 20);
  EXPECT_EQ(static_cast<double>(right) / 20, kept.test.top1);
  EXPECT_EQ(kept.details->confusion, trained.details->confusion);
  EXPECT_EQ(kept.details->ece, trained.details->ece);

  const fs::path file = fs::directory_iterator(folder.file("n"))->path() / "result.json";
  nlohmann::json older = nlohmann::json::parse(read_file(file));
  older["result"].erase("details");
  older["result"]["test"]["loss"] = 0.125;
  write_file_atomically(file, older.dump());
  const TrainedNetwork old = cache.train(request);
  EXPECT_EQ(old.test.loss, 0.125) << "trained again";
  EXPECT_FALSE(old.details);
  EXPECT_EQ(count_in(folder.file("n")), 1) << "its key has changed";

  older["result"]["details"] = to_json(fields_of(*trained.details));
  older["result"]["details"]["confusion"][0][1] = 4;
  write_file_atomically(file, older.dump());
  EXPECT_ERROR(cache.train(request), ConfigError, "result.json", "4 classes", "number 4");

  EXPECT_FALSE(
      cache.train({.arch = tiny_net(), .config = config, .observe = true, .test = false}).details);
}

// Ended, and killed before its result was written: only the last evaluation's figures are left.
TEST_F(Caches, DetailsOfAnEndedTrainingAreFoundAgain) {
  TrainConfig config = tiny_config(24, 8);
  config.ema = 0.5;
  const TrainingRequest request{.arch = tiny_net(), .config = config};
  const TrainedNetwork expected = NetworkCache(folder.file("a"), "key", true).train(request);
  Model model(tiny_net(), config.seed);
  const fs::path name = fs::directory_iterator(folder.file("a"))->path().filename();
  config.out = folder.file("b/") + name.string();
  config.evaluate_every = config.epochs;
  train(model, open_data(config.data), config);
  const TrainedNetwork found = NetworkCache(folder.file("b"), "key", true).train(request);
  EXPECT_EQ(found.test.loss, expected.test.loss);
  ASSERT_TRUE(found.details);
  EXPECT_EQ(found.details->confusion, expected.details->confusion);
  EXPECT_NEAR(found.details->brier, expected.details->brier, 1e-6);
}

// 30 images in batches of 29 are one step an epoch, for the image that is left has no batch norm.
TEST_F(Caches, ImportanceIsOfTheLastEpochAlone) {
  Recipe recipe = tiny();
  recipe.train.data.limit_train = 30;
  recipe.train.batch = 29;
  recipe.train.epochs = 2;
  recipe.train.quiet = true;
  ASSERT_EQ(steps_per_epoch(30, 29), 1);
  const Architecture arch = resolve(recipe.model, recipe.arch);
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

// What a busy machine disturbed is kept only by those who asked for it.
TEST_F(Caches, StagesAreComputedAgainUntilTheyAreGood) {
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

std::vector<LayerLaw> laws_of(const Architecture& net, double b) {
  std::vector<LayerLaw> laws;
  for (const std::string& name : width_names(net)) {
    laws.push_back({.points = {}, .law = {.layer = name, .a = 1, .b = b}});
  }
  return laws;
}

TEST(LayerToSweep, IsTheMostImportantAtItsWidth) {
  Architecture net = zoo("vgg11");
  std::vector<LayerLaw> laws = laws_of(net, -1);
  EXPECT_EQ(layer_to_sweep(net, laws), 0) << "the narrowest of one law";
  laws[5].law.a = 10;  // 10 / 512 against 1 / 64
  EXPECT_EQ(layer_to_sweep(net, laws), 5);
  EXPECT_EQ(layer_to_sweep(net, laws_of(net, 1)), 4) << "the first of the widest";
  EXPECT_EQ(layer_to_sweep(net, {}), main_layers(net, 1)[0]);
  for (Layer& layer : net.layers) {
    if (auto* conv = std::get_if<Conv>(&layer); conv && conv->name == width_names(net)[5]) {
      conv->groups = 2;
    }
  }
  EXPECT_FALSE(can_widen_alone(net, 5));
  EXPECT_EQ(layer_to_sweep(net, laws), 0) << "groups forbid a channel more";
}

// RAPL is a tree of files here, whose counter moves with the protocol's clock.
class Energy : public InFolder {
 protected:
  Energy() {
    on.machine = this_machine();
    on.meters.sysfs_root = folder.file("");
    on.energy = {.warmup_seconds = 0,
                 .seconds = 0.02,
                 .repetitions = 2,
                 .phase_seconds = 0,
                 .idle_seconds = 0.02,
                 .now = [this] { return time += 1e-3; },
                 .sleep = [this](double seconds) { time += seconds; }};
  }
  void write(const std::string& name, std::int64_t value) {
    folder.write("sys/class/powercap/intel-rapl:0/" + name, std::to_string(value) + "\n");
  }
  void add_rapl() {
    folder.write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    write("max_energy_range_uj", 1'000'000'000);
    write("energy_uj", 0);
  }
  MeasuredEnergy measure() {
    StageCache stages(folder.file("stages"), true);
    return measure_energies(stages, on, recipe, {net});
  }

  MeasuredOn on;
  Recipe recipe;
  double time = 0;
  Architecture net = scale_width(zoo("vgg11"), 0.125);
};

TEST_F(Energy, IsMeasuredOnceAndKept) {
  add_rapl();
  on.energy.now = [this] {
    write("energy_uj", static_cast<std::int64_t>(1e6 * (time += 1e-3)));  // one watt
    return time;
  };
  const MeasuredEnergy energy = measure();
  on.energy.now = [this] { return time += 1e-3; };
  EXPECT_EQ(energy.reason, "");
  ASSERT_EQ(energy.of.size(), 1u);
  EXPECT_EQ(energy.of[0].meter, "RAPL");
  EXPECT_NEAR(energy.of[0].watts, 1, 0.2);
  EXPECT_GT(energy.of[0].inferences, 0);
  const MeasuredEnergy again = measure();  // the counter stands still: nothing is measured
  ASSERT_EQ(again.of.size(), 1u) << again.reason;
  EXPECT_EQ(again.of[0].raw.mean, energy.of[0].raw.mean);
  EXPECT_EQ(again.of[0].update, energy.of[0].update);
}

TEST_F(Energy, IsNotThereWithAReason) {
  const MeasuredEnergy none = measure();
  EXPECT_TRUE(none.of.empty());
  EXPECT_EQ(none.reason.find("no meter: "), 0u) << none.reason;
  EXPECT_FALSE(std::filesystem::exists(folder.file("stages/energy.json")));
  add_rapl();
  EXPECT_NE(measure().reason.find("expected energy"), std::string::npos) << "it stands still";
}

}  // namespace
}  // namespace hac
