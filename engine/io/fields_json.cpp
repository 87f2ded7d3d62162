#include "engine/io/fields_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using Json = nlohmann::json;  // std::map inside: a million keys in a file cost no quadratic time
using nlohmann::ordered_json;

constexpr int max_depth = 12;
constexpr std::size_t max_elements = 1000001;

bool is_optional(const Value& value) {
  const auto* list = std::get_if<List>(&value.at);
  return list && list->optional;
}

bool is_none(const Value& value) {
  return is_optional(value) && std::get<List>(value.at).size() == 0;
}

ordered_json json_of(const AnyValue& value) {
  if (const auto* list = std::get_if<std::vector<AnyValue>>(&value)) {
    ordered_json json = ordered_json::array();
    for (const AnyValue& element : *list) json.push_back(json_of(element));
    return json;
  }
  return std::visit(
      []<class T>(const T& x) -> ordered_json {
        if constexpr (std::constructible_from<ordered_json, T>) return x;
        return nullptr;
      },
      value);
}

ordered_json json_of(const Field& field, const Value& value) {
  if (is_none(value)) return nullptr;
  return std::visit(
      [&]<class T>(const T& x) -> ordered_json {
        if constexpr (std::same_as<T, Fields>) {
          return to_json(x);
        } else if constexpr (std::same_as<T, Map>) {
          return to_json(x.fields());
        } else if constexpr (std::same_as<T, AnyValue>) {
          return json_of(x);
        } else if constexpr (std::same_as<T, AnyValue*>) {
          return json_of(*x);
        } else if constexpr (std::same_as<T, List>) {
          if (x.optional) return json_of(field, x.at(0));
          ordered_json list = ordered_json::array();
          for (std::size_t i = 0; i < x.size(); ++i) list.push_back(json_of(field, x.at(i)));
          return list;
        } else if constexpr (std::same_as<T, Choice>) {
          return x.names[x.get()];
        } else if constexpr (std::same_as<T, float*>) {
          return std::stod(fmt::format("{}", *x));  // the shortest decimal of this float
        } else if constexpr (std::same_as<T, double*>) {
          if (!std::isfinite(*x)) return nullptr;
          return field.details.whole ? ordered_json(static_cast<std::int64_t>(*x))
                                     : ordered_json(*x);
        } else {
          return *x;
        }
      },
      value.at);
}

Given given_of(const Json& json) {
  Given given{.value = {}, .shown = shown(json)};
  if (json.is_boolean()) given.value = json.get<bool>();
  if (json.is_number_unsigned()) {
    given.value = json.get<std::uint64_t>();
  } else if (json.is_number_integer()) {
    given.value = json.get<std::int64_t>();
  } else if (json.is_number_float()) {
    given.value = json.get<double>();
  }
  if (json.is_string()) given.value = json.get<std::string>();
  return given;
}

