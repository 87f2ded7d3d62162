#include "scaling/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace hac {

namespace {

[[noreturn]] void fail(const std::string& what, const char* key, const std::string& expected,
                       const Json& got) {
  std::string shown = got.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > 40) shown = shown.substr(0, 37) + "...";
  throw ConfigError(fmt::format("{} '{}': expected {}, got {}", what, key, expected, shown));
}

const Json& field(const Json& object, const char* key, const std::string& what) {
  if (!object.is_object()) {
    throw ConfigError(fmt::format("{}: expected an object, got {}", what, object.type_name()));
  }
  const auto it = object.find(key);
  if (it == object.end())
    throw ConfigError(fmt::format("{}: the field '{}' is missing", what, key));
  return *it;
}

}  // namespace

Json parse_json(const std::string& text, const std::string& what) {
  Json j = Json::parse(text, nullptr, false);
  if (j.is_discarded()) throw ConfigError(fmt::format("{}: this is not valid JSON", what));
  if (!j.is_object()) {
    throw ConfigError(fmt::format("{}: expected an object, got {}", what, j.type_name()));
  }
  return j;
}

void expect_keys(const Json& object, std::initializer_list<const char*> keys,
                 const std::string& what) {
  for (const char* key : keys) field(object, key, what);
  for (const auto& [name, value] : object.items()) {
    if (std::find(keys.begin(), keys.end(), name) == keys.end()) {
      throw ConfigError(fmt::format("{}: unknown field '{}'", what, name.substr(0, 40)));
    }
  }
}

double number_field(const Json& object, const char* key, double low, double high,
                    const std::string& what) {
  const Json& value = field(object, key, what);
  const double x =
      value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(x >= low && x <= high)) {
    fail(what, key, fmt::format("a number in [{}, {}]", low, high), value);
  }
  return x;
}

std::int64_t integer_field(const Json& object, const char* key, std::int64_t low, std::int64_t high,
                           const std::string& what) {
  const Json& value = field(object, key, what);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max());
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    fail(what, key, fmt::format("an integer in [{}, {}]", low, high), value);
  }
  return value.get<std::int64_t>();
}

std::string text_field(const Json& object, const char* key, const std::string& what) {
  const Json& value = field(object, key, what);
  if (!value.is_string()) fail(what, key, "a string", value);
  return value.get<std::string>();
}

const Json& array_field(const Json& object, const char* key, std::size_t max_size,
                        const std::string& what) {
  const Json& value = field(object, key, what);
  if (!value.is_array() || value.size() > max_size) {
    fail(what, key, fmt::format("a list of at most {} entries", max_size), value);
  }
  return value;
}

std::vector<double> numbers_field(const Json& object, const char* key, std::size_t max_size,
                                  const std::string& what) {
  std::vector<double> numbers;
  for (const Json& value : array_field(object, key, max_size, what)) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
      fail(what, key, "finite numbers", value);
    }
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

Json limit_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace hac
