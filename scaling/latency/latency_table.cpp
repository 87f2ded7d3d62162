#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/latency/nnls.h"
#include "scaling/stats.h"

namespace hac {

namespace {

struct Node {
  std::int64_t c_in = 1, c_out = 0;  // multiples of the block; c_out = 0 as in Widths
  double ms = 0;
  double rho = 1;  // ms / surface
};

struct Range {
  std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = 0;
  void include(std::int64_t x) { low = std::min(low, x), high = std::max(high, x); }
  bool contains(std::int64_t x) const { return x >= low && x <= high; }
};

// All that was measured of one key.
struct Entry {
  std::vector<Node> nodes;  // ordered by (c_in, c_out)
  std::vector<double> surface;
  Range in, out;  // of the channels of the nodes
};

std::vector<double> features(std::int64_t c_in, std::int64_t c_out) {
  const auto i = static_cast<double>(c_in), o = static_cast<double>(c_out);
  return {1, i, o, i * o};
}

double surface_at(const Entry& entry, std::int64_t c_in, std::int64_t c_out) {
  return dot(entry.surface, features(c_in, c_out));
}

// Fits the surface and the ratios to it. Rows are weighed by 1/ms: rho should be near 1 everywhere.
void prepare(Entry& entry) {
  std::vector<std::vector<double>> rows;
  std::vector<double> values;
  double largest = 0;
  for (const Node& node : entry.nodes) largest = std::max(largest, node.ms);
  for (const Node& node : entry.nodes) {
    const double weight = 1 / std::max(node.ms, std::max(1e-3 * largest, 1e-12));
    rows.push_back(features(node.c_in, node.c_out));
    for (double& x : rows.back()) x *= weight;
    values.push_back(node.ms * weight);
  }
  entry.surface = nnls(rows, values);
  for (Node& node : entry.nodes) {
    entry.in.include(node.c_in);
    entry.out.include(node.c_out);
    const double ms = surface_at(entry, node.c_in, node.c_out);
    node.rho = ms > 0 ? node.ms / ms : 1;
  }
}

double inside(const Entry& entry, std::int64_t c_in, std::int64_t c_out) {
  double weights = 0, rho = 0;
  for (const Node& node : entry.nodes) {
    if (node.c_in == c_in && node.c_out == c_out) return node.ms;
    const double d_in = std::log(static_cast<double>(node.c_in) / static_cast<double>(c_in));
    const double d_out =
        c_out == 0 ? 0 : std::log(static_cast<double>(node.c_out) / static_cast<double>(c_out));
    const double weight = 1 / (d_in * d_in + d_out * d_out);
    weights += weight;
    rho += weight * node.rho;
  }
  return surface_at(entry, c_in, c_out) * rho / weights;
}

// What tells one key of a kind from another.
struct Traits {
  std::int64_t window = 1, stride = 1;
  bool depthwise = false;
  double work = 1;  // for one pair of channels: what remains of MACs or elements without widths
};

Traits traits_of(const OpSpec& key) {
  const Shape in = key.in_shape();
  Traits t{.work = static_cast<double>(in.rank() == 4 ? in[0] * in[2] * in[3] : in[0])};
  if (const auto* conv = std::get_if<Conv2dSpec>(&key)) {
    t = {.window = conv->r, .stride = conv->stride, .depthwise = conv->depthwise()};
    const double out_h = std::max<double>(1, static_cast<double>(conv->oh()));
    const double out_w = std::max<double>(1, static_cast<double>(conv->ow()));
    const auto groups = static_cast<double>(std::max<std::int64_t>(conv->groups, 1));
    t.work = static_cast<double>(conv->n * conv->r * conv->s) * out_h * out_w / groups;
  } else if (const auto* pool = std::get_if<Pool2dSpec>(&key)) {
    t.window = pool->kernel;
    t.stride = pool->stride;
  }
  return t;
}

class LatencyTable final : public LatencyModel {
 public:
  LatencyTable(std::map<OpSpec, Entry> entries, std::int64_t block)
      : entries_(std::move(entries)), block_(block) {
    for (auto& [key, entry] : entries_) prepare(entry);
  }

  double predict(const OpSpec& op) const override {
    const OpSpec key = op.with({});
    const auto it = entries_.find(key);
    if (it != entries_.end()) return scale * at(it->second, op.widths());
    const OpSpec* similar = most_similar(key);
    if (similar == nullptr) {
      throw ConfigError(fmt::format(
          "latency table: expected a time of '{}', got none of its kind (hint: time a network that "
          "has this operation)",
          op.str()));
    }
    const double ratio = traits_of(key).work / traits_of(*similar).work;
    return scale * ratio * at(entries_.at(*similar), op.widths());
  }

  bool covers(const OpSpec& op) const override {
    const auto it = entries_.find(op.with({}));
    if (it == entries_.end()) return false;
    const Entry& e = it->second;
    const auto [c_in, c_out] = rounded(op.widths());
    return e.in.contains(c_in) && e.out.contains(c_out);
  }

  std::string name() const override { return "table"; }

