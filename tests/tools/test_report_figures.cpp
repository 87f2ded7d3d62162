// The figures of many methods, of modelled devices, and the data of every figure beside the page.

#include <map>
#include <random>
#include <set>

#include "engine/io/csv.h"
#include "tests/support/report_checks.h"
#include "tests/support/temp_folder.h"
#include "tools/report/figures.h"

namespace hac::report {
namespace {

using nlohmann::json;

// Methods that stand close together.
Results close_methods(std::size_t methods, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Results r{.recipe = "close", .baseline = "vgg11"};
  for (std::size_t i = 0; i < methods; ++i) {
    const double ms = 3 + 0.02 * normal(random), top1 = 0.84 + 0.004 * normal(random);
    const double half = 0.002 + 0.001 * std::fabs(normal(random));
    r.table.push_back({.method = i == 0 ? "baseline" : "method number " + std::to_string(i),
                       .params = 1e6 + 3e4 * normal(random),
                       .macs = 5e7,
                       .measured = {.ms = {.median = ms, .runs = 50}},
                       .gmacs_per_s = 0.05 / ms * 1000,
                       .top1 = {.mean = top1, .low = top1 - half, .high = top1 + half}});
  }
  return r;
}

std::vector<std::string> labels_of(const std::string& svg) {
  std::vector<std::string> labels;
  for (const Text& text : texts_of(svg))
    if (text.style == "label") labels.push_back(text.text);
  return labels;
}

TEST(ReportFigures, ManyMethodsAreNumberedAndTextsStayApart) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    const std::size_t methods = 8 + seed % 17;
    const std::string html = hac::render_report(close_methods(methods, seed), "{}");
    expect_good_page(html);
    for (const std::size_t figure : {0u, 1u}) {
      const std::string svg = svgs_of(html)[figure];
      std::vector<std::string> labels = labels_of(svg);
      EXPECT_EQ(labels.size(), methods) << "seed " << seed << ", figure " << figure;
      for (const std::string& label : labels)
        EXPECT_CONTAINS(svg, ">" + label + (label == "1" ? " baseline<" : " method number "));
    }
  }
}

TEST(ReportFigures, EveryDrawingHasItsDataBesideThePage) {
  const TempFolder folder;
  const std::string text = sample_text();
  const std::string page = write_report(folder.file("report"), results_from_json(text), text);
  const std::string html = read_file(page);
  EXPECT_EQ(html, render_report(text));
  const auto links = all_matches(html, std::regex(R"re(href="(data/[\w.-]+\.(csv|json|svg))")re"));
  EXPECT_EQ(links.size(), 3 * svgs_of(html).size());
  std::set<std::string> names;
  for (const auto& link : links) {
    const std::string data = read_file(folder.file("report/" + link[1].str()));
    names.insert(link[1]);
    if (link[2] == "csv") {
      EXPECT_FALSE(parse_csv(data, link[1]).rows.empty()) << link[1];
    } else if (link[2] == "json") {
      EXPECT_TRUE(json::parse(data).contains("title")) << link[1];
    } else {
      EXPECT_CONTAINS(data, "<?xml", "<svg xmlns=", "</svg>");
    }
  }
  EXPECT_EQ(names.size(), links.size()) << "one name twice";
  EXPECT_TRUE(names.contains("data/utilization-latency-modelled.csv"));
  EXPECT_TRUE(names.contains("data/importance-features-0.json"));
}

// The rows of a figure's file, by its first column.
std::map<std::string, std::vector<std::string>> rows_of(const std::string& file) {
  std::map<std::string, std::vector<std::string>> rows;
  for (const CsvRow& row : parse_csv(read_file(file), file).rows)
    rows.try_emplace(row.cells[0], row.cells);
  return rows;
}

