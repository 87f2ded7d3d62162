// A resumed training meets the images that it knows, wherever they lie, or refuses.

#include "data/sets/holdout.h"
#include "data/sets/pack.h"
#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "models/train/checkpoint.h"
#include "tests/support/data_fixtures.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

std::string picture(int value) {
  std::string rows;
  for (int y = 0; y < 16; ++y) rows += '\0' + std::string(3 * 16, static_cast<char>(value));
  return testing::png(rows, 16, 16, 8, 2);
}

class ResumeData : public ::testing::Test {
 protected:
  ResumeData() {
    for (const std::string part : {"train", "val"}) {
      for (int c = 0; c < 4; ++c) {
        for (int i = 0; i < 3; ++i) {
          folder_.write("set/" + part + "/" + names[c] + "/" + std::to_string(i) + ".png",
                        picture(60 * c + 5 * i));
        }
      }
    }
  }

  std::string at(const std::string& name) const { return folder_.file(name); }

  TrainConfig config(const std::string& set, const std::string& out) const {
    TrainConfig c = tiny_config(0, 4);
    c.data = {.name = "imagefolder:" + at(set), .resolution = 16};
    c.out = at(out);
    return c;
  }
  Model run(const TrainConfig& c) const {
    Model model(tiny_net(), c.seed);
    train(model, open_data(c.data), c);
    return model;
  }
  // Stops in the middle of an epoch.
  void begin(const std::string& out) const {
    TrainConfig c = config("set", out);
    c.max_steps = 2;
    run(c);
  }
  Model resume(const std::string& set, const std::string& out) const {
    TrainConfig c = config(set, out);
    c.resume = true;
    return run(c);
  }
  std::string refusal(const std::string& set = "set") const {
    const std::string before = read_file(at("run/last.safetensors"));
    const std::string message = message_of<ConfigError>([&] { resume(set, "run"); });
    EXPECT_EQ(before, read_file(at("run/last.safetensors")));
    EXPECT_CONTAINS(message, "resume '" + at("run/last.safetensors"));
    return message;
  }
  // As they were before checkpoints kept which images they saw.
  void make_old(const std::string& out) const {
    const std::string path = at(out + "/last.safetensors");
    TensorFile file = load_safetensors(path);
    EXPECT_EQ(file.metadata.erase("images"), 1u);
    save_safetensors(path, file);
  }

  const std::vector<std::string> names = {"ant", "bee", "cat", "dog"};
  TempFolder folder_;
};

TEST_F(ResumeData, AMovedFolderGoesOnInTheSameBits) {
  const Model whole = run(config("set", "whole"));
  begin("run");
  fs::create_directories(at("elsewhere"));
  fs::rename(at("set"), at("elsewhere/set"));
  const Model moved = resume("elsewhere/../elsewhere//set/", "run");
  expect_same_bits(whole, moved);
  const std::optional<TrainedOn> says = checkpoint_data(at("run/last.safetensors"));
  ASSERT_TRUE(says);
  EXPECT_EQ(says->classes, names);
  EXPECT_EQ(says->train[0].images, 3);
}

// Crops at random of a mapped file, stopped in the middle of an epoch.
TEST_F(ResumeData, APackedSetGoesOnInTheSameBitsWhereverItLies) {
  for (const PackStore store : {PackStore::raw, PackStore::jpeg}) {
    const PackConfig pack{.side = 16, .store = store, .overwrite = true, .quiet = true};
    pack_images(at("set"), at("p"), pack);
    const auto config_of = [&](const std::string& out) {
      TrainConfig c = config("set", out + to_string(store));
      c.data.name = "packed:" + at("p");
      c.transforms.random_resized_crop = RandomResizedCrop{};
      return c;
    };
    const Model whole = run(config_of("whole"));
    TrainConfig c = config_of("run");
    c.max_steps = 2;
    run(c);
    fs::rename(at("p"), at("q"));
    c = config_of("run");
    c.data.name = "packed:" + at("q");
    c.resume = true;
    expect_same_bits(whole, run(c));
    std::ofstream(at("set/train/ant/0.png")) << picture(7);  // another set
    pack_images(at("set"), at("q"), pack);
    EXPECT_CONTAINS(message_of<ConfigError>([&] { run(c); }),
                    "training images are not those that it was trained with");
    std::ofstream(at("set/train/ant/0.png")) << picture(0);
  }
}

TEST_F(ResumeData, FewerImagesAreRefusedWithTheirCounts) {
  begin("run");
  for (const char* file : {"set/train/bee/1.png", "set/train/bee/2.png", "set/train/dog/0.png"}) {
    fs::remove(at(file));
  }
  EXPECT_CONTAINS(refusal(), "training images are not those that it was trained with: 9, 12 then",
                  "class 'bee' has 1, had 3");
}

