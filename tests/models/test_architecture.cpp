#include "models/arch/architecture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "tests/support/random_architecture.h"

namespace hac {
namespace {

// What holds for every architecture; f may draw more from the same numbers.
template <class F>
void for_random_architectures(F f) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomArchitecture random(seed);
    const Architecture arch = random();
    f(arch, random);
  }
}

std::int64_t ops_of_kind(const Architecture& arch, const std::string& kind) {
  std::int64_t n = 0;
  for (const Op& op : lower(arch).ops) n += op.spec.kind() == kind;
  return n;
}

// Files of before there were other activations.
TEST(Architecture, ReluOfOlderFilesIsRead) {
  const Architecture arch = architecture_from_json(R"({"name": "old", "channels": 3,
    "resolution": 8, "classes": 2, "layers": [{"type": "conv", "name": "f.0", "out": 4},
    {"type": "batchnorm", "name": "f.1", "relu": true}, {"type": "batchnorm", "name": "f.3",
    "relu": false}, {"type": "relu"}, {"type": "flatten"}, {"type": "linear", "name": "c"}]})");
  EXPECT_EQ(std::get<BatchNorm>(arch.layers[1]).activation, Activation::relu);
  EXPECT_EQ(std::get<BatchNorm>(arch.layers[2]).activation, Activation::none);
  EXPECT_EQ(std::get<Activate>(arch.layers[3]).activation, Activation::relu);
}

TEST(Architecture, LoweredOpsAreInOrderAndCarryTheWidths) {
  for_random_architectures([](const Architecture& arch, auto&) {
    const Graph graph = lower(arch, 2);
    const auto names = width_names(arch);
    const auto expected = widths(arch);
    ASSERT_EQ(names.size(), expected.size());
    std::size_t next = 0;
    for (int i = 0; i < static_cast<int>(graph.ops.size()); ++i) {
      const Op& op = graph.ops[i];
      for (const int input : op.inputs) {
        ASSERT_GE(input, -1);
        ASSERT_LT(input, i);
      }
      ASSERT_EQ(op.out()[0], 2);
      if (op.width_index < 0) continue;
      ASSERT_EQ(op.width_index, next) << "widths are in order of execution";
      ASSERT_EQ(op.name, names[next]);
      ASSERT_EQ(std::get<Conv2dSpec>(op.spec).k, expected[next]);
      ++next;
    }
    ASSERT_EQ(next, expected.size());
    ASSERT_EQ(graph.ops.back().out(), Shape({2, arch.classes}));
  });
}

TEST(Architecture, JsonAndSettingWhatIsThereChangeNothing) {
  for_random_architectures([](const Architecture& arch, auto&) {
    ASSERT_EQ(architecture_from_json(to_json(arch)), arch) << to_json(arch);
    ASSERT_EQ(with_widths(arch, widths(arch)), arch);
    ASSERT_EQ(with_blocks(arch, blocks(arch)), arch);
    ASSERT_EQ(with_resolution(arch, arch.resolution), arch);
    ASSERT_EQ(with_classes(arch, arch.classes), arch);
    ASSERT_EQ(with_channels(arch, arch.channels), arch);
  });
}

TEST(Architecture, WideningGrowsParametersAndMacs) {
  for_random_architectures([](const Architecture& arch, RandomArchitecture& random) {
    const Counters before = count(arch);
    auto wide = widths(arch);
    const auto i = static_cast<std::size_t>(random.pick(0, wide.size() - 1));
    wide[i] += random.pick(1, 9);
    const Architecture wider = with_widths(arch, wide);
    ASSERT_EQ(widths(wider), wide);
    // A width that comes to equal its neighbour's makes a projection vanish: that alone may shrink.
    if (ops_of_kind(wider, "conv2d") >= ops_of_kind(arch, "conv2d")) {
      ASSERT_GT(count(wider).params, before.params) << "width " << i;
      ASSERT_GE(count(wider).macs, before.macs) << "width " << i;
    }
    for (std::int64_t& w : wide) w *= 2;
    ASSERT_GT(count(with_widths(arch, wide)).params, before.params);
    ASSERT_GT(count(with_widths(arch, wide)).macs, before.macs);
  });
}

TEST(Architecture, AGroupOfAResidualStreamWidensWithoutProjections) {
  for_random_architectures([](const Architecture& arch, auto&) {
    const auto base = widths(arch);
    const auto groups = residual_groups(arch);
    std::vector<int> seen(base.size());
    for (const auto& group : groups) {
      for (const int i : group) {
        ++seen.at(i);
        ASSERT_EQ(base[i], base[group[0]]) << "one stream, one width";
      }
    }
    ASSERT_EQ(seen, std::vector<int>(base.size(), 1)) << "each index once";
    for (const auto& group : groups) {
      // 1001 meets no other width: no projection vanishes by chance.
      auto together = base, alone = base;
      for (const int i : group) together[i] += 1001;
      alone[group.back()] += 1001;
      const auto convs = ops_of_kind(arch, "conv2d");
      ASSERT_EQ(ops_of_kind(with_widths(arch, together), "conv2d"), convs);
      if (group.size() > 1) {
        ASSERT_GT(ops_of_kind(with_widths(arch, alone), "conv2d"),
                  ops_of_kind(with_widths(arch, together), "conv2d"));
      }
    }
  });
}

