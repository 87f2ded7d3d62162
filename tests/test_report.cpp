// The report: axes, escaping, figures, the honesty of the captions, bad input.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <sstream>

#include "kernels/error.h"
#include "tools/report/chart.h"
#include "tools/report/findings.h"
#include "tools/report/report.h"

namespace hac::report {
namespace {

using nlohmann::json;

std::string sample_text() {
  std::ifstream file(HAC_SOURCE_DIR "/tests/golden/results_sample.json");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}
json sample() { return json::parse(sample_text()); }

const char* const figure_ids[] = {"accuracy-latency",
                                  "accuracy-parameters",
                                  "utilization",
                                  "importance",
                                  "alpha",
                                  "latency-models",
                                  "widths",
                                  "steps"};

std::vector<std::smatch> all_matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++n;
  return n;
}

std::vector<std::string> svgs_of(const std::string& html) {
  std::vector<std::string> svgs;
  for (auto i = html.find("<svg "); i != std::string::npos; i = html.find("<svg ", i + 1))
    svgs.push_back(html.substr(i, html.find("</svg>", i) - i));
  return svgs;
}

// Every opening tag is closed in order; attributes are quoted; no stray angle bracket in text.
void expect_well_formed(const std::string& html) {
  const std::string empty[] = {"meta", "br"};
  std::vector<std::string> open;
  std::string body = html.substr(html.find("<html"));
  const auto style = body.find("<style>");
  if (style != std::string::npos) body.erase(style, body.find("</style>") + 8 - style);
  const std::regex tag(R"re(^<(/?)([a-z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)(/?)>$)re");
  std::size_t at = 0;
  while ((at = body.find_first_of("<>", at)) != std::string::npos) {
    ASSERT_EQ(body[at], '<') << body.substr(at > 60 ? at - 60 : 0, 120);
    const auto end = body.find('>', at);
    const std::string text = body.substr(at, end - at + 1);
    std::smatch match;
    ASSERT_TRUE(std::regex_match(text, match, tag)) << text;
    const std::string name = match[2];
    if (match[1].length()) {
      ASSERT_FALSE(open.empty()) << text;
      ASSERT_EQ(open.back(), name) << body.substr(at > 80 ? at - 80 : 0, 100);
      open.pop_back();
    } else if (!match[4].length() && std::find(empty, empty + 2, name) == empty + 2) {
      open.push_back(name);
    }
    at = end + 1;
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

struct Text {
  Box box;
  std::string text, style;
};

std::string unescape(std::string text) {
  const std::pair<const char*, const char*> entities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, plain] : entities)
    for (auto i = text.find(entity); i != std::string::npos; i = text.find(entity, i + 1))
      text.replace(i, std::string(entity).size(), plain);
  return text;
}

// Boxes of the horizontal texts of a drawing, from the estimate of their widths.
std::vector<Text> texts_of(const std::string& svg) {
  static const std::regex pattern(R"re(<text class="(\w+)(?: \w+)?" x="([-\d.]+)" y="([-\d.]+)")re"
                                  R"re(( dy="[^"]*")?( text-anchor="(\w+)")?>([^<]*)<)re");
  const double font = std::stod(all_matches(svg, std::regex("font-size:([\\d.]+)px"))[0][1]);
  std::vector<Text> texts;
  for (const auto& m : all_matches(svg, pattern)) {
    const std::string text = unescape(m[7]), anchor = m[6];
    const double size = m[1] == "label" ? 0.88 * font : font;
    const double width = text_width(text, size), x = std::stod(m[2]), y = std::stod(m[3]);
    const double left = anchor == "end" ? x - width : anchor == "middle" ? x - width / 2 : x;
    const double top = m[4].length() ? y - 0.5 * size : y - 0.85 * size;
    texts.push_back({{left, top, width, size}, text, m[1]});
  }
  return texts;
}

Box plot_of(const std::string& svg) {
  const auto m = all_matches(
      svg, std::regex(
               R"re(class="plot" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)")re"));
  EXPECT_EQ(m.size(), 1u) << svg;
  if (m.empty()) return {};
  return {std::stod(m[0][1]), std::stod(m[0][2]), std::stod(m[0][3]), std::stod(m[0][4])};
}

// Marks and error bars within the plot, texts apart from each other, legends off the plot.
void expect_tidy(const std::string& svg) {
  const Box plot = plot_of(svg);
  const double slack = 0.1;
  const auto inside = [&](double x, double y) {
    EXPECT_GE(x, plot.x - slack) << svg;
    EXPECT_LE(x, plot.x + plot.width + slack);
    EXPECT_GE(y, plot.y - slack);
    EXPECT_LE(y, plot.y + plot.height + slack);
  };
  for (const auto& m : all_matches(
           svg,
           std::regex(R"re(class="mark [^"]*" transform="translate\(([-\d.]+),([-\d.]+)\))re")))
    inside(std::stod(m[1]), std::stod(m[2]));
  for (const auto& m : all_matches(
           svg, std::regex(R"re(class="bar [^"]*" d="M([-\d.]+) ([-\d.]+)h8m-4 0V([-\d.]+))re"))) {
    inside(std::stod(m[1]) + 4, std::stod(m[2]));
    inside(std::stod(m[1]) + 4, std::stod(m[3]));
  }
  for (const auto& m : all_matches(
           svg,
           std::regex(
               R"re(class="(?:before|after)" x="([-\d.]+)" y="([-\d.]+)" width="([-\d.]+)")re")))
    if (std::stod(m[2]) >= plot.y) inside(std::stod(m[1]) + std::stod(m[3]), std::stod(m[2]));
  const auto texts = texts_of(svg);
  const auto view = all_matches(svg, std::regex(R"re(viewBox="0 0 (\d+) (\d+)")re"))[0];
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Box& box = texts[i].box;
    EXPECT_TRUE(box.x >= -2 && box.x + box.width <= std::stod(view[1]) + 2 && box.y >= -2 &&
                box.y + box.height <= std::stod(view[2]) + 2)
        << '"' << texts[i].text << "\" leaves the drawing";
    EXPECT_FALSE(texts[i].style == "legend" && texts[i].box.overlaps(plot)) << texts[i].text;
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_FALSE(texts[i].box.overlaps(texts[j].box))
          << '"' << texts[i].text << "\" meets \"" << texts[j].text << "\"\n"
          << svg.substr(0, 300);
  }
}

// The page holds every figure, drawn or with its sentence, and nothing unfit for a reader.
void expect_good_page(const std::string& html) {
  expect_well_formed(html);
  for (const char* id : figure_ids)
    EXPECT_EQ(count(html, "<figure id=\"" + std::string(id) + "\""), 1u) << id;
  for (const std::string& svg : svgs_of(html)) {
    expect_tidy(svg);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
  }
  const std::string shown = html.substr(0, html.find("<details"));
  EXPECT_EQ(shown.find("nan"), std::string::npos) << shown.substr(shown.find("nan") - 80, 160);
  for (const char* outside : {"http:", "https:", "<script", "<link", "@import", "url(", "src="})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
}

TEST(ReportAxis, TicksAreRoundInsideAndAFew) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> exponent(-9, 12), share(0, 1);
  for (int i = 0; i < 3000; ++i) {
    const double span = std::pow(10, exponent(random)), lo = span * 20 * (share(random) - 0.5);
    const double hi = lo + span * (0.1 + share(random));
    const int target = 2 + i % 7;
    const auto ticks = nice_ticks(lo, hi, target);
    ASSERT_GE(ticks.size(), 2u) << lo << " " << hi;
    ASSERT_LE(ticks.size(), std::max(5u, target + 2u)) << lo << " " << hi;
    const double step = ticks[1] - ticks[0];
    const double digit = step / std::pow(10, std::floor(std::log10(step * 1.0001)));
    EXPECT_LT(std::min({std::fabs(digit - 1), std::fabs(digit - 2), std::fabs(digit - 5)}), 1e-4);
    for (std::size_t k = 0; k < ticks.size(); ++k) {
      EXPECT_GE(ticks[k], lo - 1e-6 * span);
      EXPECT_LE(ticks[k], hi + 1e-6 * span);
      EXPECT_NEAR(ticks[k], ticks[0] + k * step, 1e-6 * span);
    }
    // Distinct labels, each of them the value that it stands for.
    const auto labels = tick_labels(ticks, false);
    for (std::size_t k = 1; k < labels.size(); ++k) EXPECT_NE(labels[k], labels[k - 1]) << lo;
  }
}

TEST(ReportAxis, LogTicksAreIncreasingAndInside) {
  std::mt19937_64 random(12);
  std::uniform_real_distribution<double> exponent(-12, 12), decades(0.02, 10);
  for (int i = 0; i < 3000; ++i) {
    const double lo = std::pow(10, exponent(random)), hi = lo * std::pow(10, decades(random));
    const auto ticks = log_ticks(lo, hi, 6);
    ASSERT_GE(ticks.size(), 1u) << lo << " " << hi;
    EXPECT_LE(ticks.size(), 9u) << lo << " " << hi;
    for (std::size_t k = 0; k < ticks.size(); ++k) {
      EXPECT_GE(ticks[k], lo * (1 - 1e-6));
      EXPECT_LE(ticks[k], hi * (1 + 1e-6));
      EXPECT_TRUE(k == 0 || ticks[k] > ticks[k - 1]);
    }
  }
}

TEST(ReportAxis, LabelsAreTheValues) {
  EXPECT_EQ(tick_labels({0, 0.5, 1}, false), (std::vector<std::string>{"0.0", "0.5", "1.0"}));
  EXPECT_EQ(tick_labels({10, 20}, false), (std::vector<std::string>{"10", "20"}));
  EXPECT_EQ(tick_labels({1e-6, 1e-4, 1e-2, 1, 10, 1e5}, true),
            (std::vector<std::string>{"10⁻⁶", "10⁻⁴", "10⁻²", "1", "10", "10⁵"}));
}

TEST(ReportAxis, ScaleHoldsItsValuesAndASingleOne) {
  for (const bool log : {false, true})
    for (const std::vector<double>& values : {std::vector<double>{3},
                                              {3, 3, 3},
                                              {1e-7, 40},
                                              {unknown, 2},
                                              {1e18, 1e18},
                                              {0.0, 5},
                                              {}}) {
      Scale scale = fit_scale(values, {.log = log});
      scale.from = 10, scale.to = 110;
      EXPECT_LT(scale.lo, scale.hi);
      for (const double value : values) {
        if (!known(value) || (log && value <= 0)) continue;
        EXPECT_TRUE(scale.contains(value)) << value;
        EXPECT_GT(scale(value), 10) << value;
        EXPECT_LT(scale(value), 110) << value;
      }
      EXPECT_FALSE(scale.contains(unknown));
    }
  EXPECT_EQ(fit_scale({4, 9}, {.from_zero = true}).lo, 0);
}

TEST(ReportAxis, LabelsOfNarrowChartsStayApart) {
  for (const double width : {200.0, 260.0, 420.0})
    for (const double from : {0.0, 123400.0, 1e6, 0.00002})
      for (const bool log : {false, true}) {
        Chart chart{.title = "narrow", .x = {.label = "x", .log = log}, .y = {.label = "y"}};
        chart.width = width;
        chart.series = {
            {.name = "a", .marks = {{.x = from + 1, .y = 1}, {.x = from + 90, .y = 2}}}};
        expect_tidy(render_chart(chart));
      }
}

TEST(ReportText, EscapesAndShortens) {
  EXPECT_EQ(escape("<a href=\"x\" b='y'>&\x01"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\xef\xbf\xbd");
  EXPECT_EQ(shorten("short", 100, 10), "short");
  const std::string cut = shorten("größenordnungsmäßig", 60, 10);
  EXPECT_LE(text_width(cut, 10), 60);
  EXPECT_EQ(cut.substr(cut.size() - 3), "…");
  EXPECT_NO_THROW(json(cut).dump()) << "cut inside a character";
  EXPECT_EQ(text_columns("größe"), 5u);
}

TEST(ReportText, NumbersReadWell) {
  EXPECT_EQ(format_number(9.996), "10.0");
  EXPECT_EQ(format_number(0.0123), "0.0123");
  EXPECT_EQ(format_number(123.4), "123");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(4e-7), "4.00e-07");
  EXPECT_EQ(format_number(unknown), "-");
  EXPECT_EQ(format_count(950), "950");
  EXPECT_EQ(format_count(999.9e3), "1.00 M");
  EXPECT_EQ(format_count(9231114), "9.23 M");
  EXPECT_EQ(format_whole(36), "36");
  EXPECT_EQ(format_percent(0.8812), "88.12 %");
}

TEST(ReportPage, SampleIsCompleteAndTidy) {
  const std::string html = render_report(sample_text());
  expect_good_page(html);
  EXPECT_EQ(svgs_of(html).size(), 1u + 1 + 2 + 8 + 1 + 1 + 2 + 2);
  const json results = sample();
  for (const auto& row : results["table"])
    EXPECT_NE(html.find("<th scope=\"row\">" + row["method"].get<std::string>() + "</th>"),
              std::string::npos);
  EXPECT_NE(html.find("hacscale run quick --out runs/quick"), std::string::npos);
  EXPECT_NE(html.find("1, 2, 3"), std::string::npos) << "seeds";
  EXPECT_NE(html.find("GMAC/s"), std::string::npos);
  EXPECT_NE(html.find(escape(sample_text())), std::string::npos) << "the raw file";
  EXPECT_EQ(html, render_report(sample_text())) << "not deterministic";
}

TEST(ReportPage, EveryPointIsDrawn) {
  const auto html = render_report(sample_text());
  const auto svgs = svgs_of(html);
  const auto marks = [&](std::size_t i) { return count(svgs[i], "class=\"mark "); };
  const auto bars = [&](std::size_t i) { return count(svgs[i], "class=\"bar "); };
  EXPECT_EQ(marks(0), 5u);  // methods
  EXPECT_EQ(bars(0), 5u);
  EXPECT_EQ(marks(1), 5u);
  EXPECT_EQ(marks(2), 12u);  // sweeps
  EXPECT_EQ(marks(3), 12u);
  for (std::size_t i = 4; i < 12; ++i) EXPECT_EQ(marks(i), 10u);  // importance
  EXPECT_EQ(marks(12), 5u);                                       // alpha
  EXPECT_EQ(count(svgs[12], "class=\"mark hollow"), 1u);
  EXPECT_EQ(marks(13), 12u);  // latency models
  EXPECT_EQ(count(svgs[14], "class=\"after\""), 9u) << "eight layers and the legend";
  EXPECT_EQ(marks(16), 28u + 31u);  // steps
}

// A mark's place is that of its value: read the axis back from the drawing.
TEST(ReportPage, MarksAreWhereTheirValuesAre) {
  const auto svg = svgs_of(render_report(sample_text()))[0];
  std::vector<std::pair<double, double>> ticks;  // x, value
  const Box plot = plot_of(svg);
  for (const auto& text : texts_of(svg))
    if (text.style == "tick" && text.box.y > plot.y + plot.height)
      ticks.push_back({text.box.x + text.box.width / 2, std::stod(text.text)});
  ASSERT_GE(ticks.size(), 2u);
  const double per_unit =
      (ticks.back().first - ticks[0].first) / (ticks.back().second - ticks[0].second);
  const auto marks =
      all_matches(svg, std::regex(R"re(class="mark [^"]*" transform="translate\(([-\d.]+),)re"));
  const json table = sample()["table"];
  ASSERT_EQ(marks.size(), table.size());
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const double ms = table[i]["measured_ms"]["median"];
    EXPECT_NEAR(std::stod(marks[i][1]), ticks[0].first + (ms - ticks[0].second) * per_unit, 0.3);
  }
}

TEST(ReportPage, AbsentSectionsAreASentenceEach) {
  const std::string html = render_report(R"({"schema":1,"recipe":"empty"})");
  expect_good_page(html);
  EXPECT_TRUE(svgs_of(html).empty());
  EXPECT_EQ(count(html, "<b>This run has no ") + count(html, "<b>No plan of this run"), 8u);
  for (const auto& [section, svgs_left] : {std::pair{"table", 16u},
                                           {"sweeps", 16u},
                                           {"importance", 10u},
                                           {"alpha", 17u},
                                           {"plans", 14u},
                                           {"latency_models", 17u},
                                           {"budget", 18u},
                                           {"notes", 18u}}) {
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
  EXPECT_EQ(table.find("nan"), std::string::npos) << table;
  EXPECT_NE(table.find("no difference can be claimed"), std::string::npos) << table;

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
      EXPECT_EQ(svg.find("nan"), std::string::npos) << size;
      EXPECT_EQ(svg.find("inf"), std::string::npos) << size;
    }
  }
}

Accuracy interval(double low, double high) { return {(low + high) / 2, low, high}; }

TEST(ReportFindings, OverlappingIntervalsAreNoDifference) {
  EXPECT_EQ(compare(interval(.90, .92), interval(.87, .89)), Verdict::above);
  EXPECT_EQ(compare(interval(.87, .89), interval(.90, .92)), Verdict::below);
  EXPECT_EQ(compare(interval(.88, .91), interval(.87, .89)), Verdict::overlaps);
  EXPECT_EQ(compare(interval(.88, .91), interval(.87, .88)), Verdict::overlaps) << "touching";
  EXPECT_EQ(compare({.mean = .9}, interval(.7, .8)), Verdict::unknown);

  Results r;
  const auto cost = [](const TableRow& row) { return row.params; };
  r.table = {{.method = "baseline", .params = 1, .top1 = interval(.87, .89)},
             {.method = "uniform width", .params = 2, .top1 = interval(.88, .90)}};
  EXPECT_NE(accuracy_finding(r, cost, "x").find("No method beats the baseline"), std::string::npos);
  r.table.push_back({.method = "hacscale", .params = 1.5, .top1 = interval(.891, .911)});
  const auto text = accuracy_finding(r, cost, "parameters");
  EXPECT_NE(text.find("hacscale (+2.10 points at 1.50x the parameters)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("no order can be claimed"), std::string::npos) << text;
  r.table[2].top1 = interval(.91, .93);
  EXPECT_NE(accuracy_finding(r, cost, "x").find("hacscale is ahead of every other"),
            std::string::npos);
  // The second by its mean is clear of the first, a wide third is not: no claim.
  r.table.push_back({.method = "wide", .params = 1, .top1 = interval(.80, .95)});
  EXPECT_NE(accuracy_finding(r, cost, "x").find("Between hacscale and wide"), std::string::npos);
}

TEST(ReportFindings, WidthCostsWhatItAddsUnlessItDoesNot) {
  const auto with_time = [](double ms) {
    Results r;
    r.sweeps = {{"width", {{"1", 10e6, 1, 1.0, 10}, {"2", 40e6, 4, ms, 40 / ms}}}};
    return sweep_finding(r);
  };
  EXPECT_NE(with_time(4.1).find("Width costs what it adds: 4.00x"), std::string::npos);
  EXPECT_NE(with_time(4.1).find("no dimension raised utilization"), std::string::npos);
  EXPECT_NE(with_time(3.9).find("no dimension raised utilization"), std::string::npos) << "2.6 %";
  EXPECT_NE(with_time(5).find("costs what it adds and more"), std::string::npos);
  EXPECT_NE(with_time(2).find("width (+100 %) raised utilization"), std::string::npos);
  EXPECT_NE(with_time(2).find("partly free"), std::string::npos);
}

TEST(ReportTable, ColumnsLineUp) {
  std::istringstream text(render_result_table(sample_text()));
  std::string header, line;
  std::getline(text, header);
  const auto last = header.find("stopped by");
  for (int i = 0; i < 5; ++i) {
    std::getline(text, line);
    ASSERT_GT(line.size(), last);
    EXPECT_EQ(line.substr(last - 2, 2), "  ") << line;
    EXPECT_NE(line[last - 3], ' ') << line;
  }
  EXPECT_NE(line.find("1.05 3.30x"), std::string::npos) << line;
  EXPECT_NE(line.find("90.02 [89.58, 90.46]"), std::string::npos) << line;
}

std::string complaint(const std::string& text) {
  try {
    render_report(text);
  } catch (const ConfigError& error) {
    EXPECT_THROW(render_result_table(text), ConfigError);
    return error.what();
  }
  return "no error";
}

TEST(ReportInput, BadJsonIsOneClearLine) {
  for (const std::string text : {"", "{", "[1,2", "{\"schema\":1,}", "\xff\xfe", "{\"a\":1e999}"})
    EXPECT_NE(complaint(text).find("expected JSON"), std::string::npos) << text;
  EXPECT_NE(complaint("[]").find("expected an object, got array"), std::string::npos);
  EXPECT_NE(complaint(std::string(200000, '[')).find("expected JSON"), std::string::npos);
  EXPECT_NE(complaint(R"({"schema":2,"recipe":"x"})").find("'schema'"), std::string::npos);
  EXPECT_NE(complaint(R"({"schema":1})").find("'recipe'"), std::string::npos);
}

TEST(ReportInput, PathOfTheWrongFieldIsNamed) {
  const auto broken = [](const std::string& pointer, const json& value) {
    json results = sample();
    results[json::json_pointer(pointer)] = value;
    return complaint(results.dump());
  };
  EXPECT_NE(broken("/table/1/params", "many").find("'table[1].params'"), std::string::npos);
  EXPECT_NE(broken("/table/1/params", 1e19).find("'table[1].params'"), std::string::npos);
  EXPECT_NE(broken("/table", 3).find("'table': expected an array, got number"), std::string::npos);
  EXPECT_NE(broken("/importance/0/points/3", {1}).find("'importance[0].points[3]'"),
            std::string::npos);
  EXPECT_NE(broken("/alpha/parabola", {1, 2}).find("'alpha.parabola'"), std::string::npos);
  EXPECT_NE(broken("/plans/0/layers/2/name", 7).find("'plans[0].layers[2].name'"),
            std::string::npos);
  EXPECT_NE(broken("/training/lr", {1}).find("'training.lr'"), std::string::npos);
  EXPECT_NE(broken("/machine", "x").find("'machine': expected an object"), std::string::npos);
}

// Removing any field of the table either changes nothing that matters or names its path.
TEST(ReportInput, MissingFieldsAreNamed) {
  for (const char* field :
       {"method", "params", "macs", "ops_thop2021", "resolution", "predicted_ms", "measured_ms",
        "gmacs_per_s", "peak_fraction", "top1"}) {
    json results = sample();
    results["table"][2].erase(field);
    EXPECT_NE(complaint(results.dump()).find("'table[2]." + std::string(field) + "'"),
              std::string::npos)
        << field;
  }
  json results = sample();
  results["plans"][1]["steps"][3].erase("latency_ms");
  EXPECT_NE(complaint(results.dump()).find("'plans[1].steps[3].latency_ms'"), std::string::npos);
}

}  // namespace
}  // namespace hac::report
