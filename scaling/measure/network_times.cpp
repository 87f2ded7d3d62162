#include "scaling/measure/network_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {

Architecture with_width(const Architecture& arch, int index, std::int64_t width) {
  std::vector<std::int64_t> all = widths(arch);
  all.at(index) = width;
  Architecture other = with_widths(arch, all);
  validate(other);
  return other;
}

std::vector<TimedNetwork> time_networks(const std::vector<Architecture>& nets,
                                        const TensorOptions& where, const NetworksTiming& options) {
  std::vector<TimedNetwork> timed;
  Patience patience{.seconds = options.patience};
  for (const Architecture& net : nets) {
    timed.push_back({net, time_network(net, options.measure, where,
                                       options.allow_unsteady ? nullptr : &patience)});
    if (!options.allow_unsteady) require_steady(timed.back().timing);
    if (options.done) options.done(timed.size());
  }
  return timed;
}

namespace {

// A shuffle of 0 to n - 1 that differs with the round.
std::vector<std::size_t> order_of(std::size_t n, int round) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const Philox random{static_cast<std::uint64_t>(round), 0};
  for (std::size_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i, static_cast<std::uint32_t>(i))]);
  }
  return order;
}

double layer_ms(const Architecture& arch, int index, const TensorOptions& where,
                const MeasureOptions& measure) {
  const std::unique_ptr<InferenceSession> net = deploy_random(arch, where);
  for (const OpTime& op : profile(*net, measure).ops) {
    if (net->graph().ops[op.op].width_index == index) return op.ms;
  }
  throw ConfigError(fmt::format("layer: expected an operation of width {}, got none", index));
}

}  // namespace

std::vector<WidthTime> time_layer_widths(const Architecture& arch, int index,
                                         const std::vector<std::int64_t>& widths,
                                         const TensorOptions& where, const LayerTiming& options,
                                         const std::function<void(std::size_t)>& done) {
  std::vector<Architecture> nets;
  for (const std::int64_t width : widths) nets.push_back(with_width(arch, index, width));
  std::vector<std::vector<double>> ms(nets.size());
  std::size_t timed = 0;
  for (int round = 0; round < options.rounds; ++round) {
    for (const std::size_t i : order_of(nets.size(), round)) {
      ms[i].push_back(layer_ms(nets[i], index, where, options.measure));
      if (done) done(++timed);
    }
  }
  std::vector<WidthTime> times;
  for (std::size_t i = 0; i < nets.size(); ++i) {
    std::ranges::sort(ms[i]);
    ms[i].resize((ms[i].size() + 1) / 2);
    times.push_back({widths[i], median(ms[i]), ms[i].front(), ms[i].back()});
  }
  return times;
}

std::vector<int> main_layers(const Architecture& arch, int count) {
  const Graph graph = fuse(lower(arch));
  std::vector<const Op*> ops;
  for (const Op& op : graph.ops) {
    if (op.width_index >= 0) ops.push_back(&op);
  }
  std::ranges::stable_sort(ops, std::greater(), [](const Op* op) { return op->spec.cost().macs; });
  std::vector<int> layers;
  std::set<std::string> seen;
  for (const Op* op : ops) {
    const bool new_kind = !seen.contains(op->spec.with({}).str());
    if (std::ssize(layers) >= count || !new_kind) continue;
    try {  // one more channel is a network only where no group forbids it
      with_width(arch, op->width_index, op->spec.widths().out + 1);
    } catch (const ConfigError&) {
      continue;
    }
    seen.insert(op->spec.with({}).str());
    layers.push_back(op->width_index);
  }
  return layers;
}

}  // namespace hac
