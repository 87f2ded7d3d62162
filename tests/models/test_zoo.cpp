#include "models/zoo/zoo.h"

#include "models/arch/counters.h"
#include "models/zoo/arch_options.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

std::string refusal(const std::string& name, const ArchOptions& options = {}) {
  return message_of<ConfigError>([&] { resolve(name, options); });
}

std::vector<std::string> names_of(const Architecture& arch) {
  std::vector<std::string> names;
  for (const Op& op : lower(arch).ops) {
    if (!op.name.empty()) names.push_back(op.name);
  }
  return names;
}

TEST(Zoo, EveryMemberValidatesAndSurvivesJson) {
  EXPECT_EQ(zoo_names().size(), 18u);
  for (const std::string& name : zoo_names()) {
    const Architecture arch = zoo(name);
    EXPECT_EQ(arch.name, name);
    EXPECT_NO_THROW(validate(arch)) << name;
    EXPECT_EQ(architecture_from_json(to_json(arch)), arch) << name;
  }
}

// As torchvision's: the i-th of 16 blocks is left out with probability 0.2 i / 16, where it adds
// its input.
TEST(Zoo, LaterBlocksOfEfficientNetAreLeftOutMoreOften) {
  std::vector<float> p;
  for (const Op& op : lower(zoo("efficientnet_b0")).ops) {
    const auto* dropout = std::get_if<DropoutSpec>(&op.spec);
    if (dropout && dropout->images) p.push_back(dropout->p);
  }
  const int added[] = {2, 4, 6, 7, 9, 10, 12, 13, 14};
  ASSERT_EQ(p.size(), std::size(added));
  for (std::size_t i = 0; i < p.size(); ++i) {
    EXPECT_FLOAT_EQ(p[i], 0.2F * static_cast<float>(added[i]) / 16) << "block " << added[i];
  }
}

TEST(Zoo, NamesOfAVggAreTorchvisions) {
  EXPECT_EQ(
      names_of(zoo("vgg11")),
      (std::vector<std::string>{
          "features.0", "features.1", "features.4", "features.5", "features.8", "features.9",
          "features.11", "features.12", "features.15", "features.16", "features.18", "features.19",
          "features.22", "features.23", "features.25", "features.26", "classifier"}));
}

TEST(Zoo, NamesOfTheResidualNets) {
  const auto names = [](const char* net) { return names_of(with_blocks(zoo(net), {1, 1, 1, 1})); };
  const auto r = names("resnet18");
  EXPECT_EQ(std::vector(r.begin(), r.begin() + 12),
            (std::vector<std::string>{"conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1",
                                      "layer1.0.conv2", "layer1.0.bn2", "layer2.0.downsample.0",
                                      "layer2.0.downsample.1", "layer2.0.conv1", "layer2.0.bn1",
                                      "layer2.0.conv2", "layer2.0.bn2"}));
  EXPECT_EQ(r.back(), "fc");
  const auto p = names("preact_resnet18");
  EXPECT_EQ(std::vector(p.begin(), p.begin() + 6),
            (std::vector<std::string>{"conv1", "layer1.0.bn1", "layer1.0.shortcut.0",
                                      "layer1.0.conv1", "layer1.0.bn2", "layer1.0.conv2"}));
  EXPECT_EQ(p[p.size() - 2], "bn");
  EXPECT_EQ(p.back(), "linear");
}

// Parameters as torchvision documents them; multiply-adds as it does, to its digits, but for
// EfficientNet's, which here have those of the squeezes too.
TEST(Zoo, SizesAreTorchvisions) {
  struct {
    const char* name;
    std::int64_t params;
    double macs, within;
  } constexpr known[] = {{"resnet50", 25557032, 4.089e9, 5e-4},
                         {"mobilenet_v2", 3504872, 300.8e6, 5e-4},
                         {"efficientnet_b0", 5288548, 385.8e6, 5e-3}};
  for (const auto& k : known) {
    const Counters counted = count(zoo(k.name));
    EXPECT_EQ(counted.params, k.params) << k.name;
    EXPECT_NEAR(static_cast<double>(counted.macs), k.macs, k.within * k.macs) << k.name;
  }
}