TEST(ReportFigures, TheDataAreTheValuesOfTheResults) {
  const TempFolder folder;
  const Results r = results_from_json(sample_text());
  write_report(folder.file("r"), r, "{}");
  auto latency = rows_of(folder.file("r/data/accuracy-latency.csv"));
  auto bars = rows_of(folder.file("r/data/energy.csv"));
  for (const TableRow& row : r.table) {
    const auto& cells = latency.at(row.method);
    EXPECT_DOUBLE_EQ(std::stod(cells[1]), row.measured.ms.median);
    EXPECT_NEAR(std::stod(cells[2]), 100 * row.top1.mean, 1e-9);
    EXPECT_NEAR(std::stod(cells[3]), 100 * row.top1.low, 1e-9);
    EXPECT_NEAR(std::stod(cells[4]), 100 * row.top1.high, 1e-9);
    EXPECT_DOUBLE_EQ(std::stod(bars.at(row.method)[2]), row.gmacs_per_s);
  }
  const auto modelled = rows_of(folder.file("r/data/utilization-latency-modelled.csv"));
  EXPECT_DOUBLE_EQ(std::stod(modelled.at("width")[2]), r.sweeps[0].points[0].modelled_ms);
  const auto gaps = rows_of(folder.file("r/data/gap.csv"));
  for (const ReportedPlan& plan : r.plans)
    EXPECT_DOUBLE_EQ(std::stod(gaps.at(plan.name)[2]),
                     100 * plan.optimality->gain / plan.optimality->bound);
}

TEST(ReportFigures, LatencyHasItsSpread) {
  json results = sample();
  const std::string before = render_report(results.dump());
  EXPECT_LACKS(before, "90th percentile");
  for (json& row : results["table"]) {
    const double ms = row["measured_ms"]["median"];
    row["measured_ms"].update({{"p10", 0.9 * ms}, {"p90", 1.2 * ms}});
  }
  const std::string html = render_report(results.dump());
  expect_good_page(html);
  EXPECT_CONTAINS(html, "Of latency: the 10th to the 90th percentile of the runs.");
  EXPECT_EQ(count(svgs_of(html)[0], "m0 -4v8"), results["table"].size());
  EXPECT_EQ(count(svgs_of(html)[1], "m0 -4v8"), 0u) << "parameters have none";
}

TEST(ReportFigures, WhatIsModelledSaysSo) {
  Results r = results_from_json(sample_text());
  r.modelled = "Jetson TX2 (modelled), f32, eager";
  for (TableRow& row : r.table) row.measured.modelled = true;
  const std::string html = hac::render_report(r, "{}");
  expect_good_page(html);
  EXPECT_CONTAINS(html, "latency (ms), modelled: Jetson TX2", "modelled: Jetson TX2, f32, eager",
                  "modelled utilization (GMAC/s)", "data-label=\"modelled (ms)\"",
                  "a modelled device has no meter");
  EXPECT_LACKS(html, "measured latency, batch 1", "data-label=\"measured (ms)\"", "measured here");
  const std::string table = hac::render_result_table(r);
  EXPECT_CONTAINS(table, "model ms", "latency: modelled: Jetson TX2, f32, eager");
  EXPECT_LACKS(table, "meas ms");
}

TEST(ReportFigures, SweepsShowAModelBesideWhatWasMeasured) {
  const std::string html = render_report(sample_text());
  EXPECT_CONTAINS(html, "modelled: Jetson AGX Xavier", "not measured");
  json older = sample();
  older.erase("sweep_model");
  EXPECT_EQ(svgs_of(render_report(older.dump())).size(), svgs_of(html).size() - 2);
}

TEST(ReportFigures, MeasuredSweepsHaveTheirIntervals) {
  const TempFolder folder;
  Results r = results_from_json(sample_text());
  const std::string older = hac::render_report(r, "{}");
  EXPECT_LACKS(older, "95&nbsp;% of the median");
  EXPECT_EQ(count(svgs_of(older)[2], "class=\"bar "), 0u);
  for (Sweep& sweep : r.sweeps) {
    for (UtilizationPoint& p : sweep.points) p.error = 0.1;
  }
  r.sweeps[0].points[0].error = 5;  // of a latency that is not below zero
  r.other_sweeps = {{"other", r.sweeps}};
  const std::string html = read_file(write_report(folder.file("r"), r, "{}"));
  expect_good_page(html);
  EXPECT_CONTAINS(html, "95&nbsp;% of the median of the runs", "± 10.00 %");
  for (const std::size_t measured : {2u, 3u, 6u, 7u}) {
    EXPECT_EQ(count(svgs_of(html)[measured], "class=\"bar "), 12u) << measured;
  }
  for (const std::size_t modelled : {4u, 5u, 8u, 9u}) {
    EXPECT_EQ(count(svgs_of(html)[modelled], "class=\"bar "), 0u) << modelled;
  }
  const UtilizationPoint& p = r.sweeps[0].points[1];
  const std::pair<std::string, double> drawn[] = {{"latency", p.ms},
                                                  {"utilization", p.gmacs_per_s}};
  for (const auto& [file, value] : drawn) {
    const json j = json::parse(read_file(folder.file("r/data/utilization-2-" + file + ".json")));
    EXPECT_DOUBLE_EQ(j["series"][0]["marks"][1]["low"], 0.9 * value) << file;
    EXPECT_DOUBLE_EQ(j["series"][0]["marks"][1]["high"], 1.1 * value) << file;
    EXPECT_EQ(j["series"][0]["marks"][0]["low"], 0) << file;
  }
  EXPECT_EQ(rows_of(folder.file("r/data/utilization-latency-modelled.csv")).at("width")[3], "");
}

