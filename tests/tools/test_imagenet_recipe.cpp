// The ImageNet recipe on photographs of ImageNet, of a folder and of a packed file: with everything
// on it trains, evaluates, and resumes bit for bit, also when it was killed; and its run ends in a
// report.

#include "data/sets/pack.h"
#include "engine/io/file.h"
#include "models/train/run_folder.h"
#include "models/train/train.h"
#include "models/train/weights.h"
#include "models/zoo/zoo.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/photographs.h"
#include "tests/support/tiny_training.h"
#include "tools/cli/recipes.h"

namespace hac {
namespace {

// Seconds of it: 32 pixels, seven batches of 32 in four parts, three epochs.
const Words in_small{"train.epochs=3",        "train.batch=32",
                     "train.accumulate=4",    "train.data.resolution=32",
                     "train.schedule.lr=0.1", "train.schedule.warmup=1"};
// What the paper does not use.
const Words everything{"train.cutmix=1",
                       "train.clip_norm=2",
                       "train.swa=0.25",  // an average of two epochs, begun before the last stop
                       "train.weight_decay_on=weights",
                       "train.transforms.color_jitter.brightness=0.4",
                       "train.transforms.color_jitter.hue=0.1",
                       "train.transforms.random_erasing.p=0.5",
                       "train.transforms.cutout.side=8"};

class ImageNetRecipe : public Cli {
 protected:
  void SetUp() override {
    sample_ = testing::find_photographs(folder_);
    if (!sample_) GTEST_SKIP() << "no imagenet-sample-200 in HAC_DATA_DIR or ../shared";
    testing::link_photographs(*sample_, "set");
  }

  static TrainConfig config_of(const std::string& data, const Words& settings) {
    TrainConfig config = load_recipe("imagenet-paper", in_small + everything + settings).train;
    config.data.name = data;
    config.quiet = config.data.quiet = true;
    config.seed = 1;
    return config;
  }

  // To its end in `out`, stopped at each of these steps, which changes no byte of `files`.
  static void expect_same_files(const TrainConfig& config, const Architecture& arch,
                                const TensorOptions& where) {
    const DataSplit data = open_data(config.data);
    const auto trained = [&](const std::string& out, const std::vector<std::int64_t>& stops) {
      TrainResult result;
      for (const std::int64_t stop : stops) {
        TrainConfig part = config;
        part.out = out;
        part.resume = stop != stops.front();
        part.max_steps = stop;
        part.evaluate_every = 3;
        Model model(arch, part.seed, where.device, where.dtype);
        result = train(model, data, part);
      }
      return result;
    };
    fs::remove_all("whole");
    fs::remove_all("parts");
    const TrainResult whole = trained("whole", {-1}), parts = trained("parts", {3, 7, 12, -1});
    EXPECT_EQ(whole.steps, 3 * steps_per_epoch(data.train->size(), config.batch));
    EXPECT_EQ(parts.test.loss, whole.test.loss);
    for (const char* file : {"/last.safetensors", "/model.safetensors"}) {
      EXPECT_TRUE(read_file(std::string("whole") + file) == read_file(std::string("parts") + file))
          << file << " of " << config.data.name << " on " << where.str();
    }
    Model model(arch, 9, where.device, where.dtype);
    load_weights(model_weights("parts"), model);
    EXPECT_EQ(evaluate(model, data.test).loss, whole.average.loss);
    EXPECT_EQ(whole.test.loss, whole.average.loss) << "the average counts";
    EXPECT_EQ(whole.test.images, data.test->size());
  }

  std::optional<fs::path> sample_;
};

TEST_F(ImageNetRecipe, ResumesBitForBitWithEverythingOn) {
  pack_images("set", "packed", {.side = 64, .quiet = true});
  const Architecture arch =
      resolve("preact_resnet18", {.width = 0.125, .resolution = 32, .classes = 199});
  expect_same_files(config_of("imagefolder:set", {}), arch, {});
  expect_same_files(config_of("packed:packed", {"train.swa=0", "train.ema=0.9"}), arch, {});
}

// In 16 bits, with the dynamic scale of the loss, and a GPU's kernels.
TEST_F(ImageNetRecipe, ResumesBitForBitInMixedPrecision) {
  testing::link_photographs(*sample_, "few", 40);
  Architecture arch = tiny_net();
  arch.classes = 40;
  expect_same_files(config_of("imagefolder:few", {"train.batch=12", "train.data.resolution=16"}),
                    arch, {kSimt, Dtype::f16});
}

TEST_F(ImageNetRecipe, AKilledTrainingResumesBitForBit) {
  const Words train =
      "train preact_resnet18 --width 0.125 --data imagefolder:set --data-resolution 32 --epochs 4 "
      "--batch 32 --accumulate 4 --schedule exponential --lr 0.1 --warmup 1 --mixup 0.2 --cutmix 1 "
      "--label-smoothing 0.1 --random-resized-crop --auto-augment imagenet --swa 0.25 --threads 1 "
      "--quiet --out";
  succeed(train + "whole");
  Program killed(train + "parts");
  ASSERT_TRUE(killed.wait_until([] { return fs::exists("parts/last.safetensors"); }));
  killed.send(SIGKILL);
  EXPECT_NE(killed.wait().exit, 0) << "it had ended";
  succeed(train + "parts --resume");
  for (const char* file : {"/last.safetensors", "/model.safetensors"}) {
    EXPECT_TRUE(slurp(std::string("parts") + file) == slurp(std::string("whole") + file)) << file;
  }
  const json seen = json_of("eval parts/model.safetensors --data imagefolder:set");
  EXPECT_EQ(seen["images"], 199);
}

// The command of the recipe's header, with fewer of everything.
TEST_F(ImageNetRecipe, ItsRunEndsInAReport) {
  Words run =
      "run imagenet-paper --data-dir set --out out --quiet --threads 1 --set arch.width=0.125";
  for (const std::string& setting :
       in_small + Words{"train.epochs=1", "importance.epochs=1", "alpha.epochs=1",
                        "alpha.validation=0", "search.validation=0", "alpha.grid=[0.5]",
                        "alpha.growth=2", "scale.methods=[\"hacscale\"]"}) {
    run = run + Words{"--set", setting};
  }
  const Outcome o = succeed(run);
  EXPECT_CONTAINS(o.out, "baseline", "hacscale (plain)", "Jetson AGX Xavier, f32, roofline");
  const json results = json_in("out/results.json");
  EXPECT_EQ(results["training"]["transforms.auto_augment.policy"], "imagenet");
  EXPECT_TRUE(fs::exists("out/report/index.html"));
}

}  // namespace
}  // namespace hac