TEST(Zoo, NamesOfTheInvertedResiduals) {
  const auto m = names_of(with_blocks(zoo("mobilenet_v2"), {1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(
      std::vector(m.begin(), m.begin() + 12),
      (std::vector<std::string>{"features.0.0", "features.0.1", "features.1.conv.0.0",
                                "features.1.conv.0.1", "features.1.conv.1", "features.1.conv.2",
                                "features.2.conv.0.0", "features.2.conv.0.1", "features.2.conv.1.0",
                                "features.2.conv.1.1", "features.2.conv.2", "features.2.conv.3"}));
  EXPECT_EQ(m[m.size() - 3], "features.8.0") << "what stands behind the blocks follows them";
  EXPECT_EQ(m.back(), "classifier.1");
  const auto e = names_of(zoo("efficientnet_b0"));
  EXPECT_EQ(std::vector(e.begin() + 2, e.begin() + 14),
            (std::vector<std::string>{
                "features.1.0.block.0.0", "features.1.0.block.0.1", "features.1.0.block.1.fc1",
                "features.1.0.block.1.fc2", "features.1.0.block.2.0", "features.1.0.block.2.1",
                "features.2.0.block.0.0", "features.2.0.block.0.1", "features.2.0.block.1.0",
                "features.2.0.block.1.1", "features.2.0.block.2.fc1", "features.2.0.block.2.fc2"}));
}

// The widths that the blocks own: the expansions, and one for each stream.
TEST(Zoo, AShortcutOfAnInvertedResidualSurvivesAnyWidths) {
  for (const char* name : {"mobilenet_v2", "efficientnet_b0"}) {
    const Architecture arch = zoo(name);
    std::vector<std::int64_t> all = widths(arch);
    EXPECT_EQ(all.size(), 1u + 7 + (name == std::string("mobilenet_v2") ? 16 : 15) + 1) << name;
    const auto sums = [](const Architecture& a) {
      int n = 0;
      for (const Op& op : lower(a).ops) n += op.inputs.size() > 1 && op.spec.kind() != "gate";
      return n;
    };
    EXPECT_EQ(sums(arch), name == std::string("mobilenet_v2") ? 10 : 9) << name;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] += static_cast<std::int64_t>(8 * i);
    EXPECT_EQ(sums(with_widths(arch, all)), sums(arch)) << name;
    std::vector<std::int64_t> counts = blocks(arch);
    for (std::int64_t& n : counts) n += 2;
    EXPECT_EQ(sums(with_blocks(arch, counts)), sums(arch) + 2 * 7)
        << "every block that is added has a shortcut";
  }
}

TEST(Zoo, WidthsOfMobileNetsAreRoundedAsTorchvisionDoes) {
  const auto w = widths(zoo("mobilenet_v2_035"));
  EXPECT_EQ(w.front(), 16) << "0.35 of 32 is 11.2; 8, the nearest, is less than 90 % of it";
  EXPECT_EQ(w[1], 8) << "0.35 of 16 is 5.6";
  EXPECT_EQ(w.back(), 1280) << "never below";
  EXPECT_EQ(widths(zoo("mobilenet_v2_140")).back(), 1792);
  // MobileNetV2(width_mult=...) of torchvision; the names that are not listed are known too.
  for (const auto& [name, params] : {std::pair{"mobilenet_v2_010", 1367080},
                                     {"mobilenet_v2_060", 2217000},
                                     {"mobilenet_v2_130", 5386792}}) {
    EXPECT_EQ(count(zoo(name)).params, params) << name;
  }
  for (const char* name : {"mobilenet_v2_009", "mobilenet_v2_35", "mobilenet_v2_0350",
                           "mobilenet_v2_1.0", "mobilenet_v2_", "mobilenet_v2x100"}) {
    EXPECT_ERROR(zoo(name), ConfigError, name, "did you mean mobilenet_v2");
  }
}

TEST(Zoo, WidthsCountAsThePaperDoes) {
  EXPECT_EQ(widths(zoo("vgg11")).size(), 8u);
  EXPECT_EQ(widths(zoo("preact_resnet18")).size(), 17u);
  EXPECT_EQ(widths(zoo("preact_resnet34")).size(), 33u);
  EXPECT_EQ(width_names(zoo("preact_resnet18"))[1], "layer1.0.conv1");
  EXPECT_EQ(width_names(zoo("vgg11"))[1], "features.4");
}

// The wiring that counting cannot see.
TEST(Zoo, PreactivationBlockReadsWhatThePaperSays) {
  const Graph graph = lower(zoo("preact_resnet18"));
  const auto& ops = graph.ops;
  const auto index = [&](const std::string& name) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (ops[i].name == name) return static_cast<int>(i);
    }
    ADD_FAILURE() << name;
    return 0;
  };
  const int bn1 = index("layer1.0.bn1"), conv2 = index("layer1.0.conv2");
  const int shortcut = index("layer1.0.shortcut.0");
  EXPECT_EQ(ops[bn1].inputs, std::vector{index("conv1")}) << "the stem has no batch norm behind it";
  EXPECT_EQ(std::get<BatchNormSpec>(ops[bn1].spec).activation, Activation::relu);
  EXPECT_EQ(ops[shortcut].inputs, std::vector{bn1}) << "a projection reads the first ReLU";
  EXPECT_EQ(ops[conv2 + 1].inputs, (std::vector{conv2, shortcut}));
  EXPECT_EQ(ops[conv2 + 1].spec.kind(), "add");
  const int next = index("layer1.1.conv2");
  EXPECT_EQ(ops[next + 1].inputs, (std::vector{next, conv2 + 1})) << "an identity is the raw input";
  const int last = index("bn");
  EXPECT_EQ(std::get<BatchNormSpec>(ops[last].spec).activation, Activation::none)
      << "no ReLU before the global pool";
  EXPECT_EQ(ops[last + 1].spec.kind(), "globalavgpool");
}

