// hacscale data check and pack, and --bad-images of the verbs that read folders.

#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

class CliData : public Cli {
 protected:
  // Two classes of two images each in train and val.
  void write_folder() const {
    for (const char* part : {"train/", "val/"}) {
      for (const char* name : {"ant/0.jpg", "ant/1.jpg", "bee/0.jpg", "bee/1.jpg"}) {
        write(std::string("set/") + part + name, picture());
      }
    }
  }
  static std::string picture() {
    return testing::jpeg(std::vector<std::uint8_t>(3 * 32 * 32, 90), 32, 32);
  }
  // Whole, but with a hole in its rows.
  static std::string damaged() {
    std::vector<std::uint8_t> noise(3 * 32 * 32);
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<std::uint8_t>(i * i * 7);
    std::string jpeg = testing::jpeg(noise, 32, 32);
    return jpeg.replace(jpeg.size() - 120, 2, "\xff\xd5");
  }
  void checkpoint_of_set() const { succeed(train + " --epochs 1 --quiet"); }
  // Of the folder; what follows begins with line 6.
  void write_recipe(const std::string& lines) const {
    write("r.toml",
          "model = \"vgg11\"\n[arch]\nwidth = 0.125\n[train.data]\n"
          "name = \"imagefolder:set\"\n" +
              lines);
  }
  const Words train =
      "train" + tiny_model + " --data-resolution 32 --batch 2 --out r --data imagefolder:set";
};

TEST_F(CliData, CheckListsEveryBadFileWithItsReason) {
  write_folder();
  EXPECT_CONTAINS(succeed("data check set").out, "train  4 images in 2 classes, 0 bad");
  write("set/train/ant/2.jpg", picture().substr(0, 300));
  write("set/train/bee/deep/2.png", "no image");
  write("set/train/bee/3.webp", "no image");
  write("set/val/bee/2.jpg", damaged());
  const Outcome bad = run("data check set");
  EXPECT_EQ(bad.exit, 1);
  EXPECT_EQ(std::count(bad.err.begin(), bad.err.end(), '\n'), 1) << bad.err;
  EXPECT_CONTAINS(bad.err, "3 of 11 images are bad");
  EXPECT_CONTAINS(bad.out, "train/ant/2.jpg': corrupt JPEG", "bee/deep/2.png': expected a JPEG",
                  "val/bee/2.jpg': corrupt JPEG", "6 images in 2 classes, 2 bad; left", "1 *.webp");
}

TEST_F(CliData, CheckPrintsJsonAndTakesFlatFolders) {
  write("flat/ant/0.jpg", picture());
  write("flat/bee/0.jpg", "no image");
  write("flat/bee/1.jpg", picture());
  const Outcome o = run("data check flat --json");
  EXPECT_EQ(o.exit, 1);
  const json j = json::parse(o.out);
  ASSERT_EQ(j["parts"].size(), 1u);
  EXPECT_EQ(j["parts"][0]["classes"], json::parse(R"([{"name": "ant", "images": 1, "bad": 0},
                            {"name": "bee", "images": 2, "bad": 1}])"));
  ASSERT_EQ(j["bad"].size(), 1u);
  EXPECT_EQ(j["bad"][0]["path"], "flat/bee/0.jpg");
  EXPECT_EQ(json_of("data check flat/ant")["parts"][0]["images"], 1);
  write_folder();
  write("set/val/cat/0.jpg", picture());
  fs::create_directory("set/train/dog");
  const json odd = json::parse(run("data check set --json").out);
  EXPECT_EQ(odd["problems"], json({"train/dog: no image", "train/dog: no such class in val",
                                   "val/cat: no such class in train"}));
  fs::remove_all("set/train");  // val alone serves eval
  fs::remove_all("set/val/cat");
  succeed("data check set");
  fs::rename("set/val", "set/train");
  const Outcome alone = run("data check set --json");
  EXPECT_EQ(alone.exit, 1);
  EXPECT_EQ(json::parse(alone.out)["problems"], json({"val: no such folder beside train"}));
  succeed("data check set/train");
  expect_error("data check absent", 1, {"absent", "expected a folder"});
  expect_error("data count set", 2, {"check"});
}

