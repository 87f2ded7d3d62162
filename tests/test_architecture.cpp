#include "models/architecture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "kernels/error.h"
#include "models/counters.h"
#include "models/fields.h"
#include "models/zoo.h"
#include "tests/random_architecture.h"
#include "tests/temp_folder.h"

namespace hac {
namespace {

constexpr std::uint64_t random_cases = 300;

// The message of the ConfigError that f throws; "" if it throws none.
std::string config_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::int64_t ops_of_kind(const Architecture& arch, const std::string& kind) {
  std::int64_t n = 0;
  for (const Op& op : lower(arch).ops) n += kind_of(op) == kind;
  return n;
}

TEST(Architecture, JsonRoundTripOnRandomArchitectures) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    const Architecture arch = RandomArchitecture(seed)();
    const std::string text = to_json(arch);
    ASSERT_EQ(architecture_from_json(text), arch) << "seed " << seed << "\n" << text;
  }
}

TEST(Architecture, LoweredOpsAreInOrderAndCarryTheWidths) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    SCOPED_TRACE(seed);
    const Architecture arch = RandomArchitecture(seed)();
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
      ASSERT_EQ(op.out[0], 2);
      if (op.width_index < 0) continue;
      ASSERT_EQ(op.width_index, next) << "widths are in order of execution";
      ASSERT_EQ(op.name, names[next]);
      ASSERT_EQ(std::get<Conv2dSpec>(op.spec).k, expected[next]);
      ++next;
    }
    ASSERT_EQ(next, expected.size());
    ASSERT_EQ(graph.ops.back().out, Shape({2, arch.classes}));
  }
}

TEST(Architecture, SettingWhatIsThereChangesNothing) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    const Architecture arch = RandomArchitecture(seed)();
    ASSERT_EQ(with_widths(arch, widths(arch)), arch) << "seed " << seed;
    ASSERT_EQ(with_blocks(arch, blocks(arch)), arch) << "seed " << seed;
    ASSERT_EQ(with_resolution(arch, arch.resolution), arch) << "seed " << seed;
    ASSERT_EQ(with_classes(arch, arch.classes), arch) << "seed " << seed;
    ASSERT_EQ(with_channels(arch, arch.channels), arch) << "seed " << seed;
  }
}

TEST(Architecture, WideningGrowsParametersAndMacs) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    SCOPED_TRACE(seed);
    RandomArchitecture random(seed);
    const Architecture arch = random();
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
  }
}

TEST(Architecture, AGroupOfAResidualStreamWidensWithoutProjections) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    SCOPED_TRACE(seed);
    const Architecture arch = RandomArchitecture(seed)();
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
  }
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

TEST(Architecture, DepthGoesAndComesBack) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    SCOPED_TRACE(seed);
    RandomArchitecture random(seed);
    const Architecture arch = random();
    const auto base = blocks(arch);
    auto deep = base;
    for (std::int64_t& n : deep) n += random.pick(0, 3);
    const Architecture deeper = with_blocks(arch, deep);
    ASSERT_EQ(blocks(deeper), deep);
    ASSERT_EQ(with_blocks(deeper, base), arch);
    const Graph a = lower(arch), b = lower(deeper);
    ASSERT_EQ(a.ops[a.ops.size() - 2].out, b.ops[b.ops.size() - 2].out)
        << "a new unit keeps the shape";
    if (deep != base) {
      ASSERT_GT(count(deeper).params, count(arch).params);
    }
    auto shallow = base;
    for (std::int64_t& n : shallow) n = random.pick(1, n);
    ASSERT_EQ(blocks(with_blocks(arch, shallow)), shallow);
    ASSERT_NO_THROW(validate(with_blocks(arch, shallow)));
  }
}

TEST(Architecture, NewUnitsAreNumberedAsPyTorchDoes) {
  Architecture vgg16 = with_blocks(zoo("vgg11"), {2, 2, 3, 3, 3});
  vgg16.name = "vgg16";
  EXPECT_EQ(vgg16, zoo("vgg16"));
  Architecture resnet34 = with_blocks(zoo("resnet18"), {3, 4, 6, 3});
  resnet34.name = "resnet34";
  EXPECT_EQ(resnet34, zoo("resnet34"));
}