// Steps of 16, of features.4 at 20 channels; without error bars as a model has it.
SweptLayer swept(bool measured) {
  SweptLayer layer{.width = 20};
  for (const std::int64_t w : {20, 24, 32, 33, 40, 48, 49, 56, 64, 65}) {
    const double ms = 1e-3 * static_cast<double>((w + 15) / 16 * 16);
    layer.found.points.push_back({w, ms, measured ? 0.99 * ms : 0, measured ? 1.01 * ms : 0});
  }
  layer.found = find_staircase("features.4", layer.found.points);
  return layer;
}

TEST(ReportFigures, StaircaseShowsALayerAgainstItsWidth) {
  const TempFolder folder;
  json results = sample();
  EXPECT_FALSE(results.contains("staircase")) << "a file of an older version";
  EXPECT_CONTAINS(render_report(results.dump()), "This run has no times of a layer");
  Results r = results_from_json(results.dump());
  r.staircase = swept(true);
  results = json::parse(to_json(r));
  EXPECT_EQ(results_from_json(results.dump()).staircase->found, r.staircase->found);
  const std::string html =
      read_file(write_report(folder.file("r"), results_from_json(results.dump()), "{}"));
  expect_good_page(html);
  EXPECT_CONTAINS(html, "Time of features.4 against its width", "that the laws find most important",
                  "features.4: 20 -&gt; 32 costs nothing, in steps of 16 channels",
                  "data/staircase.csv", "data/staircase.json", "data/staircase.svg");
  const std::string svg = read_file(folder.file("r/data/staircase.svg"));
  EXPECT_EQ(count(svg, "class=\"mark "), 10u);
  EXPECT_EQ(count(svg, "class=\"bar "), 10u);
  EXPECT_EQ(count(svg, "class=\"guide"), 3u + 1) << "32, 48, 64 and the legend";
  EXPECT_LACKS(svg, "modelled");
  const std::string file = folder.file("r/data/staircase.csv");
  const std::vector<CsvRow> rows = parse_csv(read_file(file), file).rows;
  ASSERT_EQ(rows.size(), 10u);
  EXPECT_EQ(rows[1].cells[1], "24");
  EXPECT_EQ(rows[1].cells[2], "0.032");
  EXPECT_DOUBLE_EQ(std::stod(rows[1].cells[3]), 0.99 * 0.032);
  const json j = json::parse(read_file(folder.file("r/data/staircase.json")));
  EXPECT_EQ(j["guides"].size(), 3u);
  EXPECT_EQ(j["guides"][1]["x"], 48);
  r.importance.clear();
  EXPECT_CONTAINS(hac::render_report(r, "{}"), "with the most operations");
}

