#include "tools/recipe_toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "engine/text.h"
#include "kernels/error.h"

namespace hac {
namespace {

template <class T>
struct ListOf : std::false_type {};
template <class T>
struct ListOf<std::vector<T>> : std::true_type {
  using Element = T;
};
template <class T>
struct OptionalOf : std::false_type {};
template <class T>
struct OptionalOf<std::optional<T>> : std::true_type {
  using Element = T;
};

template <class T>
constexpr const char* kind_of_value() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_unsigned_v<T>) return "an integer >= 0";
  if constexpr (std::is_integral_v<T>) return "an integer";
  return "a number";
}

// One table of the file. Every key that the recipe knows is asked for once; what was not asked for
// is an error.
class Section {
 public:
  // A table that the file does not have is empty.
  Section(const toml::table* table, std::string where, std::string name)
      : table_(table), where_(std::move(where)), name_(std::move(name)) {}

  // Leaves `value` as it is when the key is absent.
  template <class T>
  void get(const char* key, T& value) {
    known_.push_back(key);
    if (const toml::node* node = find(key)) read(*node, key, value);
  }

  // A string, or a list of them, that `parse` turns into something; what it throws gets the line.
  template <class Given = std::string, class Parse>
  void get_parsed(const char* key, Parse parse) {
    Given given;
    get(key, given);
    const toml::node* node = find(key);
    if (!node) return;
    try {
      parse(given);
    } catch (const ConfigError& e) {
      fail(*node, key, e.what());
    }
  }

  Section section(const char* key) {
    known_.push_back(key);
    const toml::node* node = find(key);
    if (node && !node->is_table()) fail(*node, key, "expected a table, [" + path(key) + "]");
    return {node ? node->as_table() : nullptr, where_, path(key)};
  }

  void finish() const {
    if (!table_) return;
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      throw ConfigError(fmt::format(
          "recipe '{}' line {}: unknown key '{}' (hint: did you mean "
          "'{}'?)",
          where_, key.source().begin.line, path(name.substr(0, 60)), nearest(name, known_)));
    }
  }

 private:
  const toml::node* find(const char* key) const { return table_ ? table_->get(key) : nullptr; }
  std::string path(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }

  [[noreturn]] void fail(const toml::node& node, const char* key, const std::string& what) const {
    throw ConfigError(fmt::format("recipe '{}' line {} '{}': {}", where_, node.source().begin.line,
                                  path(key), what));
  }

  template <class T>
  void read(const toml::node& node, const char* key, T& value) const {
    if constexpr (OptionalOf<T>::value) {
      read(node, key, value.emplace());
    } else if constexpr (ListOf<T>::value) {
      const toml::array* array = node.as_array();
      if (!array) fail(node, key, "expected a list in brackets");
      value.clear();
      for (const toml::node& element : *array) {
        read(element, key, value.emplace_back());
      }
    } else {
      value = scalar<T>(node, key);
    }
  }

  template <class T>
  T scalar(const toml::node& node, const char* key) const {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
      if (const auto value = node.value_exact<T>()) return *value;
    } else if constexpr (std::is_integral_v<T>) {
      const auto value = node.value_exact<std::int64_t>();
      if (value && std::in_range<T>(*value)) return static_cast<T>(*value);
    } else {  // 2 is a number as much as 2.0
      if (const auto value = node.is_number() ? node.value<double>() : std::nullopt;
          value && std::isfinite(*value)) {
        return *value;
      }
    }
    fail(node, key, fmt::format("expected {}", kind_of_value<T>()));
  }

  const toml::table* table_;
  std::string where_, name_;
  std::vector<std::string> known_;
};

void read_arch(Section s, ArchOptions& a) {
  s.get("width", a.width);
  s.get("widths", a.widths);
  s.get("blocks", a.blocks);
  s.get("depth", a.depth);
  s.get("resolution", a.resolution);
  s.get("classes", a.classes);
  s.get("in_channels", a.in_channels);
  s.finish();
}

void read_data(Section s, DataConfig& d) {
  s.get("name", d.name);
  s.get("dir", d.dir);
  s.get("limit_train", d.limit_train);
  s.get("limit_test", d.limit_test);
  s.get("resolution", d.resolution);
  s.get("classes", d.classes);
  s.get("bad_images", d.bad_images);
  s.finish();
}

void read_schedule(Section s, ScheduleConfig& c) {
  s.get("kind", c.kind);
  s.get("lr", c.lr);
  s.get("warmup", c.warmup);
  s.get("warmup_style", c.warmup_style);
  s.get("milestones", c.milestones);
  s.get("gamma", c.gamma);
  s.get("beta", c.beta);
  s.finish();
}

