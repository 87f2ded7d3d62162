// Every struct that describes its fields: bounds, types, names and keys, in files and options; the
// tables of the READMEs against them.

#include "engine/io/fields.h"

#include <cmath>
#include <map>
#include <regex>
#include <set>

#include "engine/io/fields_json.h"
#include "models/arch/fields.h"
#include "scaling/experiment/recipe.h"
#include "scaling/importance/law.h"
#include "scaling/measure/measure.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/each_field.h"
#include "tools/cli/options.h"
#include "tools/cli/recipes.h"

namespace hac {
namespace {

// A struct that can be described and told apart by its type's name.
template <class T>
class Described : public ::testing::Test {};
// Its default is that of no networks, which no file may hold.
struct SomeError : LatencyError {
  SomeError() { networks = 1; }
};
using Structs =
    ::testing::Types<TrainConfig, DataConfig, ScheduleConfig, OptimizerOptions, ArchOptions, Recipe,
                     ProxyTraining, SamplingOptions, WideningOptions, MeasureOptions, LatencySource,
                     SomeError, ImportanceLaw, Budget, MachineOptions>;
TYPED_TEST_SUITE(Described, Structs);

std::string refusal(const Fields& fields) {
  return message_of<ConfigError>([&] { check(fields, "test"); });
}

void store(const Field& field, double x) {
  Value value = field.value;
  if (const auto* list = std::get_if<List>(&value.at)) {
    list->resize(1);
    value = list->at(0);
  }
  std::visit(
      [&](auto& at) {
        if constexpr (std::is_pointer_v<std::decay_t<decltype(at)>>) {
          using T = std::remove_pointer_t<std::decay_t<decltype(at)>>;
          if constexpr (std::is_arithmetic_v<T>) *at = static_cast<T>(x);
        }
      },
      value.at);
}

bool is_real(const Field& field) {
  const auto* list = std::get_if<List>(&field.value.at);
  if (list) list->resize(1);
  return std::holds_alternative<double*>((list ? list->at(0) : field.value).at);
}

bool is_optional_record(const Field& field) {
  const auto* list = std::get_if<List>(&field.value.at);
  if (!list || !list->optional) return false;
  const std::size_t size = list->size();
  list->resize(1);
  const bool record = std::holds_alternative<Fields>(list->at(0).at);
  list->resize(size);
  return record;
}

// Just inside and just outside of both ends, and what is no number at all.
TYPED_TEST(Described, EveryBoundHolds) {
  TypeParam fresh{};
  ASSERT_EQ(refusal(fresh.fields()).find("expected"), std::string::npos) << refusal(fresh.fields());
  each_field(fresh.fields(), [&](const Field& shape, const std::string& path) {
    const Bounds b = shape.bounds;
    const auto message = [&](double x) {
      TypeParam config{};
      std::string text;
      each_field(config.fields(), [&](const Field& field, const std::string& at) {
        if (at != path) return;
        store(field, x);
        Fields alone;
        alone.push_back(field);
        text = refusal(alone);
      });
      return text;
    };
    for (const auto& [end, open, outward] :
         {std::tuple{b.low, b.above, -1.}, {b.high, b.below, 1.}}) {
      if (!std::isfinite(end)) continue;
      const bool real = is_real(shape);
      const double beyond = real ? std::nextafter(end, outward * INFINITY) : end + outward;
      EXPECT_CONTAINS(message(beyond), "'" + std::string(shape.key)) << path << " took " << beyond;
      EXPECT_EQ(message(end) != "", open) << path << " " << end;
      if (!real) continue;
      EXPECT_NE(message(NAN), "") << path;
      EXPECT_EQ(message(INFINITY) != "", !shape.details.infinite) << path;
    }
  });
}

TYPED_TEST(Described, JsonIsReadBackAndNothingElseIsTaken) {
  TypeParam first{}, second{};
  const json good = to_json(first.fields());
  const JsonReading partial{.complete = false};
  const auto read = [&](const json& from) {
    return message_of<ConfigError>([&] { read_json(from, second.fields(), "test", "", partial); });
  };
  // What a file leaves out may have no name: `select` is written as what follows from others.
  EXPECT_EQ(read(good), "");
  EXPECT_EQ(to_json(second.fields()), to_json(first.fields()));
  each_field(first.fields(), [&](const Field& field, const std::string& path) {
    if (!(field.details.in & FieldDetails::json)) return;
    std::string pointer = "/" + path;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    // Settings that may be absent as a whole: an object is what they are.
    const std::vector<json> others = is_optional_record(field)
                                         ? std::vector<json>{3, json::array(), "a"}
                                         : std::vector<json>{json::object(), {{{"a", 1}}}, nullptr};
    for (const json& wrong : others) {
      json bad = good;
      bad[json::json_pointer(pointer)] = wrong;
      if (wrong.is_null() && (field.details.infinite || field.details.optional)) continue;
      const std::string message = read(bad);
      EXPECT_CONTAINS(message, "test '" + path, "expected");
    }
    json bad = good;
    bad[json::json_pointer(pointer + "x")] = 1;
    EXPECT_EQ(read(bad), "test '" + path + "x': unknown key (hint: did you mean '" +
                             std::string(field.key) + "'?)");
  });
}

TYPED_TEST(Described, KeysAndOptionsAreDifferent) {
  TypeParam config{};
  std::set<std::string> paths;
  each_field(config.fields(), [&](const Field& field, const std::string& path) {
    EXPECT_TRUE(paths.insert(path).second) << path << " twice";
    EXPECT_TRUE(std::regex_match(path, std::regex("[a-z0-9_.]+"))) << path;
    EXPECT_EQ(field.details.off_on[0] != nullptr, field.details.off_on[1] != nullptr) << path;
  });
}

template <class T>
class Named : public ::testing::Test {};
using Enums =
    ::testing::Types<SamplingKind, StepPolicy, WideningCriterion, StopReason, KernelReduction,
                     LatencyModelKind, LaunchMode, Dtype, Activation, ScheduleKind, WarmupStyle,
                     BadImages, Selection, WeightSelection, OptimizerKind, WeightDecayOn, PoolMode>;
TYPED_TEST_SUITE(Named, Enums);

TYPED_TEST(Named, NamesAreReadBack) {
  for (std::size_t i = 0; i < std::size(enum_names<TypeParam>); ++i) {
    const auto value = static_cast<TypeParam>(i);
    EXPECT_EQ(parse<TypeParam>(to_string(value), "test"), value);
    EXPECT_THROW(parse<TypeParam>(to_string(value) + "x", "test"), ConfigError);
  }
  EXPECT_THROW(parse<TypeParam>("", "test"), ConfigError);
}

enum class Color : std::uint8_t { red, green, blue };

}  // namespace

template <>
inline constexpr std::string_view enum_names<Color>[] = {"red", "green", "blue"};

namespace {

struct Inner {
  std::vector<double> grid{0.5};
  std::optional<std::int64_t> limit;
  Fields fields() {
    return Fields()
        .add("grid", grid, {.low = 0, .high = 1, .above = true}, "points")
        .add("limit", limit, {1}, "at most");
  }
};

struct Outer {
  std::int64_t count = 3;
  int small = 1;
  std::uint64_t seed = 7;
  double share = 0.25, most = INFINITY;
  float slope = 0.1F;
  bool on = true;
  std::string text = "a";
  Color color = Color::green;
  std::vector<Color> colors{Color::red};
  Inner inner;
  std::vector<Inner> list{{}, {{0.1}, 4}};

