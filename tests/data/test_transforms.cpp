// Pipelines of transforms: any order against pixels moved one step at a time, and the random ones
// against their definition.

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

Sample noise(std::int64_t height, std::int64_t width) {
  return testing::noise_image(1, height, width);
}

Sample window(const Sample& s, std::int64_t top, std::int64_t left, std::int64_t h,
              std::int64_t w) {
  Sample out{1, h, w, std::vector<std::uint8_t>(h * w)};
  for (std::int64_t y = 0; y < h; ++y) {
    for (std::int64_t x = 0; x < w; ++x) {
      const std::int64_t sy = y + top, sx = x + left;
      if (sy < 0 || sy >= s.height || sx < 0 || sx >= s.width) continue;
      out.pixels[y * w + x] = s.pixels[sy * s.width + sx];
    }
  }
  return out;
}

Sample mirrored(const Sample& s) {
  Sample out = s;
  for (std::int64_t y = 0; y < s.height; ++y) {
    std::reverse(out.pixels.begin() + y * s.width, out.pixels.begin() + (y + 1) * s.width);
  }
  return out;
}

// Four steps of any kind, put off, against the same steps each done at once.
TEST(View, IsTheSameWhetherPixelsMoveAtOnceOrAtTheEnd) {
  std::mt19937 random(3);
  const auto between = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 2000; ++round) {
    Sample eager = noise(between(1, 9), between(1, 9));
    View lazy(eager);
    std::string steps;
    for (int step = 0; step < 4; ++step) {
      switch (between(0, 2)) {
        case 0: {
          const int top = between(-3, 3), left = between(-3, 3), h = between(1, 9),
                    w = between(1, 9);
          steps += " window " + std::to_string(top) + " " + std::to_string(left) + " " +
                   std::to_string(h) + " " + std::to_string(w);
          lazy.window(top, left, h, w);
          eager = window(eager, top, left, h, w);
          break;
        }
        case 1:
          steps += " mirror";
          lazy.mirror();
          eager = mirrored(eager);
          break;
        default: {
          const int h = between(1, 9), w = between(1, 9);
          steps += " resize " + std::to_string(h) + " " + std::to_string(w);
          lazy.resize(h, w);
          View done(eager);
          done.resize(h, w);
          eager = done.render(1);
        }
      }
    }
    ASSERT_EQ(lazy.height(), eager.height) << steps;
    ASSERT_EQ(lazy.width(), eager.width) << steps;
    const Sample got = lazy.render(1);
    for (std::size_t i = 0; i < got.pixels.size(); ++i) {
      // The passes of a resize may change places, and with them the last bit before rounding.
      ASSERT_NEAR(got.pixels[i], eager.pixels[i], 1) << steps << " at " << i;
    }
  }
}

TEST(View, RefusesWhatIsNoImage) {
  EXPECT_ERROR(View(Sample{}), ShapeError, "expected pixels, got (0, 0, 0)");
  EXPECT_ERROR(View(noise(3, 3)).resize(0, 3), ConfigError, "got (0, 3)");
  EXPECT_ERROR(View(Sample{1, 2, 2, {1, 2, 3}}).render(1), ShapeError,
               "expected 4 bytes for (1, 2, 2), got 3");
}

// dy and dx by the columns of a ramp, the flip by their order.
std::tuple<int, int, bool> standard(std::uint64_t seed, std::int64_t epoch, std::int64_t position) {
  const Pipeline random = split(standard_augmentation({.channels = 1, .resolution = 9})).second;
  const View view = apply(random, noise(9, 9), {seed, epoch, position});
  return {view.rows().offset, view.columns().offset, view.mirrored()};
}

TEST(StandardAugmentation, IsUniformAndAFunctionOfSeedEpochAndPosition) {
  std::map<std::tuple<int, int, bool>, int> count;
  constexpr int draws = 81 * 2 * 200;
  for (int i = 0; i < draws; ++i) {
    const auto [dy, dx, mirror] = standard(5, 1, i);
    ASSERT_EQ(standard(5, 1, i), std::make_tuple(dy, dx, mirror));
    ASSERT_LE(std::abs(dy), 4);
    ASSERT_LE(std::abs(dx), 4);
    ++count[{dy, dx, mirror}];
  }
  ASSERT_EQ(count.size(), 162u);
  double chi2 = 0;
  for (const auto& [key, n] : count) chi2 += (n - 200.0) * (n - 200.0) / 200.0;
  EXPECT_LT(chi2, 240);  // 161 degrees of freedom: p < 1e-4 beyond
  int other_seed = 0, other_epoch = 0;
  for (int i = 0; i < 1000; ++i) {
    other_seed += standard(5, 1, i) != standard(6, 1, i);
    other_epoch += standard(5, 1, i) != standard(5, 2, i);
  }
  EXPECT_GT(other_seed, 950);
  EXPECT_GT(other_epoch, 950);
}

// The numbers of checkpoints that are resumed: the first words of the block at the position.
TEST(StandardAugmentation, HasTheNumbersThatItAlwaysHad) {
  for (const std::int64_t position : {0, 1, 77, 59999}) {
    const auto words = Philox{5, std::uint64_t{2} << 56 | 3}.block(position);
    const auto shift = [](std::uint32_t word) { return static_cast<int>(word * 9ull >> 32) - 4; };
    EXPECT_EQ(standard(5, 3, position),
              std::make_tuple(shift(words[0]), shift(words[1]), words[2] >> 31 == 1));
  }
}

