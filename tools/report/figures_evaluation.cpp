#include "tools/report/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/io/csv.h"
#include "engine/io/fields_json.h"
#include "tools/report/figure_parts.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

using Json = nlohmann::ordered_json;
using Evaluations = std::span<const NetworkEvaluation>;

constexpr std::size_t most_rows = 30;  // of the table of classes

// The one that is shown, and the one that it is compared with; null where there is none.
struct Chosen {
  const NetworkEvaluation *shown = nullptr, *beside = nullptr;
};

Chosen choose(Evaluations evaluations) {
  Chosen chosen;
  for (const NetworkEvaluation& e : evaluations) {
    if (!e.whole()) continue;
    if (!chosen.beside) chosen.beside = &e;
    // Worst images are kept of the one that a run chose.
    const bool pictured = !e.details.worst.empty();
    if (!chosen.shown || pictured) chosen.shown = &e;
  }
  const bool same = chosen.beside == chosen.shown ||
                    chosen.beside->details.classes != chosen.shown->details.classes;
  if (same) chosen.beside = nullptr;
  return chosen;
}

Accuracy accuracy_of(std::int64_t correct, std::int64_t images) {
  if (images == 0) return {};
  const Interval i = interval95(static_cast<double>(correct) / static_cast<double>(images), images);
  return {.mean = i.mean, .low = i.low, .high = i.high, .interval = ""};
}

double share(std::int64_t part, std::int64_t all) {
  return all == 0 ? unknown : static_cast<double>(part) / static_cast<double>(all);
}

std::string confusion_finding(const EvalDetails& details) {
  const std::vector<ClassResult> classes = by_class(details);
  std::string text;
  for (const auto& [label, guess, images] : most_confused(details, 3)) {
    text += fmt::format("{}{} taken for {} ({:.1f} % of its {} images)", text.empty() ? "" : ", ",
                        details.classes[label], details.classes[guess],
                        100 * share(images, classes[label].images), classes[label].images);
  }
  return text.empty() ? "No image is taken for another class." : "Most often: " + text + ".";
}

Figure confusion_figure(const NetworkEvaluation& e) {
  const HeatMap map{.title = "Confusion matrix of " + name_of(e),
                    .rows = "class",
                    .columns = "taken for",
                    .names = e.details.classes,
                    .cells = e.details.confusion};
  Figure figure{.id = "confusion",
                .title = map.title,
                .panels = {{.chart = map, .name = "", .above = "", .below = ""}},
                .see =
                    "Per cent of the images of a class; the shade is the square root of the share, "
                    "so that rare mistakes are seen.",
                .finding = confusion_finding(e.details)};
  if (map.block() > 1) {
    figure.see += fmt::format(
        " Each cell is {0} by {0} classes, in the order of the set; the data have all of them.",
        map.block());
  }
  return figure;
}

Series accuracy_by_confidence(const NetworkEvaluation& e, int colour) {
  Series series{.name = name_of(e), .colour = colour};
  for (const ReliabilityBin& bin : e.details.reliability) {
    if (bin.images == 0) continue;
    const Accuracy a =
        accuracy_of(std::llround(bin.accuracy * static_cast<double>(bin.images)), bin.images);
    series.marks.push_back(
        accuracy_mark(100 * bin.confidence, a,
                      fmt::format("{}: confidence {}, {}, {} images", name_of(e),
                                  format_percent(bin.confidence), accuracy_text(a), bin.images)));
  }
  return series;
}

// Where the images are, at the middle of each bin.
Series images_by_confidence(const NetworkEvaluation& e, int colour) {
  Series series{
      .name = "its images", .colour = colour, .line = true, .markers = false, .dashed = true};
  for (std::size_t b = 0; b < e.details.reliability.size(); ++b) {
    const auto bins = static_cast<double>(e.details.reliability.size());
    series.marks.push_back({.x = 100 * (static_cast<double>(b) + 0.5) / bins,
                            .y = 100 * share(e.details.reliability[b].images, e.result.images)});
  }
  return series;
}

double mean_confidence(const EvalDetails& details) {
  double sum = 0, images = 0;
  for (const ReliabilityBin& bin : details.reliability) {
    sum += bin.confidence * static_cast<double>(bin.images);
    images += static_cast<double>(bin.images);
  }
  return sum / images;
}

std::string reliability_finding(const NetworkEvaluation& e) {
  const double confidence = mean_confidence(e.details), accuracy = e.result.top1;
  return fmt::format(
      "{}: its confidence is {:.1f} % on average and it is right in {:.1f} %: {:.1f} points too "
      "{}; "
      "expected calibration error {:.2f} %.",
      name_of(e), 100 * confidence, 100 * accuracy, 100 * std::abs(confidence - accuracy),
      confidence > accuracy ? "sure" : "unsure", 100 * e.details.ece);
}