TEST(Architecture, ResidualGroupsOfTheZoo) {
  // torchvision's first stage adds to the stem's output; the paper's begins with a projection.
  const auto tied = residual_groups(zoo("resnet18"));
  EXPECT_EQ(tied[0], (std::vector{0, 2, 4}));
  EXPECT_EQ(tied.size(), 17u - 2 - 3);
  const auto paper = residual_groups(zoo("preact_resnet18"));
  EXPECT_EQ(paper[0], std::vector{0});
  EXPECT_EQ(paper[2], (std::vector{2, 4}));
  EXPECT_EQ(paper.size(), 17u - 4);
  EXPECT_EQ(residual_groups(zoo("vgg11")).size(), 8u);
}

TEST(Architecture, UntiedBlocksAreThoseThatProjectWithoutAStride) {
  for (const char* name : {"vgg11", "resnet18", "resnet20"})
    EXPECT_TRUE(untied_blocks(zoo(name)).empty()) << name;
  Architecture arch = zoo("resnet20");
  auto w = widths(arch);
  w[4] += 8;  // layer1.1.conv2: layer1.1 and layer1.2 then differ in what comes in and goes out
  EXPECT_EQ(untied_blocks(with_widths(arch, w)),
            (std::vector<std::string>{"layer1.1", "layer1.2"}));
}

// What follows the channels of its input (MobileNet v1): groups and outputs of a depthwise
// convolution, its norm, and the residual stream across it.
TEST(Architecture, DepthwiseConvolutionsFollowTheirInput) {
  Architecture arch{.name = "depthwise", .channels = 3, .resolution = 16, .classes = 4};
  arch.layers = {Conv{.name = "f.0", .out = 8},
                 BatchNorm{.name = "f.1", .activation = Activation::relu},
                 DepthwiseConv{.name = "f.3", .stride = 2},
                 BatchNorm{.name = "f.4", .activation = Activation::relu},
                 Conv{.name = "f.6", .out = 12, .kernel = 1, .pad = 0},
                 BatchNorm{.name = "f.7", .activation = Activation::relu},
                 Pool{.kind = PoolMode::global_avg},
                 Flatten{},
                 Linear{.name = "classifier"}};
  arch.stage_ends = {2, 6};
  ASSERT_EQ(architecture_from_json(to_json(arch)), arch);
  EXPECT_EQ(width_names(arch), (std::vector<std::string>{"f.0", "f.6"}));
  EXPECT_EQ(residual_groups(arch), (std::vector<std::vector<int>>{{0}, {1}}));
  const Architecture wide = with_widths(arch, {20, 28});
  const auto& conv = std::get<Conv2dSpec>(lower(wide).ops[2].spec);
  EXPECT_EQ(conv.weight_shape(), Shape({20, 1, 3, 3}));
  EXPECT_EQ(conv.groups, 20);
  EXPECT_EQ(lower(wide).ops[2].width_index, -1);
  EXPECT_EQ(lower(wide).ops[4].width_index, 1);
  EXPECT_EQ(count(wide).params, 20 * 27 + 40 + 20 * 9 + 40 + 20 * 28 + 56 + 28 * 4 + 4);
  // A unit is the pair; a new one keeps the size.
  const Architecture deep = with_blocks(arch, {1, 2});
  EXPECT_EQ(std::get<DepthwiseConv>(deep.layers[6]).name, "f.9");
  EXPECT_EQ(std::get<DepthwiseConv>(deep.layers[6]).stride, 1);
  EXPECT_EQ(std::get<Conv>(deep.layers[8]).name, "f.12");
  EXPECT_EQ(with_blocks(deep, {1, 1}), arch);
  // Inference folds the norm behind it too.
  for (const Op& op : fuse(lower(arch)).ops) EXPECT_NE(op.spec.kind(), "batchnorm");
}

TEST(Architecture, DepthGoesAndComesBack) {
  for_random_architectures([](const Architecture& arch, RandomArchitecture& random) {
    const auto base = blocks(arch);
    auto deep = base;
    for (std::int64_t& n : deep) n += random.pick(0, 3);
    const Architecture deeper = with_blocks(arch, deep);
    ASSERT_EQ(blocks(deeper), deep);
    ASSERT_EQ(with_blocks(deeper, base), arch);
    const Graph a = lower(arch), b = lower(deeper);
    ASSERT_EQ(a.ops[a.ops.size() - 2].out(), b.ops[b.ops.size() - 2].out())
        << "a new unit keeps the shape";
    if (deep != base) {
      ASSERT_GT(count(deeper).params, count(arch).params);
    }
    auto shallow = base;
    for (std::int64_t& n : shallow) n = random.pick(1, n);
    ASSERT_EQ(blocks(with_blocks(arch, shallow)), shallow);
    ASSERT_NO_THROW(validate(with_blocks(arch, shallow)));
  });
}

