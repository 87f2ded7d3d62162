// Transforms for training on photographs: operations against torchvision's, what is drawn against
// its definition, and pipelines of any of them on any image.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "data/image/color.h"
#include "data/loader/loader.h"
#include "data/sets/datasets.h"
#include "tests/data/transform_goldens.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::noise_image;

// That of transform_goldens.py.
Sample golden_image(const TransformGolden& g) {
  Sample s{g.channels, g.height, g.width, {}};
  for (std::uint32_t k = 0; k < std::uint32_t(g.channels * g.height * g.width); ++k) {
    const std::uint32_t noise = k * 2654435761u >> 24;
    s.pixels.push_back(
        static_cast<std::uint8_t>(g.channels == 3 ? 30 + noise * 200 / 255 : 100 + noise % 8));
  }
  return s;
}

void expect_golden(const Sample& got, const TransformGolden& g) {
  const std::string what = std::string(g.name) + " " + std::to_string(g.number) + " of (" +
                           std::to_string(g.channels) + ", " + std::to_string(g.height) + ", " +
                           std::to_string(g.width) + ")";
  ASSERT_EQ(got.height, g.height) << what;
  ASSERT_EQ(got.width, g.width) << what;
  ASSERT_EQ(std::ssize(got.pixels), g.channels * g.height * g.width) << what;
  std::int64_t mix = 0;
  std::string pixels;
  for (std::int64_t k = 0; k < std::ssize(got.pixels); ++k) {
    mix += got.pixels[k] * (k * 29 % 17 - 8);
    pixels += fmt::format("{:02x}", got.pixels[k]);
  }
  EXPECT_EQ(mix, g.mix) << what;
  if (*g.pixels) {
    EXPECT_EQ(pixels, g.pixels) << what;
  }
}

TEST(Operations, HaveThePixelsOfTorchvision) {
  for (const TransformGolden& g : operation_goldens) {
    View view(golden_image(g));
    apply(parse<Operation>(g.name, "operation"), g.number, view);
    expect_golden(view.render(g.channels), g);
  }
}

TEST(Operations, HaveTheMagnitudesOfTorchvision) {
  std::map<std::string, std::vector<int>> levels;  // as the goldens have them, after each size
  for (const TransformGolden& g : operation_goldens) {
    const auto operation = parse<Operation>(g.name, "operation");
    const bool none = operation >= Operation::autocontrast;
    const int level = none ? 0 : levels[g.name].size() % 2 == 0 ? 9 : 4;
    levels[g.name].push_back(level);
    EXPECT_EQ(magnitude(operation, level, g.height, g.width), std::abs(g.number)) << g.name;
  }
}

TEST(Operations, HaveTheMagnitudesOfTorchvisionAtEveryLevel) {
  for (const MagnitudeGolden& g : magnitude_goldens) {
    for (int level = 0; level < 10; ++level) {
      EXPECT_EQ(magnitude(parse<Operation>(g.name, "operation"), level, 224, 200), g.levels[level])
          << g.name << " " << level;
    }
  }
}

TEST(ColorJitter, HasThePixelsOfTorchvision) {
  const std::map<std::string, Adjustment> adjustments{{"brightness", Adjustment::brightness},
                                                      {"contrast", Adjustment::contrast},
                                                      {"saturation", Adjustment::saturation},
                                                      {"hue", Adjustment::hue}};
  for (const TransformGolden& g : colour_goldens) {
    Sample s = golden_image(g);
    adjust(s, {adjustments.at(g.name), g.number});
    expect_golden(s, g);
  }
}

TEST(AutoAugment, HasThePoliciesOfTorchvision) {
  const auto text = [](const AutoAugment::Step& s) {
    return fmt::format("{} {:.1f} {}", to_string(s.operation), s.probability, s.level);
  };
  for (int i = 0; i < AutoAugment::pairs; ++i) {
    for (const auto policy : {AutoAugmentPolicy::imagenet, AutoAugmentPolicy::cifar10}) {
      const AutoAugment::Pair& pair = AutoAugment{policy}.pair(i);
      EXPECT_EQ(text(pair.first) + " " + text(pair.second),
                (policy == AutoAugmentPolicy::imagenet ? imagenet_policy : cifar10_policy)[i]);
    }
  }
}