TEST(ReportFigures, LabelsKeepOffGuides) {
  const std::string svg =
      render_chart({.series = {{.marks = {{.x = 5, .y = 1, .label = "a label"}}}},
                    .guides = {{.name = "edge", .x = 5.4}},
                    .include_x = {0, 10}});
  const auto guide =
      all_matches(svg, std::regex(R"re(class="guide" d="M([\d.]+) ([\d.]+)v([\d.]+))re"));
  ASSERT_EQ(guide.size(), 1u);
  const Box line{std::stod(guide[0][1]), std::stod(guide[0][2]), 1, std::stod(guide[0][3])};
  EXPECT_EQ(labels_of(svg).size(), 1u);
  for (const Text& text : texts_of(svg)) {
    EXPECT_FALSE(text.style == "label" && text.box.overlaps(line)) << text.text;
  }
}

TEST(ReportFigures, AModelledStaircaseSaysSo) {
  const TempFolder folder;
  Results r = results_from_json(sample_text());
  r.modelled = "Jetson TX2 (modelled), f32, eager";
  r.staircase = swept(false);
  const std::string html = read_file(write_report(folder.file("r"), r, "{}"));
  expect_good_page(html);
  EXPECT_CONTAINS(html, "Time is modelled: Jetson TX2, f32, eager",
                  "features.4: 20 -&gt; 32 costs nothing (modelled)");
  for (const char* file : {"svg", "json", "csv"}) {
    const std::string data = read_file(folder.file(std::string("r/data/staircase.") + file));
    EXPECT_CONTAINS(data, "modelled");
  }
  const std::string svg = read_file(folder.file("r/data/staircase.svg"));
  EXPECT_CONTAINS(svg, "width (channels), modelled: Jetson TX2");
  EXPECT_EQ(count(svg, "class=\"bar "), 0u);
}

TEST(ReportFigures, InfeasibleMethodsNotesAndSearchesAreSeen) {
  Results r = results_from_json(sample_text());
  r.table[1].limit = "infeasible";
  r.table[1].note = "a <note>";
  const std::string html = hac::render_report(r, "{}");
  expect_good_page(html);
  EXPECT_CONTAINS(html, "<tr class=\"over\"><th scope=\"row\">uniform width<sup>", "a &lt;note&gt;",
                  "not within the budget", "18, 6.88 min", "data-label=\"memory (MiB)\"");
  EXPECT_EQ(count(svgs_of(html)[0], "class=\"mark hollow"), 1u);
  EXPECT_CONTAINS(svgs_of(html)[0], "uniform width (over budget)");
  EXPECT_CONTAINS(hac::render_result_table(r), "uniform width: a <note>", "search: trainings");
}

// 4 MAC a byte at 20 GMAC/s, of at most 110 and 30 GB/s x 4 = 120; and so on.
TEST(ReportFigures, RooflineShowsEachLayerUnderPeakAndBandwidth) {
  const TempFolder folder;
  write_report(folder.file("r"), results_from_json(sample_text()), "{}");
  const std::string file = folder.file("r/data/roofline.csv");
  const std::vector<CsvRow> rows = parse_csv(read_file(file), file).rows;
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                          [](const CsvRow& row) { return row.cells[0] == "baseline"; }),
            3)
      << "a pool does no multiplications";
  EXPECT_DOUBLE_EQ(std::stod(rows[0].cells[1]), 4);
  EXPECT_DOUBLE_EQ(std::stod(rows[0].cells[2]), 20);
  EXPECT_DOUBLE_EQ(std::stod(rows[3].cells[1]), 6);
  EXPECT_DOUBLE_EQ(std::stod(rows[3].cells[2]), 50);
  const auto& ridge = *(rows.end() - 2);
  EXPECT_EQ(ridge.cells[0], "roof");
  EXPECT_DOUBLE_EQ(std::stod(ridge.cells[1]), 110.0 / 30);
  EXPECT_DOUBLE_EQ(std::stod(ridge.cells[2]), 110);
  const std::string page = hac::render_report(results_from_json(sample_text()), "{}");
  EXPECT_CONTAINS(page, "baseline: 18.18&nbsp;% of the roof (median of 3 layers)");
}

TEST(ReportFigures, EnergyIsBarsWhereAMeterWasAndAReasonElse) {
  Results r = results_from_json(sample_text());
  r.energy_reason = "no meter: nothing under /sys";
  EXPECT_CONTAINS(hac::render_report(r, "{}"), "not measured: no meter: nothing under /sys");
  r.table[0].energy = {.meter = "RAPL", .covers = "package", .raw = {0.002, 0.001, 0.003}};
  const auto svgs = svgs_of(hac::render_report(r, "{}"));
  EXPECT_CONTAINS(svgs[7], "GMAC/J") << "efficiency";
  EXPECT_CONTAINS(svgs[7], ">4.92<") << "9.83 M MACs in 2 mJ";
  EXPECT_CONTAINS(svgs[8], ">2.00<") << "mJ an image";
}

}  // namespace
}  // namespace hac::report