TEST(Architecture, NewUnitsAreNumberedAsPyTorchDoes) {
  Architecture vgg16 = with_blocks(zoo("vgg11"), {2, 2, 3, 3, 3});
  vgg16.name = "vgg16";
  EXPECT_EQ(vgg16, zoo("vgg16"));
  Architecture resnet34 = with_blocks(zoo("resnet18"), {3, 4, 6, 3});
  resnet34.name = "resnet34";
  EXPECT_EQ(resnet34, zoo("resnet34"));
}

// The depths of Table I: tests/scaling/test_table1.cpp.
TEST(Architecture, TiesOfDepthGoToTheLaterStageAndNoneVanishes) {
  using Blocks = std::vector<std::int64_t>;
  const auto scaled = [](const Architecture& arch, double d) {
    return blocks(scale_depth(arch, d));
  };
  const Architecture resnet = zoo("preact_resnet18"), vgg = zoo("vgg11");
  EXPECT_EQ(scaled(resnet, 1.1361), (Blocks{2, 2, 2, 3}));
  EXPECT_EQ(scaled(resnet, 1.25), (Blocks{2, 2, 3, 3}));
  EXPECT_EQ(scaled(with_blocks(resnet, {1, 3, 1, 1}), 1.5), (Blocks{1, 4, 2, 2}));
  EXPECT_EQ(scaled(vgg, 1.363), (Blocks{1, 1, 3, 3, 3}));
  EXPECT_EQ(scaled(vgg, 2.5), (Blocks{2, 3, 5, 5, 5})) << "2.5 + 2.5 + 5 + 5 + 5 = 20";
  EXPECT_EQ(scaled(with_blocks(vgg, {1, 1, 3, 4, 1}), 0.1), (Blocks{1, 1, 1, 1, 1}));
  EXPECT_EQ(scaled(zoo("resnet34"), 0.3), (Blocks{1, 1, 2, 1}));
  Architecture flat = vgg;
  flat.stage_ends.clear();
  EXPECT_THROW(scale_depth(flat, 1), ConfigError);
}

TEST(Architecture, DepthKeepsItsTotalOnRandomArchitectures) {
  for_random_architectures([](const Architecture& arch, RandomArchitecture& random) {
    const double d = 0.05 * static_cast<double>(random.pick(1, 80));
    const auto before = blocks(arch), after = blocks(scale_depth(arch, d));
    const auto n = std::accumulate(before.begin(), before.end(), std::int64_t{0});
    const auto got = std::accumulate(after.begin(), after.end(), std::int64_t{0});
    const auto wanted = static_cast<std::int64_t>(std::floor(d * static_cast<double>(n) + 0.5));
    ASSERT_EQ(got, std::max<std::int64_t>(wanted, before.size())) << d;
    for (std::size_t s = 0; s < before.size() && d >= 1; ++s) {
      ASSERT_LT(std::abs(static_cast<double>(after[s]) - d * static_cast<double>(before[s])), 1.0)
          << d;
    }
  });
}

TEST(Architecture, RoundToIsTheNearestMultipleHalvesUp) {
  EXPECT_EQ(round_to(11.99, 8), 8);
  EXPECT_EQ(round_to(12, 8), 16);
  EXPECT_EQ(round_to(20, 8), 24);
  EXPECT_EQ(round_to(0.1, 8), 8);
  EXPECT_EQ(round_to(-5, 4), 4);
  EXPECT_EQ(round_to(2.5, 1), 3);
  EXPECT_EQ(round_to(3.49, 1), 3);
  EXPECT_EQ(round_to(64 * 1.18, 8), 72);  // 75.52: the baseline row of uniform width
  EXPECT_THROW(round_to(std::numeric_limits<double>::infinity(), 8), ConfigError);
  EXPECT_THROW(round_to(8, 0), ConfigError);
}

TEST(Architecture, WidthAndResolutionScale) {
  EXPECT_EQ(widths(scale_width(zoo("vgg11"), 1.5)),
            (std::vector<std::int64_t>{96, 192, 384, 384, 768, 768, 768, 768}));
  EXPECT_EQ(widths(scale_width(zoo("vgg11"), 1.5, 8, false))[0], 64);
  EXPECT_EQ(widths(scale_width(zoo("vgg11"), 0.01, 1)),
            std::vector<std::int64_t>({1, 1, 3, 3, 5, 5, 5, 5}));
  EXPECT_EQ(scale_resolution(zoo("preact_resnet18"), 1.0325, 8).resolution, 232);
  EXPECT_EQ(scale_resolution(zoo("vgg11"), 1.19).resolution, 40);
}

}  // namespace
}  // namespace hac
