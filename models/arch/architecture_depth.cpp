// Depth: what a unit is, and how one is added or removed.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "models/arch/fields.h"

namespace hac {
namespace {

constexpr std::int64_t max_units = 1000;  // a stage
constexpr std::int64_t max_number = 1'000'000'000;

Role role_of(const Layer& layer) {
  return std::visit([](const auto& l) { return l.role; }, layer);
}

// What stands between a convolution and the next one of its unit.
bool follows(const Layer& layer) {
  return std::holds_alternative<BatchNorm>(layer) || std::holds_alternative<Activate>(layer);
}

// A name as PyTorch numbers it: "features.12" is {"features", 12}.
struct Numbered {
  std::string prefix;
  std::int64_t number;
};

bool parse_numbered(const std::string& name, Numbered& out) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + dot + 1, end, out.number);
  if (error != std::errc() || stop != end || out.number < 0 || out.number > max_number)
    return false;
  out.prefix = name.substr(0, dot);
  return true;
}

// Adds delta to the number of every layer in [begin, end) that is called prefix.N or prefix.N.rest.
void shift_names(std::vector<Layer>& layers, int begin, int end, const std::string& prefix,
                 std::int64_t delta) {
  for (int i = begin; i < end; ++i) {
    std::visit(
        [&](auto& l) {
          if constexpr (requires { l.name; }) {
            if (!l.name.starts_with(prefix + ".")) return;
            const std::size_t stop = std::min(l.name.find('.', prefix.size() + 1), l.name.size());
            Numbered old;
            if (!parse_numbered(l.name.substr(0, stop), old)) return;
            l.name = fmt::format("{}.{}{}", prefix, old.number + delta, l.name.substr(stop));
          }
        },
        layers[i]);
  }
}

// How many numbers of a PyTorch Sequential the layers [begin, end) take: a fused activation has one
// too.
std::int64_t span_of(const Architecture& arch, int begin, int end) {
  std::int64_t span = end - begin;
  for (int i = begin; i < end; ++i) {
    const auto* norm = std::get_if<BatchNorm>(&arch.layers[i]);
    if (norm && norm->activation != Activation::none) ++span;
  }
  return span;
}

Numbered numbering(const Architecture& arch, Unit unit) {
  Numbered first;
  const std::string name = name_of(arch.layers[unit.begin]);
  if (parse_numbered(name, first)) return first;
  throw ConfigError(fmt::format(
      "blocks of '{}': expected layers named as PyTorch numbers them, such as 'features.3', got "
      "'{}'",
      arch.name, name));
}

// As a unit is that follows one like it: of stride 1, and with a shortcut where a block has the
// choice.
void make_repeated(Layer& layer) {
  std::visit(
      []<class L>(L& l) {
        if constexpr (requires { l.stride; }) l.stride = 1;
        if constexpr (requires { l.pad; }) l.pad = (l.kernel - 1) / 2;
        if constexpr (std::is_same_v<L, InvertedResidual> || std::is_same_v<L, MBConv>) l.out = 0;
      },
      layer);
}

void add_units(Architecture& arch, int stage, std::int64_t count) {
  const Unit last = units(arch, stage).back();
  const std::string prefix = numbering(arch, last).prefix;
  const std::int64_t span = span_of(arch, last.begin, last.end);
  const int length = last.end - last.begin;
  std::vector<Layer> added;
  for (std::int64_t i = 1; i <= count; ++i) {
    added.insert(added.end(), arch.layers.begin() + last.begin, arch.layers.begin() + last.end);
    const int end = static_cast<int>(added.size());
    shift_names(added, end - length, end, prefix, i * span);
  }
  for (Layer& layer : added) make_repeated(layer);
  shift_names(arch.layers, last.end, static_cast<int>(arch.layers.size()), prefix, count * span);
  arch.layers.insert(arch.layers.begin() + last.end, added.begin(), added.end());
  for (std::size_t s = stage; s < arch.stage_ends.size(); ++s) {
    arch.stage_ends[s] += static_cast<int>(added.size());
  }
}

