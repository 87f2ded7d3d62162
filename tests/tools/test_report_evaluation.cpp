// The section of a report on classes, confidence and the worst images: the heat map read back from
// its SVG, what is said of them, and what a run without them shows.

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "engine/io/csv.h"
#include "tests/support/report_checks.h"
#include "tests/support/temp_folder.h"
#include "tools/report/evaluation.h"

namespace hac::report {
namespace {

using nlohmann::json;

// A network that is right with probability `skill` on `images` images of each class.
NetworkEvaluation evaluation(const std::string& network, std::int64_t classes, double skill,
                             unsigned seed, std::int64_t images = 100) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> share;
  NetworkEvaluation e{.network = network, .seed = seed, .result = {}, .details = {}};
  EvalDetails& d = e.details;
  d.reliability.resize(EvalDetails::bins);
  std::vector<std::int64_t> bin_right(EvalDetails::bins);
  std::int64_t right = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    d.classes.push_back("class <" + std::to_string(c) + ">");
    std::map<std::int64_t, std::int64_t> row;
    for (std::int64_t i = 0; i < images; ++i) {
      const bool hit = share(random) < skill;
      const std::int64_t guess =
          hit ? c : static_cast<std::int64_t>(share(random) * static_cast<double>(classes));
      ++row[guess];
      const std::size_t b = 4 + (i + guess) % 11;
      ++d.reliability[b].images;
      bin_right[b] += guess == c;
      right += guess == c;
    }
    for (const auto& [guess, n] : row) d.confusion.push_back({c, guess, n});
  }
  for (std::size_t b = 4; b < 15; ++b) {
    ReliabilityBin& bin = d.reliability[b];
    bin.confidence = (static_cast<double>(b) + 0.4) / 15;
    bin.accuracy = static_cast<double>(bin_right[b]) / static_cast<double>(bin.images);
  }
  const std::int64_t all = classes * images;
  e.result = {.loss = 0.5,
              .top1 = static_cast<double>(right) / static_cast<double>(all),
              .top5 = 0.99,
              .images = all};
  d.ece = 0.0123;
  d.brier = 0.25;
  return e;
}

void add_worst(NetworkEvaluation& e) {
  for (std::int64_t i = 0; i < 3; ++i) {
    e.details.worst.push_back({.index = 10 + i,
                               .label = i % std::ssize(e.details.classes),
                               .guess = (i + 1) % std::ssize(e.details.classes),
                               .confidence = 0.999,
                               .loss = 9.5,
                               .name = i == 0 ? "cat & dog/1.jpg" : "",
                               .picture = "data:image/png;base64,inf+nan="});
  }
}

Results with_evaluations(std::int64_t classes) {
  Results r = results_from_json(sample_text());
  r.evaluations = {evaluation("baseline", classes, 0.6, 1),
                   evaluation("uniform width", classes, 0.7, 2),
                   evaluation("hacscale", classes, 0.9, 3)};
  r.evaluations[1].details.confusion.clear();
  r.evaluations[1].details.classes.clear();
  add_worst(r.evaluations[2]);
  return r;
}

TEST(ReportEvaluation, APageHasItsFiguresTheirDataAndNothingOdd) {
  for (const std::int64_t classes : {2, 10, 24, 25, 40, 100}) {
    const TempFolder folder;
    const Results r = with_evaluations(classes);
    const std::string text = to_json(r);
    EXPECT_EQ(to_json(results_from_json(text)), text) << "there and back";
    const std::string html = read_file(write_report(folder.file("r"), r, text));
    expect_good_page(html);
    for (const char* id : {"confusion", "reliability", "classes", "worst"}) {
      EXPECT_EQ(count(html, "<figure id=\"" + std::string(id) + "\""), 1u) << id;
      const std::string file = folder.file("r/data/" + std::string(id));
      EXPECT_FALSE(parse_csv(read_file(file + ".csv"), id).rows.empty()) << id;
      EXPECT_TRUE(json::parse(read_file(file + ".json")).contains("title")) << id;
    }
    EXPECT_EQ(count(html, "<img "), 3u);
    EXPECT_CONTAINS(html, "cat &amp; dog/1.jpg", "class &lt;1&gt;", "uniform width (seed 2)",
                    "expected calibration error 1.23&nbsp;%", "0.2500");
    EXPECT_CONTAINS(read_file(folder.file("r/data/confusion.svg")), "<?xml");
    EXPECT_FALSE(std::filesystem::exists(folder.file("r/data/classes.svg")));
  }
}

TEST(ReportEvaluation, ARunWithoutThemSaysSo) {
  const std::string html = render_report(sample_text());
  EXPECT_CONTAINS(html, "This run has no evaluation by class", "hacscale eval");
  EXPECT_LACKS(html, "<figure id=\"confusion\"");
  EXPECT_LACKS(to_json(results_from_json(sample_text())), "evaluations");
  const Results some = with_evaluations(10);
  EXPECT_EQ(some.table.size(), 5u);
  EXPECT_CONTAINS(hac::render_report(some, "{}"), "2 of 5 networks have no evaluation by class");
}

TEST(ReportEvaluation, ResultsThatDoNotFitAreRefused) {
  json results = json::parse(to_json(with_evaluations(10)));
  results["evaluations"][2]["details"]["confusion"][0][0] = 10;
  EXPECT_ERROR(results_from_json(results.dump()), ConfigError, "'evaluations' of hacscale",
               "10 classes", "number 10");
}

