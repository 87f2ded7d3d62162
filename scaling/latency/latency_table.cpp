#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/latency/nnls.h"
#include "scaling/stats.h"

namespace hac {

namespace {

constexpr double kMaxPositions = 0x1p53;

// Positions, channels read, channels written (0 as in Widths).
using Point = std::array<std::int64_t, 3>;
using Features = std::array<double, 8>;

std::array<double, 3> logs(const Point& at) {
  const auto log = [](std::int64_t x) { return x == 0 ? 0 : std::log(static_cast<double>(x)); };
  return {log(at[0]), log(at[1]), log(at[2])};
}

// Bit c of an index says whether coordinate c is a factor.
Features features(const Point& at) {
  const auto px = static_cast<double>(at[0]);
  const auto in = static_cast<double>(at[1]), out = static_cast<double>(at[2]);
  return {1, px, in, px * in, out, px * out, in * out, px * in * out};
}

struct Node {
  Point at{};
  double ms = 0;
  std::array<double, 3> log{};
  double rho = 1;  // ms / surface

  // In a file: a list of four numbers.
  std::size_t size() const { return at.size() + 1; }
  Value operator[](std::size_t i) { return i < at.size() ? Value(at[i]) : Value(ms); }
};

// All that was timed of one family.
struct Family {
  OpSpec key;
  std::string spec;
  std::vector<Node> nodes;
  Features surface{};
  Point low{}, high{};  // corners of the box of the nodes

  Fields fields() {
    return Fields().add("spec", spec).add("px_c_in_c_out_ms", nodes, {0, kMaxPositions});
  }
};

double surface_at(const Family& family, const Point& at) {
  const Features x = features(at);
  return std::inner_product(x.begin(), x.end(), family.surface.begin(), 0.0);
}

// Where a coordinate has one value only, nothing tells what of the time does not depend on it: all
// is taken to grow with it.
bool usable(const Family& family, std::size_t feature) {
  for (std::size_t c = 0; c < family.low.size(); ++c) {
    const bool one_value = family.low[c] == family.high[c] && family.low[c] > 0;
    if (one_value && (feature >> c & 1) == 0) return false;
  }
  return true;
}

// Fits the surface and the ratios to it. Rows are weighed by 1/ms: rho should be near 1 everywhere.
void prepare(Family& family) {
  family.low = family.high = family.nodes[0].at;
  double largest = 0;
  for (Node& node : family.nodes) {
    node.log = logs(node.at);
    largest = std::max(largest, node.ms);
    for (std::size_t c = 0; c < node.at.size(); ++c) {
      family.low[c] = std::min(family.low[c], node.at[c]);
      family.high[c] = std::max(family.high[c], node.at[c]);
    }
  }
  std::vector<std::vector<double>> rows;
  std::vector<double> values;
  for (const Node& node : family.nodes) {
    const double weight = 1 / std::max(node.ms, std::max(1e-3 * largest, 1e-12));
    const Features x = features(node.at);
    rows.emplace_back(x.begin(), x.end());
    for (std::size_t i = 0; i < x.size(); ++i) rows.back()[i] *= usable(family, i) ? weight : 0;
    values.push_back(node.ms * weight);
  }
  std::ranges::copy(nnls(rows, values), family.surface.begin());
  for (Node& node : family.nodes) {
    const double ms = surface_at(family, node.at);
    node.rho = ms > 0 ? node.ms / ms : 1;
  }
}

// Monotone outside the box in each coordinate: the surface is, and the ratio no longer changes.
double time_at(const Family& family, const Point& at) {
  Point near = at;
  for (std::size_t c = 0; c < at.size(); ++c) {
    near[c] = std::clamp(at[c], family.low[c], family.high[c]);
  }
  const std::array<double, 3> log = logs(near);
  double weights = 0, rho = 0;
  for (const Node& node : family.nodes) {
    double squares = 0;
    for (std::size_t c = 0; c < log.size(); ++c) {
      squares += (node.log[c] - log[c]) * (node.log[c] - log[c]);
    }
    if (squares == 0) return surface_at(family, at) * node.rho;
    const double weight = 1 / (squares * squares);
    weights += weight;
    rho += weight * node.rho;
  }
  return surface_at(family, at) * rho / weights;
}

// The spec without what a point holds: no widths, one image of one pixel.
OpSpec family_of(const OpSpec& op) {
  return std::visit(
      [](const auto& spec) {
        auto family = spec.with({});
        if constexpr (requires { family.h; }) family.h = family.w = 1;
        if constexpr (requires { family.n; }) {
          family.n = 1;
        } else {
          family.shape = spec.shape.rank() == 4 ? Shape{1, 0, 1, 1} : Shape{1, 0};
        }
        return OpSpec(family);
      },
      op);
}

bool is_depthwise(const OpSpec& op) {
  const auto* conv = std::get_if<Conv2dSpec>(&op);
  return conv != nullptr && conv->depthwise();
}

// In a family of depthwise layers, whose widths are one, or in another.
Point point_of(const OpSpec& op, std::int64_t block, bool depthwise) {
  const Shape s = std::holds_alternative<Conv2dSpec>(op) ? op.out_shape() : op.in_shape();
  const Widths w = op.widths();
  // An image is not blocked: its few channels cost less than a block.
  const bool image = layout_of({}, {1, w.in, 1, 1}) == Layout::plain;
  return {s.rank() == 4 ? s[0] * s[2] * s[3] : s[0], image ? w.in : round_up(w.in, block),
          depthwise ? 0 : round_up(w.out, block)};
}

// Multiply-accumulates of one position and pair of channels, or 1.
double window_work(const OpSpec& op) {
  const auto* conv = std::get_if<Conv2dSpec>(&op);
  if (conv == nullptr) return 1;
  return static_cast<double>(conv->r * conv->s) / static_cast<double>(conv->groups);
}

// What tells one family of a kind from another, so that |a - b| summed is how much: a kernel weighs
// more than a stride, and that more than what is fused.
using Traits = std::array<double, 6>;

Traits traits_of(const OpSpec& op) {
  return std::visit(
      [](const auto& spec) {
        Traits t{};
        if constexpr (requires { spec.depthwise(); }) t[0] = spec.depthwise() ? 1000 : 0;
        if constexpr (requires { spec.r; }) t[1] = 100 * std::log(spec.r);
        if constexpr (requires { spec.kernel; }) t[1] = 100 * std::log(spec.kernel);
        if constexpr (requires { spec.stride; }) t[2] = 10 * std::log(spec.stride);
        if constexpr (requires { spec.bias; }) t[3] = spec.bias;
        if constexpr (requires { spec.add; }) t[4] = spec.add;
        if constexpr (requires { spec.activation; }) t[5] = static_cast<double>(spec.activation);
        return t;
      },
      op);
}

class LatencyTable final : public LatencyModel {
 public:
  LatencyTable() = default;
  // In the order of their keys.
  LatencyTable(std::vector<Family> families, std::int64_t block)
      : families_(std::move(families)), block_(block) {
    std::ranges::for_each(families_, prepare);
  }