  std::string to_json() const override {
    using Json = nlohmann::ordered_json;
    Json entries = Json::array();
    for (const auto& [key, entry] : entries_) {
      Json nodes = Json::array();
      for (const Node& n : entry.nodes) nodes.push_back({n.c_in, n.c_out, n.ms});
      entries.push_back({{"spec", key.str()}, {"c_in_c_out_ms", nodes}});
    }
    return Json{{"model", "table"}, {"block", block_}, {"scale", scale}, {"layers", entries}}.dump(
        1);
  }

 private:
  Widths rounded(const Widths& w) const {
    return {round_up(w.in, block_), round_up(w.out, block_)};
  }

  // In range by interpolation, out of range from the nearest edge by MACs.
  double at(const Entry& e, const Widths& widths) const {
    const auto [c_in, c_out] = rounded(widths);
    const std::int64_t near_in = std::clamp(c_in, e.in.low, e.in.high);
    const std::int64_t near_out = std::clamp(c_out, e.out.low, e.out.high);
    double macs = static_cast<double>(c_in) / static_cast<double>(near_in);
    if (near_out > 0) macs *= static_cast<double>(c_out) / static_cast<double>(near_out);
    return inside(e, near_in, near_out) * macs;
  }

  // Of the same kind; the same kernel and stride weigh more than a near size.
  const OpSpec* most_similar(const OpSpec& wanted) const {
    const Traits want = traits_of(wanted);
    const OpSpec* best = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [key, entry] : entries_) {
      if (key.kind() != wanted.kind() || key.dtype() != wanted.dtype()) continue;
      const Traits have = traits_of(key);
      double distance = std::abs(std::log(have.work / want.work));
      if (have.depthwise != want.depthwise) distance += 1000;
      if (have.window != want.window) distance += 100;
      if (have.stride != want.stride) distance += 10;
      if (distance < least) least = distance, best = &key;
    }
    return best;
  }

  std::map<OpSpec, Entry> entries_;
  std::int64_t block_;
};

}  // namespace

std::shared_ptr<LatencyModel> fit_latency_table(std::span<const NetworkTiming> timings,
                                                std::int64_t block) {
  if (block < 1 || block > 1024) {
    throw ConfigError(fmt::format("latency table 'block': expected 1 to 1024, got {}", block));
  }
  // Layers of several networks that round to the same widths share a node: their mean.
  std::map<OpSpec, std::map<Widths, std::vector<double>>> times;
  for (const TimedLayer& layer : timed_layers(timings)) {
    const Widths w = layer.spec.widths();
    times[layer.spec.with({})][{round_up(w.in, block), round_up(w.out, block)}].push_back(layer.ms);
  }
  std::map<OpSpec, Entry> entries;
  for (const auto& [key, nodes] : times) {
    for (const auto& [widths, ms] : nodes) {
      entries[key].nodes.push_back({widths.in, widths.out, mean(ms)});
    }
  }
  const auto table = std::make_shared<LatencyTable>(std::move(entries), block);
  correct_scale(*table, timings);
  return table;
}

std::shared_ptr<LatencyModel> latency_table_from_json(const nlohmann::json& json, Fields common) {
  struct Row {
    std::string spec;
    std::vector<std::vector<double>> times;
    Fields fields() { return Fields().add("spec", spec).add("c_in_c_out_ms", times, {0, 1e9}); }
  };
  const std::string what = "latency table";
  std::int64_t block = 0;
  double scale = 0;
  std::vector<Row> rows;
  common.add("block", block, {1, 1024}).add("scale", scale, {0, 1e9}).add("layers", rows);
  read_json(json, common, what);

  std::map<OpSpec, Entry> entries;
  for (const Row& row : rows) {
    const std::string where = fmt::format("{} layer {}", what, entries.size());
    const OpSpec key = parse_spec(row.spec);
    if (key.widths().in != 0) {
      throw ConfigError(fmt::format("{} 'spec': expected no widths, got '{}'", where, key.str()));
    }
    Entry entry;
    for (const std::vector<double>& x : row.times) {
      const auto channels = [&](std::size_t i, double least) {
        return x.size() == 3 && x[i] >= least && x[i] <= kMaxChannels && x[i] == std::floor(x[i]);
      };
      if (!channels(0, 1) || !channels(1, 0)) {
        throw ConfigError(fmt::format(
            "{} 'c_in_c_out_ms': expected rows [channels, channels, milliseconds], got [{}]", where,
            fmt::join(x, ", ")));
      }
      entry.nodes.push_back(
          {static_cast<std::int64_t>(x[0]), static_cast<std::int64_t>(x[1]), x[2]});
    }
    if (entry.nodes.empty() || !entries.emplace(key, std::move(entry)).second) {
      throw ConfigError(fmt::format("{}: expected one list of times a layer, got {}", where,
                                    entries.contains(key) ? "a second one" : "none"));
    }
  }
  const auto table = std::make_shared<LatencyTable>(std::move(entries), block);
  table->scale = scale;
  return table;
}

}  // namespace hac
