// Depth: more units (residual blocks, or convolutions) of stride 1 at the ends of the stages.
//
//   depth            N' = round(d * N) by largest remainder; d grows by one unit
//   depth-canonical  the published members of the baseline's family, as VGG11, 13, 16, 19

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>
#include <optional>

#include "kernels/core/error.h"
#include "scaling/methods/method.h"

namespace hac {

namespace {

using Units = std::vector<std::int64_t>;  // of each stage

const std::vector<std::vector<Units>>& families() {
  static const std::vector<std::vector<Units>> all = {
      {{1, 1, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}},  // VGG
      {{2, 2, 2, 2}, {3, 4, 6, 3}},                                          // ResNet, ImageNet
      {{3, 3, 3}, {5, 5, 5}, {7, 7, 7}, {9, 9, 9}, {18, 18, 18}},            // ResNet, CIFAR
  };
  return all;
}

std::int64_t total(const Units& units) {
  return std::accumulate(units.begin(), units.end(), std::int64_t{0});
}

double factor(const Units& units, const Units& of) {
  return static_cast<double>(total(units)) / static_cast<double>(total(of));
}

// From the baseline's own member upwards.
std::vector<Units> larger_members(const Architecture& baseline) {
  const Units own = blocks(baseline);
  for (const std::vector<Units>& family : families()) {
    const auto it = std::find(family.begin(), family.end(), own);
    if (it != family.end()) return {it, family.end()};
  }
  throw ConfigError(fmt::format(
      "depth-canonical: expected as many units a stage as a VGG or ResNet was published with, got "
      "{} (hint: --method depth takes any)",
      fmt::join(own, ", ")));
}

}  // namespace

Method depth() {
  return {.key = "depth",
          .name = "depth",
          .help = "more blocks or convolutions at the ends of the stages",
          .coefficients = {{"d", "factor of their number"}},
          .scale = [](const Architecture& baseline, std::span<const double> c,
                      const Rounding&) { return scale_depth(baseline, c[0]); },
          .step =
              [](const ScalingTask& task, std::int64_t i) {
                const auto n = static_cast<double>(total(blocks(task.baseline)));
                return (n + static_cast<double>(i)) / n;
              }};
}

Method depth_canonical() {
  return {.key = "depth-canonical",
          .name = "canonical depth",
          .help = "the published deeper networks of its family: VGG13, 16, 19, ResNet34",
          .coefficients = {{"d", "factor of the number of units, of one of them"}},
          .scale =
              [](const Architecture& baseline, std::span<const double> c, const Rounding&) {
                const std::vector<Units> members = larger_members(baseline);
                std::vector<double> factors;
                for (const Units& units : members) {
                  factors.push_back(factor(units, members[0]));
                  if (std::abs(factors.back() - c[0]) < 1e-9) return with_blocks(baseline, units);
                }
                throw ConfigError(fmt::format("depth-canonical 'd': expected one of {}, got {}",
                                              fmt::join(factors, ", "), c[0]));
              },
          .step =
              [](const ScalingTask& task, std::int64_t i) {
                const std::vector<Units> members = larger_members(task.baseline);
                return i < std::ssize(members) ? factor(members[i], members[0]) : 0;
              }};
}

}  // namespace hac