  double predict(const OpSpec& op) const override {
    const Family* family = find(op);
    if (!family) return scale * time_of_similar(op);
    return scale * time_at(*family, point_of(op, block_, is_depthwise(op)));
  }

  bool covers(const OpSpec& op) const override {
    const Family* found = find(op);
    if (!found) return false;
    const Family& family = *found;
    const Point at = point_of(op, block_, is_depthwise(op));
    for (std::size_t c = 0; c < at.size(); ++c) {
      if (at[c] < family.low[c]) return false;
    }
    // Nor more of anything that time may grow with: many channels were timed and large maps, but
    // not together.
    Features most{};
    for (const Node& node : family.nodes) {
      std::ranges::transform(most, features(node.at), most.begin(), std::ranges::max);
    }
    return std::ranges::equal(features(at), most, std::less_equal());
  }

  std::string name() const override { return "table"; }

  Fields fields() override {
    return Fields()
        .add("version", version_, {kLatencyFileVersion, kLatencyFileVersion})
        .add("block", block_, {1, 1024})
        .add("scale", scale, {0, 1e9})
        .add("layers", families_);
  }

  // Of what was read.
  void complete(const std::string& what) {
    for (std::size_t i = 0; i < families_.size(); ++i) {
      complete(families_[i], fmt::format("{} layer {}", what, i));
    }
    std::ranges::sort(families_, {}, &Family::key);
    const auto twice = std::ranges::adjacent_find(families_, {}, &Family::key);
    if (twice == families_.end()) return;
    throw ConfigError(fmt::format(
        "{}: expected one list of times a layer, got a second one of '{}'", what, twice->spec));
  }

