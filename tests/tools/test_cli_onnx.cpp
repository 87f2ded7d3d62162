// export and import as a user calls them.

#include "kernels/core/error.h"
#include "models/deploy/onnx.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

bool built_in() {
  try {
    require_onnx();
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

class CliOnnx : public Cli {
 protected:
  void SetUp() override {
    if (!built_in()) GTEST_SKIP() << "built without libonnx";
  }
};

TEST_F(Cli, OnnxSaysWhatABuildWithoutItLacks) {
  if (built_in()) GTEST_SKIP() << "built with libonnx";
  write("net.onnx", "");
  expect_error("export --model vgg11 --out net.onnx", 3,
               {"libonnx", "apt-get install libonnx-dev"});
  expect_error("import net.onnx --out net", 3, {"libonnx", "apt-get install"});
}

TEST_F(CliOnnx, ATrainedNetworkThereAndBack) {
  const std::string trained = checkpoint("run");
  const json written = json_of(Words("export") + Words(trained) + " --unfolded --out net.onnx");
  EXPECT_EQ(written["input"]["shape"], json::parse(R"(["batch", 3, 32, 32])"));
  EXPECT_EQ(written["output"]["shape"], json::parse(R"(["batch", 10])"));
  EXPECT_EQ(written["opset"], 17);
  EXPECT_EQ(written["batch_norms"], 8);
  EXPECT_EQ(written["bytes"], fs::file_size("net.onnx"));
  const Outcome read = succeed("import net.onnx --out back");
  EXPECT_CONTAINS(read.out, "vgg11", "3 x 32 x 32, 10 classes", "1, 1, 2, 2, 2 blocks");
  EXPECT_EQ(read.err, "");
  // The same network on the same images, which the file says how to prepare.
  const std::string eval = " --limit-test 100 --threads 1";
  const json before = json_of("eval" + Words(trained) + eval);
  const json after = json_of("eval back/model.safetensors" + Words(eval));
  EXPECT_EQ(before["loss"], after["loss"]);
  EXPECT_EQ(before["top1"], after["top1"]);
  // To the byte the same file again.
  succeed("export back/model.safetensors --unfolded --out again.onnx");
  EXPECT_EQ(slurp("again.onnx"), slurp("net.onnx"));
}

TEST_F(CliOnnx, ALatencyTablesNetworksCanBeListedAsFiles) {
  succeed("latency-table resnet20 --width 0.5 --networks 5 --ladder off --list nets --onnx");
  EXPECT_CONTAINS(slurp("nets/README.md"), "net-000.onnx", "opset 17");
  for (const char* number : {"000", "011"}) {
    const std::string file = std::string("nets/net-") + number;
    succeed(Words("import ") + Words(file + ".onnx --out back" + number));
    const std::string back = std::string("back") + number + "/model.safetensors";
    const std::string said = load_safetensors(back).metadata.at("architecture");
    EXPECT_EQ(json::parse(said)["layers"], json_in(file + ".json")["layers"]) << file;
  }
  EXPECT_FALSE(fs::exists("nets/net-012.onnx"));
}

TEST_F(CliOnnx, RandomWeightsAreSaidToBeSo) {
  const Outcome o = succeed("export --model resnet20 --width 0.5 --batch 4 --out net.onnx");
  EXPECT_CONTAINS(o.err, "note: 'net.onnx'", "random");
  EXPECT_CONTAINS(o.out, "f32 (4, 3, 32, 32)", "logits f32 (4, 10)");
}

TEST_F(CliOnnx, TheExampleIsWhatTheFileTakes) {
  const std::string trained = checkpoint("run");
  succeed(Words("export") + Words(trained) +
          " --with-preprocessing --batch 3 --out net.onnx --example in.safetensors");
  const TensorFile example = load_safetensors("in.safetensors");
  EXPECT_EQ(example.tensors.at("input").dtype(), Dtype::u8);
  EXPECT_EQ(example.tensors.at("input").shape(), (Shape{3, 32, 32, 3}));
  EXPECT_EQ(example.tensors.at("logits").shape(), (Shape{3, 10}));
}

TEST_F(CliOnnx, BadUsageAndBadFiles) {
  expect_error("export", 2, {"'checkpoint'", "--model"});
  expect_error("export --model resnet20", 2, {"'--out'"});
  expect_error("export --model resnet20 --out x.onnx --batch 0", 2,
               {"'--batch'", "dynamic", "'0'"});
  expect_error("export --model resnet20 --out x.onnx --batch many", 2, {"'--batch'", "'many'"});
  expect_error("export --model resnet20 --out x.onnx --with-preprocessing", 2, {"preprocessing"});
  expect_error("export none.safetensors --out x.onnx", 1, {"none.safetensors"});
  expect_error("export --model resnet20 --out none/x.onnx", 1, {"none/x.onnx"});
  expect_error("import", 2, {"file is required"});
  expect_error("import x.onnx", 2, {"--out is required"});
  expect_error("import x.onnx --out x", 1, {"x.onnx"});
  write("x.onnx", "a text");
  expect_error("import x.onnx --out x", 1, {"'x.onnx'", "no ONNX file"});
  EXPECT_FALSE(fs::exists("x.safetensors"));
  // A file that cannot be replaced stays as it is.
  fs::create_directory("folder.onnx");
  expect_error("export --model resnet20 --out folder.onnx", 1, {"folder.onnx"});
}

// Three layers of 16384 x 16384: found before their memory is taken.
TEST_F(CliOnnx, MoreThanProtobufHoldsIsAnError) {
  write("big.json",
        R"({"name": "big", "channels": 1, "resolution": 128, "classes": 10, "stage_ends": [],
    "layers": [{"type": "flatten"}, {"type": "linear", "name": "a", "out": 16384},
               {"type": "linear", "name": "b", "out": 16384},
               {"type": "linear", "name": "c", "out": 16384}, {"type": "linear", "name": "fc"}]})");
  expect_error("export --model ./big.json --out big.onnx", 2, {"'big'", "2 GiB", "got 3.0 GiB"});
  EXPECT_FALSE(fs::exists("big.onnx"));
}

}  // namespace
}  // namespace hac
