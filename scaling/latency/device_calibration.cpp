#include "scaling/latency/device_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/core/error.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/latency/nnls.h"

namespace hac {

namespace {

constexpr int kMostRounds = 50;
constexpr std::int64_t kBlocks[] = {1, 2, 4, 8, 16, 32, 64};
// A figure that the times do not tell from none at all.
constexpr double kLeast = 1e-6;

// What an operation takes by the given profile, in ms.
struct Work {
  double compute = 0, traffic = 0;
};
struct Network {
  std::vector<Work> kernels;
  double ms = 0;
};

// Factors of compute and traffic, and milliseconds a launch.
struct Factors {
  double compute = 1, traffic = 1, launch = 0;
};

double predicted(const Network& network, const Factors& f) {
  double ms = 0;
  for (const Work& w : network.kernels) {
    ms += f.launch + std::max(f.compute * w.compute, f.traffic * w.traffic);
  }
  return ms;
}

double loss(const std::vector<Network>& networks, const Factors& f) {
  double sum = 0;
  for (const Network& n : networks) sum += std::pow(1 - predicted(n, f) / n.ms, 2);
  return sum;
}

// Each operation on the side that it is on now.
Factors solve(const std::vector<Network>& networks, const Factors& f) {
  std::vector<std::vector<double>> rows;
  for (const Network& n : networks) {
    std::vector<double> row(3);
    for (const Work& w : n.kernels) {
      const bool compute = f.compute * w.compute >= f.traffic * w.traffic;
      row[0] += (compute ? w.compute : 0) / n.ms;
      row[1] += (compute ? 0 : w.traffic) / n.ms;
      row[2] += 1 / n.ms;
    }
    rows.push_back(std::move(row));
  }
  const std::vector<double> x = nnls(rows, std::vector<double>(rows.size(), 1));
  return {std::max(x[0], kLeast), std::max(x[1], kLeast), std::max(x[2], kLeast)};
}

struct Fit {
  Factors factors;
  double loss = std::numeric_limits<double>::infinity();
};

// The best on the way from several starts: a step that changes sides may be worse than the last.
Fit fit_factors(const std::vector<Network>& networks) {
  Fit best;
  for (const double compute : {1., 3., 10., 30.}) {
    for (const double traffic : {0.1, 1., 10.}) {
      Factors f{compute, traffic, 0};
      double last = std::numeric_limits<double>::infinity();
      for (int round = 0; round < kMostRounds; ++round) {
        f = solve(networks, f);
        const double now = loss(networks, f);
        if (now < best.loss) best = {f, now};
        if (now == last) break;
        last = now;
      }
    }
  }
  return best;
}

std::vector<Network> networks_of(const DeviceModel& model, std::span<const NetworkTiming> timings) {
  std::vector<Network> networks;
  for (const NetworkTiming& t : timings) {
    Network network{.ms = t.total_ms};
    for (const Op& op : t.graph.ops) {
      const LatencyParts p = model.explain(op.spec);
      if (p.launch > 0) network.kernels.push_back({p.compute, p.traffic()});
    }
    networks.push_back(std::move(network));
  }
  return networks;
}

std::optional<double> seen(double factor) {
  return factor > 2 * kLeast ? std::optional(1 / factor) : std::nullopt;
}

// Without its errors and sources.
Calibration fit_profile(DeviceProfile p, LaunchMode launch,
                        std::span<const NetworkTiming> timings) {
  Fit best;
  std::int64_t block = p.channel_block;
  const auto attempt = [&](std::int64_t candidate) {
    p.channel_block = candidate;
    const Fit fit = fit_factors(networks_of(DeviceModel(p, launch), timings));
    if (fit.loss < best.loss * (1 - 1e-9)) best = fit, block = candidate;
  };
  attempt(block);  // kept where no other is better
  for (const std::int64_t candidate : kBlocks) attempt(candidate);
  const Factors& f = best.factors;
  p.peak_gmacs = p.peak_gmacs.times(1 / f.compute);
  p.bandwidth_gbs /= f.traffic;
  p.channel_block = block;
  p.launch_us = {};
  (launch == LaunchMode::eager ? p.launch_us.eager : p.launch_us.graph) = 1e3 * f.launch;
  p.default_launch = launch;
  return {.profile = p,
          .peak = seen(f.compute),
          .bandwidth = seen(f.traffic),
          .launch_us = 1e3 * f.launch,
          .channel_block = block};
}

void name_sources(DeviceProfile& p, const DeviceProfile& given, const Calibration& c,
                  const std::string& timed_on, std::size_t networks) {
  const std::string fit = fmt::format("fitted to {} networks timed on {}", networks, timed_on);
  const auto fraction = [&](std::optional<double> x, const std::string& source) {
    return x ? fmt::format("{}: {:.3g} of: {}", fit, *x, source)
             : fmt::format("{}, none of which it bound", fit);
  };
  p.name = fmt::format("{} calibrated on {}", given.name, timed_on);
  p.source.peak_gmacs = fraction(c.peak, given.source.peak_gmacs);
  p.source.bandwidth_gbs = fraction(c.bandwidth, given.source.bandwidth_gbs);
  p.source.channel_block = p.source.launch_us = fit;
}

}  // namespace

Calibration calibrate(const DeviceProfile& profile, LaunchMode launch,
                      std::span<const NetworkTiming> timings, const std::string& timed_on,
                      int folds) {
  const auto networks = static_cast<int>(timings.size());
  if (folds < 2 || networks < std::max(folds, 5)) {
    throw ConfigError(fmt::format(
        "calibration: expected at least five timed networks and two folds, got {} and {}", networks,
        folds));
  }
  timed_layers(timings);  // checks them
  Calibration c = fit_profile(profile, launch, timings);
  c.before = prediction_error(DeviceModel(profile, launch), timings);
  c.after = error_left_out(timings, folds, [&](std::span<const NetworkTiming> kept) {
    return std::make_shared<DeviceModel>(fit_profile(profile, launch, kept).profile, launch);
  });
  name_sources(c.profile, profile, c, timed_on, timings.size());
  return c;
}

}  // namespace hac
