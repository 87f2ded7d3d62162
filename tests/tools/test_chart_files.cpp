// A chart's data as tables, and its drawing as a file of its own.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/io/csv.h"
#include "tests/support/messages.h"
#include "tools/report/chart_files.h"

namespace hac::report {
namespace {

using nlohmann::json;

Chart two_series() {
  return {
      .title = "a chart",
      .x = {.label = "width"},
      .y = {.label = "ms"},
      .series =
          {{.name = "measured, here",
            .marks = {{.x = 1, .y = 0.25, .low = 0.2, .high = 0.5, .left = 0.5, .label = "first"},
                      {.x = 2, .y = 0.75, .tip = "second"}}},
           {.name = "fit", .marks = {{.x = 1}}}},
      .guides = {{.name = "block", .x = 16}}};
}

TEST(ChartFiles, EveryMarkIsARow) {
  EXPECT_EQ(chart_csv(two_series()),
            "series,x,y,low,high,left,right,label\n"
            "\"measured, here\",1,0.25,0.2,0.5,0.5,,first\n"
            "\"measured, here\",2,0.75,,,,,second\n"
            "fit,1,,,,,,\n");
  EXPECT_EQ(parse_csv(chart_csv(Chart{}), "c").columns.size(), 8u);
}

TEST(ChartFiles, JsonHasNullForWhatIsUnknown) {
  const json j = json::parse(chart_json(two_series()));
  EXPECT_EQ(j["title"], "a chart");
  EXPECT_EQ(j["x"], "width");
  EXPECT_EQ(j["series"][0]["name"], "measured, here");
  EXPECT_EQ(j["series"][0]["marks"][0]["high"], 0.5);
  EXPECT_TRUE(j["series"][0]["marks"][1]["low"].is_null());
  EXPECT_TRUE(j["series"][1]["marks"][0]["y"].is_null());
  EXPECT_EQ(j["guides"][0]["x"], 16);
  EXPECT_TRUE(j["guides"][0]["y"].is_null());
}

TEST(ChartFiles, BarsAreRowsToo) {
  const BarChart bars{.title = "widths", .rows = {{.name = "conv1", .before = 16, .after = 32}}};
  EXPECT_EQ(chart_csv(bars), "name,before,after,tip\nconv1,16,32,\n");
  EXPECT_EQ(json::parse(chart_json(bars))["rows"][0]["after"], 32);
}

TEST(ChartFiles, ADrawingStandsAlone) {
  const std::string svg = standalone_svg(render_chart(two_series()));
  EXPECT_TRUE(svg.starts_with("<?xml"));
  EXPECT_CONTAINS(svg, "xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
  EXPECT_CONTAINS(svg, "<style><![CDATA[");
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("<svg", svg.find("<svg") + 1), std::string::npos);
}

}  // namespace
}  // namespace hac::report
