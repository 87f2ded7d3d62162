// A trained network on other files: the same images score the same, however they are stored.

#include <cmath>

#include "data/sets/datasets.h"
#include "engine/io/safetensors.h"
#include "kernels/core/isa.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

// A training on synthetic images, and the test images of it as a folder of PNG files.
class CliCheckpoint : public Cli {
 protected:
  void SetUp() override {
    succeed("train" + tiny_model + " --data synthetic --limit-train 80 --limit-test 60 --batch 16" +
            " --epochs 2 --lr 0.05 --quiet --out r");
    const DatasetPtr test = open_data({.name = "synthetic", .limit_test = 60}).test;
    for (std::int64_t i = 0; i < test->size(); ++i) {
      const Sample s = test->get(i);
      std::string rows;
      for (int y = 0; y < 32; ++y) {
        rows += '\0';
        for (int k = 0; k < 3 * 32; ++k)
          rows += static_cast<char>(s.pixels[(k % 3 * 32 + y) * 32 + k / 3]);
      }
      images_.push_back("f/val/" + test->classes()[test->label(i)] + "/" + std::to_string(100 + i) +
                        ".png");
      write(images_.back(), testing::png(rows, 32, 32, 8, 2));
    }
  }

  // Mean of -log p of the class that the file's folder names.
  static double loss_of_infer(const Words& files) {
    const json seen = json_of("infer r/last.safetensors --top 10" + files);
    double sum = 0;
    for (const json& image : seen) {
      const std::string truth = fs::path(std::string(image["image"])).parent_path().filename();
      for (const json& guess : image["top"]) {
        if (guess["class"] == truth) sum -= std::log(guess["probability"].get<double>());
      }
    }
    return sum / static_cast<double>(seen.size());
  }

  static constexpr const char* last = "r/last.safetensors";
  const Words eval = "eval r/last.safetensors", eval_folder = eval + " --data imagefolder:f";
  Words images_;
};

// Neither its kind's statistics nor its 224 pixels, and its classes are sorted by name, which is
// another order than the training's. There is no train/.
TEST_F(CliCheckpoint, AFolderOfTheSameImagesScoresTheSame) {
  const json expected = json_of(eval + " --limit-test 60");
  const Outcome o = succeed(eval_folder + " --json");
  const json got = json::parse(o.out);
  for (const char* key : {"top1", "top5", "images"}) EXPECT_EQ(got[key], expected[key]) << key;
  EXPECT_NEAR(got["loss"], expected["loss"], 1e-6);
  EXPECT_CONTAINS(o.err, "note: 'imagefolder:f': its classes are in another order");
  EXPECT_NEAR(loss_of_infer(images_), expected["loss"], 1e-4);
}

TEST_F(CliCheckpoint, Bf16ScoresAndLearnsAsF32Does) {
  if (!cpu::has_bf16()) GTEST_SKIP() << "no bf16: " << cpu::isa_name();
  const Words bf16 = "--dtype bf16";
  const double expected = json_of(eval + " --limit-test 60")["loss"];
  EXPECT_NEAR(json_of(eval + bf16 + " --limit-test 60")["loss"], expected, 0.03 * expected);
  EXPECT_NEAR(loss_of_infer(images_ + bf16), expected, 0.03 * expected);
  const auto learned = [&](const char* dtype) -> double {
    return json_of(tiny_train + " --epochs 8 --lr 0.05 --quiet --dtype " + dtype)["top1"];
  };
  EXPECT_NEAR(learned("bf16"), learned("f32"), 0.15);
}

TEST_F(CliCheckpoint, JpegsAreDecodedAlikeByEvalAndInfer) {
  fs::remove_all("f");
  Words files;
  for (const char* size : {"1x1", "2x1", "3x1", "4x1", "1x2", "2x2", "3x2", "4x2", "1x3", "2x3"}) {
    std::vector<std::uint8_t> pixels(3 * 150 * 130);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>((i * i * 5 + files.size() * 31) % 253);
    }
    files.push_back("f/val/texture " + std::string(size) + "/0.jpg");
    write(files.back(), testing::jpeg(pixels, 150, 130));
  }
  EXPECT_NEAR(loss_of_infer(files), json_of(eval_folder)["loss"], 1e-4);
}

TEST_F(CliCheckpoint, OtherClassNamesAreRefused) {
  fs::rename("f/val/texture 2x1", "f/val/zebra");
  expect_error(eval_folder, 2, {"imagefolder:f", "'texture 2x1' is missing", "'zebra' is unknown"});
  fs::remove_all("f/val/zebra");
  expect_error(eval_folder, 2, {"9 classes", "the 10"});
}

TEST_F(CliCheckpoint, WeightsOfOtherProgramsAreTakenAsTheSetSays) {
  TensorFile file = load_safetensors(last);
  write("a.json", file.metadata.at("architecture"));
  file.metadata = {{"format", "pt"}};
  save_safetensors("w.safetensors", file);
  const Words other = "eval w.safetensors --model a.json";
  expect_error(other, 1, {"w.safetensors", "--data"});
  const Outcome o = succeed(other + " --data synthetic --limit-test 60 --json");
  EXPECT_CONTAINS(o.err, "the set's own statistics");
  EXPECT_EQ(json::parse(o.out)["loss"], json_of(eval + " --limit-test 60")["loss"]);
}

// Fields that the program did not write before, and values that it cannot serve.
TEST_F(CliCheckpoint, PreprocessingIsReadFromTheFile) {
  const TensorFile good = load_safetensors(last);
  const std::string file = "m.safetensors";
  const auto with = [&](auto change) {
    TensorFile changed = good;
    json p = json::parse(good.metadata.at("preprocess"));
    change(p);
    changed.metadata["preprocess"] = p.dump();
    save_safetensors(file, changed);
  };
  const auto answer = [&](const std::string& checkpoint) {
    return json_of(Words{"infer", checkpoint, images_[0]})[0]["top"];
  };
  with([](json& p) {
    for (const char* key : {"border", "crop_pct", "interpolation"}) p.erase(key);
  });
  EXPECT_EQ(answer(file), answer(last));
  for (const std::string key : {"border", "crop_pct"}) {
    with([&](json& p) { p[key] = key == "border" ? json(3) : json(0.875); });
    EXPECT_NE(answer(file), answer(last)) << key;
  }
  with([](json& p) { p["interpolation"] = "bicubic"; });
  expect_error({"infer", file, images_[0]}, 1, {file, "interpolation", "bilinear"});
  expect_error("eval " + file, 1, {file, "interpolation"});
}

}  // namespace
}  // namespace hac
