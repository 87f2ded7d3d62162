#pragma once
// A struct described once, settings and results alike: name, place, bounds and help of each member.
// Its bounds are checked, its JSON is written and read (engine/io/fields_json.h), and tools/ reads
// TOML and the command line, from this alone. A struct gives them by
//   Fields fields() { return Fields().add("epochs", epochs, {0, 100000}, "passes over the data"); }
// What excludes or needs something else is checked by hand, in the struct's validate().

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/core/types.h"

namespace hac {

using Names = std::span<const std::string_view>;

// The names of an enum's values, in their order, specialised beside it:
//   template <> inline constexpr std::string_view enum_names<Color>[] = {"red", "green"};
template <class E>
inline constexpr std::nullptr_t enum_names = nullptr;
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires {
  std::size(enum_names<E>);
};

// "red, green or blue"
std::string one_of(Names names);
// Throws ConfigError: "<what>: expected red, green or blue, got 'x'".
int parse_name(Names names, std::string_view name, const std::string& what);
template <NamedEnum E>
E parse(std::string_view name, const std::string& what) {
  return static_cast<E>(parse_name(enum_names<E>, name, what));
}
template <NamedEnum E>
std::string to_string(E e) {
  return std::string(enum_names<E>[static_cast<int>(e)]);
}

template <>
inline const std::array enum_names<Dtype>{name_of(Dtype::f32), name_of(Dtype::bf16),
                                          name_of(Dtype::f16), name_of(Dtype::u8),
                                          name_of(Dtype::i32)};

struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above = false, below = false;  // without low, or high, itself
  bool contain(double x) const;       // a NaN never is
};

// What few fields need.
struct FieldDetails {
  const char* flag = "";           // its name on the command line, if not that of the key
  const char* type = "";           // what --help calls a value
  const char* off_on[2] = {};      // of a bool: what it is on the command line
  bool omit = false;               // from JSON that is written; often, as it would change nothing
  bool optional = false;           // JSON may lack it; a std::optional may be null then
  int in = json | toml | options;  // where there is such a field
  bool infinite = false;           // null in JSON is infinity
  bool whole = false;              // of a double: an integer in JSON that is written
  std::function<void(const std::string&)> valid{};  // of a string: throws ConfigError

  static constexpr int json = 1, toml = 2, options = 4;
};

struct Field;
struct Value;

class Fields : public std::vector<Field> {
 public:
  Fields& add(std::string_view key, const Value& value, const Bounds& bounds = {},
              const std::string& help = "", const FieldDetails& details = {});
  template <std::same_as<FieldDetails> Details = FieldDetails>  // so that {0} is Bounds
  Fields& add(std::string_view key, const Value& value, const Details& details) {
    return add(key, value, Bounds{}, "", details);
  }
  template <std::convertible_to<std::string> Help>  // so that {0} is Bounds, not a null pointer
  Fields& add(std::string_view key, const Value& value, const Help& help,
              const FieldDetails& details = {}) {
    return add(key, value, Bounds{}, help, details);
  }
  Fields& add(const Fields& fields);  // of a struct, in its place
  Fields without(std::string_view key) const;
};

// An enum.
struct Choice {
  Names names;
  std::function<int()> get;
  std::function<void(int)> set;
};

// A vector; an array, which has a size of its own; or an optional, which is a list of at most one
// and written without brackets.
struct List {
  bool optional = false;
  std::function<std::size_t()> size;
  std::function<void(std::size_t)> resize;
  std::function<Value(std::size_t)> at;
};

// A std::map from names or numbers, which is an object.
struct Map {
  std::function<Fields()> fields;
  std::function<Value(const std::string& key)> insert;
};

// Of any type, as a file has it; monostate is null.
struct AnyValue : std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double,
                               std::string, std::vector<AnyValue>> {
  using variant::variant;
};

template <class T>
Map map_of(T& x);

// Where a value is; it must outlive this. Enums, structs, and lists and maps of any of them.
struct Value {
  std::variant<bool*, int*, std::int64_t*, std::uint64_t*, float*, double*, std::string*, AnyValue*,
               AnyValue, Choice, List, Map, Fields>
      at;

  Value(Fields fields) : at(std::move(fields)) {}          // NOLINT: see below
  Value(AnyValue&& computed) : at(std::move(computed)) {}  // NOLINT: written, but never read
  template <class T>
  requires(!std::same_as<T, Value> && !std::same_as<T, Fields>)
      Value(T& x) {  // NOLINT: a field's value is written as the member itself
    if constexpr (NamedEnum<T>) {
      at = Choice{.names = enum_names<T>,
                  .get = [&x] { return static_cast<int>(x); },
                  .set = [&x](int i) { x = static_cast<T>(i); }};
    } else if constexpr (requires { x.fields(); }) {
      at = x.fields();
    } else if constexpr (requires { typename T::mapped_type; }) {
      at = map_of(x);
    } else if constexpr (requires { x.has_value(); }) {
      at = List{.optional = true,
                .size = [&x] { return std::size_t{x.has_value()}; },
                .resize = [&x](std::size_t n) { n == 0 ? x.reset() : void(x.emplace()); },
                .at = [&x](std::size_t) { return Value(*x); }};
    } else if constexpr (requires { x[0]; } && !std::same_as<T, std::string>) {
      const auto resize = [&x](std::size_t n) {
        if constexpr (requires { x.resize(n); }) x.resize(n);
      };
      at = List{.size = [&x] { return x.size(); },
                .resize = resize,
                .at = [&x](std::size_t i) { return Value(x[i]); }};
    } else {
      at = &x;
    }
  }
};

struct Field {
  std::string key;  // "label_smoothing" in files, --label-smoothing on the command line
  Value value;
  Bounds bounds{};        // of a number, and of each in a list
  std::string help = "";  // of the option; without it there is none
  FieldDetails details{};
};

// To write and to check.
template <class T>
Fields fields_of(const T& x) {
  return const_cast<T&>(x).fields();
}

// What a file or a command line gives for one value, and how errors show it.
struct Given {
  AnyValue value;
  std::string shown;
};

std::string text_of(const Field& field);  // as assign_words() reads it, a list with commas
Names names_in(const Value& value);       // of an enum

// "an integer from 0 to 100000", "a number > 0", "constant or cosine"
std::string expected(const Field& field, const Value& value);
// Stores what is given if it is of the value's type and what the field allows; else throws
// ConfigError: "<where>: expected ..., got ...".
void assign(const Field& field, const Value& value, const Given& given, const std::string& where);
// From the words of an option, a list's each by itself; throws the same.
void assign_words(const Field& field, std::span<const std::string> words, const std::string& where);

template <class T>
Map map_of(T& x) {
  return {.fields =
              [&x] {
                Fields fields;
                for (auto& [key, value] : x) {
                  auto name = key;
                  fields.add(text_of({.key = "", .value = name}), value);
                }
                return fields;
              },
          .insert = [&x](const std::string& text) -> Value {
            typename T::key_type key{};
            assign_words({.key = "", .value = key}, std::array{text}, "key of a map");
            return x[key];
          }};
}

// Throws ConfigError: "<what> '<key>': expected ..., got ...", "train.epochs" for a key of a struct
// in a struct.
void check(const Fields& fields, const std::string& what, const std::string& path = "");

}  // namespace hac
