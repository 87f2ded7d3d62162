// hacscale import: the networks of other programs, by their names for the weights, and what of them
// the file does not say.

#include <sstream>

#include "engine/io/safetensors.h"
#include "models/train/checkpoint.h"
#include "models/zoo/arch_options.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

// Of every tensor: its name with timm, its name with torchvision, its shape.
struct NamedTensor {
  std::string timm, torchvision;
  std::vector<std::int64_t> shape;
};

std::vector<NamedTensor> named_tensors(const std::string& network) {
  std::istringstream lines(slurp(HAC_SOURCE_DIR "/tests/fixtures/timm_names/" + network + ".txt"));
  std::vector<NamedTensor> all;
  for (std::string timm, own, shape; lines >> timm >> own >> shape;) {
    NamedTensor tensor{.timm = timm, .torchvision = own, .shape = {}};
    std::istringstream sizes(shape);
    for (std::string size; std::getline(sizes, size, 'x');)
      tensor.shape.push_back(std::stoll(size));
    all.push_back(tensor);
  }
  return all;
}

class CliImport : public Cli {
 protected:
  // The weights of a random network under timm's names, and how timm prepares its images.
  static std::map<std::string, Tensor> timm_file(const std::string& network) {
    const std::map<std::string, Tensor> own = Model(resolve(network), 5).state();
    TensorFile file;
    for (const NamedTensor& t : named_tensors(network))
      file.tensors[t.timm] = own.at(t.torchvision);
    fs::create_directories("timm");
    save_safetensors("timm/model.safetensors", file);
    return own;
  }
};

TEST_F(CliImport, TimmsNamesAreThoseOfTheSameTensors) {
  for (const auto& [network, timm, tensors] :
       {std::tuple{"mobilenet_v2", "mobilenetv2_100", 262},
        {"efficientnet_b0", "efficientnet_b0.ra_in1k", 311}}) {
    ASSERT_EQ(std::ssize(named_tensors(network)), tensors);
    const auto expected = timm_file(network);
    write("timm/config.json", json{{"architecture", timm},
                                   {"num_classes", 1000},
                                   {"pretrained_cfg",
                                    {{"input_size", {3, 192, 192}},
                                     {"interpolation", "bicubic"},
                                     {"crop_pct", 0.9},
                                     {"mean", {0.5, 0.4, 0.3}},
                                     {"std", {0.2, 0.25, 0.3}}}}}
                                  .dump());
    const Outcome o = succeed("import timm/model.safetensors --out own");
    EXPECT_CONTAINS(o.err, "names were timm's", "the classes have no names",
                    "interpolation bicubic");
    const auto got = load_safetensors("own/model.safetensors");
    ASSERT_EQ(got.tensors.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      ASSERT_EQ(got.tensors.at(name).to_vector(), tensor.to_vector()) << network << " " << name;
    }
    const Preprocessing p = checkpoint_data("own/model.safetensors")->preprocessing;
    EXPECT_EQ(p.resolution, 192);
    EXPECT_EQ(p.crop_pct, 0.9);
    EXPECT_EQ(p.normalization,
              (Normalization{.mean = {0.5f, 0.4f, 0.3f}, .std = {0.2f, 0.25f, 0.3f}}));
    EXPECT_EQ(load_architecture("own/architecture.json").resolution, 192);
    fs::remove_all("own");
  }
}

// Of another network than is asked for it describes nothing.
TEST_F(CliImport, AConfigOfAnotherNetworkIsPassedOver) {
  save_safetensors("w.safetensors", {Model(resolve("resnet20"), 5).state(), {}});
  write("config.json",
        "{\"architecture\": \"efficientnet_b0\", \"pretrained_cfg\": {\"input_size\": [3, 9, 9], "
        "\"mean\": [0, 0, 0], \"std\": [9, 9, 9]}}");
  const Outcome o = succeed("import w.safetensors --model resnet20 --out a");
  EXPECT_CONTAINS(o.err, "ImageNet's mean");
  EXPECT_EQ(json_in("a/config.json")["pretrained_cfg"]["input_size"], json({3, 32, 32}));
}

