// Published rounding rules, by hand.

#include <gtest/gtest.h>

#include "models/zoo/zoo.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Blocks = std::vector<std::int64_t>;

TEST(Rounding, NearestWithHalvesUp) {
  EXPECT_EQ(round_to(12, 8), 16);
  EXPECT_EQ(round_to(11.9, 8), 8);
  EXPECT_EQ(round_to(3, 8), 8) << "at least one multiple";
  EXPECT_EQ(round_to(19, 8), 16);
}

TEST(Rounding, DepthByLargestRemainder) {
  const Architecture resnet = zoo("preact_resnet18"), vgg = zoo("vgg11");
  const auto scaled = [](const Architecture& arch, double d) {
    return blocks(scale_depth(arch, d));
  };
  EXPECT_EQ(scaled(resnet, 1), (Blocks{2, 2, 2, 2}));
  EXPECT_EQ(scaled(resnet, 1.1361), (Blocks{2, 2, 2, 3})) << "a tie goes to the later stage";
  EXPECT_EQ(scaled(with_blocks(resnet, {1, 3, 1, 1}), 1.5), (Blocks{1, 4, 2, 2}));
  EXPECT_EQ(scaled(with_blocks(vgg, {1, 1, 3, 4, 1}), 0.1), (Blocks{1, 1, 1, 1, 1}));
  EXPECT_EQ(scaled(vgg, 2.5), (Blocks{2, 3, 5, 5, 5})) << "2.5 + 2.5 + 5 + 5 + 5 = 20";
  EXPECT_ERROR(scale_depth(vgg, -1), ConfigError, "depth scaling", "-1");
  Architecture flat = vgg;
  flat.stage_ends.clear();
  EXPECT_ERROR(scale_depth(flat, 1), ConfigError, "depth scaling");
}

}  // namespace
}  // namespace hac