Figure reliability_figure(const Chosen& chosen) {
  Chart chart{.title = "Accuracy against confidence",
              .x = {.label = "confidence (%)", .from_zero = true},
              .y = {.label = "right, or of all images (%)", .from_zero = true},
              .guides = {{.name = "calibrated", .diagonal = true}},
              .include_x = {0, 100},
              .include_y = {0, 100}};
  if (chosen.beside) chart.series.push_back(accuracy_by_confidence(*chosen.beside, 0));
  chart.series.push_back(accuracy_by_confidence(*chosen.shown, 1));
  chart.series.push_back(images_by_confidence(*chosen.shown, 7));
  Figure figure{
      .id = "reliability",
      .title = "How far confidence can be trusted",
      .see = fmt::format("{} bins of confidence. Below the diagonal a network is surer than it is "
                         "right. Bars: 95 % (Wilson).",
                         EvalDetails::bins),
      .finding = reliability_finding(*chosen.shown)};
  if (chosen.beside) figure.finding += " " + reliability_finding(*chosen.beside);
  add_panel(figure, chart);
  return figure;
}

// The less accurate first where not all are shown, else in the order of the set.
std::vector<std::size_t> rows_to_show(const std::vector<ClassRow>& rows) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (order.size() <= most_rows) return order;
  std::erase_if(order, [&](std::size_t c) { return rows[c].images == 0; });
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].top1 < rows[b].top1; });
  order.resize(std::min(order.size(), most_rows));
  return order;
}

std::string percent_cell(double value) {
  return known(value) ? fmt::format("{:.1f}", 100 * value) : "-";
}

std::string accuracy_cell(const ClassRow& row) {
  if (!known(row.top1)) return "<td>-</td>";
  return fmt::format("<td>{}<small>{} to {}</small></td>", percent_cell(row.top1),
                     percent_cell(row.low), percent_cell(row.high));
}

