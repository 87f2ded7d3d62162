#include "tools/report/chart_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/io/csv.h"
#include "engine/io/fields_json.h"
#include "tools/report/style.h"

namespace hac::report {
namespace {

using Json = nlohmann::ordered_json;

// A mark as a table has it.
struct MarkRow {
  std::string series;
  Mark mark;

  Fields fields() { return Fields().add("series", series).add(mark_fields()); }
  Fields mark_fields() {
    return Fields()
        .add("x", mark.x)
        .add("y", mark.y)
        .add("low", mark.low)
        .add("high", mark.high)
        .add("left", mark.left)
        .add("right", mark.right)
        .add("label", mark.label.empty() ? mark.tip : mark.label);
  }
};

Fields fields_of_bar(BarRow& row) {
  return Fields()
      .add("name", row.name)
      .add("before", row.before)
      .add("after", row.after)
      .add("tip", row.tip);
}

}  // namespace

std::string chart_csv(const Chart& chart) {
  std::vector<MarkRow> marks;
  for (const Series& series : chart.series) {
    for (const Mark& mark : series.marks) marks.push_back({series.name, mark});
  }
  std::vector<Fields> rows;
  for (const MarkRow& mark : marks) rows.push_back(fields_of(mark));
  return rows.empty() ? "series,x,y,low,high,left,right,label\n" : csv_of(rows);
}

std::string chart_csv(const BarChart& chart) {
  std::vector<BarRow> bars = chart.rows;
  std::vector<Fields> rows;
  for (BarRow& bar : bars) rows.push_back(fields_of_bar(bar));
  return rows.empty() ? "name,before,after,tip\n" : csv_of(rows);
}

std::string chart_json(const Chart& chart) {
  Json j{{"title", chart.title}, {"x", chart.x.label}, {"y", chart.y.label}};
  j["series"] = Json::array();
  for (const Series& series : chart.series) {
    Json marks = Json::array();
    for (const Mark& mark : series.marks) {
      MarkRow row{series.name, mark};
      marks.push_back(to_json(row.mark_fields()));
    }
    j["series"].push_back({{"name", series.name}, {"marks", marks}});
  }
  j["guides"] = Json::array();
  for (const Guide& guide : chart.guides) {
    j["guides"].push_back(
        {{"name", guide.name}, {"x", guide.x}, {"y", guide.y}, {"diagonal", guide.diagonal}});
  }
  j["bands"] = Json::array();
  for (const Band& band : chart.bands) {
    j["bands"].push_back({{"name", band.name}, {"low", band.low}, {"high", band.high}});
  }
  return j.dump(1) + "\n";
}

std::string chart_json(const BarChart& chart) {
  Json j{{"title", chart.title}, {"x", chart.axis_label}, {"rows", Json::array()}};
  std::vector<BarRow> bars = chart.rows;
  for (BarRow& bar : bars) j["rows"].push_back(to_json(fields_of_bar(bar)));
  return j.dump(1) + "\n";
}

std::string standalone_svg(const std::string& svg) {
  // The page's style sheet names its svg and what lies in it; the rest of it meets nothing here.
  const std::size_t inside = svg.find('>') + 1;
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
         fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\"{}\n<style><![CDATA[{}"
             "svg{{background:var(--page);font-family:system-ui,sans-serif}}]]></style>\n",
             svg.substr(4, inside - 4), page_style) +
         svg.substr(inside);
}

}  // namespace hac::report