// As often as one likes: the same files.
TEST_F(CliImport, WhatWasImportedSaysItAll) {
  save_safetensors("w.safetensors", {Model(resolve("resnet20", {.classes = 3}), 5).state(), {}});
  write("labels.txt", "cat\ndog\r\nsnow leopard\n");
  const Outcome o = succeed(
      "import w.safetensors --model resnet20 --classes 3 --labels labels.txt --mean 0.4 "
      "--std 0.2,0.3,0.4 --crop-pct 1 --out a");
  EXPECT_EQ(o.err, "");
  succeed("import a/model.safetensors --out b");
  for (const char* file : {"/model.safetensors", "/config.json", "/architecture.json"}) {
    EXPECT_TRUE(slurp(std::string("a") + file) == slurp(std::string("b") + file)) << file;
  }
  const json config = json_in("a/config.json");
  EXPECT_EQ(config["label_names"], json({"cat", "dog", "snow leopard"}));
  EXPECT_EQ(config["pretrained_cfg"]["mean"], json({0.4, 0.4, 0.4}));
  EXPECT_EQ(config["pretrained_cfg"]["std"], json({0.2, 0.3, 0.4}));
  EXPECT_EQ(config["pretrained_cfg"]["classifier"], "fc");

  write("i.png", testing::png(std::string(32 * (1 + 3 * 32), '\0'), 32, 32, 8, 2));
  const json seen = json_of("infer a/model.safetensors i.png");
  EXPECT_EQ(seen[0]["top"].size(), 3u);
  expect_error("eval a/model.safetensors", 1,
               {"does not say what it was trained on", "--data SET"});
}

TEST_F(CliImport, TheAverageOfACheckpointIsAskedFor) {
  succeed(tiny_train + " --epochs 2 --ema 0.9 --select-weights plain --quiet --out r");
  succeed("import r/last.safetensors --out plain");
  succeed("import r/last.safetensors --average --out average");
  const auto last = load_safetensors("r/last.safetensors").tensors;
  const auto plain = load_safetensors("plain/model.safetensors").tensors,
             average = load_safetensors("average/model.safetensors").tensors;
  const std::string name = "features.0.weight";
  EXPECT_EQ(plain.at(name).to_vector(), last.at(name).to_vector());
  EXPECT_EQ(average.at(name).to_vector(), last.at("average." + name).to_vector());
  EXPECT_EQ(plain.size(), average.size());
  expect_error("import plain/model.safetensors --average --out c", 1, {"keeps no average"});
}

TEST_F(CliImport, RefusesWhatItCannotTell) {
  save_safetensors("w.safetensors", {Model(resolve("resnet20"), 5).state(), {}});
  const Words file = "import w.safetensors --out o";
  expect_error(file, 2, {"does not say which network", "--model NAME"});
  expect_error(file + " --model resnet32", 1, {"missing layer1.3"});
  expect_error(file + " --model resnet20 --classes 4", 1,
               {"fc.weight is F32 (10, 64), expected (4, 64)"});
  expect_error(file + " --model resnet20 --mean 0.1,0.2", 2, {"'--mean'", "1 or 3 numbers, got 2"});
  expect_error(file + " --model resnet20 --std 0", 2, {"'std'", "positive"});
  write("labels.txt", "cat\n");
  expect_error(file + " --model resnet20 --labels labels.txt", 2,
               {"expected 10 names of classes, got 1"});
  write("config.json", "{\"architecture\": 3}");
  expect_error(file, 1, {"config.json"});
  write("config.json", "{\"architecture\": \"vit_base_patch16_224\"}");
  expect_error(file, 2, {"vit_base_patch16_224"});
  fs::remove("config.json");
  EXPECT_FALSE(fs::exists("o/model.safetensors"));
  succeed(tiny_train + " --max-steps 1 --quiet --out r");
  expect_error("import w.safetensors --model resnet20 --out r", 2, {"a folder without a network"});
  succeed("import w.safetensors --model resnet20 --out once");
  expect_error("import w.safetensors --model resnet20 --out once", 2, {"model.safetensors'"});
  for (const char* verb :
       {"import once/model.safetensors --out x", "export once/model.safetensors --out x.onnx"}) {
    expect_error(Words(verb) + " --classes 5", 2, {"'--classes'", "holds its network"});
  }
}

}  // namespace
}  // namespace hac