void read_train(Section s, TrainConfig& c) {
  read_data(s.section("data"), c.data);
  s.get("epochs", c.epochs);
  s.get("batch", c.batch);
  s.get("momentum", c.sgd.momentum);
  s.get("weight_decay", c.sgd.weight_decay);
  s.get("nesterov", c.sgd.nesterov);
  read_schedule(s.section("schedule"), c.schedule);
  s.get("label_smoothing", c.label_smoothing);
  s.get("augment", c.augment);
  s.get("mixup", c.mixup);
  s.get("shuffle", c.shuffle);
  s.get("validation", c.validation);
  s.get("select", c.select);
  s.finish();
}

void read_proxy(Section& s, ProxyTraining& p) {
  s.get("epochs", p.epochs);
  s.get("limit_train", p.limit_train);
  s.get("seeds", p.seeds);
}

void read_importance(Section s, Recipe& r) {
  SamplingOptions& o = r.importance.sampling;
  read_proxy(s, r.importance.proxy);
  s.get_parsed("sampling", [&](const std::string& name) { o.kind = parse_sampling(name); });
  s.get("multipliers", o.multipliers);
  s.get("samples", o.samples);
  s.get("low", o.low);
  s.get("high", o.high);
  s.get("round_to", o.round_to);
  s.get("sampling_seed", o.seed);
  s.get_parsed("reduction", [&](const std::string& name) {
    r.importance.reduction = parse_kernel_reduction(name);
  });
  s.get("relative", r.importance.relative);
  s.get("strict", r.importance.strict);
  s.finish();
}

void read_latency(Section s, Recipe& r) {
  s.get_parsed("model",
               [&](const std::string& name) { r.latency.kind = parse_latency_model_kind(name); });
  s.get("file", r.latency.file);
  s.get("foreign", r.latency.foreign);
  s.get("networks", r.latency.networks);
  s.get("low", r.latency.low);
  s.get("high", r.latency.high);
  s.get("runs", r.latency.runs);
  s.get("warmup", r.latency.warmup);
  s.finish();
}

void read_alpha(Section s, Recipe& r) {
  read_proxy(s, r.alpha.proxy);
  s.get("growth", r.alpha.growth);
  s.get("largest_growth", r.alpha.largest_growth);
  s.get("grid", r.alpha.grid);
  s.get("resolution_multiple", r.alpha.resolution_multiple);
  s.get("width_multiple", r.alpha.width_multiple);
  s.finish();
}

void read_scale(Section s, Recipe& r) {
  WideningOptions& w = r.scale.widening;
  const auto checked = [](std::string& into, auto check) {
    return [&into, check](const std::string& text) {
      check(text);
      into = text;
    };
  };
  s.get_parsed("latency", checked(r.scale.latency, parse_latency_limit));
  s.get_parsed("params", checked(r.scale.params, parse_params_limit));
  s.get("latency_slack", r.scale.latency_slack);
  s.get_parsed("policy", [&](const std::string& name) { w.policy = parse_step_policy(name); });
  s.get("methods", r.scale.methods);
  s.get_parsed<std::vector<std::string>>("gains", [&](const std::vector<std::string>& names) {
    r.scale.gains.clear();
    for (const std::string& name : names) r.scale.gains.push_back(parse_widening_criterion(name));
  });
  s.get("stride", w.stride);
  s.get("tie_residual", w.tie_residual);
  s.get("width_cap", w.width_cap);
  s.get("step_cap", w.step_cap);
  s.finish();
}

void read_sweep(Section s, Recipe& r) {
  s.get("growth", r.sweep_growth);
  s.finish();
}

Recipe read_recipe(const toml::table& table, const std::string& where) {
  Recipe r;
  Section s(&table, where, "");
  s.get("name", r.name);
  s.get("model", r.model);
  s.get("seeds", r.seeds);
  read_arch(s.section("arch"), r.arch);
  read_train(s.section("train"), r.train);
  read_importance(s.section("importance"), r);
  read_latency(s.section("latency"), r);
  read_alpha(s.section("alpha"), r);
  read_scale(s.section("scale"), r);
  read_sweep(s.section("sweep"), r);
  s.finish();
  return r;
}

}  // namespace

Recipe parse_recipe(const std::string& toml, const std::string& where) {
  try {
    const Recipe recipe = read_recipe(toml::parse(toml), where);
    validate(recipe);
    return recipe;
  } catch (const toml::parse_error& e) {
    throw ConfigError(fmt::format("recipe '{}' line {}: this is not valid TOML: {}", where,
                                  e.source().begin.line, e.description()));
  }
}

}  // namespace hac