 private:
  static void complete(Family& family, const std::string& where) {
    family.key = parse_spec(family.spec);
    if (family.key != family_of(family.key)) {
      throw ConfigError(fmt::format("{} 'spec': expected '{}', without widths and size, got '{}'",
                                    where, family_of(family.key).str(), family.key.str()));
    }
    if (family.nodes.empty()) {
      throw ConfigError(fmt::format("{}: expected one list of times a layer, got none", where));
    }
    for (const Node& node : family.nodes) {
      const auto [px, in, out] = node.at;
      if (px >= 1 && in >= 1 && in <= kMaxChannels && out <= kMaxChannels) continue;
      throw ConfigError(
          fmt::format("{} 'px_c_in_c_out_ms': expected rows [positions, channels, channels, "
                      "milliseconds], got [{}, {}]",
                      where, fmt::join(node.at, ", "), node.ms));
    }
    prepare(family);
  }

  const Family* find(const OpSpec& op) const {
    const OpSpec key = family_of(op);
    const auto it = std::ranges::lower_bound(families_, key, {}, &Family::key);
    return it != families_.end() && it->key == key ? &*it : nullptr;
  }

  // From the most similar family of the kind, by the work of its window.
  double time_of_similar(const OpSpec& op) const {
    const Traits wanted = traits_of(op);
    double ms = 0, least = std::numeric_limits<double>::infinity();
    for (const Family& family : families_) {
      const OpSpec& key = family.key;
      if (key.kind() != op.kind() || key.dtype() != op.dtype()) continue;
      const OpSpec similar = key.with(op.widths());
      const double distance =
          std::transform_reduce(wanted.begin(), wanted.end(), traits_of(similar).begin(), 0.0,
                                std::plus(), [](double a, double b) { return std::abs(a - b); });
      if (distance >= least) continue;
      least = distance;
      ms = time_at(family, point_of(op, block_, is_depthwise(similar))) * window_work(op) /
           window_work(similar);
    }
    if (std::isfinite(least)) return ms;
    throw ConfigError(fmt::format(
        "latency table: expected a time of '{}', got none of its kind (hint: time a network that "
        "has this operation)",
        op.str()));
  }

  std::vector<Family> families_;  // by key
  std::int64_t block_ = 0;
  int version_ = kLatencyFileVersion;
};

}  // namespace

std::shared_ptr<LatencyModel> fit_latency_table(std::span<const NetworkTiming> timings,
                                                std::int64_t block) {
  if (block < 1 || block > 1024) {
    throw ConfigError(fmt::format("latency table 'block': expected 1 to 1024, got {}", block));
  }
  for (std::size_t i = 0; i < timings.size(); ++i) {
    if (!timings[i].op_ms.empty()) continue;
    throw ConfigError(fmt::format(
        "latency table, network {}: expected times of its operations, got that of the whole (hint: "
        "fit a regression)",
        i));
  }
  // Layers that round to the same point share a node: their mean.
  std::map<OpSpec, std::map<Point, std::vector<double>>> times;
  for (const TimedLayer& layer : timed_layers(timings)) {
    times[family_of(layer.spec)][point_of(layer.spec, block, is_depthwise(layer.spec))].push_back(
        layer.ms);
  }
  std::vector<Family> families;
  for (const auto& [key, nodes] : times) {
    Family& family = families.emplace_back(Family{.key = key, .spec = key.str()});
    for (const auto& [at, ms] : nodes) family.nodes.push_back({.at = at, .ms = mean(ms)});
  }
  const auto table = std::make_shared<LatencyTable>(std::move(families), block);
  correct_scale(*table, timings);
  return table;
}

std::shared_ptr<LatencyModel> latency_table_from_json(const nlohmann::json& json, Fields common) {
  const std::string what = "latency table";
  if (!json.contains("version")) {
    throw ConfigError(
        fmt::format("{}: expected a file of version {}, got an older one, whose times do not tell "
                    "an image from a "
                    "block of channels (hint: measure again)",
                    what, kLatencyFileVersion));
  }
  const auto table = std::make_shared<LatencyTable>();
  read_json(json, common.add(table->fields()), what);
  table->complete(what);
  return table;
}

}  // namespace hac