std::string joined(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

class Reader {
 public:
  Reader(const std::string& what, const JsonReading& how) : what_(what), how_(how) {}

  void object(const Json& json, const Fields& fields, const std::string& path) const {
    if (!json.is_object()) {
      fail(path, how_.in == FieldDetails::toml ? "a table" : "an object", json);
    }
    std::vector<std::string> known = how_.others;
    for (const Field& field : fields) {
      if (!(field.details.in & how_.in)) continue;
      known.push_back(field.key);
      const auto it = json.find(field.key);
      if (it != json.end()) {
        value(*it, field, field.value, joined(path, field.key));
      } else if (how_.complete && !field.details.omit && !field.details.optional &&
                 !is_optional(field.value)) {
        throw ConfigError(where(joined(path, field.key)) + ": expected a value, got none");
      }
    }
    for (const auto& [key, unread] : json.items()) {
      if (how_.record) break;
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      throw ConfigError(fmt::format("{}: unknown key (hint: did you mean '{}'?)",
                                    where(joined(path, key.substr(0, 60))), nearest(key, known)));
    }
  }

 private:
  void value(const Json& json, const Field& field, const Value& into,
             const std::string& path) const {
    const bool may_be_null = how_.in == FieldDetails::json && (how_.record || is_optional(into));
    if (may_be_null && json.is_null() && is_unknown(field, into)) return;
    if (std::holds_alternative<AnyValue>(into.at)) return;
    if (const auto* fields = std::get_if<Fields>(&into.at)) return object(json, *fields, path);
    if (const auto* map = std::get_if<Map>(&into.at)) return object(json, *map, field, path);
    const auto* list = std::get_if<List>(&into.at);
    if (auto* const* any = std::get_if<AnyValue*>(&into.at); any && json.is_array()) {
      return value(json, field, (*any)->emplace<std::vector<AnyValue>>(), path);
    }
    if (!list) {
      if (json.is_structured()) fail(path, expected(field, into), json);
      assign(field, into, given_of(json), where(path));
      if (auto* const* x = std::get_if<double*>(&into.at)) bound(**x, path, json);
      return;
    }
    if (list->optional) {
      list->resize(1);
      return value(json, field, list->at(0), path);
    }
    if (!json.is_array() || json.size() > max_elements) fail(path, expected(field, into), json);
    list->resize(json.size());
    if (list->size() != json.size()) fail(path, fmt::format("a list of {}", list->size()), json);
    for (std::size_t i = 0; i < json.size(); ++i) {
      value(json[i], field, list->at(i), fmt::format("{}[{}]", path, i));
    }
  }

  void object(const Json& json, const Map& map, const Field& field, const std::string& path) const {
    if (!json.is_object()) fail(path, "an object", json);
    for (const auto& [key, element] : json.items()) {
      value(element, field, map.insert(key), joined(path, key.substr(0, 60)));
    }
  }

  // Whether null says of that value that it is not there or not known; makes a number so.
  static bool is_unknown(const Field& field, const Value& into) {
    if (field.details.optional) return true;
    if (auto* const* x = std::get_if<double*>(&into.at); x && !field.details.infinite) {
      **x = std::nan("");
      return true;
    }
    return std::holds_alternative<int*>(into.at) ||
           std::holds_alternative<std::int64_t*>(into.at) ||
           std::holds_alternative<Fields>(into.at);
  }

  void bound(double& x, const std::string& path, const Json& json) const {
    if (std::isfinite(x) && std::abs(x) > how_.largest) {
      fail(path, fmt::format("a number of at most {} in size", how_.largest), json);
    }
    if (std::abs(x) < 1 / how_.largest) x = 0;
  }

  std::string where(const std::string& path) const {
    const std::string begin = how_.where ? how_.where(path) : what_;
    return one_line(fmt::format("{} '{}'", begin, path.empty() ? "JSON" : path));
  }
  [[noreturn]] void fail(const std::string& path, const std::string& wanted,
                         const Json& got) const {
    throw ConfigError(fmt::format("{}: expected {}, got {}", where(path), wanted, shown(got)));
  }

  const std::string& what_;
  const JsonReading& how_;
};

}  // namespace

std::string shown(const Json& value) {
  if (value.is_structured()) return value.type_name();
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

ordered_json to_json(const Fields& fields) {
  ordered_json json = ordered_json::object();
  for (const Field& field : fields) {
    const bool left_out = field.details.omit || (is_none(field.value) && !field.details.optional);
    if (left_out || !(field.details.in & FieldDetails::json)) continue;
    json[field.key] = json_of(field, field.value);
  }
  return json;
}

Json parse_json(const std::string& text, const std::string& what) {
  const auto fail = [&](const std::string& expected, const std::string& got) {
    throw ConfigError(fmt::format("{} 'JSON': expected {}, got {}", what, expected, got));
  };
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > max_depth) fail(fmt::format("nesting of at most {}", max_depth), "more");
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, shallow);
  } catch (const nlohmann::json::exception& error) {
    // Its message quotes the input, which may be anything; the position is enough.
    const auto* at = dynamic_cast<const nlohmann::json::parse_error*>(&error);
    fail("valid JSON", fmt::format("an error at byte {}", at ? at->byte : 0));
  }
  if (!json.is_object()) fail("an object", shown(json));
  return json;
}

void read_json(const Json& object, const Fields& fields, const std::string& what,
               const std::string& path, const JsonReading& how) {
  Reader(what, how).object(object, fields, path);
}

}  // namespace hac
