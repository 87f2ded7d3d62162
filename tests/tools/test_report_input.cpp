// The report on results that lack something or are wrong: sections, numbers, names, fields.

#include "tests/support/report_checks.h"

namespace hac::report {
namespace {

using nlohmann::json;

TEST(ReportPage, AbsentSectionsAreASentenceEach) {
  const std::string html = render_report(R"({"schema":1,"recipe":"empty"})");
  expect_good_page(html);
  EXPECT_TRUE(svgs_of(html).empty());
  EXPECT_EQ(count(html, "<b>This run has no ") + count(html, "<b>No plan of this run"), 12u);
  constexpr std::pair<const char*, unsigned> left[] = {
      {"table", 20},          {"sweeps", 19},   {"importance", 15}, {"alpha", 22}, {"plans", 18},
      {"latency_models", 22}, {"profiles", 22}, {"budget", 23},     {"notes", 23}};
  for (const auto& [section, svgs_left] : left) {
    json results = sample();
    results.erase(section);
    const std::string page = render_report(results.dump());
    expect_good_page(page);
    EXPECT_EQ(svgs_of(page).size(), svgs_left) << section;
    render_result_table(results.dump());
  }
}

void make_numbers_null(json& value) {
  if (value.is_number()) value = nullptr;
  if (value.is_structured())
    for (auto& item : value) make_numbers_null(item);
}

TEST(ReportPage, NullsAreNotMeasured) {
  json results = sample();
  make_numbers_null(results);
  results["schema"] = 1;
  results["table"][1]["measured_ms"] = nullptr;
  results["table"][2]["top1"] = nullptr;
  results["alpha"]["parabola"] = nullptr;
  expect_good_page(render_report(results.dump()));
  const auto table = render_result_table(results.dump());
  EXPECT_LACKS(table, "nan");
  EXPECT_CONTAINS(table, "no difference can be claimed");

  results = sample();  // one method without a latency: the others stay
  results["table"][2]["measured_ms"] = nullptr;
  const auto html = render_report(results.dump());
  expect_good_page(html);
  EXPECT_EQ(count(svgs_of(html)[0], "class=\"mark "), 4u);
}

// Every fourth number alone null, then alone zero; the offset differs so that all kinds get a turn.
TEST(ReportPage, AnyNumberMayBeNullOrZero) {
  const json flat = sample().flatten();
  for (const json& instead : {json(nullptr), json(0)}) {
    int turn = instead.is_null() ? 0 : 2;
    for (const auto& item : flat.items()) {
      const std::string& path = item.key();
      const bool step = path.find("/steps/") != std::string::npos;
      if (!item.value().is_number() || path == "/schema" || ++turn % (step ? 41 : 4)) continue;
      json results = sample();
      results[json::json_pointer(path)] = instead;
      const std::string html = render_report(results.dump());
      for (const char* bad : {"nan,", "nan\"", "(nan", "inf"})
        ASSERT_EQ(html.substr(0, html.find("<details")).find(bad), std::string::npos) << path;
    }
  }
}

TEST(ReportPage, OnePointEqualValuesAndHugeLabels) {
  json one = sample();
  one["table"].erase(one["table"].begin() + 1, one["table"].end());
  one["sweeps"] = {{"width", {one["sweeps"]["width"][0]}}};
  one["importance"].erase(one["importance"].begin() + 1, one["importance"].end());
  one["importance"][0]["points"] = {{16, 0.001}};
  one["alpha"]["points"].erase(one["alpha"]["points"].begin() + 1, one["alpha"]["points"].end());
  one["latency_models"][0]["points"] = {{1.0, 1.0}};
  expect_good_page(render_report(one.dump()));

  json equal = sample();
  for (auto& row : equal["table"]) row = equal["table"][0];
  for (auto& row : equal["table"]) row["top1"]["low"] = row["top1"]["high"] = row["top1"]["mean"];
  for (auto& sweep : equal["sweeps"])
    for (auto& point : sweep) point = equal["sweeps"]["width"][0];
  expect_good_page(render_report(equal.dump()));

  json huge = sample();
  const std::string label = std::string(300, 'W') + "<&\"'>größe→";
  huge["recipe"] = huge["command"] = huge["baseline"] = label;
  huge["machine"]["cpu"] = label;
  huge["notes"].push_back(label);
  for (auto& row : huge["table"]) row["method"] = label + row["method"].get<std::string>();
  for (auto& layer : huge["importance"]) layer["layer"] = label;
  for (auto& point : huge["sweeps"]["width"]) point["label"] = label;
  for (auto& plan : huge["plans"]) {
    plan["name"] = plan["stop"] = label;
    for (auto& layer : plan["layers"]) layer["name"] = layer["reason"] = label;
  }
  expect_good_page(render_report(huge.dump()));
}

TEST(ReportPage, ExtremeNumbersStayInTheDrawing) {
  for (const double size : {1e18, 1e-300, 5e-324}) {
    json results = sample();
    for (auto& row : results["table"]) row["measured_ms"]["median"] = size;
    for (auto& point : results["sweeps"]["width"]) point["macs"] = point["ms"] = size;
    for (auto& point : results["importance"][0]["points"]) point[1] = size;
    results["table"][0]["measured_ms"]["median"] = 1;
    results["importance"][0]["b"] = 1e18;
    for (const auto& svg : svgs_of(render_report(results.dump()))) {
      EXPECT_LACKS(svg, "nan") << size;
      EXPECT_LACKS(svg, "inf") << size;
    }
  }
}

std::string complaint(const std::string& text) {
  EXPECT_THROW(render_result_table(text), ConfigError);
  return error_of<ConfigError>([&] { render_report(text); });
}

TEST(ReportInput, BadJsonIsOneClearLine) {
  for (const std::string text : {"", "{", "[1,2", "{\"schema\":1,}", "\xff\xfe", "{\"a\":1e999}"})
    EXPECT_CONTAINS(complaint(text), "expected valid JSON") << text;
  EXPECT_CONTAINS(complaint("[]"), "expected an object, got array");
  EXPECT_CONTAINS(complaint(std::string(200000, '[')), "expected nesting");
  EXPECT_CONTAINS(complaint(R"({"schema":2,"recipe":"x"})"), "'schema'");
  EXPECT_CONTAINS(complaint(R"({"schema":1})"), "'recipe'");
}

TEST(ReportInput, PathOfTheWrongFieldIsNamed) {
  const auto broken = [](const std::string& pointer, const json& value) {
    json results = sample();
    results[json::json_pointer(pointer)] = value;
    return complaint(results.dump());
  };
  EXPECT_CONTAINS(broken("/table/1/params", "many"), "'table[1].params'");
  EXPECT_CONTAINS(broken("/table/1/params", 1e19), "'table[1].params'");
  EXPECT_CONTAINS(broken("/table", 3), "'table': expected a list in brackets, got 3");
  EXPECT_CONTAINS(broken("/importance/0/points/3", {1}), "'importance[0].points[3]'");
  EXPECT_CONTAINS(broken("/alpha/parabola", {1, 2}), "'alpha.parabola'");
  EXPECT_CONTAINS(broken("/plans/0/layers/2/name", 7), "'plans[0].layers[2].name'");
  EXPECT_CONTAINS(broken("/training/lr", {1}), "'training.lr'");
  EXPECT_CONTAINS(broken("/machine", "x"), "'machine': expected an object");
}

// Removing any field of the table either changes nothing that matters or names its path.
TEST(ReportInput, MissingFieldsAreNamed) {
  for (const char* field :
       {"method", "params", "macs", "ops_thop2021", "resolution", "predicted_ms", "measured_ms",
        "gmacs_per_s", "peak_fraction", "top1"}) {
    json results = sample();
    results["table"][2].erase(field);
    EXPECT_CONTAINS(complaint(results.dump()), "'table[2]." + std::string(field) + "'") << field;
  }
  json results = sample();
  results["plans"][1]["steps"][3].erase("latency_ms");
  EXPECT_CONTAINS(complaint(results.dump()), "'plans[1].steps[3].latency_ms'");
}

}  // namespace
}  // namespace hac::report