// Of two networks there is no room for the precision; the files have it.
std::string table_of_classes(const std::vector<ClassRow>& shown,
                             const std::vector<ClassRow>& beside, const Chosen& chosen) {
  const auto head = [](const std::string& name, const char* unit) {
    return fmt::format("<th scope=\"col\">{}<small>{}</small></th>", escape(name), unit);
  };
  const auto cell = [](const std::string& text, const std::string& below) {
    return fmt::format("<td>{}<small>{}</small></td>", text, below);
  };
  std::string html =
      "<div class=\"scroll\"><table class=\"classes\"><thead><tr>" + head("class", "images");
  html += chosen.beside
              ? head(chosen.beside->network, "top-1 %") + head(chosen.shown->network, "top-1 %")
              : head("top-1", "%") + head("precision", "%");
  html += head("mistaken for", "% of its images") + "</tr></thead>\n<tbody>\n";
  for (const std::size_t c : rows_to_show(shown)) {
    const ClassRow& row = shown[c];
    html +=
        fmt::format("<tr><th scope=\"row\">{}<small>{}</small></th>", escape(row.name), row.images);
    if (chosen.beside) html += accuracy_cell(beside[c]);
    html += accuracy_cell(row);
    if (!chosen.beside) html += cell(percent_cell(row.precision), "");
    html += cell(escape(or_dash(row.mistaken_for)),
                 row.mistaken > 0 ? percent_cell(row.mistaken) : "") +
            "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string classes_finding(const std::vector<ClassRow>& shown, const std::vector<ClassRow>& beside,
                            const Chosen& chosen) {
  const auto by_top1 = [](const ClassRow& a, const ClassRow& b) {
    return !known(b.top1) ? known(a.top1) : a.top1 < b.top1;
  };
  const ClassRow& least = *std::min_element(shown.begin(), shown.end(), by_top1);
  std::string text = fmt::format("{}: the least accurate class is {} ({} %, {} to {}).",
                                 chosen.shown->network, least.name, percent_cell(least.top1),
                                 percent_cell(least.low), percent_cell(least.high));
  if (!chosen.beside) return text;
  std::string above, below;
  for (std::size_t c = 0; c < shown.size(); ++c) {
    const ClassRow &a = shown[c], &b = beside[c];
    std::string& list = a.low > b.high ? above : below;
    if (!(a.low > b.high || a.high < b.low)) continue;
    list += fmt::format("{}{} ({:+.1f} points)", list.empty() ? "" : ", ", a.name,
                        100 * (a.top1 - b.top1));
  }
  const std::string& other = chosen.beside->network;
  if (above.empty() && below.empty()) {
    return text + fmt::format(" No class differs from {} beyond the intervals.", other);
  }
  if (!above.empty()) text += fmt::format(" Above {} beyond the intervals: {}.", other, above);
  if (!below.empty()) text += fmt::format(" Below it: {}.", below);
  return text;
}

template <class Row>
Listing listing_of(const std::string& title, const std::string& html,
                   const std::vector<Row>& rows) {
  std::vector<Fields> lines;
  Json list = Json::array();
  for (const Row& row : rows) {
    lines.push_back(fields_of(row));
    list.push_back(to_json(lines.back()));
  }
  return {title, html, csv_of(lines), Json{{"title", title}, {"rows", list}}.dump(1) + "\n"};
}

Figure classes_figure(const Chosen& chosen) {
  const std::vector<ClassRow> shown = class_rows(chosen.shown->details);
  std::vector<ClassRow> beside, all = shown;
  if (chosen.beside) beside = class_rows(chosen.beside->details);
  for (ClassRow& row : all) row.network = name_of(*chosen.shown);
  for (ClassRow row : beside) {
    row.network = name_of(*chosen.beside);
    all.push_back(row);
  }
  const std::string html = table_of_classes(shown, beside, chosen);
  Figure figure{.id = "classes",
                .title = "Accuracy by class",
                .panels = {{.chart = listing_of("Accuracy by class", html, all),
                            .name = "",
                            .above = "",
                            .below = ""}},
                .see = "Ranges: 95 % (Wilson) over the images of the class.",
                .finding = classes_finding(shown, beside, chosen)};
  figure.see +=
      chosen.beside
          ? fmt::format(" The mistakes are those of {}.", chosen.shown->network)
          : " Precision: of the images that were taken for a class, those that are of it.";
  if (shown.size() > most_rows) {
    figure.see += fmt::format(" The {} least accurate of {} classes; the data have all of them.",
                              most_rows, shown.size());
  }
  return figure;
}

// One of the worst, as a table has it.
struct WorstRow {
  std::string truth, guess, name;
  WorstImage image;

  Fields fields() {
    return Fields()
        .add("index", image.index)
        .add("class", truth)
        .add("taken_for", guess)
        .add("confidence", image.confidence)
        .add("loss", image.loss)
        .add("name", name);
  }
};

Figure worst_figure(const NetworkEvaluation& e) {
  std::vector<WorstRow> rows;
  std::string html = "<ul class=\"pictures\">\n";
  for (const WorstImage& image : e.details.worst) {
    const WorstRow& row = rows.emplace_back(WorstRow{.truth = e.details.classes[image.label],
                                                     .guess = e.details.classes[image.guess],
                                                     .name = image.name,
                                                     .image = image});
    const std::string where =
        image.name.empty() ? fmt::format("image {}", image.index) : image.name;
    html += "<li>";
    if (!image.picture.empty()) {
      html += fmt::format("<img src=\"{}\" alt=\"{}\">", escape(image.picture), escape(where));
    }
    html += fmt::format(
        "<b>{}</b><span>{} {:.0f}&nbsp;%</span><small>loss {:.2f}</small>"
        "<small>{}</small></li>\n",
        escape(row.truth), escape(row.guess), 100 * image.confidence, image.loss, escape(where));
  }
  html += "</ul>\n";
  const std::string title = "The worst images of " + name_of(e);
  return {
      .id = "worst",
      .title = title,
      .panels = {{.chart = listing_of(title, html, rows), .name = "", .above = "", .below = ""}},
      .see = "Bold: the class; below it what it was taken for, and with what confidence.",
      .finding = fmt::format(
          "The {} of {} test images whose class the network thinks the least likely: its "
          "mistakes, unless the labels are.",
          rows.size(), e.result.images)};
}

}  // namespace

std::vector<ClassRow> class_rows(const EvalDetails& details) {
  const std::vector<ClassResult> classes = by_class(details);
  std::vector<ClassRow> rows;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const ClassResult& r = classes[c];
    const Accuracy a = accuracy_of(r.correct, r.images);
    rows.push_back({.network = "",
                    .name = details.classes[c],
                    .images = r.images,
                    .top1 = a.mean,
                    .low = a.low,
                    .high = a.high,
                    .precision = share(r.correct, r.guesses),
                    .mistaken_for = r.mistakes == 0 ? "" : details.classes[r.mistaken_for],
                    .mistaken = share(r.mistakes, r.images)});
  }
  return rows;
}

std::string name_of(const NetworkEvaluation& e) {
  return e.seed ? fmt::format("{} (seed {})", e.network, *e.seed) : e.network;
}

std::vector<Figure> evaluation_figures(Evaluations evaluations) {
  const Chosen chosen = choose(evaluations);
  if (!chosen.shown) return {};
  std::vector<Figure> figures{confusion_figure(*chosen.shown), reliability_figure(chosen),
                              classes_figure(chosen), worst_figure(*chosen.shown)};
  for (Figure& figure : figures) name_files(figure);
  return figures;
}

}  // namespace hac::report
