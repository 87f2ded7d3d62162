#include "models/arch/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"
#include "models/arch/fields.h"

namespace hac {
namespace {

// Calls f(width, name of its convolution) for every scalable width, in order.
template <class Arch, class F>
void for_each_width(Arch& arch, F&& f) {
  for (auto& layer : arch.layers) std::visit([&](auto& l) { l.own_widths(l, f); }, layer);
}

void check_factor(const Architecture& arch, const char* what, double factor) {
  if (std::isfinite(factor) && factor > 0) return;
  throw ConfigError(fmt::format("architecture '{}': expected a {} multiplier > 0, got {}",
                                arch.name, what, factor));
}

}  // namespace

std::string name_of(const Layer& layer) {
  return std::visit(
      [](const auto& l) -> std::string {
        if constexpr (requires { l.name; }) return l.name;
        return "";
      },
      layer);
}

std::vector<std::int64_t> widths(const Architecture& arch) {
  std::vector<std::int64_t> all;
  for_each_width(arch, [&](std::int64_t width, const std::string&) { all.push_back(width); });
  return all;
}

std::vector<std::string> width_names(const Architecture& arch) {
  std::vector<std::string> all;
  for_each_width(arch, [&](std::int64_t, const std::string& name) { all.push_back(name); });
  return all;
}

Architecture with_widths(const Architecture& arch, const std::vector<std::int64_t>& widths) {
  Architecture result = arch;
  std::size_t i = 0;
  for_each_width(result, [&](std::int64_t& width, const std::string& name) {
    if (i < widths.size()) {
      if (widths[i] < 1 || widths[i] > max_width) {
        throw ConfigError(fmt::format("conv '{}': expected a width from 1 to {}, got {}", name,
                                      max_width, widths[i]));
      }
      width = widths[i];
    }
    ++i;
  });
  if (i != widths.size()) {
    throw ConfigError(
        fmt::format("widths of '{}': expected {} values, got {}", arch.name, i, widths.size()));
  }
  return result;
}

std::vector<std::vector<int>> residual_groups(const Architecture& arch) {
  std::vector<std::vector<int>> groups;
  std::vector<int> group_of;  // of each width
  std::int64_t stream_width = arch.channels;
  int stream = -1;  // the width that the current value has, -1 for the input's channels
  for (const Layer& layer : arch.layers) {
    std::visit(
        [&]<class L>(const L& l) {
          std::int64_t last = 0;
          L::own_widths(l, [&](std::int64_t width, const std::string&) {
            group_of.push_back(static_cast<int>(groups.size()));
            groups.push_back({static_cast<int>(group_of.size()) - 1});
            last = width;
          });
          if (!owns_output(l)) return;
          if constexpr (L::role == Role::block) {
            if (l.adds_input(stream_width) && stream >= 0) {
              groups[group_of[stream]].push_back(groups.back().front());
              groups.pop_back();
              group_of.back() = group_of[stream];
            }
          }
          stream = static_cast<int>(group_of.size()) - 1;
          stream_width = last;
        },
        layer);
  }
  return groups;
}

std::vector<std::string> untied_blocks(const Architecture& arch) {
  std::vector<std::string> names;
  std::int64_t in = arch.channels;
  for (const Layer& layer : arch.layers) {
    std::visit(
        [&]<class L>(const L& l) {
          if constexpr (L::role == Role::block) {
            if (l.stride == 1 && l.projects && !l.adds_input(in)) names.push_back(l.name);
          }
          in = l.out_width(in);
        },
        layer);
  }
  return names;
}

Architecture with_resolution(const Architecture& arch, std::int64_t resolution) {
  check_range(arch, "resolution", resolution, max_resolution);
  Architecture result = arch;
  result.resolution = resolution;
  return result;
}

Architecture with_classes(const Architecture& arch, std::int64_t classes) {
  check_range(arch, "classes", classes, max_width);
  Architecture result = arch;
  result.classes = classes;
  if (!result.layers.empty()) {
    if (auto* last = std::get_if<Linear>(&result.layers.back())) last->out = 0;
  }
  return result;
}

Architecture with_channels(const Architecture& arch, std::int64_t channels) {
  check_range(arch, "channels", channels, max_width);
  Architecture result = arch;
  result.channels = channels;
  return result;
}

std::int64_t round_to(double value, std::int64_t q) {
  if (q < 1 || !std::isfinite(value) || std::abs(value) > 1e15) {
    throw ConfigError(fmt::format(
        "round_to: expected a finite value and a multiple >= 1, got {} and {}", value, q));
  }
  const double quotient = std::floor(value / static_cast<double>(q) + 0.5);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(quotient)) * q;
}

Architecture scale_width(const Architecture& arch, double w, std::int64_t q, bool scale_stem) {
  check_factor(arch, "width", w);
  auto scaled = widths(arch);
  for (std::size_t i = scale_stem ? 0 : 1; i < scaled.size(); ++i) {
    scaled[i] = round_to(w * static_cast<double>(scaled[i]), q);
  }
  return with_widths(arch, scaled);
}

Architecture scale_resolution(const Architecture& arch, double r, std::int64_t q) {
  check_factor(arch, "resolution", r);
  return with_resolution(arch, round_to(r * static_cast<double>(arch.resolution), q));
}

}  // namespace hac