TEST(Architecture, DepthTotalsOfTable1) {
  const auto total = [](const char* name, double d) {
    const auto n = blocks(scale_depth(zoo(name), d));
    return std::accumulate(n.begin(), n.end(), 0);
  };
  EXPECT_EQ(total("preact_resnet18", std::pow(1.2, 0.7)), 9);
  EXPECT_EQ(total("vgg11", std::pow(1.2, 1.7)), 11);
  EXPECT_EQ(total("vgg11", std::pow(1.2, 2.54)), 13);
  EXPECT_EQ(total("vgg11", std::pow(2, 0.1)), 9);
  EXPECT_EQ(total("vgg11", std::pow(4, 0.1)), 9);
  EXPECT_EQ(total("preact_resnet18", std::pow(1.5, 0.1)), 8);
  // Ties go to the later stage; nothing vanishes.
  EXPECT_EQ(blocks(scale_depth(zoo("preact_resnet18"), 1.1361)),
            (std::vector<std::int64_t>{2, 2, 2, 3}));
  EXPECT_EQ(blocks(scale_depth(zoo("preact_resnet18"), 1.25)),
            (std::vector<std::int64_t>{2, 2, 3, 3}));
  EXPECT_EQ(blocks(scale_depth(zoo("vgg11"), 1.363)), (std::vector<std::int64_t>{1, 1, 3, 3, 3}));
  EXPECT_EQ(blocks(scale_depth(zoo("resnet34"), 0.3)), (std::vector<std::int64_t>{1, 1, 2, 1}));
  EXPECT_EQ(blocks(scale_depth(zoo("resnet34"), 1e-6)), (std::vector<std::int64_t>{1, 1, 1, 1}));
}

