#include "scaling/experiment/json_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/core/error.h"

namespace hac {

using nlohmann::json;

JsonRecord JsonRecord::reader(const json& from, const std::string& what, bool drawn) {
  return {const_cast<json*>(&from), {true, drawn, what}, ""};  // not written to while reading
}

void JsonRecord::expected(const std::string& what) const {
  throw ConfigError(fmt::format("{} '{}': expected {}, got {}", mode_.what,
                                path_.empty() ? "the top level" : path_, what,
                                json_ ? json_->type_name() : "nothing"));
}

std::optional<JsonRecord> JsonRecord::at(const std::string& key, Need need) {
  const std::string path = path_.empty() ? key : path_ + "." + key;
  if (!reading()) return JsonRecord{&(*json_)[key], mode_, path};
  if (!json_->is_object()) expected("an object");
  const auto found = json_->find(key);
  JsonRecord field{found == json_->end() ? nullptr : &*found, mode_, path};
  if (!field.json_ && need != Need::optional) field.expected("a field of this name");
  if (need != Need::present && (!field.json_ || field.json_->is_null())) return std::nullopt;
  return field;
}

JsonRecord JsonRecord::item(std::size_t i) {
  if (!reading()) json_->push_back(nullptr);
  return {&(*json_)[i], mode_, fmt::format("{}[{}]", path_, i)};
}

std::size_t JsonRecord::begin_list() {
  if (!reading()) *json_ = json::array();
  if (!json_->is_array()) expected("an array");
  return json_->size();
}

std::vector<std::string> JsonRecord::keys() {
  if (!reading()) *json_ = json::object();
  if (!json_->is_object()) expected("an object");
  std::vector<std::string> keys;
  for (const auto& field : json_->items()) keys.push_back(field.key());
  return keys;
}

void JsonRecord::whole(double& x, double largest) {
  if (!reading()) {
    if (std::isfinite(x)) *json_ = static_cast<std::int64_t>(x);
    return;
  }
  visit(*this, x);
  if (std::abs(x) > largest) expected("a smaller number");
}

void visit(JsonRecord& r, bool& x) {
  if (!r.reading()) r.value() = x;
  if (!r.value().is_boolean()) r.expected("true or false");
  x = r.value().get<bool>();
}

void visit(JsonRecord& r, double& x) {
  if (!r.reading()) {
    r.value() = std::isfinite(x) ? json(x) : json();
    return;
  }
  x = unknown;
  if (r.value().is_null()) return;
  if (!r.value().is_number()) r.expected("a number or null");
  x = r.value().get<double>();
  if (!r.drawn()) return;
  if (!(std::abs(x) <= 1e18)) r.expected("a number of at most 1e18 in size");
  if (std::abs(x) < 1e-18) x = 0;
}

void visit(JsonRecord& r, std::int64_t& x) {
  auto number = static_cast<double>(x);
  r.whole(number, 1e18);
  x = std::isnan(number) ? 0 : static_cast<std::int64_t>(number);
}

void visit(JsonRecord& r, std::string& x) {
  if (!r.reading()) r.value() = x;
  if (!r.value().is_string()) r.expected("a string");
  x = r.value().get<std::string>();
}

void visit(JsonRecord& r, FactValue& x) {
  json& j = r.value();
  if (!r.reading()) {
    const auto write = [&](auto& value) {
      if constexpr (requires { value.push_back(FactValue()); }) {
        visit(r, value);
      } else if constexpr (!std::is_same_v<decltype(value), std::monostate&>) {
        j = value;
      }
    };
    return std::visit(write, static_cast<FactValue::variant&>(x));
  }
  if (j.is_array()) return visit(r, x.emplace<std::vector<FactValue>>());
  if (j.is_number_unsigned()) {
    x = j.get<std::uint64_t>();
  } else if (j.is_number()) {
    visit(r, x.emplace<double>());
  } else if (j.is_boolean()) {
    x = j.get<bool>();
  } else if (j.is_string()) {
    x = j.get<std::string>();
  } else if (!j.is_null()) {
    r.expected("a string, number or true or false");
  }
}

}  // namespace hac