TEST(AutoAugment, DrawsEveryOperationAsOftenAsItsPolicySays) {
  constexpr int draws = 20000;
  for (const auto policy : {AutoAugmentPolicy::imagenet, AutoAugmentPolicy::cifar10}) {
    const AutoAugment augment{policy};
    std::map<Operation, double> expected, counted;
    for (int i = 0; i < AutoAugment::pairs; ++i) {
      for (const auto& step : {augment.pair(i).first, augment.pair(i).second}) {
        expected[step.operation] += draws * step.probability / AutoAugment::pairs;
      }
    }
    int rotations = 0, negative = 0;
    for (int i = 0; i < draws; ++i) {
      Draws d(3, 0, i);
      for (const auto& [operation, m] : augment.draw(40, 40, d)) {
        counted[operation] += 1;
        rotations += operation == Operation::rotate;
        negative += operation == Operation::rotate && m < 0;
      }
    }
    for (const auto& [operation, n] : expected) {
      EXPECT_NEAR(counted[operation], n, 4.5 * std::sqrt(n)) << to_string(operation) << " seed 3";
    }
    EXPECT_NEAR(negative, 0.5 * rotations, 2.25 * std::sqrt(rotations)) << "seed 3";
  }
}

// Of a grey image of 100 the factor is a hundredth of the outcome.
TEST(ColorJitter, FactorsAreUniformAroundOne) {
  constexpr int draws = 4000;
  const ColorJitter jitter{.brightness = 0.4};
  double sum = 0, least = 255, most = 0;
  for (int i = 0; i < draws; ++i) {
    View view(Sample{1, 1, 1, {100}});
    Draws d(4, 0, i);
    jitter(view, d);
    const double value = view.render(1).pixels[0] + 0.5;  // it was cut to an integer
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_NEAR(sum / draws, 100, 4.5 * 80 / std::sqrt(12. * draws)) << "seed 4";
  EXPECT_NEAR(least, 60, 1);
  EXPECT_NEAR(most, 140, 1);
}

// Brightness doubles before the contrast is taken or after it: 2 x 90 is cut at 255 in one order.
TEST(ColorJitter, OrderIsPermuted) {
  const ColorJitter jitter{.brightness = 1, .contrast = 1};
  int first = 0, told = 0;
  for (int i = 0; i < 4000; ++i) {
    Draws d(6, 0, i), same(6, 0, i);
    View view(Sample{1, 1, 4, {20, 90, 160, 250}});
    jitter(view, d);
    std::array<int, 4> order{0, 1, 2, 3};
    for (std::uint32_t k = 3; k > 0; --k) std::swap(order[k], order[same.below(k + 1)]);
    const double b = same.uniform(0, 2), c = same.uniform(0, 2);
    Sample one = {1, 1, 4, {20, 90, 160, 250}}, other = one;
    adjust(one, {Adjustment::brightness, b});
    adjust(one, {Adjustment::contrast, c});
    adjust(other, {Adjustment::contrast, c});
    adjust(other, {Adjustment::brightness, b});
    const auto got = view.render(1).pixels;
    ASSERT_TRUE(got == one.pixels || got == other.pixels) << i;
    told += one.pixels != other.pixels;
    first += one.pixels != other.pixels && got == one.pixels;
  }
  ASSERT_GT(told, 1000);
  EXPECT_NEAR(first, told / 2., 2.25 * std::sqrt(told)) << "seed 6";
}

// Written from torchvision's documentation, with another generator.
std::optional<Box> reference_box(std::int64_t height, std::int64_t width, std::mt19937_64& g) {
  const auto uniform = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(g);
  };
  const auto integer = [&](std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>(0, n)(g);
  };
  if (uniform(0, 1) >= 0.25) return std::nullopt;
  for (int tries = 0; tries < 10; ++tries) {
    const double area = uniform(0.02, 0.33) * static_cast<double>(height * width);
    const double ratio = std::exp(uniform(std::log(0.3), std::log(3.3)));
    const std::int64_t h = std::lround(std::sqrt(area * ratio)),
                       w = std::lround(std::sqrt(area / ratio));
    if (h >= height || w >= width) continue;
    const std::int64_t top = integer(height - h);
    return Box{top, integer(width - w), h, w};
  }
  return std::nullopt;
}

