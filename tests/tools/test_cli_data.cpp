// hacscale data check, and --bad-images of the verbs that read folders.

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
  Words train(const std::string& epochs = "1", const std::string& set = "set") const {
    return Words{"train"} + tiny_model + Words{"--data", "imagefolder:" + path(set)} +
           Words{"--data-resolution", "32", "--batch", "2", "--epochs", epochs};
  }
};

TEST_F(CliData, CheckListsEveryBadFileWithItsReason) {
  write_folder();
  const Outcome good = succeed({"data", "check", path("set")});
  EXPECT_CONTAINS(good.out, "train  4 images in 2 classes, 0 bad");
  write("set/train/ant/2.jpg", picture().substr(0, 300));
  write("set/train/bee/deep/2.png", "no image");
  write("set/train/bee/3.webp", "no image");
  write("set/val/bee/2.jpg", damaged());
  const Outcome bad = run({"data", "check", path("set")});
  EXPECT_EQ(bad.exit, 1);
  EXPECT_TRUE(std::count(bad.err.begin(), bad.err.end(), '\n') == 1) << bad.err;
  EXPECT_CONTAINS(bad.err, "3 of 11 images are bad");
  EXPECT_CONTAINS(bad.out, "train/ant/2.jpg': corrupt JPEG", "bee/deep/2.png': expected a JPEG",
                  "val/bee/2.jpg': corrupt JPEG", "6 images in 2 classes, 2 bad; left", "1 *.webp");
}

TEST_F(CliData, CheckPrintsJsonAndTakesFlatFolders) {
  write("flat/ant/0.jpg", picture());
  write("flat/bee/0.jpg", "no image");
  write("flat/bee/1.jpg", picture());
  const Outcome o = run({"data", "check", path("flat"), "--json"});
  EXPECT_EQ(o.exit, 1);
  const json j = json::parse(o.out);
  ASSERT_EQ(j["parts"].size(), 1u);
  EXPECT_EQ(j["parts"][0]["classes"], json::parse(R"([{"name": "ant", "images": 1, "bad": 0},
                            {"name": "bee", "images": 2, "bad": 1}])"));
  ASSERT_EQ(j["bad"].size(), 1u);
  EXPECT_EQ(j["bad"][0]["path"], path("flat/bee/0.jpg"));
  EXPECT_EQ(json_of({"data", "check", path("flat/ant")})["parts"][0]["images"], 1);
  write_folder();
  write("set/val/cat/0.jpg", picture());
  fs::create_directory(path("set/train/dog"));
  const json odd = json::parse(run({"data", "check", path("set"), "--json"}).out);
  EXPECT_EQ(odd["problems"], json({"train/dog: no image", "train/dog: no such class in val",
                                   "val/cat: no such class in train"}));
  fs::remove_all(path("set/train"));  // val alone serves eval
  fs::remove_all(path("set/val/cat"));
  EXPECT_EQ(run({"data", "check", path("set")}).exit, 0);
  fs::rename(path("set/val"), path("set/train"));
  EXPECT_EQ(json::parse(run({"data", "check", path("set"), "--json"}).out)["problems"],
            json({"val: no such folder beside train"}));
  EXPECT_EQ(run({"data", "check", path("set")}).exit, 1);
  EXPECT_EQ(run({"data", "check", path("set/train")}).exit, 0);
  expect_error({"data", "check", path("absent")}, 1, {"absent", "expected a folder"});
  expect_error({"data", "count", path("set")}, 2, {"check"});
}

TEST_F(CliData, TrainingStopsAtBadImagesOrSkipsThem) {
  write_folder();
  write("set/train/ant/2.jpg", damaged());
  write("set/train/ant/3.gif", "GIF89a");
  const Outcome stopped = run(train() + Words{"--out", path("r")});
  EXPECT_EQ(stopped.exit, 1);
  EXPECT_CONTAINS(stopped.err, "1 of 5 images are bad", "ant/2.jpg");
  const Outcome skipped =
      succeed(train() + Words{"--out", path("r"), "--overwrite", "--bad-images", "skip"});
  EXPECT_CONTAINS(skipped.err, "train: left out 1 *.gif", "left out 1 of 5 images that are bad");
  EXPECT_CONTAINS(slurp(path("r/config.json")), "\"bad_images\": \"skip\"");
  // Without them it is the same training, whichever way they would be met.
  fs::remove(path("set/train/ant/2.jpg"));
  const Words go_on = train("2") + Words{"--out", path("r"), "--resume"};
  EXPECT_EQ(json_of(go_on)["steps"], 4);
  EXPECT_EQ(json_of(go_on + Words{"--bad-images", "skip"})["steps"], 4);
  write("set/train/ant/2.jpg", picture());
  expect_error(go_on + Words{"--quiet"}, 2, {"5, 4 then"});
  expect_error(train() + Words{"--bad-images", "ignore"}, 2, {"bad-images"});
}

TEST_F(CliData, NamesMayHoldAnyBytes) {
  const std::string set = "s\xe9t";
  for (const char* name : {"/train/caf\xe9/\xff.jpg", "/train/bee/0.jpg", "/val/caf\xe9/\xfe\n.jpg",
                           "/val/bee/0.jpg"}) {
    write(set + name, picture());
  }
  const json check = json_of({"data", "check", path(set)});
  EXPECT_EQ(check["parts"][0]["classes"][1]["name"], "caf\ufffd");
  const json trained = json_of(train("1", set) + Words{"--out", path("r")});
  EXPECT_EQ(trained["steps"], 1);
  const json eval = json_of({"eval", path("r/last.safetensors"), "--data",
                             "imagefolder:" + path(set), "--data-resolution", "32"});
  EXPECT_EQ(eval["images"], 2);
  const json seen = json_of({"infer", path("r/last.safetensors"), path(set + "/val/bee/0.jpg")});
  EXPECT_EQ(seen[0]["top"].size(), 2u);
}

}  // namespace
}  // namespace hac
