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
    if (o.low >= o.high) {
      throw ConfigError(
          fmt::format("sampling 'low, high': expected low < high, got {}, {}", o.low, o.high));
    }
    return hypercube(layers, o);
  }
  if (o.multipliers.size() < 5) {
    throw ConfigError(
        fmt::format("sampling 'multipliers': expected at least 5, got {}", o.multipliers.size()));
  }
  Multipliers result;
  for (const double m : o.multipliers) result.emplace_back(layers, m);
  return result;
}

}  // namespace

std::vector<std::vector<std::int64_t>> sample_widths(const std::vector<std::int64_t>& baseline,
                                                     const SamplingOptions& options) {
  check(fields_of(options), "sampling");
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