void keep_units(Architecture& arch, int stage, std::int64_t count) {
  const auto all = units(arch, stage);
  const int begin = all[count - 1].end, end = all.back().end;
  const std::string prefix = numbering(arch, all.back()).prefix;
  shift_names(arch.layers, end, static_cast<int>(arch.layers.size()), prefix,
              -span_of(arch, begin, end));
  arch.layers.erase(arch.layers.begin() + begin, arch.layers.begin() + end);
  for (std::size_t s = stage; s < arch.stage_ends.size(); ++s) arch.stage_ends[s] -= end - begin;
}

// N' = round(d N) by largest remainder.
std::vector<std::int64_t> spread(const std::vector<std::int64_t>& before, double d, double total) {
  std::vector<std::int64_t> after;
  auto missing = static_cast<std::int64_t>(std::floor(d * total + 0.5));
  for (const std::int64_t n : before) {
    after.push_back(std::max<std::int64_t>(1, static_cast<std::int64_t>(d * n)));
    missing -= after.back();
  }
  const auto remainder = [&](std::size_t s) { return d * before[s] - after[s]; };
  for (; missing > 0; --missing) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < after.size(); ++s) {
      if (remainder(s) >= remainder(best)) best = s;
    }
    ++after[best];
  }
  // No stage vanishes; what that costs comes from the stages that can give.
  for (; missing < 0; ++missing) {
    std::size_t best = after.size();
    for (std::size_t s = 0; s < after.size(); ++s) {
      if (after[s] > 1 && (best == after.size() || remainder(s) < remainder(best))) best = s;
    }
    if (best == after.size()) break;
    --after[best];
  }
  return after;
}

}  // namespace

std::vector<Unit> units(const Architecture& arch, int stage) {
  const int begin = stage == 0 ? 0 : arch.stage_ends[stage - 1];
  const int end = arch.stage_ends[stage];
  std::vector<Unit> blocks, plain;
  int depthwise = -1;  // where one waits for the convolution that it belongs to
  for (int i = begin; i < end; ++i) {
    const Layer& layer = arch.layers[i];
    if (role_of(layer) == Role::block) blocks.push_back({i, i + 1});
    if (role_of(layer) == Role::conv) {
      int stop = i + 1;
      if (stop < end && std::holds_alternative<BatchNorm>(arch.layers[stop])) ++stop;
      if (stop < end && std::holds_alternative<Activate>(arch.layers[stop])) ++stop;
      plain.push_back({depthwise < 0 ? i : depthwise, stop});
    }
    const bool begins = depthwise < 0 && std::holds_alternative<DepthwiseConv>(layer);
    if (begins) depthwise = i;
    if (!begins && !follows(layer)) depthwise = -1;
  }
  return blocks.empty() ? plain : blocks;
}

std::vector<std::int64_t> blocks(const Architecture& arch) {
  check_fields(arch);
  std::vector<std::int64_t> counts;
  for (int s = 0; s < static_cast<int>(arch.stage_ends.size()); ++s) {
    counts.push_back(static_cast<std::int64_t>(units(arch, s).size()));
  }
  return counts;
}

Architecture with_blocks(const Architecture& arch, const std::vector<std::int64_t>& counts) {
  const auto current = blocks(arch);
  if (counts.size() != current.size()) {
    throw ConfigError(fmt::format("blocks of '{}': expected {} stages, got {}", arch.name,
                                  current.size(), counts.size()));
  }
  Architecture result = arch;
  for (int s = 0; s < static_cast<int>(counts.size()); ++s) {
    if (counts[s] < 1 || counts[s] > max_units) {
      throw ConfigError(fmt::format("blocks of '{}': expected 1 to {} units in stage {}, got {}",
                                    arch.name, max_units, s + 1, counts[s]));
    }
    if (counts[s] > current[s]) add_units(result, s, counts[s] - current[s]);
    if (counts[s] < current[s]) keep_units(result, s, counts[s]);
  }
  return result;
}

Architecture scale_depth(const Architecture& arch, double d) {
  const std::vector<std::int64_t> before = blocks(arch);
  const auto total = static_cast<double>(std::accumulate(before.begin(), before.end(), 0ll));
  if (!std::isfinite(d) || d <= 0 || before.empty() || d * total > max_layers) {
    throw ConfigError(fmt::format(
        "depth scaling: expected a depth multiplier > 0 that leaves at most {} units, got {} with "
        "{} units",
        max_layers, d, total));
  }
  return with_blocks(arch, spread(before, d, total));
}

}  // namespace hac
