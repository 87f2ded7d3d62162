#include "scaling/importance/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "models/arch/architecture.h"

namespace hac {

namespace {

constexpr int kFewest = 5;
constexpr double kLargest = 64;

// multipliers[sample][layer]
using Multipliers = std::vector<std::vector<double>>;

Multipliers hypercube(std::size_t layers, const SamplingOptions& o) {
  Multipliers result(o.samples, std::vector<double>(layers));
  for (std::size_t l = 0; l < layers; ++l) {
    const Philox random{o.seed, streams::sampled_widths(l)};
    std::vector<int> strata(o.samples);
    std::iota(strata.begin(), strata.end(), 0);
    for (int i = o.samples - 1; i > 0; --i) {
      std::swap(strata[i], strata[random.below(i, static_cast<std::uint32_t>(i + 1))]);
    }
    for (int i = 0; i < o.samples; ++i) {
      const double at = (strata[i] + random.uniform(o.samples + i)) / o.samples;
      result[i][l] = o.low * std::pow(o.high / o.low, at);
    }
  }
  return result;
}

Multipliers multipliers_of(std::size_t layers, const SamplingOptions& o) {
  if (o.kind == SamplingKind::latin_hypercube) {
    if (o.samples < kFewest || o.samples > 10000) {
      throw ConfigError(
          fmt::format("sampling 'samples': expected {} to 10000, got {}", kFewest, o.samples));
    }
    if (!(o.low > 0 && o.low < o.high && o.high <= kLargest)) {
      throw ConfigError(
          fmt::format("sampling 'low, high': expected 0 < low < high <= {}, got {}, {}", kLargest,
                      o.low, o.high));
    }
    return hypercube(layers, o);
  }
  Multipliers result;
  for (const double m : o.multipliers) {
    if (!(m > 0 && m <= kLargest)) {
      throw ConfigError(
          fmt::format("sampling 'multipliers': expected a number in (0, {}], got {}", kLargest, m));
    }
    result.emplace_back(layers, m);
  }
  if (result.size() < kFewest) {
    throw ConfigError(fmt::format("sampling 'multipliers': expected at least {}, got {}", kFewest,
                                  result.size()));
  }
  return result;
}

}  // namespace

std::vector<std::vector<std::int64_t>> sample_widths(const std::vector<std::int64_t>& baseline,
                                                     const SamplingOptions& options) {
  if (options.round_to < 1) {
    throw ConfigError(
        fmt::format("sampling 'round_to': expected at least 1, got {}", options.round_to));
  }
  std::vector<std::vector<std::int64_t>> samples;
  for (const std::vector<double>& row : multipliers_of(baseline.size(), options)) {
    std::vector<std::int64_t> widths;
    for (std::size_t l = 0; l < baseline.size(); ++l) {
      widths.push_back(round_to(row[l] * static_cast<double>(baseline[l]), options.round_to));
    }
    samples.push_back(std::move(widths));
  }
  const std::set<std::vector<std::int64_t>> distinct(samples.begin(), samples.end());
  if (distinct.size() < samples.size()) {
    throw ConfigError(fmt::format(
        "sampling: expected {} different networks, got {} after rounding to multiples of {} "
        "(hint: a smaller round_to)",
        samples.size(), distinct.size(), options.round_to));
  }
  for (std::size_t l = 0; l < baseline.size(); ++l) {
    const auto same = [&](const auto& s) { return s[l] == samples[0][l]; };
    if (std::all_of(samples.begin(), samples.end(), same)) {
      throw ConfigError(
          fmt::format("sampling: layer {} has width {} in every sample (hint: a smaller round_to)",
                      l, samples[0][l]));
    }
  }
  return samples;
}

}  // namespace hac
