// The report: axes, escaping, figures, the honesty of the captions.

#include <cmath>
#include <random>

#include "tests/support/report_checks.h"
#include "tools/report/findings.h"
#include "tools/report/report.h"

namespace hac::report {
namespace {

using nlohmann::json;

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
  const std::vector<std::vector<double>> lists = {{3},          {3, 3, 3}, {1e-7, 40}, {unknown, 2},
                                                  {1e18, 1e18}, {0.0, 5},  {}};
  for (const bool log : {false, true})
    for (const std::vector<double>& values : lists) {
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
  EXPECT_EQ(svgs_of(html).size(), 1u + 1 + 4 + 1 + 8 + 1 + 1 + 2 + 2 + 1 + 1);
  const json results = sample();
  for (const auto& row : results["table"])
    EXPECT_CONTAINS(html, "<th scope=\"row\">" + row["method"].get<std::string>() + "<",
                    "hacscale run quick --out runs/quick");
  EXPECT_CONTAINS(html, "1, 2, 3") << "seeds";
  EXPECT_CONTAINS(html, "GMAC/s");
  EXPECT_CONTAINS(html, escape(sample_text())) << "the raw file";
  EXPECT_EQ(html, render_report(sample_text())) << "not deterministic";
}

TEST(ReportPage, ClaimsHaveTheirVerdicts) {
  EXPECT_EQ(sample_text().find("\"claims\""), std::string::npos) << "a file of an older version";
  json results = sample();
  EXPECT_EQ(render_claims(results_from_json(sample_text())), "");
  results["claims"] = {{{"id", "alpha"},
                        {"claim", "Alpha <matters>"},
                        {"place", "Eq. 4"},
                        {"verdict", "does not hold"},
                        {"figures", "+0.1 points, 5 % of it"},
                        {"effect", 0.001}}};
  const std::string text = results.dump(), html = render_report(text);
  expect_good_page(html);
  EXPECT_CONTAINS(html, "The paper's claims here", "Alpha &lt;matters&gt;", "does not hold",
                  "5&nbsp;% of it");
  EXPECT_CONTAINS(render_claims(results_from_json(text)),
                  "does not hold   Alpha <matters> (Eq. 4)\n", "                +0.1 points");
  results["claims"][0]["verdict"] = "true";
  EXPECT_ERROR(results_from_json(results.dump()), ConfigError, "claims[0].verdict", "holds");
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
  EXPECT_EQ(marks(4), 12u);  // modelled
  EXPECT_EQ(marks(5), 12u);
  EXPECT_EQ(count(svgs[6], "class=\"after\""), 5u);  // utilization of the methods
  for (std::size_t i = 7; i < 15; ++i) {             // importance
    const std::size_t held_out = count(svgs[i], "class=\"mark hollow");
    EXPECT_EQ(marks(i), 10u + held_out);
    EXPECT_GE(held_out, 3u);
  }
  EXPECT_EQ(marks(15), 5u);  // alpha
  EXPECT_EQ(count(svgs[15], "class=\"mark hollow"), 1u);
  EXPECT_EQ(count(svgs[15], "class=\"band\""), 2u) << "the band and the legend";
  EXPECT_EQ(marks(16), 12u);  // latency models
  EXPECT_EQ(count(svgs[17], "class=\"after\""), 9u) << "eight layers and the legend";
  EXPECT_EQ(marks(19), 28u + 31u);                    // steps
  EXPECT_EQ(count(svgs[21], "class=\"after\""), 2u);  // gaps
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
  const Results results = results_from_json(sample_text());
  const auto rows = ordered_rows(results);
  ASSERT_EQ(marks.size(), rows.size());
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const double ms = rows[i]->measured.ms.median;
    EXPECT_NEAR(std::stod(marks[i][1]), ticks[0].first + (ms - ticks[0].second) * per_unit, 0.3);
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
  EXPECT_CONTAINS(accuracy_finding(r, cost, "x"), "No method beats the baseline");
  r.table.push_back({.method = "hacscale", .params = 1.5, .top1 = interval(.891, .911)});
  const auto text = accuracy_finding(r, cost, "parameters");
  EXPECT_CONTAINS(text, "hacscale (+2.10 points at 1.50x the parameters)",
                  "no order can be claimed");
  r.table[2].top1 = interval(.91, .93);
  EXPECT_CONTAINS(accuracy_finding(r, cost, "x"), "hacscale is ahead of every other");
  // The second by its mean is clear of the first, a wide third is not: no claim.
  r.table.push_back({.method = "wide", .params = 1, .top1 = interval(.80, .95)});
  EXPECT_CONTAINS(accuracy_finding(r, cost, "x"), "Between hacscale and wide");
}

TEST(ReportFindings, WidthCostsWhatItAddsUnlessItDoesNot) {
  const auto with_time = [](double ms) {
    Results r;
    r.sweeps = {{"width", {{"1", 10e6, 1, 1.0, 10, true}, {"2", 40e6, 4, ms, 40 / ms, true}}}};
    return sweep_finding(r.sweeps);
  };
  EXPECT_CONTAINS(with_time(4.1), "Width costs what it adds: 4.00x");
  EXPECT_CONTAINS(with_time(4.1), "no dimension raised utilization");
  EXPECT_CONTAINS(with_time(3.9), "no dimension raised utilization") << "2.6 %";
  EXPECT_CONTAINS(with_time(5), "costs what it adds and more");
  EXPECT_CONTAINS(with_time(2), "width (+100 %) raised utilization");
  EXPECT_CONTAINS(with_time(2), "partly free");
}

// Wherever the figure is shown; older files say nothing of it.
TEST(ReportTable, UnsteadyFiguresAreMarked) {
  EXPECT_EQ(unsteady_line(sample_text()), "");
  EXPECT_LACKS(render_result_table(sample_text()), "unsteady");
  json results = sample();
  results["unsteady_figures"] = 2;
  json& measured = results["table"][1]["measured_ms"];
  measured["steady"] = false;
  measured["disturbed"] = 34;
  measured["runs"] = 50;
  const std::string text = results.dump();
  EXPECT_CONTAINS(unsteady_line(text), "disturbed 2 of the latencies");
  EXPECT_EQ(count(render_result_table(text), " unsteady"), 1u) << render_result_table(text);
  const std::string page = render_report(text);
  EXPECT_CONTAINS(page, "unsteady: 34 of 50 runs disturbed", "disturbed 2 of the latencies");
}

TEST(ReportTable, ColumnsLineUp) {
  std::istringstream text(render_result_table(sample_text()));
  std::string header, line;
  std::getline(text, header);
  const auto last = header.find("stopped by");
  std::vector<std::string> lines;
  for (int i = 0; i < 5; ++i) {
    std::getline(text, line);
    ASSERT_GT(line.size(), last);
    EXPECT_EQ(line.substr(last - 2, 2), "  ") << line;
    EXPECT_NE(line[last - 3], ' ') << line;
    lines.push_back(line);
  }
  EXPECT_TRUE(lines[0].starts_with("baseline"));
  EXPECT_TRUE(lines[1].starts_with("resolution")) << "then by top-1";
  EXPECT_CONTAINS(lines[2], "1.05 3.30x", "90.02 [89.58, 90.46]", "18, 6.88 min");
}

TEST(ReportTable, EnergyHasAColumnWhereItWasMeasured) {
  Results results = results_from_json(sample_text());
  const std::string none = hac::to_json(results);
  EXPECT_TRUE(nlohmann::json::parse(none)["table"][0]["energy"].is_null());
  EXPECT_EQ(render_report(none).find("energy (mJ)"), std::string::npos);
  EXPECT_EQ(render_result_table(none).find("mJ"), std::string::npos);
  results.table[0].energy = {.meter = "RAPL", .covers = "package", .raw = {0.002, 0.001, 0.003}};
  results.table[1].energy = {.raw = {0.003, 0.003, 0.003}, .net = {0.001, 0.001, 0.001}};
  const std::string some = hac::to_json(results);
  EXPECT_EQ(hac::to_json(results_from_json(some)), some);
  const std::string page = render_report(some), table = render_result_table(some);
  expect_well_formed(page);
  EXPECT_NE(page.find("energy: an inference, by RAPL (package)"), std::string::npos);
  EXPECT_NE(page.find("3.00<small>1.50×</small><small>1.00 above idle</small>"), std::string::npos);
  EXPECT_NE(table.find("mJ"), std::string::npos) << table;
  EXPECT_NE(table.find("3.00 1.50x"), std::string::npos) << table;
}

}  // namespace
}  // namespace hac::report
