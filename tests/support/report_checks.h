#pragma once
// What the report's tests check of a page: well formed, every figure there, drawings tidy.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <vector>

#include "engine/io/file.h"
#include "tests/support/messages.h"
#include "tools/report/chart.h"
#include "tools/report/findings.h"
#include "tools/report/report.h"
#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace hac::report {

inline std::string sample_text() {
  return read_file(HAC_SOURCE_DIR "/tests/golden/results_sample.json");
}
inline std::string render_report(const std::string& text) {
  return hac::render_report(results_from_json(text), text);
}
inline std::string render_result_table(const std::string& text) {
  return hac::render_result_table(results_from_json(text));
}
inline std::string unsteady_line(const std::string& text) {
  return unsteady_text(results_from_json(text));
}
inline nlohmann::json sample() { return nlohmann::json::parse(sample_text()); }

inline std::vector<std::smatch> all_matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++n;
  return n;
}

inline std::vector<std::string> svgs_of(const std::string& html) {
  std::vector<std::string> svgs;
  for (auto i = html.find("<svg "); i != std::string::npos; i = html.find("<svg ", i + 1))
    svgs.push_back(html.substr(i, html.find("</svg>", i) - i));
  return svgs;
}

// A tag without what its attributes hold, but for angle brackets: std::regex recurses by character.
inline std::string bare_tag(const std::string& tag) {
  std::string text;
  bool quoted = false;
  for (const char c : tag) {
    if (c == '"') quoted = !quoted;
    if (!quoted || c == '"' || c == '<' || c == '>') text += c;
  }
  return text;
}

// Every opening tag is closed in order; attributes are quoted; no stray angle bracket in text.
inline void expect_well_formed(const std::string& html) {
  const std::vector<std::string> empty{"meta", "br", "img"};
  std::vector<std::string> open;
  std::string body = html.substr(html.find("<html"));
  const auto style = body.find("<style>");
  if (style != std::string::npos) body.erase(style, body.find("</style>") + 8 - style);
  const std::regex tag(R"re(^<(/?)([a-z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)(/?)>$)re");
  std::size_t at = 0;
  while ((at = body.find_first_of("<>", at)) != std::string::npos) {
    ASSERT_EQ(body[at], '<') << body.substr(at > 60 ? at - 60 : 0, 120);
    const auto end = body.find('>', at);
    const std::string text = bare_tag(body.substr(at, end - at + 1));
    std::smatch match;
    ASSERT_TRUE(std::regex_match(text, match, tag)) << text;
    const std::string name = match[2];
    if (match[1].length()) {
      ASSERT_FALSE(open.empty()) << text;
      ASSERT_EQ(open.back(), name) << body.substr(at > 80 ? at - 80 : 0, 100);
      open.pop_back();
    } else if (!match[4].length() && std::ranges::find(empty, name) == empty.end()) {
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

inline std::string unescape(std::string text) {
  const std::pair<const char*, const char*> entities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, plain] : entities)
    for (auto i = text.find(entity); i != std::string::npos; i = text.find(entity, i + 1))
      text.replace(i, std::string(entity).size(), plain);
  return text;
}

// Boxes of the horizontal texts of a drawing, from the estimate of their widths.
inline std::vector<Text> texts_of(const std::string& svg) {
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

inline Box plot_of(const std::string& svg) {
  const auto m = all_matches(
      svg, std::regex(
               R"re(class="plot" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)")re"));
  EXPECT_EQ(m.size(), 1u) << svg;
  if (m.empty()) return {};
  return {std::stod(m[0][1]), std::stod(m[0][2]), std::stod(m[0][3]), std::stod(m[0][4])};
}

// Marks and error bars within the plot, texts apart from each other, legends off the plot.
inline void expect_tidy(const std::string& svg) {
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

// Without the images that are in the page itself.
inline std::string without_pictures(std::string html) {
  const std::string start = "src=\"data:image/";
  for (auto i = html.find(start); i != std::string::npos; i = html.find(start, i)) {
    html.erase(i, html.find('"', i + start.size()) + 1 - i);
  }
  return html;
}

// The page holds every figure, drawn or with its sentence, and nothing unfit for a reader.
inline void expect_good_page(const std::string& page) {
  expect_well_formed(page);
  const std::string html = without_pictures(page);
  for (const char* id :
       {"accuracy-latency", "accuracy-parameters", "utilization", "energy", "importance", "alpha",
        "latency-models", "widths", "steps", "gap", "roofline", "staircase"})
    EXPECT_EQ(count(html, "<figure id=\"" + std::string(id) + "\""), 1u) << id;
  for (const std::string& svg : svgs_of(html)) {
    expect_tidy(svg);
    EXPECT_LACKS(svg, "nan", "inf");
  }
  const std::string shown = html.substr(0, html.find("<details"));
  EXPECT_LACKS(shown, "nan");
  EXPECT_LACKS(html, "http:", "https:", "<script", "<link", "@import", "url(", "src=");
}

}  // namespace hac::report
