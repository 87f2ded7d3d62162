#include "scaling/methods/width_costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "scaling/methods/budget.h"

namespace hac {

namespace {

constexpr std::int64_t kWidest = 65536;  // that an architecture may be

std::vector<std::pair<int, int>> agreements_of(const Architecture& arch) {
  std::vector<std::pair<int, int>> pairs;
  int width = -1, stream = -1;  // the last one, and that of the current value
  for (const Layer& layer : arch.layers) {
    std::visit(
        [&]<class L>(const L& l) {
          std::int64_t out = 0;
          L::own_widths(l, [&](std::int64_t own, const std::string&) { ++width, out = own; });
          if (!owns_output(l)) return;
          if constexpr (L::role == Role::block) {
            if (l.adds_input(out)) pairs.emplace_back(stream, width);
          }
          stream = width;
        },
        layer);
  }
  return pairs;
}

// What squeeze-and-excitation divides widths by.
std::set<std::int64_t> squeezes_of(const Architecture& arch) {
  std::set<std::int64_t> all;
  for (const Layer& layer : arch.layers) {
    if (const auto* block = std::get_if<MBConv>(&layer)) all.insert(block->squeeze);
  }
  return all;
}

bool is_prime(std::int64_t n) {
  for (std::int64_t i = 2; i * i <= n; ++i) {
    if (n % i == 0) return false;
  }
  return true;
}

// Primes that divide no size, times what groups divide, all above any constant width, also when
// squeezed; what each is squeezed to is no other's, nor a multiple of another.
std::vector<std::int64_t> distinct_widths(const Architecture& arch) {
  std::int64_t groups = 1, constant = std::max(arch.classes, arch.channels);
  for (const Layer& layer : arch.layers) {
    if (const auto* conv = std::get_if<Conv>(&layer)) groups = std::lcm(groups, conv->groups);
    if (const auto* linear = std::get_if<Linear>(&layer))
      constant = std::max(constant, linear->out);
  }
  const std::set<std::int64_t> squeezes = squeezes_of(arch);
  const std::int64_t least = std::max(2 * arch.resolution, constant / groups) *
                             (squeezes.empty() ? 1 : *squeezes.rbegin());
  const std::size_t count = widths(arch).size();
  std::vector<std::int64_t> found, parts;
  const auto is_apart = [&](std::int64_t width) {
    for (const std::int64_t s : squeezes) {
      const std::int64_t part = squeezed(width, s);
      const auto meets = [&](std::int64_t other) { return part % other == 0 || part == other; };
      if (s > 1 &&
          (std::ranges::any_of(found, meets) || std::ranges::find(parts, part) != parts.end())) {
        return false;
      }
    }
    return std::ranges::none_of(parts, [&](std::int64_t part) { return part % width == 0; });
  };
  for (std::int64_t p = least + 1; found.size() < count && p * groups <= 2 * kWidest; ++p) {
    if (!is_prime(p) || !is_apart(p * groups)) continue;
    found.push_back(p * groups);
    for (const std::int64_t s : squeezes) parts.push_back(squeezed(p * groups, s));
  }
  found.resize(count, 2 * kWidest);
  return found;
}

}  // namespace

// Lowers the network under sets of agreements and sorts its operations by name.
class TermBuilder {
 public:
  using Ops = std::map<std::string, std::vector<WidthCosts::SymbolicOp>>;

  TermBuilder(const Architecture& arch, const LatencyModel& model, WidthCosts& costs)
      : arch_(arch),
        model_(model),
        costs_(costs),
        distinct_(distinct_widths(arch)),
        squeezes_(squeezes_of(arch)) {}

  void build() {
    const int n = static_cast<int>(costs_.agreements_.size());
    Ops none = lowered({});
    std::map<std::string, std::vector<int>> deciding;
    for (int a = 0; a < n; ++a) {
      Ops held = lowered({a});
      for (const auto& [name, ops] : held) none[name];
      for (const auto& [name, ops] : none) {
        if (renamed(ops, a) != held[name]) deciding[name].push_back(a);
      }
    }
    for (const auto& [name, ops] : none) deciding[name];
    for (const auto& [name, agreements] : deciding) {
      costs_.terms_.push_back({.name = name, .agreements = agreements});
      complete(costs_.terms_.back());
    }
  }

 private:
  void complete(WidthCosts::Term& term) {
    std::set<int> scope;
    for (const int a : term.agreements) {
      scope.insert({costs_.agreements_[a].first, costs_.agreements_[a].second});
    }
    for (unsigned bits = 0; bits < 1U << term.agreements.size(); ++bits) {
      std::vector<int> held;
      for (std::size_t i = 0; i < term.agreements.size(); ++i) {
        if (bits >> i & 1U) held.push_back(term.agreements[i]);
      }
      term.ops.push_back(lowered(held)[term.name]);
      for (const auto& op : term.ops.back()) scope.insert({op.in.of, op.out.of});
    }
    scope.erase(-1);
    term.scope.assign(scope.begin(), scope.end());
  }

