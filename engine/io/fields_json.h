#pragma once
// JSON of what engine/io/fields.h describes. Read as hostile input: every value of its type and in
// range, no unknown key, or ConfigError: "<what> '<path>': expected ..., got ...".

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

nlohmann::ordered_json to_json(const Fields& fields);

struct JsonReading {
  bool complete = true;               // every field that is always written must be there
  int in = FieldDetails::json;        // of which kind of file the fields are
  std::vector<std::string> others{};  // keys that the caller reads by himself
  // What an earlier run left: unknown keys are passed over, and null is an optional field or a
  // struct that is not there or a number that is not known: NaN, of an integer what it is already.
  bool record = false;
  // A number beyond that size is refused, and one nearer to zero than 1 / largest is zero.
  double largest = std::numeric_limits<double>::infinity();
  // What errors about a path begin with, if it is not the same for all.
  std::function<std::string(const std::string& path)> where{};
};

// An object, from text. Nothing is nested more than 8 times.
nlohmann::json parse_json(const std::string& text, const std::string& what);
// Fields that may be missing keep their value. `path` leads to this object, "" at the top.
void read_json(const nlohmann::json& object, const Fields& fields, const std::string& what,
               const std::string& path = "", const JsonReading& how = {});
// As errors show it: short, on one line.
std::string shown(const nlohmann::json& value);

}  // namespace hac
