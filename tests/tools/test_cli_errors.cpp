// Bad input as a user meets it: damaged files, folders that cannot be written, a full disk. One
// clear line each, and nothing lost.

#include "engine/io/safetensors.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/gpu.h"

namespace hac {
namespace {

using CliErrors = Cli;

TEST_F(CliErrors, MissingAndDamagedData) {
  expect_error("train --data fashion-mnist --data-dir absent", 1,
               {"absent", "expected", "dataset-fashion-mnist"});
  expect_error("train --data cifar10 --data-dir absent", 1, {"absent", "cifar"});
  expect_error("train --data imagefolder:absent", 1, {"'absent"});
  write("train-images-idx3-ubyte", std::string("\0\0\x08\x03\0\0\0\x02", 8));
  write("train-labels-idx1-ubyte", "");
  expect_error("train --data-dir .", 1, {"train-images-idx3-ubyte", "cut"});
}

TEST_F(CliErrors, TransformsOutOfRange) {
  expect_error({"train", "--auto-augment", "svhn"}, 2, {"imagenet or cifar10", "'svhn'"});
  expect_error({"train", "--random-erasing", "2"}, 2, {"a number from 0 to 1", "'2'"});
  expect_error({"train", "--cutout", "0"}, 2, {"'--cutout'", "an integer from 1", "'0'"});
  expect_error({"train", "--cutmix", "-1"}, 2, {"'--cutmix'", "a number from 0 to 100"});
  expect_error({"train", "--crop-pct", "1.5"}, 2, {"'--crop-pct'", "a number in (0.01, 1]"});
}

TEST_F(CliErrors, Bf16WhereTheInstructionSetHasNone) {
  const char* given = std::getenv("DNNL_MAX_CPU_ISA");
  setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
  for (const Words& verb : {tiny_train, Words("profile vgg11 --width 0.125")}) {
    expect_error(verb + " --dtype bf16", 2,
                 {"dtype 'bf16' on cpu", "AVX512_BF16", "avx2", "--dtype f32", "--weights bf16"});
  }
  given ? setenv("DNNL_MAX_CPU_ISA", given, 1) : unsetenv("DNNL_MAX_CPU_ISA");
}

TEST_F(CliErrors, DamagedCheckpoints) {
  const std::string bytes = slurp(checkpoint("r"));
  write("cut.safetensors", bytes.substr(0, bytes.size() / 2));
  write("long.safetensors", bytes + "x");
  write("huge.safetensors", std::string(8, '\xff'));
  write("empty.safetensors", "");
  for (const std::string file : {"cut.safetensors", "long.safetensors", "huge.safetensors",
                                 "empty.safetensors", "missing.safetensors"}) {
    expect_error("eval " + file, 1, {file});
    expect_error("infer " + file + " x.png", 1, {file});
    expect_error(tiny_train + " --quiet --init " + file, 1, {file});
  }
  write("r/last.safetensors", bytes.substr(0, bytes.size() - 9));
  expect_error(tiny_train + " --quiet --epochs 2 --out r --resume", 1, {"last.safetensors"});
  write("whole.safetensors", bytes);
  expect_error("eval whole.safetensors --model vgg13" + tiny_data, 1,
               {"whole.safetensors", "classifier.weight", "expected (10, 512)"});
}

TEST_F(CliErrors, DamagedMetadata) {
  const TensorFile good = load_safetensors(checkpoint("r"));
  const std::string file = "m.safetensors";
  const auto with = [&](const char* key, const std::string& value) {
    TensorFile bad = good;
    bad.metadata[key] = value;
    if (value.empty()) bad.metadata.erase(key);
    save_safetensors(file, bad);
  };
  std::string zero = good.metadata.at("preprocess");
  zero.replace(zero.find("\"std\":[") + 7, 1, "[0.0,");
  const std::pair<const char*, std::string> cases[] = {
      {"preprocess", ""},     {"preprocess", "{}"}, {"preprocess", "[1"},
      {"preprocess", zero},   {"classes", "[1,2]"}, {"classes", ""},
      {"classes", "[\"a\"]"}, {"images", "[1"},     {"images", "{\"train\": [], \"test\": []}"}};
  for (const auto& [key, value] : cases) {
    with(key, value);
    expect_error("infer " + file + " x.png", 1, {file});
  }
  with("architecture", "");
  expect_error("eval " + file, 1, {file, "architecture"});
}

TEST_F(CliErrors, DamagedImages) {
  const std::string last = checkpoint("r");
  const std::string jpeg = testing::jpeg(std::vector<std::uint8_t>(3 * 32 * 32, 9), 32, 32);
  write("cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  write("fine.jpg", jpeg);
  write("text.png", "not an image");
  expect_error("infer " + last + " cut.jpg", 1, {"cut.jpg", "JPEG"});
  expect_error("infer " + last + " none.png", 1, {"none.png"});
  // The good ones are classified all the same, and each bad one has its line.
  const Words images = "cut.jpg fine.jpg text.png fine.jpg";
  const Outcome o = run("infer " + last + images);
  EXPECT_EQ(o.exit, 1);
  const std::string good = run("infer " + last + " fine.jpg").out;
  EXPECT_EQ(o.out, good + good);
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 2) << o.err;
  EXPECT_LT(o.err.find("cut.jpg"), o.err.find("text.png': expected a JPEG")) << o.err;
  const json seen = json::parse(run("infer --json " + last + images).out);
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[1]["top"], seen[3]["top"]);
  EXPECT_CONTAINS(seen[2].value("error", ""), "text.png") << seen[2];
}

// Finite weights whose outputs are not: no verb answers.
TEST_F(CliErrors, WeightsThatGiveNoAnswer) {
  const TensorFile file = load_safetensors(checkpoint("r"));
  const std::string odd = "m.safetensors";
  const auto scaled = [&](const char* name, float value) {
    TensorFile bad = file;
    const Tensor& t = file.tensors.at(name);
    bad.tensors[name] = Tensor::from(std::vector<float>(t.numel(), value), t.shape());
    save_safetensors(odd, bad);
  };
  write("fine.jpg", testing::jpeg(std::vector<std::uint8_t>(3 * 32 * 32, 9), 32, 32));
  scaled("features.1.running_var", -1);
  const std::string finite = "features.1.running_var holds -1 at 0";
  expect_error("eval " + odd, 1, {odd, finite});
  expect_error("infer " + odd + " fine.jpg", 1, {odd, finite});
  expect_error("profile --checkpoint " + odd, 1, {odd, finite});
  expect_error("importance --checkpoint " + odd + " --quiet", 1, {odd, finite});
  expect_error(tiny_train + " --quiet --init " + odd, 1, {odd, finite});
  fs::copy_file(odd, "r/last.safetensors", fs::copy_options::overwrite_existing);
  expect_error(tiny_train + " --quiet --epochs 2 --out r --resume", 1,
               {"last.safetensors", "features.1.running_var"});
  scaled("classifier.weight", 3e38f);
  expect_error("infer " + odd + " fine.jpg", 1, {"fine.jpg", "not finite"});
  expect_error("eval " + odd, 1, {"not finite", "classifier"});
}

TEST_F(CliErrors, InitSaysWhatItLeavesOut) {
  const std::string last = checkpoint("r");
  const Words five =
      "train" + tiny_model + tiny_data + " --classes 5 --max-steps 0 --quiet --init " + last;
  expect_error(five, 1, {"classifier.weight is F32 (10, ", "hint: --init-except 'classifier.*'"});
  const Outcome o = succeed(five + " --init-except classifier.*");
  EXPECT_CONTAINS(o.err, "not classifier.bias, classifier.weight\n");
  const Outcome both =
      succeed(five + " --init-except *.bias,features.0.* --init-except classifier.*");
  EXPECT_CONTAINS(both.err, " more\n");
  expect_error(five + " --init-except head.*", 2, {"'head.*'", "classifier.weight"});
  expect_error(tiny_train + " --init-except fc.*", 2, {"--init-except", "--init"});
}

TEST_F(CliErrors, ArchitecturesThatDoNotValidate) {
  ASSERT_EQ(run("summary vgg11 --save a.json").exit, 0);
  json j = json_in("a.json");
  j["layers"][0]["out"] = -4;
  write("negative.json", j.dump());
  write("cut.json", slurp("a.json").substr(0, 300));
  expect_error("summary negative.json", 2, {"out", "-4"});
  expect_error("summary cut.json", 2, {"JSON"});
  expect_error("summary none.json", 1, {"none.json"});
}

TEST_F(CliErrors, FoldersThatCannotBeWritten) {
  write("file", "in the way");
  // Before a line is printed, also without --quiet.
  expect_error(tiny_train + " --out file/run", 1, {"file/run", "cannot be made"});
  expect_error("importance" + tiny_model + " --out file/i", 1, {"file/i"});
  expect_error("scale --laws none.json --out file/s", 1, {"file/s"});
  expect_error("report file", 1, {"file/report"});
  expect_error("run quick --device cuda:7 --out file/r", 1, {"file/r"});
  expect_error(tiny_train + " --save-gradients none/g", 1, {"none/g"});
  expect_error("summary vgg11 --save file/a.json", 1, {"file/a.json"});
  expect_error("run quick --quiet --out file/run", 1, {"file/run"});
  EXPECT_EQ(slurp("file"), "in the way");
}

TEST_F(CliErrors, ADeviceThatIsNotThereIsExitThree) {
  if (gpu_present()) GTEST_SKIP() << "there is a GPU";
  expect_error(tiny_train + " --device cuda:0", 3, {"cuda:0", "--device cpu"});
  expect_error("profile --device cuda:0", 3, {"cuda:0"});
  expect_error("profile --device gpu", 2, {"gpu"});
}

TEST_F(CliErrors, AMemoryLimitThatIsTooSmallIsExitThree) {
  const Words train = tiny_train + " --quiet --memory-limit";
  expect_error(train + "64KiB", 3, {"memory on cpu", "limit 0.1 MiB", "--batch"});
  expect_error(train + "1.25MiB", 3, {"memory on cpu", "limit 1.2 MiB"});
  expect_error("profile --memory-limit 1000000", 3, {"memory on cpu", "limit 1.0 MiB"});
  expect_error("profile" + tiny_model + " --batch 300 --memory-limit 8MiB", 3,
               {"memory on cpu", "(hint: --batch ", " may fit, by an estimate)"});
  EXPECT_EQ(run(train + "2GiB").exit, 0);
  for (const char* size : {"lots", "-1", "0", "2GB", "0.1", "nan", "1e400", "9999999999GiB"}) {
    expect_error(train + size, 2, {"--memory-limit", size, "2GiB"});
  }
}

TEST_F(CliErrors, OnlyADeviceThatHasPlansCanChoose) {
  const std::string last = checkpoint("r");
  for (const std::string wish :
       {" --autotune --device simt", " --tf32 --device simt", " --tf32 --device cpu"}) {
    // Tiny, so that a build that does not refuse ends too.
    for (const Words& verb : {tiny_train + " --max-steps 1", Words{"doctor"},
                              Words("infer " + last + " x.png"), "profile" + tiny_model}) {
      expect_error(verb + wish, 2, {Words(wish)[0].substr(2), "expected a GPU", Words(wish)[2]});
    }
  }
}

TEST_F(CliErrors, WeightsInBf16AreOfInference) {
  const std::string last = checkpoint("r");
  const Words bf16 = "--weights bf16";
  expect_error(tiny_train + bf16, 2, {"weights", "f32 where gradients are taken"});
  expect_error("profile" + tiny_model + bf16 + " --device simt", 2, {"weights", "on the CPU"});
  expect_error("profile" + tiny_model + " --weights f16", 2, {"weights", "f16"});
  for (const Words& words : {Words("eval " + last + " --limit-test 100"), "profile" + tiny_model}) {
    succeed(words + bf16);
  }
}

TEST_F(CliErrors, AFullDiskLosesNothing) {
  const std::string last = checkpoint("r");
  const std::string before = slurp(last);
  const Words longer = tiny_train + " --epochs 2 --quiet --out r --resume";
  const Outcome o = run(longer, {.file_limit = 20000});
  EXPECT_EQ(o.exit, 1) << o.err;
  EXPECT_TRUE(o.one_line_error()) << o.out << o.err;
  EXPECT_CONTAINS(o.err, ".safetensors': cannot be written");
  EXPECT_TRUE(slurp(last) == before) << "the checkpoint was lost";
  for (const auto& entry : fs::directory_iterator("r")) {
    EXPECT_LACKS(entry.path().string(), ".tmp") << entry.path();
  }
  EXPECT_EQ(run(longer).exit, 0) << "it cannot go on when there is room again";

  const Outcome full = run("summary", {.stdout_path = "/dev/full"});
  EXPECT_EQ(full.exit, 1);
  EXPECT_CONTAINS(full.err, "stdout");
}

}  // namespace
}  // namespace hac
