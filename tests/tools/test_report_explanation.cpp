// The page of hacscale explain: well formed, a figure a device, what is modelled says so, drawings
// tidy.

#include "models/zoo/zoo.h"
#include "scaling/latency/device_model.h"
#include "tests/support/report_checks.h"
#include "tools/report/explanation.h"

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

}  // namespace
}  // namespace hac::report
