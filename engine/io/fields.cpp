#include "engine/io/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "kernels/core/error.h"

namespace hac {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::string shown(const std::string& text) { return fmt::format("'{}'", text.substr(0, 60)); }

bool is_among(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string with_bounds(const char* kind, const Bounds& b) {
  const bool low = std::isfinite(b.low), high = std::isfinite(b.high);
  if (low && high && (b.above || b.below)) {
    return fmt::format("{} in {}{}, {}{}", kind, b.above ? '(' : '[', b.low, b.high,
                       b.below ? ')' : ']');
  }
  if (low && b.low == b.high) return fmt::format("{}", b.low);
  if (low && high) return fmt::format("{} from {} to {}", kind, b.low, b.high);
  if (low) return fmt::format("{} {} {}", kind, b.above ? ">" : ">=", b.low);
  if (high) return fmt::format("{} {} {}", kind, b.below ? "<" : "<=", b.high);
  return kind;
}

// Calls f with the number that is given, as what it is; false for anything else.
template <class F>
bool with_number(const Given& given, F f) {
  return std::visit(Overloaded{[](std::monostate) { return false; }, [](bool) { return false; },
                               [](const std::string&) { return false; },
                               [](const std::vector<AnyValue>&) { return false; }, f},
                    given.value);
}

// Stores only if `keep`. False for a value of another type or out of bounds.
struct Assign {
  const Field& field;
  const Given& given;
  bool keep;

  bool operator()(bool* to) const {
    const bool* x = std::get_if<bool>(&given.value);
    if (x && keep) *to = *x;
    return x;
  }
  template <std::integral T>
  bool operator()(T* to) const {
    return with_number(given, [&](auto x) {
      if constexpr (std::integral<decltype(x)>) {
        if (!std::in_range<T>(x) || !field.bounds.contain(static_cast<double>(x))) return false;
        if (keep) *to = static_cast<T>(x);
        return true;
      }
      return false;
    });
  }
  template <std::floating_point T>
  bool operator()(T* to) const {
    if (field.details.infinite && std::holds_alternative<std::monostate>(given.value)) {
      if (keep) *to = std::numeric_limits<T>::infinity();
      return true;
    }
    return with_number(given, [&](auto x) {
      const auto value = static_cast<double>(x);
      const bool fits = std::abs(value) <= double{std::numeric_limits<T>::max()} ||
                        (field.details.infinite && value > 0);
      if (!fits || !field.bounds.contain(value)) return false;
      if (keep) *to = static_cast<T>(value);
      return true;
    });
  }
  bool operator()(std::string* to) const {
    const auto* x = std::get_if<std::string>(&given.value);
    if (!x) return false;
    if (field.details.valid) field.details.valid(*x);
    if (keep) *to = *x;
    return true;
  }
  bool operator()(const Choice& to) const {
    const auto* x = std::get_if<std::string>(&given.value);
    if (!x || !is_among(to.names, *x)) return false;
    if (keep) to.set(parse_name(to.names, *x, ""));
    return true;
  }
  bool operator()(AnyValue* to) const {
    if (keep) *to = given.value;
    return true;
  }
  bool operator()(const auto&) const { return false; }
};

void assign(const Field& field, const Value& value, const Given& given, const std::string& where,
            bool keep) {
  bool fits = false;
  try {
    fits = std::visit(Assign{field, given, keep}, value.at);
  } catch (const ConfigError& e) {  // of `valid`
    throw ConfigError(fmt::format("{}: {}", where, e.what()));
  }
  if (fits) return;
  throw ConfigError(
      fmt::format("{}: expected {}, got {}", where, expected(field, value), given.shown));
}

Given given_of(const Value& value) {
  return std::visit(
      Overloaded{
          [](const Choice& c) -> Given {
            const std::string name(c.names[c.get()]);
            return {.value = name, .shown = shown(name)};
          },
          [](std::string* x) -> Given { return {.value = *x, .shown = shown(*x)}; },
          [](bool* x) -> Given { return {.value = *x, .shown = *x ? "true" : "false"}; },
          [](const auto&) -> Given { return {}; },
          []<std::integral T>(T* x) -> Given {
            return {.value = std::int64_t{*x}, .shown = fmt::format("{}", *x)};
          },
          [](std::uint64_t* x) -> Given { return {.value = *x, .shown = fmt::format("{}", *x)}; },
          []<std::floating_point T>(T* x) -> Given {
            return {.value = double{*x}, .shown = fmt::format("{}", *x)};
          }},
      value.at);
}

// The word as a value of that type, if it is one.
Given given_by(const Field& field, const Value& value, const std::string& word) {
  Given given{.value = word, .shown = shown(word)};
  const auto number = [&]<class T>(T x) {
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, x);
    if (error == std::errc{} && rest == end) given.value = x;
  };
  std::visit(Overloaded{[&](bool*) {
                          for (const bool on : {false, true}) {
                            if (field.details.off_on[on] && word == field.details.off_on[on])
                              given.value = on;
                          }
                        },
                        [&](int*) { number(std::int64_t{}); },
                        [&](std::int64_t*) { number(std::int64_t{}); },
                        [&](std::uint64_t*) { number(std::uint64_t{}); },
                        [&](float*) { number(double{}); }, [&](double*) { number(double{}); },
                        [](const auto&) {}},
             value.at);
  return given;
}

void check_value(const Field& field, const Value& value, const std::string& what,
                 const std::string& path) {
  if (const auto* fields = std::get_if<Fields>(&value.at)) {
    check(*fields, what, path + ".");
  } else if (const auto* list = std::get_if<List>(&value.at)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      check_value(field, list->at(i), what, list->optional ? path : fmt::format("{}[{}]", path, i));
    }
  } else {
    assign(field, value, given_of(value), fmt::format("{} '{}'", what, path), false);
  }
}

}  // namespace