TEST_F(CliData, APackedFolderTrainsAndEvaluatesAsTheFolderDoes) {
  write_folder();
  const Outcome packed = succeed("data pack set p --side 32 --quiet");
  EXPECT_CONTAINS(packed.out, "images      8", "--data packed:p");
  const Words of = "train" + tiny_model + " --data-resolution 32 --batch 2 --epochs 2";
  const json folder = json_of(of + " --out r --data imagefolder:set");
  const json file = json_of(of + " --out q --data packed:p");
  for (const char* figure : {"test_loss", "top1", "steps"}) EXPECT_EQ(file[figure], folder[figure]);
  EXPECT_EQ(json_of("eval q/last.safetensors --data packed:p")["loss"], folder["test_loss"]);
  EXPECT_EQ(json_of("eval r/last.safetensors --data packed:p")["loss"], folder["test_loss"]);
  // Class by class too, down to the names of the worst images.
  json by_folder = json_of("eval r/last.safetensors --data imagefolder:set --out f");
  json by_file = json_of("eval r/last.safetensors --data packed:p --out g");
  EXPECT_EQ(by_folder["worst"].size(), 4u);
  EXPECT_CONTAINS(by_folder["worst"][0]["name"].get<std::string>(), ".jpg");
  for (json* j : {&by_folder, &by_file}) j->erase("data");
  EXPECT_EQ(by_file, by_folder);
  for (const char* name : {"index.html", "evaluation.json", "data/confusion.svg",
                           "data/reliability.csv", "data/classes.csv", "data/worst.json"}) {
    EXPECT_TRUE(fs::exists(std::string("f/") + name)) << name;
  }
  EXPECT_CONTAINS(slurp("f/index.html"), "<img src=\"data:image/");
  expect_error("data pack set p", 1, {"'p': exists already", "--overwrite"});
  EXPECT_EQ(json_of("data pack set p --side 16 --overwrite")["images"], 8);
  EXPECT_CONTAINS(succeed("data check p").out, "train  4 images in 2 classes, 0 bad");
  std::string bytes = slurp("p");
  bytes[bytes.size() / 4] ^= 1;
  write("p", bytes);
  const Outcome damaged = run("data check p");
  EXPECT_EQ(damaged.exit, 1);
  EXPECT_CONTAINS(damaged.err, "1 of 8 images are bad");
  EXPECT_CONTAINS(damaged.out, "has another checksum", "4 images in 2 classes, 1 bad");
  write("set/train/cat/0.jpg", picture());
  expect_error("data pack set o", 1, {"'cat' only in one of them"});
  expect_error("data pack set", 2, {"expected DIR and OUT"});
  expect_error("data check set p", 2, {"expected one DIR"});
  expect_error("data pack set o --side 0", 2, {"--side"});
  expect_error("data pack set o --store png", 2, {"--store"});
}

TEST_F(CliData, TrainingStopsAtBadImagesOrSkipsThem) {
  write_folder();
  write("set/train/ant/2.jpg", damaged());
  write("set/train/ant/3.gif", "GIF89a");
  const Outcome stopped = run(train + " --epochs 1");
  EXPECT_EQ(stopped.exit, 1);
  EXPECT_CONTAINS(stopped.err, "1 of 5 images are bad", "ant/2.jpg");
  const Outcome skipped = succeed(train + " --epochs 1 --overwrite --bad-images skip");
  EXPECT_CONTAINS(skipped.err, "train: left out 1 *.gif", "left out 1 of 5 images that are bad");
  EXPECT_CONTAINS(slurp("r/training.json"), "\"bad_images\": \"skip\"");
  // Without them it is the same training, whichever way they would be met.
  fs::remove("set/train/ant/2.jpg");
  const Words go_on = train + " --epochs 2 --resume";
  EXPECT_EQ(json_of(go_on)["steps"], 4);
  EXPECT_EQ(json_of(go_on + " --bad-images skip")["steps"], 4);
  write("set/train/ant/2.jpg", picture());
  expect_error(go_on + " --quiet", 2, {"5, 4 then"});
  expect_error(train + " --bad-images ignore", 2, {"bad-images"});
}

TEST_F(CliData, SplitsOfOtherClassesAreRefusedByEveryVerb) {
  write_folder();
  checkpoint_of_set();
  write("set/val/cat/0.jpg", picture());
  const std::string difference = "expected the 2 class folders of train, got 3 with 'cat' only in";
  expect_error(train + " --epochs 1 --quiet --overwrite", 1, {difference});
  expect_error("data pack set p --quiet", 1, {difference});
  write_recipe("");
  expect_error("run r.toml --out out --quiet", 1, {difference});
  fs::remove_all("set/val/bee");  // of which there is one more in train
  fs::remove_all("set/val/cat");
  expect_error(train + " --epochs 1 --quiet --overwrite", 1, {"got 1 with 'bee' only in"});
  expect_error("eval r/last.safetensors --data imagefolder:set", 2, {"'bee' is missing"});
}