  // The operations as they read where the second width of an agreement is called by the first.
  std::vector<WidthCosts::SymbolicOp> renamed(std::vector<WidthCosts::SymbolicOp> ops,
                                              int agreement) const {
    const auto [first, second] = costs_.agreements_[agreement];
    const std::int64_t channels = costs_.channels_;
    const auto rename = [=](WidthCosts::Channels& c) {
      if (c.of == second && first < 0) c.times *= channels;
      if (c.of == second) c.of = first;
    };
    for (auto& op : ops) rename(op.in), rename(op.out);
    return ops;
  }

  Ops lowered(const std::vector<int>& held) const {
    std::vector<std::int64_t> now = distinct_;
    for (const int a : held) {  // in order: the first width is settled before the second
      const auto [first, second] = costs_.agreements_[a];
      now[second] = first < 0 ? costs_.channels_ : now[first];
    }
    const Graph training = lower(with_widths(arch_, now), 1, model_.dtype());
    Ops ops;
    sort(training, now, false, ops);
    sort(fuse(training), now, true, ops);
    return ops;
  }

  void sort(const Graph& graph, const std::vector<std::int64_t>& now, bool timed, Ops& ops) const {
    std::vector<std::string> names;
    for (const Op& op : graph.ops) {
      const std::string behind = op.inputs[0] < 0 ? "input" : names[op.inputs[0]];
      names.push_back(op.name.empty() ? behind + " " + op.spec.kind() : op.name);
      if (!timed && op.spec.cost().params == 0) continue;
      const hac::Widths w = op.spec.widths();
      ops[names.back()].push_back({op.spec, channels(w.in, now), channels(w.out, now), timed});
    }
  }

  WidthCosts::Channels channels(std::int64_t count, const std::vector<std::int64_t>& now) const {
    for (int l = 0; count > 0 && l < std::ssize(now); ++l) {
      if (now[l] == distinct_[l] && count % now[l] == 0) return {l, count / now[l]};
    }
    for (const std::int64_t squeeze : squeezes_) {
      for (int l = 0; count > 0 && l < std::ssize(now); ++l) {
        if (now[l] == distinct_[l] && count == squeezed(now[l], squeeze)) return {l, 1, squeeze};
      }
    }
    return {-1, count};
  }

  const Architecture& arch_;
  const LatencyModel& model_;
  WidthCosts& costs_;
  std::vector<std::int64_t> distinct_;
  std::set<std::int64_t> squeezes_;
};

bool WidthCosts::possible(const Architecture& arch) {
  const std::vector<std::int64_t> all = distinct_widths(arch);
  return all.empty() || all.back() <= kWidest;
}

bool WidthCosts::SymbolicOp::operator==(const SymbolicOp& o) const {
  const hac::Widths any{1, 1};
  return in == o.in && out == o.out && timed == o.timed && spec.with(any) == o.spec.with(any);
}

WidthCosts::WidthCosts(const Architecture& arch, const LatencyModel& model)
    : model_(&model), channels_(arch.channels), agreements_(agreements_of(arch)) {
  TermBuilder(arch, model, *this).build();
  verify(arch);
}

WidthCosts::Cost WidthCosts::cost(int term, const std::vector<std::int64_t>& widths) const {
  const Term& t = terms_[term];
  unsigned bits = 0;
  for (std::size_t i = 0; i < t.agreements.size(); ++i) {
    if (holds(t.agreements[i], widths)) bits |= 1U << i;
  }
  const auto value = [&](const Channels& c) {
    return c.of < 0 ? c.times : c.times * squeezed(widths[c.of], c.over);
  };
  Cost sum;
  for (const SymbolicOp& op : t.ops[bits]) {
    const OpSpec spec = op.spec.with({value(op.in), value(op.out)});
    op.timed ? sum.ms += model_->predict(spec) : sum.params += spec.cost().params;
  }
  return sum;
}

WidthCosts::Cost WidthCosts::cost(const std::vector<std::int64_t>& widths) const {
  Cost sum;
  for (int t = 0; t < terms(); ++t) sum += cost(t, widths);
  return sum;
}

void WidthCosts::verify(const Architecture& arch) const {
  const std::vector<std::int64_t> base = widths(arch);
  for (std::uint64_t trial = 0; trial < 16; ++trial) {
    const Philox random{trial, 1};
    // Multiples of the width, so that groups divide them, and half of them equal where they may be.
    std::vector<std::int64_t> now = base;
    for (std::size_t l = 0; l < now.size(); ++l) now[l] *= 1 + random.below(l, trial == 0 ? 1 : 3);
    for (std::size_t a = 0; a < agreements_.size(); ++a) {
      const auto [first, second] = agreements_[a];
      if (first >= 0 && now[first] % base[second] == 0 && random.below(1000 + a, 2) == 0) {
        now[second] = now[first];
      }
    }
    const NetworkCost expected = cost_of(with_widths(arch, now), *model_);
    const Cost got = cost(now);
    if (got.params != expected.params ||
        !(std::abs(got.ms - expected.latency_ms) <= 1e-9 * expected.latency_ms)) {
      throw Error(fmt::format(
          "width costs of '{}': expected {} ms and {} parameters, as of the network, got {} and {}",
          arch.name, expected.latency_ms, expected.params, got.ms, got.params));
    }
  }
}

}  // namespace hac