TEST(RandomErasing, BoxesAreDistributedAsDefined) {
  constexpr int n = 20000;
  const RandomErasing erasing{.p = 0.25};
  for (const auto& [height, width] :
       std::vector<std::pair<int, int>>{{224, 224}, {32, 32}, {20, 300}}) {
    std::mt19937_64 generator(11);
    // Mean and square of each figure, own and the reference's.
    std::map<std::string, std::array<double, 4>> sums;
    const auto note = [&](const std::optional<Box>& b, int which) {
      const auto add = [&](const char* what, double value) {
        sums[what][which] += value / n;
        sums[what][which + 2] += value * value / n;
      };
      add("erased", b ? 1 : 0);
      if (!b) return;
      ASSERT_TRUE(b->top >= 0 && b->left >= 0 && b->height < height && b->width < width);
      ASSERT_LE(b->top + b->height, height);
      ASSERT_LE(b->left + b->width, width);
      add("area", static_cast<double>(b->height * b->width));
      add("height", static_cast<double>(b->height));
      add("top", static_cast<double>(b->top));
      add("right", static_cast<double>(b->left + b->width));
    };
    for (int i = 0; i < n; ++i) {
      Draws d(9, 0, i);
      note(erasing.box(height, width, d), 0);
      note(reference_box(height, width, generator), 1);
    }
    for (const auto& [what, s] : sums) {
      const double variance = s[2] - s[0] * s[0] + s[3] - s[1] * s[1];
      EXPECT_NEAR(s[0], s[1], 4.5 * std::sqrt(variance / n))
          << what << " of " << height << "x" << width << " seed 9";
    }
  }
}

// 1 in images that are 0 nowhere: what is erased shows.
std::vector<float> normalised(const Transform& transform, std::int64_t n, Draws draws) {
  const Preprocessing p{.channels = 1, .resolution = n, .normalization = {{0.2f}, {0.5f}}};
  InputTransform::Scratch scratch;
  std::vector<float> out(n * n, NAN);
  InputTransform(p, n)(
      apply({transform}, Sample{1, n, n, std::vector<std::uint8_t>(n * n, 255)}, draws), out.data(),
      scratch);
  return out;
}

TEST(RandomErasing, ErasedPixelsAreZeroOnceNormalised) {
  const RandomErasing erasing{.p = 1};
  for (int i = 0; i < 200; ++i) {
    Draws d(2, 0, i);
    const auto box = erasing.box(13, 13, d);
    const std::vector<float> out = normalised(erasing, 13, {2, 0, i});
    for (int k = 0; k < 169; ++k) {
      const int y = k / 13 - static_cast<int>(box->top), x = k % 13 - static_cast<int>(box->left);
      const bool inside = y >= 0 && y < box->height && x >= 0 && x < box->width;
      ASSERT_NEAR(out[k], inside ? 0 : 1.6, 1e-6) << i;
    }
  }
}

// The centre is uniform over the pixels: each is erased side^2 / n^2 of the times, but those near a
// border less often, since squares are cut there.
TEST(Cutout, ErasesASquareAroundAnyPixel) {
  constexpr int n = 9, draws = 20000;
  std::vector<int> erased(n * n);
  for (int i = 0; i < draws; ++i) {
    const std::vector<float> out = normalised(Cutout{.side = 4}, n, {7, 0, i});
    for (int k = 0; k < n * n; ++k) erased[k] += out[k] == 0;
  }
  // Centres y with y - 2 <= row < y + 2.
  const auto rows = [](int row) { return std::min(row + 2, n - 1) - std::max(row - 1, 0) + 1; };
  for (int k = 0; k < n * n; ++k) {
    const double p = double(rows(k / n)) * rows(k % n) / (n * n);
    EXPECT_NEAR(erased[k], draws * p, 4.5 * std::sqrt(draws * p)) << k << " seed 7";
  }
}

TrainTransforms all_transforms() {
  return {.random_resized_crop = RandomResizedCrop{.scale = {0.3, 0.9}},
          .auto_augment = AutoAugment{},
          .color_jitter =
              ColorJitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1},
          .random_erasing = RandomErasing{},
          .cutout = Cutout{.side = 3}};
}

