// The page of hacscale explain: well formed, a figure a device, what is modelled says so, drawings
// tidy.

#include "engine/io/file.h"
#include "models/zoo/zoo.h"
#include "scaling/latency/device_model.h"
#include "tests/support/report_checks.h"
#include "tests/support/temp_folder.h"
#include "tools/report/explanation.h"
#include "tools/report/report.h"

namespace hac::report {
namespace {

Explanation two_devices() {
  const std::vector<LatencyModelPtr> models{device_model("xavier"), device_model("h100")};
  Explanation e = explain(zoo("preact_resnet18"), models);
  e.network = "<b>net & co</b>";
  return e;
}

TEST(ReportExplanation, IsAPageWithAFigureADevice) {
  const std::string html = render_explanation_page(two_devices());
  expect_well_formed(html);
  EXPECT_CONTAINS(html, "&lt;b&gt;net &amp; co&lt;/b&gt;", "not measured", "half the width",
                  "bound by launch");
  EXPECT_EQ(count(html, "<figure "), 2u);
  EXPECT_EQ(svgs_of(html).size(), 4u);
  for (const std::string& svg : svgs_of(html)) expect_tidy(svg);
  // The row of the table, the title of the figure, those of its drawings and more.
  EXPECT_GE(count(html, "Jetson AGX Xavier (modelled)"), 4u);
  EXPECT_LACKS(html, "nan", "inf%", "<script");
}

TEST(ReportExplanation, OfAMeasuredDeviceSaysItsErrorAndNoBound) {
  Explanation e = two_devices();
  e.devices.resize(1);
  e.devices[0].modelled = false;
  e.devices[0].device = "some cpu";
  e.devices[0].error = 0.0312;
  e.devices[0].parts = {};
  for (LayerTime& layer : e.devices[0].layers) layer.bound = "";
  const std::string html = render_explanation(e);
  EXPECT_CONTAINS(html, "off by 3.12", "predicted latency, factor");
  EXPECT_LACKS(html, "bound by", "modelled latency, factor");
}

TEST(ReportExplanation, IsASectionOfTheReportWithItsData) {
  Results results{.recipe = "r", .explanation = two_devices()};
  const std::string json = to_json(results);
  const Results read = results_from_json(json);
  EXPECT_EQ(to_json(read), json);
  const TempFolder folder;
  write_report(folder.file("report"), read, json);
  const std::string html = read_file(folder.file("report/index.html"));
  expect_well_formed(html);
  EXPECT_CONTAINS(html, render_explanation(two_devices()));
  EXPECT_CONTAINS(read_file(folder.file("report/data/explanation-0-growth.csv")), "uniform-width");
  EXPECT_CONTAINS(read_file(folder.file("report/data/explanation-1-layers.csv")), "layer1.0.conv1");

  results.explanation->devices.clear();
  expect_well_formed(render_report(results, to_json(results)));
}

}  // namespace
}  // namespace hac::report
