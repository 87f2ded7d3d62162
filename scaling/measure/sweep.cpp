#include "scaling/measure/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/core/types.h"
#include "models/arch/counters.h"
#include "scaling/measure/network_times.h"
#include "scaling/measure/utilization.h"

namespace hac {
namespace {

// Those of an axis, or the baseline's alone.
template <class T>
std::vector<T> values_or(const std::vector<T>& values, T own) {
  return values.empty() ? std::vector{own} : values;
}

SweepRow row_of(const SweptNetwork& net, double ms) {
  const Counters counters = count(net.arch);
  const std::vector<std::int64_t> units = blocks(net.arch);
  return {.dimension = net.dimension,
          .width = net.width,
          .depth = net.depth,
          .resolution = net.arch.resolution,
          .units = std::accumulate(units.begin(), units.end(), std::int64_t{0}),
          .params = counters.params,
          .macs = counters.macs,
          .ms = ms,
          .gmacs_per_s = utilization_gmacs(counters.macs, ms)};
}

}  // namespace

std::vector<SweptNetwork> networks_to_sweep(const Architecture& baseline, const SweepAxes& axes) {
  if (axes.widths.empty() && axes.depths.empty() && axes.resolutions.empty()) {
    throw ConfigError("sweep: expected widths, depths or resolutions, got none");
  }
  std::vector<SweptNetwork> nets;
  const auto add = [&](const std::string& dimension, double w, double d, std::int64_t pixels) {
    Architecture arch = d == 1 ? baseline : scale_depth(baseline, d);
    if (w != 1) arch = scale_width(arch, w, axes.width_multiple);
    arch = with_resolution(arch, pixels);
    validate(arch);
    const auto same = [&](const SweptNetwork& net) {
      return net.arch == arch && (net.dimension == dimension || net.dimension == "baseline");
    };
    if (std::ranges::none_of(nets, same)) nets.push_back({dimension, w, d, std::move(arch)});
  };
  add("baseline", 1, 1, baseline.resolution);
  if (axes.grid) {
    for (const std::int64_t r : values_or(axes.resolutions, baseline.resolution)) {
      for (const double d : values_or(axes.depths, 1.0)) {
        for (const double w : values_or(axes.widths, 1.0)) add("grid", w, d, r);
      }
    }
    return nets;
  }
  for (const double w : axes.widths) add("width", w, 1, baseline.resolution);
  for (const double d : axes.depths) add("depth", 1, d, baseline.resolution);
  for (const std::int64_t r : axes.resolutions) add("resolution", 1, 1, r);
  return nets;
}

std::vector<SweepRow> measure_sweep(const std::vector<SweptNetwork>& nets,
                                    const TensorOptions& where, double peak_gmacs,
                                    const MeasureOptions& options, Patience* patience) {
  std::vector<std::unique_ptr<InferenceSession>> sessions;
  std::vector<InferenceSession*> pointers;
  for (const SweptNetwork& net : nets) {
    sessions.push_back(deploy_random(net.arch, where));
    pointers.push_back(sessions.back().get());
  }
  std::vector<LatencyStats> stats;
  measure_patiently(patience, [&] {
    stats = measure_interleaved(pointers, options);
    return std::ranges::all_of(stats, &LatencyStats::steady);
  });
  std::vector<SweepRow> rows;
  for (std::size_t i = 0; i < nets.size(); ++i) {
    SweepRow row = row_of(nets[i], stats[i].median);
    row.low_ms = stats[i].p10, row.high_ms = stats[i].p90;
    row.multiplied_gmacs_per_s = utilization_gmacs(multiplications(*sessions[i]), row.ms);
    row.peak_fraction = row.multiplied_gmacs_per_s / peak_gmacs;  // unknown / x is unknown
    if (!stats[i].steady()) row.unsteady = describe_disturbance(stats[i]);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<SweepRow> model_sweep(const std::vector<SweptNetwork>& nets,
                                  const LatencyModel& model) {
  std::vector<SweepRow> rows;
  for (const SweptNetwork& net : nets) {
    rows.push_back(row_of(net, model.predict(net.arch)));
    rows.back().modelled = true;
  }
  return rows;
}

std::vector<WidthTime> model_layer_widths(const Architecture& arch, int index,
                                          const std::vector<std::int64_t>& widths,
                                          const LatencyModel& model) {
  std::vector<WidthTime> times;
  for (const std::int64_t width : widths) {
    for (const Op& op : model.graph_of(with_width(arch, index, width)).ops) {
      if (op.width_index == index) times.push_back({.width = width, .ms = model.predict(op.spec)});
    }
  }
  return times;
}

namespace {

bool is_modelled(const LayerStaircase& found) {
  return std::ranges::all_of(found.points, [](const WidthTime& p) { return p.high_ms == 0; });
}

constexpr double flat = 1e-6;  // relative, of what a formula gives

}  // namespace

std::vector<std::int64_t> step_edges(const LayerStaircase& found) {
  const std::vector<WidthTime>& points = found.points;
  std::vector<std::int64_t> edges;
  if (is_modelled(found)) {
    for (std::size_t i = 1; i + 1 < points.size(); ++i) {
      const double ms = points[i].ms;
      if (ms <= (1 + flat) * points[i - 1].ms && points[i + 1].ms > (1 + flat) * ms) {
        edges.push_back(points[i].width);
      }
    }
  } else if (found.clear && found.step > 1) {
    const std::int64_t last = points.back().width;
    for (std::int64_t at = round_up(points[0].width, found.step); at <= last; at += found.step) {
      edges.push_back(at);
    }
  }
  return edges;
}

std::string free_channels(const LayerStaircase& found, std::int64_t width) {
  if (is_modelled(found)) {
    const auto own = std::ranges::find(found.points, width, &WidthTime::width);
    std::int64_t edge = width;
    for (auto p = own; p != found.points.end() && p->ms <= (1 + flat) * own->ms; ++p) {
      edge = p->width;
    }
    return edge == width
               ? fmt::format("{}: none of the widths above {} is free (modelled)", found.layer,
                             width)
               : fmt::format("{}: {} -> {} costs nothing (modelled)", found.layer, width, edge);
  }
  if (!found.clear) {
    return fmt::format("{}: no step stands out of the noise, so no channel is known to be free",
                       found.layer);
  }
  if (found.step == 1) {
    return fmt::format("{}: time grows with every channel, none is free", found.layer);
  }
  const std::int64_t edge = round_up(width, found.step);
  if (edge > width) {
    return fmt::format("{}: {} -> {} costs nothing, in steps of {} channels", found.layer, width,
                       edge, found.step);
  }
  return fmt::format("{}: {} is the right-hand edge of a step of {} channels; {} -> {} costs one",
                     found.layer, width, found.step, width, edge + found.step);
}

}  // namespace hac