TEST(Architecture, DepthKeepsItsTotalOnRandomArchitectures) {
  for (std::uint64_t seed = 0; seed < random_cases; ++seed) {
    RandomArchitecture random(seed);
    const Architecture arch = random();
    const double d = 0.05 * static_cast<double>(random.pick(1, 80));
    const auto before = blocks(arch), after = blocks(scale_depth(arch, d));
    const auto n = std::accumulate(before.begin(), before.end(), std::int64_t{0});
    const auto got = std::accumulate(after.begin(), after.end(), std::int64_t{0});
    const auto wanted = static_cast<std::int64_t>(std::floor(d * static_cast<double>(n) + 0.5));
    ASSERT_EQ(got, std::max<std::int64_t>(wanted, before.size())) << "seed " << seed << " d " << d;
    for (std::size_t s = 0; s < before.size() && d >= 1; ++s) {
      ASSERT_LT(std::abs(static_cast<double>(after[s]) - d * static_cast<double>(before[s])), 1.0)
          << "seed " << seed << " d " << d;
    }
  }
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
  EXPECT_NE(config_error([] { round_to(1.0 / 0.0, 8); }), "");
  EXPECT_NE(config_error([] { round_to(8, 0); }), "");
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

// One line a kind of mistake: what is done to a VGG11, and what the message must say.
TEST(Architecture, EveryMistakeIsNamed) {
  const Architecture vgg = zoo("vgg11");
  const auto broken = [&](const std::function<void(Architecture&)>& f) {
    Architecture arch = vgg;
    f(arch);
    return config_error([&] { validate(arch); });
  };
  const auto conv = [](Architecture& a, int i) -> Conv& { return std::get<Conv>(a.layers[i]); };
  const struct {
    std::function<void(Architecture&)> mistake;
    const char* message;
  } cases[] = {
      {[](auto& a) { a.layers.clear(); }, "'vgg11': expected layers from 1 to 10000, got 0"},
      {[](auto& a) { a.layers.resize(10001, Relu{}); },
       "expected layers from 1 to 10000, got 10001"},
      {[](auto& a) { a.layers.pop_back(); }, "expected a linear layer at the end, got flatten"},
      {[](auto& a) { std::get<Linear>(a.layers.back()).out = 7; },
       "linear 'classifier': expected 10 outputs, one a class, got 7"},
      {[](auto& a) { a.name = "../x"; }, "architecture: expected a name of 1 to 200 letters"},
      {[&](auto& a) { conv(a, 0).name = ""; }, "conv 'layers[0]': expected a name"},
      {[&](auto& a) { conv(a, 0).name = "a\nb"; }, "conv 'layers[0]': expected a name"},
      {[&](auto& a) { conv(a, 3).name = "features.1"; },
       "'vgg11': expected every layer name once, got 'features.1' twice"},
      {[](auto& a) { a.channels = 0; }, "expected channels from 1 to 65536, got 0"},
      {[](auto& a) { a.resolution = 8193; }, "expected resolution from 1 to 8192, got 8193"},
      {[](auto& a) { a.classes = -1; }, "expected classes from 1 to 65536, got -1"},
      {[&](auto& a) { conv(a, 0).out = 0; },
       "conv 'features.0': expected out from 1 to 65536, got 0"},
      {[&](auto& a) { conv(a, 0).out = 65537; },
       "'features.0': expected out from 1 to 65536, got 65537"},
      {[&](auto& a) { conv(a, 0).kernel = 257; }, "'features.0': expected kernel from 1 to 256"},
      {[&](auto& a) { conv(a, 0).stride = 0; },
       "'features.0': expected stride from 1 to 256, got 0"},
      {[&](auto& a) { conv(a, 0).pad = -1; }, "'features.0': expected pad from 0 to 256, got -1"},
      {[&](auto& a) { conv(a, 0).pad = 3; },
       "conv 'features.0': expected a pad below the kernel 3, got 3"},
      {[&](auto& a) { conv(a, 3).groups = 3; },
       "conv 'features.4': expected groups that divide 64 input and 128 output channels, got 3"},
      {[&](auto& a) { conv(a, 0).kernel = 35; },
       "conv 'features.0': expected an input of at least 33x33, got 32x32"},
      {[](auto& a) { std::get<Pool>(a.layers[2]).kind = "median"; },
       "pool 'layers[2]': expected kind max, avg or global_avg, got 'median'"},
      {[](auto& a) { std::get<Pool>(a.layers[2]).pad = 2; },
       "maxpool 'after features.1': expected a pad below the kernel 2, got 2"},
      {[](auto& a) { a.resolution = 31; },
       "maxpool 'after features.26': expected an input of at least 2x2, got 1x1 (hint: resolution "
       "31 is too small for 'vgg11')"},
      {[](auto& a) { a.layers[a.layers.size() - 2] = Dropout{.p = 1}; },
       "dropout 'layers[21]': expected p in [0, 1), got 1"},
      {[](auto& a) {
         a.layers[a.layers.size() - 2] = Dropout{.p = std::numeric_limits<float>::quiet_NaN()};
       },
       "expected p in [0, 1)"},
      {[](auto& a) { a.layers[a.layers.size() - 2] = Relu{}; },
       "linear 'classifier': expected a flattened input, got (1, 512, 1, 1) (hint: put a flatten "
       "before it)"},
      {[](auto& a) { a.layers.insert(a.layers.end() - 1, BatchNorm{.name = "bn"}); },
       "batchnorm 'bn': expected an input of rank 4, got (1, 512)"},
      {[](auto& a) { a.layers.insert(a.layers.end() - 1, PreactBlock{.name = "b"}); },
       "preact_block 'b': expected an input of rank 4, got (1, 512)"},
      {[](auto& a) {
         a.stage_ends = {2, 2};
       },
       "expected stage_ends[1] from 3 to 23, got 2"},
      {[](auto& a) { a.stage_ends = {99}; }, "expected stage_ends[0] from 1 to 23, got 99"},
      {[](auto& a) { a.stage_ends = {3}; },
       "expected stage_ends[0] = 3 right behind a residual block"},
      {[&](auto& a) {
         for (int i : {0, 3, 6, 8, 11, 13, 16, 18}) conv(a, i).out = 65536;
         a.resolution = 8192;
       },
       "expected at most 1e+18 multiply-accumulates"},
  };
  for (const auto& c : cases) {
    const std::string message = broken(c.mistake);
    EXPECT_NE(message.find(c.message), std::string::npos)
        << "got '" << message << "', wanted '" << c.message << "'";
  }
}

TEST(Architecture, RequestsThatDoNotFitAreRefused) {
  const Architecture vgg = zoo("vgg11");
  const auto expect = [](const std::string& part, const std::function<void()>& f) {
    const std::string message = config_error(f);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("widths of 'vgg11': expected 8 values, got 2", [&] { with_widths(vgg, {8, 8}); });
  expect("expected 8 values, got 9", [&] { with_widths(vgg, std::vector<std::int64_t>(9, 8)); });
  expect("conv 'features.0': expected a width from 1 to 65536, got 0",
         [&] { with_widths(vgg, std::vector<std::int64_t>(8, 0)); });
  expect("blocks of 'vgg11': expected 5 stages, got 1", [&] { with_blocks(vgg, {1}); });
  expect("expected 1 to 1000 units in stage 2, got 0", [&] { with_blocks(vgg, {1, 0, 1, 1, 1}); });
  expect("a width multiplier > 0, got nan",
         [&] { scale_width(vgg, std::numeric_limits<double>::quiet_NaN()); });
  expect("a width multiplier > 0, got -1", [&] { scale_width(vgg, -1); });
  expect("a resolution multiplier > 0, got 0", [&] { scale_resolution(vgg, 0); });
  expect("expected a depth multiplier > 0", [&] { scale_depth(vgg, 0); });
  expect("expected a depth multiplier > 0", [&] { scale_depth(vgg, 1e9); });
  expect("expected resolution from 1 to 8192, got 9000", [&] { with_resolution(vgg, 9000); });
  expect("expected classes from 1 to 65536, got 0", [&] { with_classes(vgg, 0); });
  expect("expected channels from 1 to 65536, got -3", [&] { with_channels(vgg, -3); });
  expect("expected a batch from 1 to 1048576, got 0", [&] { lower(vgg, 0); });
  Architecture unnumbered = vgg;
  std::get<Conv>(unnumbered.layers[0]).name = "stem";
  expect("expected layers named as PyTorch numbers them", [&] {
    with_blocks(unnumbered, {2, 1, 2, 2, 2});
  });
}

TEST(Architecture, JsonMistakesAreNamed) {
  const std::string good = to_json(zoo("vgg11"));
  const std::string first = R"({"type":"conv","name":"features.0","out":64,)";
  const struct {
    std::string text, message;
  } cases[] = {
      {"", "'JSON': expected valid JSON, got an error at byte 1"},
      {good.substr(0, good.size() / 2), "'JSON': expected valid JSON"},
      {good + "x", "'JSON': expected valid JSON"},
      {"[]", "'JSON': expected an object, got array"},
      {std::string(100000, '['), "'JSON': expected nesting of at most 8"},
      {std::string((8 << 20) + 1, ' '), "'JSON': expected at most 8388608 bytes"},
      {"{\"name\": \"\xff\"}", "'JSON': expected valid JSON"},
      {replaced(good, "\"classes\"", "\"klasses\""), "'classes': expected a value, got none"},
      {replaced(good, "{\n", "{\n \"extra\": 1,"), "got \"extra\""},
      {replaced(good, "\"resolution\": 32", "\"resolution\": 1e99"),
       "'resolution': expected an integer"},
      {replaced(good, "\"resolution\": 32", "\"resolution\": 32.5"),
       "'resolution': expected an integer"},
      {replaced(good, "\"resolution\": 32", "\"resolution\": 18446744073709551615"),
       "'resolution': expected an integer"},
      {replaced(good, "\"resolution\": 32", "\"resolution\": 9223372036854775807"),
       "expected resolution from 1 to 8192"},
      {replaced(good, "[2, ", "[-2, "), "'stage_ends': expected layer numbers, got -2"},
      {replaced(good, "[2, ", "[[2], "), "'stage_ends': expected an integer, got array"},
      {replaced(good, first, R"({"type":"conv","name":"features.0",)"),
       "'layers[0].out': expected a value, got none"},
      {replaced(good, first, R"({"type":"conv","out":64,)"),
       "'layers[0].name': expected a value, got none"},
      {replaced(good, first, R"({"type":"konv","name":"features.0","out":64,)"),
       "'layers[0].type': expected one of conv, batchnorm"},
      {replaced(good, first, R"({"type":"conv","name":"features.0","out":"64",)"),
       "'layers[0].out': expected an integer, got \"64\""},
      {replaced(good, first, R"({"type":"conv","name":7,"out":64,)"),
       "'layers[0].name': expected a string, got 7"},
      {replaced(good, first, R"({"type":"conv","name":"features.0","out":64,"dilation":2,)"),
       "'layers[0]': expected keys bias, groups, kernel, name, out, pad, stride, type, got "
       "\"dilation\""},
      {replaced(good, "\"bias\":true", "\"bias\":1"),
       "'layers[0].bias': expected true or false, got 1"},
      {replaced(good, R"({"type":"flatten"})", R"({"type":"dropout","p":1e300})"),
       "expected a number of moderate size"},
  };
  for (const auto& c : cases) {
    const std::string message = config_error([&] { architecture_from_json(c.text); });
    EXPECT_NE(message.find(c.message), std::string::npos)
        << "got '" << message << "', wanted '" << c.message << "'";
  }
}

TEST(Architecture, DefaultsOfAHandWrittenFile) {
  const Architecture arch = architecture_from_json(R"({
    "name": "hand", "channels": 1, "resolution": 8, "classes": 3, "layers": [
      {"type": "conv", "name": "c", "out": 4}, {"type": "pool"}, {"type": "flatten"},
      {"type": "linear", "name": "fc"}]})");
  EXPECT_EQ(arch.layers[0], Layer(Conv{.name = "c", .out = 4}));
  EXPECT_EQ(lower(arch).ops.back().out, Shape({1, 3}));
}

TEST(Architecture, DamagedJsonNeverDoesMoreThanThrow) {
  int accepted = 0, refused = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    RandomArchitecture random(seed);
    std::string text = to_json(random());
    for (std::int64_t n = random.pick(1, 3); n > 0; --n) {
      const auto at = static_cast<std::size_t>(random.pick(0, text.size() - 1));
      const std::int64_t how = random.pick(0, 3);
      if (how == 0) text[at] = static_cast<char>(random.pick(0, 255));
      if (how == 1) text.insert(at, std::to_string(random.pick(-9, 9999999999)));
      if (how == 2) text.erase(at, static_cast<std::size_t>(random.pick(1, 20)));
      if (how == 3) text.resize(at + 1);
    }
    try {
      const Architecture arch = architecture_from_json(text);
      ASSERT_EQ(architecture_from_json(to_json(arch)), arch) << "seed " << seed;
      ++accepted;
    } catch (const ConfigError&) {
      ++refused;
    }
  }
  EXPECT_GT(accepted, 20);
  EXPECT_GT(refused, 500);
}