TEST(Draws, NeverRepeatAWordWithinAnEpoch) {
  std::set<std::uint32_t> words;
  for (int position = 0; position < 100; ++position) {
    Draws draws(1, 2, position);
    for (int k = 0; k < 32; ++k) words.insert(draws.bits());
  }
  EXPECT_GE(words.size(), 3198u);  // 3200 words of 32 bits meet once in 800 such sets
}

// Written from torchvision's documentation, with another generator.
Box reference_box(std::int64_t height, std::int64_t width, std::mt19937_64& g) {
  const auto uniform = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(g);
  };
  const auto integer = [&](std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>(0, n)(g);
  };
  for (int tries = 0; tries < 10; ++tries) {
    const double area = uniform(0.08, 1) * static_cast<double>(height * width);
    const double ratio = std::exp(uniform(std::log(3. / 4), std::log(4. / 3)));
    const std::int64_t w = std::lround(std::sqrt(area * ratio)),
                       h = std::lround(std::sqrt(area / ratio));
    if (w <= 0 || w > width || h <= 0 || h > height) continue;
    const std::int64_t top = integer(height - h);
    return {top, integer(width - w), h, w};
  }
  std::int64_t w = width, h = height;
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  if (ratio < 3. / 4) h = std::lround(static_cast<double>(w) / (3. / 4));
  if (ratio > 4. / 3) w = std::lround(static_cast<double>(h) * (4. / 3));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

// Kolmogorov and Smirnov's distance of two samples of equal size.
double distance(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double most = 0;
  std::size_t j = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i + 1 < a.size() && a[i + 1] == a[i]) continue;
    while (j < b.size() && b[j] <= a[i]) ++j;
    most = std::max(most, std::abs(static_cast<double>(i + 1) - static_cast<double>(j)));
  }
  return most / static_cast<double>(a.size());
}

TEST(RandomResizedCrop, BoxesAreDistributedAsDefined) {
  constexpr int n = 20000;
  const RandomResizedCrop crop;
  // Square, both ways oblong, and so narrow that the tries often run out.
  for (const auto& [height, width] :
       std::vector<std::pair<int, int>>{{480, 480}, {333, 500}, {500, 333}, {60, 900}}) {
    std::mt19937_64 generator(11);
    std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> figures;
    for (int i = 0; i < n; ++i) {
      Draws draws(9, 0, i);
      const auto note = [&](const Box& b, bool own) {
        ASSERT_GE(b.top, 0);
        ASSERT_GE(b.left, 0);
        ASSERT_LE(b.top + b.height, height);
        ASSERT_LE(b.left + b.width, width);
        const auto add = [&](const char* what, double value) {
          (own ? figures[what].first : figures[what].second).push_back(value);
        };
        add("area", static_cast<double>(b.height * b.width));
        add("aspect", static_cast<double>(b.width) / static_cast<double>(b.height));
        add("middle row", static_cast<double>(2 * b.top + b.height));
        add("middle column", static_cast<double>(2 * b.left + b.width));
        add("top", static_cast<double>(b.top));
        add("left", static_cast<double>(b.left));
      };
      note(crop.box(height, width, draws), true);
      note(reference_box(height, width, generator), false);
    }
    for (const auto& [what, values] : figures) {
      // p < 1e-4 beyond
      EXPECT_LT(distance(values.first, values.second), 2.23 * std::sqrt(2. / n))
          << what << " of " << height << "x" << width;
    }
  }
}

TEST(RandomResizedCrop, TakesTheMiddleWhenNoTryFits) {
  // No box of these aspects and areas fits an image of one row.
  const RandomResizedCrop crop{.scale = {0.9, 1}};
  Draws draws(1, 0, 0);
  const Box wide = crop.box(30, 900, draws);
  EXPECT_EQ((std::vector{wide.top, wide.left, wide.height, wide.width}),
            (std::vector<std::int64_t>{0, 430, 30, 40}));
  const Box tall = crop.box(900, 30, draws);
  EXPECT_EQ((std::vector{tall.top, tall.left, tall.height, tall.width}),
            (std::vector<std::int64_t>{430, 0, 40, 30}));
}

TEST(RandomResizedCrop, GivesTheBoxResizedToTheSquare) {
  const Sample s = noise(40, 50);
  const RandomResizedCrop crop{.size = 12};
  for (int position = 0; position < 50; ++position) {
    Draws draws(3, 1, position);
    const Box b = crop.box(40, 50, draws);
    View view(window(s, b.top, b.left, b.height, b.width));
    view.resize(12, 12);
    Sample expected = view.render(1);
    if (draws.below(2) == 1) expected = mirrored(expected);
    const Pipeline pipeline = random_resized_crop({.channels = 1, .resolution = 14, .border = 1});
    View got = apply(pipeline, s, {3, 1, position});
    ASSERT_EQ(got.render(1).pixels, window(expected, -1, -1, 14, 14).pixels) << position;
  }
}

// Smaller JPEGs are decoded only where the pipeline shrinks the whole image first.
TEST(Pipeline, SaysHowLargeAnImageItNeeds) {
  const Preprocessing p{.resolution = 224, .crop_pct = 0.875};
  EXPECT_EQ(decode_options(evaluation(p)).shorter_side, 256);
  EXPECT_EQ(decode_options(standard_augmentation(p)).shorter_side, 256);
  EXPECT_EQ(decode_options(random_resized_crop(p)).shorter_side, 0);
}

}  // namespace
}  // namespace hac