// Every cell is where its class and guess are, of its shade, and named; hits have another hue.
TEST(ReportEvaluation, TheHeatMapIsTheMatrix) {
  const HeatMap map{.title = "m",
                    .rows = "class",
                    .columns = "taken for",
                    .names = {"cat", "dog", "ship"},
                    .cells = {{0, 0, 3}, {0, 1, 1}, {1, 1, 8}, {2, 0, 25}, {2, 2, 75}}};
  const std::string svg = render_heatmap(map);
  expect_tidy(svg);
  const Box plot = plot_of(svg);
  const std::regex cell(R"re(<title>([^<]*)</title><rect class="cell (\w+)" x="([\d.]+)" )re"
                        R"re(y="([\d.]+)" width="([\d.]+)"[^>]*fill-opacity="([\d.]+)")re");
  const auto cells = all_matches(svg, cell);
  ASSERT_EQ(cells.size(), map.cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto [row, column, images] = map.cells[i];
    const double side = plot.width / 3;
    EXPECT_NEAR(std::stod(cells[i][3]), plot.x + side * static_cast<double>(column), 0.11);
    EXPECT_NEAR(std::stod(cells[i][4]), plot.y + side * static_cast<double>(row), 0.11);
    EXPECT_EQ(cells[i][2], row == column ? "hit" : "miss");
  }
  EXPECT_EQ(cells[3][1], "ship: 25 of 100 taken for cat (25.00 %)");
  EXPECT_NEAR(std::stod(cells[3][6]), 0.6 * 0.5, 1e-9);
  EXPECT_NEAR(std::stod(cells[2][6]), 0.6, 1e-9);
  EXPECT_CONTAINS(svg, ">25<", ">75<", ">100<");
  EXPECT_EQ(chart_csv(map),
            "row,column,count,share\ncat,cat,3,0.75\ncat,dog,1,0.25\ndog,dog,8,1\n"
            "ship,cat,25,0.25\nship,ship,75,0.75\n");
  EXPECT_EQ(json::parse(chart_json(map))["cells"][3], json({2, 0, 25}));
}

// A thousand classes: squares of ten, a drawing of kilobytes, all of the matrix in the data.
TEST(ReportEvaluation, ManyClassesStaySmall) {
  NetworkEvaluation e = evaluation("net", 1000, 0.7, 5, 50);
  add_worst(e);
  const std::vector<Figure> figures = evaluation_figures({&e, 1});
  const auto& map = std::get<HeatMap>(figures[0].panels[0].chart);
  EXPECT_EQ(map.block(), 10);
  const std::string svg = drawing_of(figures[0].panels[0]);
  expect_tidy(svg);
  EXPECT_LT(svg.size(), 150'000u);
  EXPECT_CONTAINS(figures[0].see, "10 by 10 classes");
  EXPECT_EQ(parse_csv(chart_csv(map), "c").rows.size(), e.details.confusion.size());
  const std::string page = render_evaluation_page(e, "set");
  expect_well_formed(page);
  EXPECT_LT(page.size(), 250'000u);
  EXPECT_CONTAINS(page, "The 30 least accurate of 1000 classes");
  // Hits are the squares of the diagonal, all of them.
  std::set<std::string> diagonal;
  for (auto i = svg.find("cell hit"); i != std::string::npos; i = svg.find("cell hit", i + 1)) {
    const std::string path = svg.substr(i, svg.find("/>", i) - i);
    for (const auto& at : all_matches(path, std::regex(R"re(M(\d+) (\d+)h1v1h-1z)re"))) {
      EXPECT_EQ(at[1], at[2]);
      diagonal.insert(at[1]);
    }
  }
  EXPECT_EQ(diagonal.size(), 100u);
}

TEST(ReportEvaluation, WordsFollowTheNumbers) {
  NetworkEvaluation a = evaluation("a", 4, 0.9, 1), b = evaluation("b", 4, 0.9, 1);
  const auto set = [](NetworkEvaluation& e, std::vector<std::array<std::int64_t, 3>> cells) {
    e.details.classes = {"cat", "dog", "ship", "none"};
    e.details.confusion = std::move(cells);
  };
  set(a, {{0, 0, 50}, {0, 1, 50}, {1, 1, 90}, {1, 0, 10}, {2, 2, 80}, {2, 1, 20}});
  set(b, {{0, 0, 80}, {0, 1, 20}, {1, 1, 92}, {1, 0, 8}, {2, 2, 60}, {2, 1, 40}});
  add_worst(b);
  const std::vector<NetworkEvaluation> both{a, b};
  const std::vector<Figure> figures = evaluation_figures(both);
  EXPECT_CONTAINS(figures[0].finding, "Most often: ship taken for dog (40.0 % of its 100 images)");
  EXPECT_CONTAINS(figures[2].finding, "the least accurate class is ship (60.0 %, ",
                  "Above a beyond the intervals: cat (+30.0 points).",
                  "Below it: ship (-20.0 points).");
  EXPECT_LACKS(figures[2].finding, "dog");
  EXPECT_CONTAINS(std::get<Listing>(figures[2].panels[0].chart).html, "<td>-</td>")
      << "a class without images";
  b.details.confusion = a.details.confusion;
  const std::vector<NetworkEvaluation> same{a, b};
  EXPECT_CONTAINS(evaluation_figures(same)[2].finding, "No class differs from a");
}

}  // namespace
}  // namespace hac::report