TEST(Architecture, WildFieldsNeverDoMoreThanThrow) {
  constexpr std::int64_t wild[] = {-1,
                                   0,
                                   1,
                                   2,
                                   255,
                                   65536,
                                   65537,
                                   std::int64_t{1} << 40,
                                   std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min()};
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    RandomArchitecture random(seed);
    Architecture arch = random();
    const auto any = [&] { return wild[random.pick(0, std::size(wild) - 1)]; };
    const auto at = static_cast<std::size_t>(random.pick(0, arch.layers.size() - 1));
    std::visit(
        [&](auto& layer) {
          visit_fields(layer, [&](const char*, auto& value, auto... bounds) {
            if constexpr (sizeof...(bounds) == 2) {
              if (random.coin()) value = any();
            }
          });
        },
        arch.layers[at]);
    if (random.coin()) arch.resolution = any();
    if (random.coin()) arch.stage_ends[0] = static_cast<int>(any());
    try {
      const Counters counters = count(arch);
      ASSERT_GT(counters.params, 0) << "seed " << seed;
      ASSERT_GE(counters.macs, 0) << "seed " << seed;
    } catch (const ConfigError&) {
    }
  }
}

TEST(Architecture, FilesRoundTripAndNameThemselvesInErrors) {
  const TempFolder folder;
  const std::string path = folder.file("net.json");
  const Architecture arch = with_widths(zoo("vgg11"), {8, 16, 24, 32, 40, 48, 56, 64});
  save_architecture(arch, path);
  EXPECT_EQ(load_architecture(path), arch);
  EXPECT_THROW(load_architecture(folder.file("absent.json")), IoError);
  Architecture bad = arch;
  bad.resolution = 16;
  save_architecture(bad, path);
  EXPECT_NE(config_error([&] { load_architecture(path); }).find(path + ": maxpool"),
            std::string::npos);
}

}  // namespace
}  // namespace hac