TEST(Training, PutsTransformsInTheirOrder) {
  const Preprocessing p{.resolution = 20, .border = 2};
  EXPECT_EQ(training({}, true, p).size(), standard_augmentation(p).size());
  EXPECT_EQ(training({}, false, p).size(), evaluation(p).size());
  const Pipeline all = training(all_transforms(), true, p);
  ASSERT_EQ(all.size(), 7u);
  EXPECT_EQ(std::get<RandomResizedCrop>(all[0]).size, 16);
  EXPECT_EQ(std::get<RandomResizedCrop>(all[0]).scale, (Range{0.3, 0.9}));
  EXPECT_TRUE(std::holds_alternative<RandomHorizontalFlip>(all[1]));
  EXPECT_TRUE(std::holds_alternative<Pad>(all[2]));
  EXPECT_TRUE(std::holds_alternative<AutoAugment>(all[3]));
  EXPECT_TRUE(std::holds_alternative<ColorJitter>(all[4]));
  EXPECT_TRUE(std::holds_alternative<RandomErasing>(all[5]));
  EXPECT_TRUE(std::holds_alternative<Cutout>(all[6]));
  EXPECT_EQ(training(all_transforms(), false, p).size(), 6u) << "no flip";
  EXPECT_EQ(training({.cutout = Cutout{}}, true, p).size(), standard_augmentation(p).size() + 1);
}

TEST(Training, EveryTransformTakesEveryImage) {
  for (const auto& [h, w] : std::vector<std::pair<int, int>>{
           {1, 1}, {1, 17}, {17, 1}, {2, 3}, {7, 5}, {33, 31}, {3, 200}}) {
    for (const std::int64_t channels : {1, 3}) {
      for (const std::int64_t resolution : {1, 8, 15}) {
        const Preprocessing p{.channels = channels, .resolution = resolution};
        for (int i = 0; i < 40; ++i) {
          TrainTransforms t = all_transforms();
          t.auto_augment->policy = static_cast<AutoAugmentPolicy>(i % 2);
          if (i % 3 == 0) t.random_resized_crop.reset();
          View view =
              apply(training(t, i % 5 > 0, p), noise_image(1 + 2 * (i % 2), h, w), {1, 2, i});
          const Sample got = view.render(channels);
          ASSERT_EQ(got.height, resolution) << h << "x" << w;
          ASSERT_EQ(got.width, resolution);
          ASSERT_EQ(std::ssize(got.pixels), channels * resolution * resolution);
        }
      }
    }
  }
}

TEST(Training, RefusesRangesTheWrongWayRound) {
  EXPECT_NO_THROW(validate(all_transforms()));
  EXPECT_ERROR(validate({.random_resized_crop = RandomResizedCrop{.scale = {0.5, 0.1}}}),
               ConfigError, "'transforms.random_resized_crop.scale': expected the least");
  EXPECT_ERROR(validate({.random_erasing = RandomErasing{.ratio = {2, 1}}}), ConfigError,
               "'transforms.random_erasing.ratio'");
}

DatasetPtr photographs() {
  return open_data({.name = "synthetic", .limit_train = 40, .resolution = 24, .crop_pct = 0.875})
      .train;
}

LoaderConfig with_all(int threads) {
  return {.batch = 7,
          .resolution = 20,
          .pipeline = [](const Preprocessing& p) { return training(all_transforms(), true, p); },
          .seed = 3,
          .threads = threads};
}

TEST(Training, ThreadsDoNotChangeABit) {
  std::vector<std::vector<float>> runs;
  for (const int threads : {1, 2, 5}) {
    Loader loader(photographs(), with_all(threads));
    loader.start(2);
    std::vector<float>& values = runs.emplace_back();
    for (Batch batch; loader.next(batch);) {
      values.insert(values.end(), batch.images.floats().begin(), batch.images.floats().end());
    }
    ASSERT_EQ(values.size(), 40u * 3 * 20 * 20);
    EXPECT_EQ(values, runs[0]) << threads;
  }
}

TEST(CropPct, IsASettingOfTheData) {
  EXPECT_EQ(photographs()->preprocessing().crop_pct, 0.875);
  EXPECT_EQ(photographs()->preprocessing().resized_side(), 27);
  DataConfig config{.name = "synthetic", .limit_train = 10};
  EXPECT_EQ(open_data(config).train->preprocessing().crop_pct, 1);
  config.preprocessing = Preprocessing{.resolution = 32, .crop_pct = 0.9};
  EXPECT_EQ(open_data(config).train->preprocessing().crop_pct, 0.9) << "a checkpoint's";
  config.crop_pct = 0.8;
  EXPECT_EQ(open_data(config).test->preprocessing().crop_pct, 0.8);
  config.crop_pct = 1.5;
  EXPECT_ERROR(open_data(config), ConfigError, "'crop_pct': expected a number in (0.01, 1]");
}

}  // namespace
}  // namespace hac