std::string one_of(Names names) {
  const std::string_view last = names.back();
  const Names others = names.first(names.size() - 1);
  return others.empty() ? std::string(last)
                        : fmt::format("{} or {}", fmt::join(others, ", "), last);
}

int parse_name(Names names, std::string_view name, const std::string& what) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return static_cast<int>(at - names.begin());
  throw ConfigError(
      fmt::format("{}: expected {}, got {}", what, one_of(names), shown(std::string(name))));
}

bool Bounds::contain(double x) const {
  return (above ? x > low : x >= low) && (below ? x < high : x <= high);
}

Fields& Fields::add(std::string_view key, const Value& value, const Bounds& bounds,
                    const std::string& help, const FieldDetails& details) {
  push_back({std::string(key), value, bounds, help, details});
  return *this;
}

Fields& Fields::add(const Fields& fields) {
  insert(end(), fields.begin(), fields.end());
  return *this;
}

Fields Fields::without(std::string_view key) const {
  Fields rest = *this;
  std::erase_if(rest, [&](const Field& field) { return field.key == key; });
  return rest;
}

std::string text_of(const Field& field) {
  if (const auto* list = std::get_if<List>(&field.value.at)) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < list->size(); ++i) {
      texts.push_back(text_of({.key = field.key, .value = list->at(i), .details = field.details}));
    }
    return fmt::format("{}", fmt::join(texts, ","));
  }
  const Given given = given_of(field.value);
  const bool* on = std::get_if<bool>(&given.value);
  if (on && field.details.off_on[0]) return field.details.off_on[*on];
  const auto* text = std::get_if<std::string>(&given.value);
  return text ? *text : given.shown;
}

Names names_in(const Value& value) {
  const auto* choice = std::get_if<Choice>(&value.at);
  return choice ? choice->names : Names{};
}

std::string expected(const Field& field, const Value& value) {
  return std::visit(
      Overloaded{[](bool*) -> std::string { return "true or false"; },
                 [](std::string*) -> std::string { return "a string"; },
                 [](const Choice& c) { return one_of(c.names); },
                 [](AnyValue*) -> std::string { return "a string, number or true or false"; },
                 [](const List&) -> std::string { return "a list in brackets"; },
                 [](const auto&) -> std::string { return "a table of keys and values"; },
                 [&]<std::integral T>(T*) { return with_bounds("an integer", field.bounds); },
                 [&](std::uint64_t*) -> std::string { return "an integer >= 0"; },
                 [&]<std::floating_point T>(T*) { return with_bounds("a number", field.bounds); }},
      value.at);
}

void assign(const Field& field, const Value& value, const Given& given, const std::string& where) {
  assign(field, value, given, where, true);
}

void assign_words(const Field& field, std::span<const std::string> words,
                  const std::string& where) {
  const auto* list = std::get_if<List>(&field.value.at);
  if (!list) {
    const Given given = given_by(field, field.value, words.back());
    const auto& [off, on] = field.details.off_on;
    if (off && !std::holds_alternative<bool>(given.value)) {
      throw ConfigError(fmt::format("{}: expected {} or {}, got {}", where, off, on, given.shown));
    }
    return assign(field, field.value, given, where);
  }
  list->resize(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Value element = list->at(i);
    Given given = given_by(field, element, words[i]);
    given.shown = shown(fmt::format("{}", fmt::join(words, ",")));
    assign(field, element, given, where);
  }
}

void check(const Fields& fields, const std::string& what, const std::string& path) {
  for (const Field& field : fields) {
    check_value(field, field.value, what, path + std::string(field.key));
  }
}

}  // namespace hac
