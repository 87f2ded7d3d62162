#pragma once
// A record described once, by a function visit(JsonRecord&, T&) that names its fields, and from
// that both written to JSON and read back. Numbers that are not known (NaN) or have no limit are
// null. Reading throws ConfigError naming the path of what is wrong:
//   results 'table[1].params': expected a number or null, got string
// Private to this folder.

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "scaling/experiment/results.h"

namespace hac {

// Of a field that is read: must it be there, may it be null?
enum class Need : std::uint8_t {
  present,   // what null means is the type's affair
  nullable,  // there, but null leaves the value as it is
  optional,  // so does its absence
};

class JsonRecord {
 public:
  static JsonRecord writer(nlohmann::json& to) { return {&to, {.reading = false}, ""}; }
  // `what` begins every complaint. With `drawn`, a number beyond 1e18 in size is one too, for it
  // would overflow in the axes of a figure, and one nearer to zero than 1e-18 is read as zero.
  static JsonRecord reader(const nlohmann::json& from, const std::string& what, bool drawn = false);

  template <class T>
  JsonRecord& operator()(const std::string& key, T& value, Need need = Need::present) {
    if (std::optional<JsonRecord> field = at(key, need)) visit(*field, value);
    return *this;
  }
  // A whole number, also where it is kept as a double because it may be unknown.
  template <class T>
  JsonRecord& count(const std::string& key, T& value, Need need = Need::present) {
    double x = static_cast<double>(value);
    if (std::optional<JsonRecord> field = at(key, need)) {
      field->whole(x, static_cast<double>(std::numeric_limits<T>::max()));
      value = std::is_integral_v<T> && std::isnan(x) ? T{} : static_cast<T>(x);
    }
    return *this;
  }
  // Written for other readers; computed where it is needed here, and so not read.
  JsonRecord& derived(const char* key, bool value) {
    return reading() ? *this : (*this)(key, value);
  }

  bool reading() const { return mode_.reading; }
  bool drawn() const { return mode_.drawn; }
  std::optional<JsonRecord> at(const std::string& key, Need need);
  JsonRecord item(std::size_t i);   // of a list
  std::size_t begin_list();         // its size; written, it is empty at first
  std::vector<std::string> keys();  // of an object
  void whole(double& x, double largest);
  nlohmann::json& value() { return *json_; }
  [[noreturn]] void expected(const std::string& what) const;

 private:
  struct Mode {
    bool reading, drawn = false;
    std::string what = "";
  };
  JsonRecord(nlohmann::json* json, Mode mode, std::string path)
      : json_(json), mode_(std::move(mode)), path_(std::move(path)) {}

  nlohmann::json* json_;  // null: not there
  Mode mode_;
  std::string path_;
};

void visit(JsonRecord& r, bool& x);
void visit(JsonRecord& r, double& x);
void visit(JsonRecord& r, std::int64_t& x);
void visit(JsonRecord& r, std::string& x);
void visit(JsonRecord& r, FactValue& x);  // lists too
template <class T>
void visit(JsonRecord& r, std::map<std::string, T>& object) {
  for (const std::string& key : r.keys()) object[key];
  for (auto& [key, value] : object) r(key, value);
}

template <class T>
void visit(JsonRecord& r, std::vector<T>& list) {
  const std::size_t n = r.begin_list();
  if (r.reading()) list.assign(n, T{});
  for (std::size_t i = 0; i < list.size(); ++i) {
    JsonRecord item = r.item(i);
    visit(item, list[i]);
  }
}
// A list of exactly so many numbers.
template <std::size_t n>
void visit(JsonRecord& r, std::array<double, n>& list) {
  if (r.begin_list() != n && r.reading())
    r.expected("an array of " + std::to_string(n) + " numbers");
  for (std::size_t i = 0; i < n; ++i) {
    JsonRecord item = r.item(i);
    visit(item, list[i]);
  }
}
template <class T>
void visit(JsonRecord& r, std::optional<T>& x) {
  if (r.reading()) x.emplace();
  if (x) visit(r, *x);
}

// Of what several stages and results.json hold.
void visit(JsonRecord& r, Accuracy& a);
void visit(JsonRecord& r, AlphaCurve& a);
void visit(JsonRecord& r, LayerLaw& l);
void visit(JsonRecord& r, MeasuredLatency& l);

}  // namespace hac
