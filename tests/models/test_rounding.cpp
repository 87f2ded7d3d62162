// Published rounding rules, by hand.

#include "models/arch/rounding.h"

#include <gtest/gtest.h>

#include "models/arch/architecture.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Blocks = std::vector<std::int64_t>;

TEST(Rounding, NearestWithHalvesUpAndDown) {
  EXPECT_EQ(round_to(12, 8), 16);
  EXPECT_EQ(round_to(11.9, 8), 8);
  EXPECT_EQ(round_to(3, 8), 8) << "at least one multiple";
  EXPECT_EQ(round_down_to(247.03, 1), 247);
  EXPECT_EQ(round_down_to(247.9, 1), 247);
  EXPECT_EQ(round_down_to(247, 1), 247);
  EXPECT_EQ(round_down_to(63.9, 32), 32);
  EXPECT_EQ(round_down_to(3, 8), 8);
}

// EfficientNet: 40 * 1.2 = 48; 24 * 1.1 = 26.4 -> 24 keeps 91 %; 20 * 1.0 -> 24 (halves up);
// 19 -> 16 would lose 16 %, so 24.
TEST(Rounding, FiltersLoseATenthAtMost) {
  EXPECT_EQ(round_filters(48), 48);
  EXPECT_EQ(round_filters(26.4), 24);
  EXPECT_EQ(round_filters(20), 24);
  EXPECT_EQ(round_filters(19), 24);
  EXPECT_EQ(round_to(19, 8), 16);
  EXPECT_EQ(round_filters(2), 8);
  for (double w = 1; w < 600; w += 0.37) {
    EXPECT_GE(static_cast<double>(round_filters(w)), 0.9 * w);
    EXPECT_EQ(round_filters(w) % 8, 0);
  }
}

// Of (2, 2, 2, 2) at d near 1.1 both rules of a stage miss the wanted total: never deeper, or all
// stages at once.
TEST(Rounding, DepthRules) {
  const Blocks resnet{2, 2, 2, 2}, vgg{1, 1, 2, 2, 2};
  EXPECT_EQ(scaled_blocks(resnet, 1.1, DepthRule::round), resnet);
  EXPECT_EQ(scaled_blocks(resnet, 1.1, DepthRule::ceil), (Blocks{3, 3, 3, 3}));
  EXPECT_EQ(scaled_blocks(resnet, 1.1361, DepthRule::total), (Blocks{2, 2, 2, 3}));
  EXPECT_EQ(scaled_blocks(vgg, 2.5, DepthRule::round), (Blocks{2, 2, 5, 5, 5})) << "2.5 -> 2";
  EXPECT_EQ(scaled_blocks({1, 3}, 1.5, DepthRule::round), (Blocks{2, 4})) << "4.5 -> 4";
  EXPECT_EQ(scaled_blocks({3, 4}, 0.1, DepthRule::round), (Blocks{1, 1}));
  EXPECT_EQ(scaled_blocks(resnet, 1, DepthRule::ceil), resnet);
  EXPECT_CONTAINS(error_of<ConfigError>([] { scaled_blocks({}, 1); }), "depth scaling");
  EXPECT_CONTAINS(error_of<ConfigError>([&] { scaled_blocks(vgg, -1, DepthRule::ceil); }), "-1");
}

}  // namespace
}  // namespace hac
