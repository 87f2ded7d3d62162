#include <fmt/format.h>

#include "kernels/core/error.h"
#include "models/arch/fields.h"
#include "models/arch/graph.h"

namespace hac {
namespace {

constexpr std::size_t max_name = 200;

bool is_name(const std::string& text) {
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.') return false;
  }
  return !text.empty() && text.size() <= max_name;
}

// A name is shown only once it is known to be printable.
void check_name(const std::string& where, const std::string& name) {
  if (is_name(name)) return;
  throw ConfigError(fmt::format(
      "{}: expected a name of 1 to {} letters, digits, '_', '-' and '.', got {} characters", where,
      max_name, name.size()));
}

void check_range(const std::string& where, const char* key, std::int64_t value, std::int64_t low,
                 std::int64_t high) {
  if (value >= low && value <= high) return;
  throw ConfigError(
      fmt::format("{}: expected {} from {} to {}, got {}", where, key, low, high, value));
}

struct FieldCheck {
  std::string where;

  void operator()(const char*, const std::string& name) const { check_name(where, name); }
  void operator()(const char* key, std::int64_t value, std::int64_t low, std::int64_t high) const {
    check_range(where, key, value, low, high);
  }
  void operator()(const char*, bool) const {}
  void operator()(const char*, PoolMode) const {}
  void operator()(const char* key, Activation a) const {
    if (has_kernels(a)) return;
    throw ConfigError(
        fmt::format("{}: expected {} none, relu, relu6 or silu, which have kernels, got {}", where,
                    key, activation_names[static_cast<int>(a)]));
  }
  void operator()(const char* key, float p) const {
    if (p >= 0 && p < 1) return;
    throw ConfigError(fmt::format("{}: expected {} in [0, 1), got {}", where, key, p));
  }
};

void check_stages(const Architecture& arch) {
  const int count = static_cast<int>(arch.layers.size());
  int begin = 0;
  for (int s = 0; s < static_cast<int>(arch.stage_ends.size()); ++s) {
    const int end = arch.stage_ends[s];
    const std::string where = fmt::format("architecture '{}'", arch.name);
    if (end <= begin || end > count) {
      throw ConfigError(fmt::format("{}: expected stage_ends[{}] from {} to {}, got {}", where, s,
                                    begin + 1, count, end));
    }
    const auto found = units(arch, s);
    if (found.empty() || found.back().end != end) {
      throw ConfigError(fmt::format(
          "{}: expected stage_ends[{}] = {} right behind a residual block or a convolution", where,
          s, end));
    }
    begin = end;
  }
}

void check_classifier(const Architecture& arch) {
  const auto* last = arch.layers.empty() ? nullptr : std::get_if<Linear>(&arch.layers.back());
  if (!last) {
    throw ConfigError(
        fmt::format("architecture '{}': expected a linear layer at the end, got {}", arch.name,
                    arch.layers.empty() ? "no layers" : layer_types[arch.layers.back().index()]));
  }
  if (last->out != 0 && last->out != arch.classes) {
    throw ConfigError(fmt::format("linear '{}': expected {} outputs, one a class, got {}",
                                  last->name, arch.classes, last->out));
  }
}

}  // namespace

void check_range(const Architecture& arch, const char* key, std::int64_t value, std::int64_t high) {
  check_range(fmt::format("architecture '{}'", arch.name), key, value, 1, high);
}

void check_fields(const Architecture& arch) {
  check_name("architecture", arch.name);
  check_range(arch, "channels", arch.channels, max_width);
  check_range(arch, "resolution", arch.resolution, max_resolution);
  check_range(arch, "classes", arch.classes, max_width);
  check_range(arch, "layers", static_cast<std::int64_t>(arch.layers.size()), max_layers);
  for (std::size_t i = 0; i < arch.layers.size(); ++i) {
    const Layer& layer = arch.layers[i];
    const std::string name = name_of(layer);
    const FieldCheck check{fmt::format("{} '{}'", layer_types[layer.index()],
                                       is_name(name) ? name : fmt::format("layers[{}]", i))};
    std::visit([&](const auto& l) { visit_fields(l, check); }, layer);
  }
  check_stages(arch);
  check_classifier(arch);
}

void validate(const Architecture& arch) { lower(arch); }

}  // namespace hac
