// The one list of networks that a latency model is fitted on.

#include <set>

#include "models/zoo/zoo.h"
#include "scaling/latency/networks_to_time.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

std::set<std::int64_t> resolutions_of(const std::vector<Architecture>& nets) {
  std::set<std::int64_t> sizes;
  for (const Architecture& a : nets) sizes.insert(a.resolution);
  return sizes;
}

TEST(NetworksToTime, RandomWidthsAtEveryResolutionAndALadder) {
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  const std::vector<Architecture> nets =
      networks_to_time(vgg, {.networks = 12, .resolutions = {40, 48}, .depths = {1.5}});
  EXPECT_EQ(nets[0], vgg);
  // Five random ones at each of three sizes, which are more than 12 / 3; the bases of these; five
  // steps of the ladder besides 48 pixels, which is a base already; one deeper.
  EXPECT_EQ(nets.size(), 3u * 5 + 3 + 5 + 1);
  EXPECT_EQ(resolutions_of(nets), (std::set<std::int64_t>{32, 40, 48, 64, 96, 128, 192, 256}));
  EXPECT_EQ(blocks(nets.back()).size(), blocks(vgg).size());
  EXPECT_EQ(widths(nets.back()).size(), 12u);  // 8 convolutions times 1.5
  for (std::size_t i = 0; i < nets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(nets[i] == nets[j]) << i << " " << j;
  }
  EXPECT_EQ(networks_to_time(vgg, {.networks = 12, .resolutions = {40, 48}, .depths = {1.5}}),
            nets);
}

TEST(NetworksToTime, CoversTheRangeOfEveryWidth) {
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  const auto nets = networks_to_time(vgg, {.networks = 20, .ladder = false});
  EXPECT_EQ(nets.size(), 21u);
  const std::vector<std::int64_t> base = widths(vgg);
  for (std::size_t l = 0; l < base.size(); ++l) {
    std::int64_t low = base[l], high = base[l];
    for (const Architecture& a : nets) {
      low = std::min(low, widths(a)[l]);
      high = std::max(high, widths(a)[l]);
    }
    EXPECT_LT(low, 0.65 * base[l]) << l;  // a stratum of 20 is a tenth wide
    EXPECT_GT(high, 2.5 * base[l]) << l;
    EXPECT_LE(high, 3 * base[l] + 4) << l;
  }
}

TEST(NetworksToTime, LargeImagesAreNotEnlargedSixfold) {
  const auto nets = networks_to_time(zoo("resnet18"), {.networks = 5});
  EXPECT_EQ(*resolutions_of(nets).rbegin(), 4 * 224);
}

TEST(NetworksToTime, RefusesWhatIsNoNetwork) {
  const Architecture vgg = scale_width(zoo("vgg11"), 0.25);
  EXPECT_ERROR(networks_to_time(vgg, {.resolutions = {16}}), ConfigError, "vgg11", "16");
  EXPECT_ERROR(networks_to_time(vgg, {.low = 3, .high = 2}), ConfigError, "low < high");
  EXPECT_ERROR(networks_to_time(vgg, {.depths = {-1}}), ConfigError, "depths", "-1");
}

}  // namespace
}  // namespace hac
