// What is refused, with which words: fields, requests, and files as hostile input.

#include <functional>
#include <limits>

#include "models/arch/counters.h"
#include "models/arch/fields.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"
#include "tests/support/random_architecture.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

// One line a kind of mistake: what is done to a VGG11, and what the message must say.
TEST(ArchitectureErrors, EveryMistakeIsNamed) {
  const Architecture vgg = zoo("vgg11");
  const auto broken = [&](const std::function<void(Architecture&)>& f) {
    Architecture arch = vgg;
    f(arch);
    return message_of<ConfigError>([&] { validate(arch); });
  };
  const auto conv = [](Architecture& a, int i) -> Conv& { return std::get<Conv>(a.layers[i]); };
  const struct {
    std::function<void(Architecture&)> mistake;
    const char* message;
  } cases[] = {
      {[](auto& a) { a.layers.clear(); }, "'vgg11': expected layers from 1 to 10000, got 0"},
      {[](auto& a) { a.layers.resize(10001, Activate{}); },
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
      {[](auto& a) { a.layers[a.layers.size() - 2] = Activate{}; },
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
  for (const auto& c : cases) EXPECT_CONTAINS(broken(c.mistake), c.message);
}

TEST(ArchitectureErrors, RequestsThatDoNotFitAreRefused) {
  const Architecture vgg = zoo("vgg11");
  const auto expect = [](const std::string& part, const std::function<void()>& f) {
    EXPECT_CONTAINS(message_of<ConfigError>(f), part);
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

// Values of another type, of any field: tests/tools/test_fields.cpp.
TEST(ArchitectureErrors, JsonMistakesAreNamed) {
  const std::string good = to_json(zoo("vgg11"));
  const std::string first = R"({"type":"conv","name":"features.0","out":64,)";
  const struct {
    std::string text, message;
  } cases[] = {
      {"", "'JSON': expected valid JSON, got an error at byte 1"},
      {good.substr(0, good.size() / 2), "'JSON': expected valid JSON"},
      {good + "x", "'JSON': expected valid JSON"},
      {"[]", "'JSON': expected an object, got array"},
      {std::string(100000, '['), "'JSON': expected nesting of at most 12"},
      {std::string((8 << 20) + 1, ' '), "'JSON': expected at most 8388608 bytes"},
      {"{\"name\": \"\xff\"}", "'JSON': expected valid JSON"},
      {replaced(good, "\"classes\"", "\"klasses\""), "'classes': expected a value, got none"},
      {replaced(good, "{\n", "{\n \"extra\": 1,"), "'extra': unknown key"},
      {replaced(good, "\"resolution\": 32", "\"resolution\": 9223372036854775807"),
       "expected resolution from 1 to 8192"},
      {replaced(good, "[2, ", "[-2, "), "expected stage_ends[0] from 1 to 23, got -2"},
      {replaced(good, "[2, ", "[[2], "), "'stage_ends[0]': expected an integer, got array"},
      {replaced(good, first, R"({"type":"conv","name":"features.0",)"),
       "'layers[0].out': expected a value, got none"},
      {replaced(good, first, R"({"type":"conv","out":64,)"),
       "'layers[0].name': expected a value, got none"},
      {replaced(good, first, R"({"type":"konv","name":"features.0","out":64,)"),
       "'layers[0].type': expected conv, depthwise_conv, batchnorm"},
      {replaced(good, first, R"({"type":"conv","name":"features.0","out":"64",)"),
       "'layers[0].out': expected an integer, got \"64\""},
      {replaced(good, first, R"({"type":"conv","name":"features.0","out":64,"dilation":2,)"),
       "'layers[0].dilation': unknown key (hint: did you mean '"},
      {replaced(good, "\"activation\":\"relu\"", "\"activation\":\"hardswish\""),
       "expected activation none, relu, relu6 or silu, which have kernels, got hardswish"},
  };
  for (const auto& c : cases) EXPECT_ERROR(architecture_from_json(c.text), ConfigError, c.message);
}

TEST(ArchitectureErrors, DefaultsOfAHandWrittenFile) {
  const Architecture arch = architecture_from_json(R"({
    "name": "hand", "channels": 1, "resolution": 8, "classes": 3, "layers": [
      {"type": "conv", "name": "c", "out": 4}, {"type": "pool"}, {"type": "flatten"},
      {"type": "linear", "name": "fc"}]})");
  EXPECT_EQ(arch.layers[0], Layer(Conv{.name = "c", .out = 4}));
  EXPECT_EQ(lower(arch).ops.back().out(), Shape({1, 3}));
}

TEST(ArchitectureErrors, DamagedJsonNeverDoesMoreThanThrow) {
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
  EXPECT_GT(accepted, 10);
  EXPECT_GT(refused, 500);
}

TEST(ArchitectureErrors, WildFieldsNeverDoMoreThanThrow) {
  using Limits = std::numeric_limits<std::int64_t>;
  constexpr std::int64_t wild[] = {
      -1, 0, 1, 2, 255, 65536, 65537, 1ll << 40, Limits::max(), Limits::min()};
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

TEST(ArchitectureErrors, FilesRoundTripAndNameThemselvesInErrors) {
  const TempFolder folder;
  const std::string path = folder.file("net.json");
  const Architecture arch = with_widths(zoo("vgg11"), {8, 16, 24, 32, 40, 48, 56, 64});
  save_architecture(arch, path);
  EXPECT_EQ(load_architecture(path), arch);
  EXPECT_THROW(load_architecture(folder.file("absent.json")), IoError);
  Architecture bad = arch;
  bad.resolution = 16;
  save_architecture(bad, path);
  EXPECT_ERROR(load_architecture(path), ConfigError, path + ": maxpool");
}

}  // namespace
}  // namespace hac
