#include "scaling/measure/network_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
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

NetworkTiming of_rounds(std::vector<NetworkTiming> rounds) {
  std::ranges::sort(rounds, {}, &NetworkTiming::total_ms);
  rounds.resize((rounds.size() + 1) / 2);
  const auto middle = [&](auto value) {
    std::vector<double> values;
    for (const NetworkTiming& t : rounds) values.push_back(value(t));
    return median(values);
  };
  NetworkTiming all = rounds.front();
  all.total_ms = middle([](const NetworkTiming& t) { return t.total_ms; });
  for (auto& [op, ms] : all.op_ms) {
    ms = middle([op = op](const NetworkTiming& t) { return t.op_ms.at(op); });
  }
  for (const NetworkTiming& t : rounds) {
    all.low_ms = std::min(all.low_ms, t.low_ms);
    all.high_ms = std::max(all.high_ms, t.high_ms);
    if (all.unsteady.empty()) all.unsteady = t.unsteady;
  }
  return all;
}

std::vector<TimedNetwork> time_networks(const std::vector<Architecture>& nets,
                                        const TensorOptions& where, const NetworksTiming& options) {
  const int rounds = std::clamp(options.measure.runs / 2, 1, options.rounds);
  MeasureOptions measure = options.measure;
  measure.runs = static_cast<int>(ceil_div(measure.runs, rounds));
  std::vector<std::vector<NetworkTiming>> timings(nets.size());
  std::size_t timed = 0;
  Patience patience{.seconds = options.patience};
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t i : order_of(nets.size(), round)) {
      timings[i].push_back(
          time_network(nets[i], measure, where, options.allow_unsteady ? nullptr : &patience));
      if (!options.allow_unsteady) require_steady(timings[i].back());
      if (++timed % rounds == 0 && options.done) options.done(timed / rounds);
    }
  }
  std::vector<TimedNetwork> all;
  for (std::size_t i = 0; i < nets.size(); ++i) all.push_back({nets[i], of_rounds(timings[i])});
  return all;
}

std::vector<WidthTime> time_layer_widths(const Architecture& arch, int index,
                                         const std::vector<std::int64_t>& widths,
                                         const TensorOptions& where, const LayerTiming& options,
                                         const std::function<void(std::size_t)>& done) {
  std::vector<Architecture> nets;
  for (const std::int64_t width : widths) nets.push_back(with_width(arch, index, width));
  std::vector<std::vector<double>> ms(nets.size());
  std::size_t timed = 0;
  constexpr int least_rounds = 3;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < options.rounds; ++round) {
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (round >= least_rounds && taken.count() > options.seconds) break;
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

bool can_widen_alone(const Architecture& arch, int index) {
  try {
    with_width(arch, index, widths(arch).at(index) + 1);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
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
    if (!can_widen_alone(arch, op->width_index)) continue;
    seen.insert(op->spec.with({}).str());
    layers.push_back(op->width_index);
  }
  return layers;
}

}  // namespace hac