TEST_F(CliData, PackedFilesThatAreCutDamagedOrOfAnotherSetAreRefused) {
  write_folder();
  succeed("data pack set p --side 32 --quiet");
  const Words of = "train" + tiny_model + " --data-resolution 32 --batch 2 --epochs 1 --quiet";
  succeed(of + " --out r --data packed:p");
  const std::string bytes = slurp("p");
  write("cut", bytes.substr(0, bytes.size() / 2));
  expect_error(of + " --out s --data packed:cut", 1, {"'cut': it is cut or was never finished"});
  std::string hole = bytes;
  hole[bytes.size() / 4] ^= 1;
  write("hole", hole);
  expect_error(of + " --out s --data packed:hole", 1, {"'hole", "has another checksum"});
  expect_error(of + " --out s --data packed:set", 1, {"expected a file of 'hacscale data pack'"});
  expect_error(of + " --out s --data imagefolder:p", 1, {"'p/train'"});
  EXPECT_FALSE(fs::exists("s/last.safetensors"));

  for (const char* part : {"set/train/", "set/val/"}) {
    fs::rename(std::string(part) + "bee", std::string(part) + "wasp");
  }
  succeed("data pack set wasps --side 32 --quiet");
  expect_error("eval r/last.safetensors --data packed:wasps", 2,
               {"'bee' is missing", "'wasp' is unknown to the network"});
  expect_error(of + " --out r --data packed:wasps --resume", 2, {"resume 'r/last.safetensors'"});
}

TEST_F(CliData, RecipesOfPhotographsAreRefusedInOneLine) {
  write_folder();
  const auto refused = [&](const char* lines, std::initializer_list<std::string> parts) {
    write_recipe(lines);
    expect_error("run r.toml --out out --quiet", 2, parts);
  };
  refused("[train.transforms]\nrotate = 30", {"line 7", "transforms.rotate", "unknown key"});
  refused("[train.transforms.auto_augment]\npolicy = \"svhn\"", {"line 7", "imagenet or cifar10"});
  refused("[train.transforms.random_erasing]\np = 1.5", {"line 7", "from 0 to 1, got 1.5"});
  refused("[train.transforms.random_resized_crop]\nscale = [0, 1]", {"line 7", "in (0, 1]"});
  refused("[train.transforms.cutout]\nside = 0", {"line 7", "from 1 to 65536, got 0"});
  refused("[train.transforms.color_jitter]\nhue = 0.7", {"line 7", "from 0 to 0.5, got 0.7"});
  write_recipe("");
  expect_error("run r.toml --out out --quiet --set train.batch=9 --set train.accumulate=2", 2,
               {"a batch of 9 in 2 parts", "hint: a batch of 10"});
  expect_error(train + " --accumulate 2", 2, {"a batch of 2 in 2 parts", "hint: a batch of 4"});
  expect_error(train + " --random-erasing 1.5", 2, {"'--random-erasing'", "from 0 to 1"});
  write("set/val/ant/2.jpg", damaged());
  expect_error("run r.toml --out out --quiet", 1, {"1 of 5 images are bad", "val/ant/2.jpg"});
  EXPECT_FALSE(fs::exists("out/networks")) << "something was trained";
}

TEST_F(CliData, NamesMayHoldAnyBytes) {
  for (const char* name : {"s\xe9t/train/caf\xe9/\xff.jpg", "s\xe9t/train/bee/0.jpg",
                           "s\xe9t/val/caf\xe9/\xfe\n.jpg", "s\xe9t/val/bee/0.jpg"}) {
    write(name, picture());
  }
  const json check = json_of("data check s\xe9t");
  EXPECT_EQ(check["parts"][0]["classes"][1]["name"], "caf\ufffd");
  const Words data = "--data-resolution 32 --data imagefolder:s\xe9t";
  EXPECT_EQ(json_of("train" + tiny_model + data + " --batch 2 --epochs 1 --out r")["steps"], 1);
  EXPECT_EQ(json_of("eval r/last.safetensors" + data)["images"], 2);
  const json seen = json_of("infer r/last.safetensors s\xe9t/val/bee/0.jpg");
  EXPECT_EQ(seen[0]["top"].size(), 2u);
}

}  // namespace
}  // namespace hac