TEST(Zoo, BasicBlockFusesItsSum) {
  const Graph graph = lower(zoo("resnet18"));
  int sums = 0;
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const auto* norm = std::get_if<BatchNormSpec>(&op.spec);
    if (!norm || !norm->add) continue;
    ++sums;
    EXPECT_EQ(norm->activation, Activation::relu);
    ASSERT_EQ(op.inputs.size(), 2u);
    EXPECT_EQ(op.inputs[0], static_cast<int>(i) - 1) << "conv2 stands right before";
    const Op& shortcut = graph.ops[op.inputs[1]];
    EXPECT_EQ(shortcut.spec.kind(), op.name == "layer1.0.bn2" ? "maxpool" : "batchnorm");
    EXPECT_EQ(shortcut.out(), op.out());
    if (shortcut.name.ends_with("downsample.1")) {
      EXPECT_EQ(std::get<BatchNormSpec>(shortcut.spec).activation, Activation::none);
    }
  }
  EXPECT_EQ(sums, 8);
}

TEST(Zoo, SeparateReluFusesIntoTheBatchNormBefore) {
  Architecture arch{.name = "relu", .channels = 1, .resolution = 4, .classes = 2};
  arch.layers = {Conv{.name = "a", .out = 4},
                 BatchNorm{.name = "b"},
                 Activate{},
                 Conv{.name = "c", .out = 4},
                 Activate{},
                 Flatten{},
                 Linear{.name = "fc"}};
  const Graph graph = lower(arch);
  ASSERT_EQ(graph.ops.size(), 6u);
  EXPECT_EQ(std::get<BatchNormSpec>(graph.ops[1].spec).activation, Activation::relu);
  EXPECT_EQ(graph.ops[3].spec.kind(), "relu") << "a convolution has nothing to fuse with here";
}

TEST(Zoo, VggResolutions) {
  // 32 to 63 leave a 1x1 map; at 64 the classifier reads 2x2.
  const auto inputs = [](std::int64_t resolution) {
    return std::get<LinearSpec>(lower(with_resolution(zoo("vgg11"), resolution)).ops.back().spec)
        .in;
  };
  EXPECT_EQ(inputs(32), 512);
  EXPECT_EQ(inputs(63), 512);
  EXPECT_EQ(inputs(64), 2048);
  EXPECT_CONTAINS(refusal("vgg11", {.resolution = 31}), "'after features.26'");
}

