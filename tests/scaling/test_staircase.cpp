// The step in which a layer's time grows with its width, on machines whose truth is known.

#include <algorithm>

#include "kernels/core/random.h"
#include "scaling/latency/staircase.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

// A staircase of this step on top of what does not depend on the width, slightly curved as caches
// make it, with relative noise of which the error bars tell.
std::vector<WidthTime> staircase(std::int64_t step, std::int64_t base, double noise,
                                 std::uint64_t seed = 0, double fixed = 0.03) {
  std::vector<WidthTime> points;
  const Philox random{seed, 7};
  for (const std::int64_t width : staircase_widths(base)) {
    const auto x = static_cast<double>((width + step - 1) / step * step);
    const double exact = fixed + 1e-3 * x + 5e-7 * x * x;
    double low = 1e9, high = 0, sum = 0;
    for (int i = 0; i < 3; ++i) {
      const double u = random.uniform(static_cast<std::uint64_t>(3 * width + i));
      const double ms = exact * (1 + noise * (2 * u - 1));
      low = std::min(low, ms), high = std::max(high, ms), sum += ms;
    }
    points.push_back({width, sum / 3, low, high});
  }
  return points;
}

TEST(Staircase, FindsEveryStepWithoutNoise) {
  for (const std::int64_t step : step_candidates) {
    for (const std::int64_t base : {16, 32, 100, 512}) {
      const LayerStaircase found = find_staircase("conv", staircase(step, base, 0));
      EXPECT_EQ(found.step, step) << "at " << base;
      EXPECT_TRUE(found.clear || base > 100) << step << " at " << base << " " << found.evidence;
    }
  }
}

TEST(Staircase, FindsEveryLargeStepUnderNoise) {
  for (const std::int64_t step : {8, 16, 32, 64}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const LayerStaircase found = find_staircase("conv", staircase(step, 64, 0.01, seed));
      EXPECT_EQ(found.step, step) << "seed " << seed << " evidence " << found.evidence;
    }
  }
}

// Never a clear verdict that is wrong: with noise far above the height of a step there is none.
TEST(Staircase, NoiseIsNoEvidence) {
  int clear = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const LayerStaircase found = find_staircase("conv", staircase(1, 64, 0.3, seed));
    clear += found.clear && found.step != 1;
  }
  EXPECT_LE(clear, 2);
  std::vector<WidthTime> flat = staircase(1, 64, 0);
  for (WidthTime& p : flat) p.ms = 0.1;
  EXPECT_FALSE(find_staircase("conv", flat).clear);
}

TEST(Staircase, WidthsOfOneKindOfMultipleTellNothing) {
  std::vector<WidthTime> points;
  for (std::int64_t w = 64; w <= 512; w += 64) points.push_back({w, 1e-3 * double(w), 0, 0});
  const LayerStaircase found = find_staircase("conv", points);
  EXPECT_EQ(found.evidence, 0);
  EXPECT_FALSE(found.clear);
  EXPECT_EQ(find_staircase({found}).block, 0);
}

TEST(Staircase, LayersAddTheirEvidence) {
  std::vector<LayerStaircase> layers;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    layers.push_back(
        find_staircase("layer " + std::to_string(seed), staircase(16, 64, 0.02, seed)));
  }
  const Staircase all = find_staircase(layers);
  EXPECT_EQ(all.block, 16);
  EXPECT_EQ(all.likeliest, 16);
  for (const LayerStaircase& layer : layers) EXPECT_GT(all.evidence, layer.evidence);
  EXPECT_EQ(find_staircase(std::vector<LayerStaircase>{}).block, 0);
}

TEST(Staircase, WidthsLieOnBothSidesOfEveryEdge) {
  for (const std::int64_t width : {1, 16, 60, 64, 512}) {
    const std::vector<std::int64_t> widths = staircase_widths(width);
    for (std::size_t a = 0; a < std::size(step_candidates); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const auto differ = [&](std::int64_t w) {
          return round_up(w, step_candidates[a]) != round_up(w, step_candidates[b]);
        };
        EXPECT_GE(std::ranges::count_if(widths, differ), 3) << width;
      }
    }
  }
}

TEST(Staircase, RefusesTooLittle) {
  std::vector<WidthTime> points(7, {.width = 16, .ms = 1});
  EXPECT_ERROR(find_staircase("conv", points), ConfigError, "'conv'", "8 or more", "16 twice");
}

}  // namespace
}  // namespace hac