TEST_F(ResumeData, MoreImagesOtherNamesAndOtherSizesAreRefused) {
  begin("run");
  folder_.write("set/val/cat/3.png", picture(1));
  EXPECT_CONTAINS(refusal(), "test images are not those that it was trained with: 13, 12 then");
  fs::remove(at("set/val/cat/3.png"));
  fs::rename(at("set/train/cat/1.png"), at("set/train/cat/01.png"));
  EXPECT_CONTAINS(refusal(), "the 3 of class 'cat' have other names");
  fs::rename(at("set/train/cat/01.png"), at("set/train/cat/1.png"));
  std::ofstream(at("set/train/ant/0.png"), std::ios::app) << "more";
  EXPECT_CONTAINS(refusal(), "the 3 of class 'ant' have other names, sizes");
}

TEST_F(ResumeData, RenamedClassesAreRefused) {
  begin("run");
  for (const char* part : {"set/train/", "set/val/"}) {
    fs::rename(at(part + names[0]), at(part + std::string("zebra")));
  }
  EXPECT_CONTAINS(refusal(), "number 0 is 'bee', was 'ant'");
  make_old("run");
  EXPECT_CONTAINS(refusal(), "number 0 is 'bee', was 'ant'");
}

TEST_F(ResumeData, OldCheckpointsGoOnInTheirPlaceOnly) {
  const Model whole = run(config("set", "whole"));
  begin("run");
  make_old("run");
  fs::rename(at("set"), at("moved"));
  EXPECT_CONTAINS(refusal("moved"), "it was trained with data");
  fs::rename(at("moved"), at("set"));
  expect_same_bits(whole, resume("set", "run"));
}

TEST_F(ResumeData, OtherHeldOutImagesAreRefused) {
  TrainConfig c = config("set", "run");
  c.validation = 4;
  c.max_steps = 1;
  const DataSplit split = hold_out(open_data(c.data), c.validation, c.seed);
  const std::string held = split.validation->identity(0);  // path and bytes
  Model model(tiny_net(), c.seed);
  train(model, split, c);
  std::ofstream(at("set/train/" + held.substr(0, held.find(' '))), std::ios::app) << "more";
  c.resume = true;
  EXPECT_ERROR(train(model, hold_out(open_data(c.data), c.validation, c.seed), c), ConfigError,
               "validation images are not those that it was trained with");
}

// As they were before there were styles of the warm-up, of which multiply was the only one.
TEST_F(ResumeData, OldCheckpointsMultiplyTheWarmUp) {
  TrainConfig c = config("set", "run");
  c.schedule = {
      .kind = ScheduleKind::cosine, .lr = 0.05, .warmup = 1, .warmup_style = WarmupStyle::multiply};
  const auto go_on = [&](WarmupStyle style) {
    c.schedule.warmup_style = style;
    c.max_steps = -1;
    c.resume = true;
    return run(c);
  };
  c.max_steps = 2;
  run(c);
  const TensorFile file = load_safetensors(at("run/last.safetensors"));
  EXPECT_LACKS(file.metadata.at("training"), "warmup_style");
  EXPECT_ERROR(go_on(WarmupStyle::prefix), ConfigError,
               "(hint: --warmup-style multiply, or another --out)");
  EXPECT_NO_THROW(go_on(WarmupStyle::multiply));
  // Without a warm-up its style is nothing; nor had old ones an epoch to select.
  c = config("set", "plain");
  c.max_steps = 2;
  run(c);
  TensorFile plain = load_safetensors(at("plain/last.safetensors"));
  std::string& training = plain.metadata.at("training");
  const std::string select = ",\n  \"select\": \"last\"";
  ASSERT_NE(training.find(select), std::string::npos) << training;
  training.erase(training.find(select), select.size());
  save_safetensors(at("plain/last.safetensors"), plain);
  EXPECT_NO_THROW(go_on(WarmupStyle::multiply));
}

TEST_F(ResumeData, OldCheckpointsOfFewerImagesAreRefusedByTheirPlace) {
  TrainConfig c = config("set", "run");
  c.max_steps = 4;  // one step into the second epoch of three
  run(c);
  make_old("run");
  fs::remove(at("set/train/bee/1.png"));
  fs::remove(at("set/train/bee/2.png"));
  fs::remove(at("set/train/ant/2.png"));
  fs::remove(at("set/train/ant/1.png"));
  EXPECT_CONTAINS(refusal(), "after step 4, in batch 1 of epoch 1, which 8 images in batches of 4");
}

}  // namespace
}  // namespace hac