TEST(Zoo, SmallResidualNetsHaveTheirClosedForm) {
  // 16, 32, 64 channels, n blocks a stage, two projections with batch norm, 10 classes.
  for (const auto& [name, n] : {std::pair{"resnet20", 3}, {"resnet32", 5}, {"resnet56", 9}}) {
    std::int64_t params = 27 * 16 + 32 + 64 * 10 + 10;
    std::int64_t in = 16;
    for (const std::int64_t c : {16, 32, 64}) {
      params += 9 * in * c + (2 * n - 1) * 9 * c * c + 2 * n * 2 * c;
      if (in != c) params += in * c + 2 * c;
      in = c;
    }
    EXPECT_EQ(count(zoo(name)).params, params) << name;
  }
}

TEST(Zoo, UntiedWidthsGetAProjection) {
  auto w = widths(zoo("resnet20"));
  w[4] = 24;  // layer1.1.conv2
  const auto names = names_of(with_widths(zoo("resnet20"), w));
  EXPECT_NE(std::find(names.begin(), names.end(), "layer1.1.downsample.0"), names.end());
  EXPECT_NE(std::find(names.begin(), names.end(), "layer1.2.downsample.0"), names.end());
}

TEST(Zoo, UnknownNameGetsAHint) {
  EXPECT_CONTAINS(refusal("resnet81"), "model 'resnet81': expected one of vgg11, vgg13");
  EXPECT_CONTAINS(refusal("vg16"), "did you mean vgg16?");
  EXPECT_CONTAINS(refusal("preact_resnet50"), "did you mean preact_resnet");
}

TEST(ArchOptions, ChangeWhatTheySay) {
  const Architecture arch = resolve("vgg11", {.width = 0.25,
                                              .blocks = {1, 2, 2, 2, 2},
                                              .resolution = 48,
                                              .classes = 100,
                                              .in_channels = 1});
  EXPECT_EQ(widths(arch), (std::vector<std::int64_t>{16, 32, 32, 64, 64, 128, 128, 128, 128}));
  EXPECT_EQ(blocks(arch), (std::vector<std::int64_t>{1, 2, 2, 2, 2}));
  EXPECT_EQ(lower(arch).input, Shape({1, 1, 48, 48}));
  EXPECT_EQ(lower(arch).ops.back().out(), Shape({1, 100}));
  EXPECT_EQ(resolve("vgg11"), zoo("vgg11"));
  EXPECT_EQ(blocks(resolve("resnet18", {.depth = 1.25})), (std::vector<std::int64_t>{2, 2, 3, 3}));
  const std::vector<std::int64_t> w = {8, 9, 10, 11, 12, 13, 14, 15};
  EXPECT_EQ(widths(resolve("vgg11", {.widths = w})), w);
}

TEST(ArchOptions, ReadAFileWhereThePathSaysSo) {
  const TempFolder folder;
  const Architecture arch = with_classes(zoo("resnet20"), 7);
  save_architecture(arch, folder.file("net.json"));
  EXPECT_EQ(resolve(folder.file("net.json")), arch);
  EXPECT_EQ(resolve(folder.file("net.json"), {.classes = 5}).classes, 5);
  EXPECT_THROW(resolve("absent.json"), IoError);
  EXPECT_THROW(resolve("./vgg11"), IoError);
}

TEST(ArchOptions, ExcludeEachOther) {
  EXPECT_CONTAINS(refusal("vgg11", {.width = 2, .widths = {1}}), "'--width' and '--widths'");
  EXPECT_CONTAINS(refusal("vgg11", {.blocks = {1}, .depth = 2}), "'--depth' and '--blocks'");
  EXPECT_CONTAINS(refusal("vgg11", {.widths = {1, 2}}), "expected 8 values, got 2");
}

}  // namespace
}  // namespace hac