  Fields fields() {
    return Fields()
        .add("count", count, {0, 9}, "how many")
        .add("small", small)
        .add("seed", seed)
        .add("share", share, {.low = 0, .high = 1, .below = true}, "a part")
        .add("most", most, {0}, "", {.infinite = true})
        .add("slope", slope)
        .add("on", on, "on or off", {.off_on = {"off", "on"}})
        .add("text", text, "",
             {.valid =
                  [](const std::string& t) {
                    if (t == "bad") throw ConfigError("text: expected good, got bad");
                  }})
        .add("color", color, "of it")
        .add("colors", colors)
        .add("inner", inner)
        .add("list", list);
  }
};

TEST(Fields, JsonByHand) {
  Outer o;
  EXPECT_EQ(to_json(o.fields()).dump(),
            R"({"count":3,"small":1,"seed":7,"share":0.25,"most":null,"slope":0.1,"on":true,)"
            R"("text":"a","color":"green","colors":["red"],"inner":{"grid":[0.5]},)"
            R"("list":[{"grid":[0.5]},{"grid":[0.1],"limit":4}]})");
  const json other = json::parse(
      R"({"count":9,"small":-2,"seed":18446744073709551615,"share":0,"most":1e300,"slope":2,)"
      R"("on":false,"text":"","color":"blue","colors":["green","red"],)"
      R"("inner":{"grid":[1,0.25],"limit":8},"list":[{"grid":[]}]})");
  read_json(other, o.fields(), "test");
  EXPECT_EQ(json(to_json(o.fields())), other);
  EXPECT_EQ(o.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(o.colors, (std::vector<Color>{Color::green, Color::red}));
  ASSERT_EQ(o.list.size(), 1u);
  EXPECT_EQ(o.inner.limit, 8);
}

TEST(Fields, MessagesSayWhatWhereExpectedAndGot) {
  Outer o;
  const json good = to_json(o.fields());
  const struct {
    const char *path, *value, *message;
  } cases[] = {
      {"/count", "10", "test 'count': expected an integer from 0 to 9, got 10"},
      {"/count", "1.0", "test 'count': expected an integer from 0 to 9, got 1.0"},
      {"/count", "18446744073709551615", "test 'count': expected an integer from 0 to 9, got 184"},
      {"/count", "1e99", "test 'count': expected an integer from 0 to 9, got 1e+99"},
      {"/small", "3000000000", "test 'small': expected an integer, got 3000000000"},
      {"/small", "18446744073709551615", "test 'small': expected an integer, got 184467"},
      {"/seed", "-1", "test 'seed': expected an integer >= 0, got -1"},
      {"/share", "1", "test 'share': expected a number in [0, 1), got 1"},
      {"/share", "\"1\"", "test 'share': expected a number in [0, 1), got \"1\""},
      {"/slope", "1e300", "test 'slope': expected a number, got 1e+300"},
      {"/on", "1", "test 'on': expected true or false, got 1"},
      {"/text", "7", "test 'text': expected a string, got 7"},
      {"/text", "\"bad\"", "test 'text': text: expected good, got bad"},
      {"/color", "\"pink\"", "test 'color': expected red, green or blue, got \"pink\""},
      {"/colors", "[\"red\", 3]", "test 'colors[1]': expected red, green or blue, got 3"},
      {"/colors", "{}", "test 'colors': expected a list in brackets, got object"},
      {"/inner", "3", "test 'inner': expected an object, got 3"},
      {"/inner/grid", "[1, 0]", "test 'inner.grid[1]': expected a number in (0, 1], got 0"},
      {"/list", "[{\"grid\": 1}]", "test 'list[0].grid': expected a list in brackets, got 1"},
      {"/list", "[{}]", "test 'list[0].grid': expected a value, got none"},
      {"/list", "[{\"grid\": [], \"limits\": 1}]",
       "test 'list[0].limits': unknown key (hint: did you mean 'limit'?)"},
  };
  for (const auto& c : cases) {
    json bad = good;
    bad[json::json_pointer(c.path)] = json::parse(c.value);
    const std::string message =
        message_of<ConfigError>([&] { read_json(bad, Outer().fields(), "test"); });
    EXPECT_EQ(message.substr(0, std::string(c.message).size()), c.message) << message;
  }
  json missing = good;
  missing.erase("seed");
  EXPECT_EQ(message_of<ConfigError>([&] { read_json(missing, o.fields(), "test"); }),
            "test 'seed': expected a value, got none");
  for (const char* text : {"", "[]", "3", "{\"a\": 1", "{} x", "{\"a\": \"\xff\"}"}) {
    EXPECT_THROW(parse_json(text, "test"), ConfigError) << text;
  }
  EXPECT_THROW(parse_json(std::string(100000, '['), "test"), ConfigError);
}

struct Record {
  double params = 1, ms = 2.0, spread = 3;
  int runs = 4;
  std::array<double, 2> point{1, 2};
  std::map<int, double> op_ms{{10, 0.5}, {2, 1}};
  std::map<std::string, AnyValue> facts{{"cores", std::int64_t{-2}},
                                        {"list", std::vector<AnyValue>{true, "a", {}}}};
  std::optional<double> peak;
  Inner inner;
  Fields fields() {
    return Fields()
        .add("params", params, {.whole = true})
        .add("ms", ms)
        .add("spread", spread, {.optional = true})
        .add("runs", runs)
        .add("point", point)
        .add("op_ms", op_ms)
        .add("facts", facts)
        .add("peak", peak, {.optional = true})
        .add("inner", inner)
        .add("steady", AnyValue(runs > 3), {.optional = true});
  }
};

TEST(Fields, RecordsByHand) {
  Record r;
  const std::string text =
      R"({"params":1,"ms":2.0,"spread":3.0,"runs":4,"point":[1.0,2.0],"op_ms":{"2":1.0,"10":0.5},)"
      R"("facts":{"cores":-2,"list":[true,"a",null]},"peak":null,"inner":{"grid":[0.5]},)"
      R"("steady":true})";
  EXPECT_EQ(to_json(r.fields()).dump(), text);
  const JsonReading record{.record = true, .largest = 1e18};
  Record other{.op_ms = {}, .facts = {}};
  read_json(json::parse(text), other.fields(), "test", "", record);
  EXPECT_EQ(to_json(other.fields()).dump(), text);
  // Of another version, with what was not known.
  read_json(json::parse(R"({"params":null,"ms":1e-30,"runs":null,"point":[null,7],"op_ms":{},)"
                        R"("facts":{"a":1e300},"inner":null,"new":[1]})"),
            other.fields(), "test", "", record);
  EXPECT_TRUE(std::isnan(other.params));
  EXPECT_EQ(other.ms, 0);
  EXPECT_EQ(other.spread, 3);
  EXPECT_EQ(other.runs, 4);
  EXPECT_TRUE(std::isnan(other.point[0]));
  EXPECT_EQ(other.point[1], 7);
  EXPECT_EQ(other.facts.at("a"), AnyValue(1e300));
  EXPECT_FALSE(other.peak);
  for (const auto& [path, value, message] :
       {std::tuple{"/ms", "-1e19", "test 'ms': expected a number of at most 1e+18 in size"},
        {"/point", "[1]", "test 'point': expected a list of 2, got array"},
        {"/op_ms", "[1]", "test 'op_ms': expected an object, got array"},
        {"/op_ms", "{\"x\": 1}", "key of a map: expected an integer, got 'x'"},
        {"/facts/list", "{}", "test 'facts.list': expected a string, number or true or false"}}) {
    json bad = json::parse(text);
    bad[json::json_pointer(path)] = json::parse(value);
    EXPECT_ERROR(read_json(bad, other.fields(), "test", "", record), ConfigError, message) << path;
  }
}

TEST(Fields, WordsOfACommandLine) {
  Outer o;
  const auto give = [&](const char* key, const std::vector<std::string>& words) {
    return message_of<ConfigError>([&] {
      each_field(o.fields(), [&](const Field& field, const std::string& path) {
        if (path == key) assign_words(field, words, "option");
      });
    });
  };
  EXPECT_EQ(give("count", {"8"}) + give("share", {"0.5"}) + give("on", {"off"}) +
                give("color", {"red"}) + give("inner.grid", {"0.25", "1"}) +
                give("inner.limit", {"4"}) + give("seed", {"18446744073709551615"}),
            "");
  EXPECT_EQ(o.count, 8);
  EXPECT_EQ(o.share, 0.5);
  EXPECT_FALSE(o.on);
  EXPECT_EQ(o.color, Color::red);
  EXPECT_EQ(o.inner.grid, (std::vector<double>{0.25, 1}));
  EXPECT_EQ(o.inner.limit, 4);
  EXPECT_EQ(give("count", {"8x"}), "option: expected an integer from 0 to 9, got '8x'");
  EXPECT_EQ(give("count", {""}), "option: expected an integer from 0 to 9, got ''");
  EXPECT_EQ(give("share", {"nan"}), "option: expected a number in [0, 1), got 'nan'");
  EXPECT_EQ(give("on", {"true"}), "option: expected off or on, got 'true'");
  EXPECT_EQ(give("inner.grid", {"1", "x"}), "option: expected a number in (0, 1], got '1,x'");
}

std::string flag_of(const Field& field) {
  std::string flag = *field.details.flag ? field.details.flag : "--" + std::string(field.key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

TEST_F(Cli, EveryOptionIsInHelpAndRefusesWhatItsFieldDoes) {
  const std::string help = run("train --help").out;
  int refused = 0;
  TrainConfig c;
  ArchOptions arch;
  MachineOptions machine;
  for (const Fields& fields : {c.fields(), arch.fields(), machine.fields()}) {
    each_field(fields, [&](const Field& field, const std::string& path) {
      if (field.help.empty() || !(field.details.in & FieldDetails::options)) return;
      const std::string flag = flag_of(field);
      EXPECT_CONTAINS(help, "  " + flag + " ") << path;
      const bool named = !names_in(field.value).empty() || field.details.off_on[0];
      if (!named && !std::isfinite(field.bounds.low)) return;
      expect_error({"train", flag, named ? "neither" : "-1e300"}, 2, {flag.substr(2)});
      ++refused;
    });
  }
  EXPECT_GT(refused, 20);
  EXPECT_CONTAINS(help, "--label-smoothing X=0");
}

}  // namespace
}  // namespace hac
