#include "tools/report/html.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/claims.h"
#include "tools/report/evaluation.h"
#include "tools/report/explanation.h"
#include "tools/report/findings.h"
#include "tools/report/style.h"
#include "tools/report/text.h"

namespace hac::report {

std::string prose(const std::string& text) {
  std::string html = escape(text);
  for (std::size_t i = html.find(" %"); i != std::string::npos; i = html.find(" %", i))
    html.replace(i, 1, "&nbsp;");
  return html;
}

namespace {

std::string render_panel(const Panel& panel) {
  std::string html = "<div>" + panel.above + drawing_of(panel) + panel.below;
  if (!panel.file.empty()) {
    html += fmt::format(
        "<p class=\"data\">data: <a href=\"data/{0}.csv\">CSV</a> <a "
        "href=\"data/{0}.json\">JSON</a>{1}</p>",
        panel.file,
        is_drawing(panel) ? fmt::format(" picture: <a href=\"data/{}.svg\">SVG</a>", panel.file)
                          : "");
  }
  return html + "</div>\n";
}

}  // namespace

std::string render_figure(const Figure& figure) {
  std::string html = fmt::format("<figure id=\"{}\"{}>\n<h3>{}</h3>\n", figure.id,
                                 figure.wide ? " class=\"wide\"" : "", escape(figure.title));
  if (!figure.panels.empty()) {
    html += figure.small_panels ? "<div class=\"panels small\">\n" : "<div class=\"panels\">\n";
    for (const Panel& panel : figure.panels) html += render_panel(panel);
    html += "</div>\n";
  }
  html += "<figcaption>";
  if (!figure.see.empty()) html += prose(figure.see) + "<br>\n";
  return html + fmt::format("<b>{}</b></figcaption>\n</figure>\n", prose(figure.finding));
}

std::string render_frame(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>HACScale: {}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n{}</main>\n"
      "</body>\n</html>\n",
      escape(title), page_style, body);
}

namespace {

// A value with its factor of the baseline below it.
std::string with_factor(const std::string& text, double value, double base) {
  const double factor = value / base;
  if (!known(factor)) return text;
  std::string times = format_factor(factor);
  times.replace(times.size() - 1, 1, "×");
  return fmt::format("{}<small>{}</small>", text, times);
}

std::string count_cell(double value, double base) {
  return with_factor(format_count(value), value, base);
}

std::string number_cell(double value, double base) {
  return with_factor(format_number(value), value, base);
}

std::string latency_cell(const MeasuredLatency& measured, const MeasuredLatency& baseline) {
  const LatencyStats &ms = measured.ms, &base = baseline.ms;
  auto html = number_cell(ms.median, base.median);
  if (known(ms.mean) || known(ms.p95))
    html += fmt::format("<small>mean {}</small><small>p95 {}</small>", format_number(ms.mean),
                        format_number(ms.p95));
  if (measured.modelled) html += "<small>modelled</small>";
  if (!ms.steady())
    html += fmt::format("<small>unsteady: {} of {} runs disturbed</small>", ms.disturbed, ms.runs);
  return html;
}

std::string rate_cell(const TableRow& row, const TableRow& base) {
  auto html = number_cell(row.gmacs_per_s, base.gmacs_per_s);
  if (row.saves_multiplications())
    html += fmt::format("<small>{} multiplied</small>", format_number(row.multiplied_gmacs_per_s));
  return html;
}

std::string accuracy_cell(const Accuracy& top1) {
  auto html = known(top1.mean) ? fmt::format("{:.2f}", 100 * top1.mean) : std::string("-");
  if (known(top1.low) && known(top1.high))
    html += fmt::format("<small>{:.2f} to {:.2f}</small>", 100 * top1.low, 100 * top1.high);
  return html;
}

std::string energy_cell(const TableRow& row, const TableRow& base) {
  if (!row.energy) return "-";
  return number_cell(millijoules(row), millijoules(base)) +
         fmt::format("<small>{} above idle</small>", format_number(1e3 * row.energy->net.mean));
}

std::string limit_cell(const TableRow& row) {
  const std::string limit = escape(or_dash(row.limit));
  return infeasible(row) ? "<b>" + limit + "</b><small>not within the budget</small>" : limit;
}

bool any_memory(const Results& results) {
  return std::any_of(results.table.begin(), results.table.end(),
                     [](const TableRow& row) { return known(row.memory_bytes); });
}

// One of a row. The label is shown on a narrow screen, where each row is a card.
struct Cell {
  const char *name, *unit, *label;
  std::string html;
  const char* style = "";
};

std::vector<Cell> cells(const TableRow& r, const TableRow& base, const Results& results) {
  const bool modelled = !results.modelled.empty();
  std::vector<Cell> all = {
      {"parameters", "", "parameters", count_cell(r.params, base.params)},
      {"MACs", "", "MACs", count_cell(r.macs, base.macs)},
      {"operations", "THOP 2021", "operations (THOP 2021)", format_count(r.ops_thop2021)},
      {"input", "px", "input (px)", format_whole(r.resolution)},
      {"predicted", "ms", "predicted (ms)", number_cell(r.predicted_ms, base.predicted_ms)},
      {modelled ? "modelled" : "measured", modelled ? "ms" : "ms, median",
       modelled ? "modelled (ms)" : "measured (ms)", latency_cell(r.measured, base.measured)},
      {"GMAC/s", "", "GMAC/s", rate_cell(r, base)},
      {"of peak", "%", "of peak (%)", format_number(100 * r.peak_fraction)},
      {"top-1", "%", "top-1 (%)", accuracy_cell(r.top1)},
      {"stopped by", "", "stopped by", limit_cell(r), " class=\"word\""}};
  if (any_energy(results))
    all.insert(all.end() - 2, {"energy", "mJ", "energy (mJ)", energy_cell(r, base)});
  if (any_memory(results)) {
    all.insert(all.begin() + 3,
               {"memory", "MiB", "memory (MiB)",
                number_cell(r.memory_bytes / (1 << 20), base.memory_bytes / (1 << 20))});
  }
  if (any_search(results)) {
    all.insert(all.end() - 1, {"search", "trainings, CPU time", "search", search_text(r)});
  }
  return all;
}

template <class List>
std::string facts_section(const std::string& title, const List& facts) {
  if (facts.empty()) return "";
  std::string html = fmt::format("<section><h3>{}</h3><dl>", title);
  for (const auto& [name, value] : facts)
    html += fmt::format("<dt>{}</dt><dd>{}</dd>", escape(name), escape(format_fact(value)));
  return html + "</dl></section>\n";
}

std::string run_facts(const Results& r) {
  std::vector<std::pair<std::string, FactValue>> run{{"recipe", r.recipe}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) run.emplace_back(name, value);
  };
  add("baseline", r.baseline);
  add("seeds", format_fact(r.seeds));
  add("created", r.created);
  if (known(r.budget.latency_ms))
    add("latency budget", format_limit(format_number(r.budget.latency_ms) + " ms", r.latency_text));
  if (known(r.budget.params))
    add("parameter budget", format_limit(format_count(r.budget.params), r.params_text));
  if (known(r.budget.memory_bytes))
    add("memory budget", format_number(r.budget.memory_bytes / (1 << 20)) + " MiB");
  std::string html = "<h2>How it was made</h2>\n";
  if (!r.command.empty()) html += fmt::format("<p><code>{}</code></p>\n", escape(r.command));
  html += "<div class=\"facts\">\n" + facts_section("Run", run) +
          facts_section("Machine", r.machine) + facts_section("Data", r.dataset) +
          facts_section("Training", r.training) + facts_section("Versions", r.versions);
  for (const auto& [section, facts] : r.settings)
    html += facts_section("Settings: " + escape(section), facts);
  return html + "</div>\n";
}

// The first things a reader wants to know, in the words of the figures.
std::string headline(const std::vector<Figure>& figures) {
  std::string html = "<h2>What this run shows</h2>\n<ul>\n";
  for (const Figure& figure : figures)
    for (const char* id : {"accuracy-latency", "utilization", "widths", "steps"})
      if (figure.id == id && !figure.panels.empty())
        html += fmt::format("<li>{}</li>\n", prose(figure.finding));
  return html + "</ul>\n";
}

std::string table_legend(const Results& results, const TableRow& base) {
  std::string html = fmt::format(
      "<p class=\"soft\">The baseline first, then by top-1. × is the factor of {}. Latency at "
      "batch 1{}",
      escape(base.method),
      results.modelled.empty() ? "" : ", <b>" + escape(modelled_text(results)) + "</b>");
  const int runs = base.measured.ms.runs;
  if (runs > 0) html += fmt::format(", {} runs", runs);
  if (!results.table_accuracy.empty()) html += "; accuracy: " + escape(results.table_accuracy);
  if (base.energy)
    html += fmt::format("; energy: an inference, by {} ({})", escape(base.energy->meter),
                        escape(base.energy->covers));
  const auto kinds = intervals_text(results);
  return html + (kinds.empty() ? "" : "; top-1 range: " + prose(kinds)) + ".</p>\n";
}

// On a narrow screen each row becomes a card.
std::string result_table(const Results& results) {
  const TableRow* base = find_baseline(results);
  if (!base) return "<p>This run has no result table.</p>\n";
  std::string html =
      "<div class=\"scroll\"><table class=\"results\"><thead><tr>"
      "<th scope=\"col\">method</th>";
  for (const Cell& c : cells(*base, *base, results))
    html += fmt::format("<th scope=\"col\">{}{}</th>", c.name,
                        *c.unit ? fmt::format("<small>{}</small>", c.unit) : "");
  html += "</tr></thead>\n<tbody>\n";
  std::string notes;
  int noted = 0;
  for (const TableRow* r : ordered_rows(results)) {
    const TableRow& row = *r;
    std::string mark;
    if (!row.note.empty()) {
      mark = fmt::format("<sup>{}</sup>", ++noted);
      notes += fmt::format("<p class=\"soft\">{} {}: {}</p>\n", mark, escape(row.method),
                           prose(row.note));
    }
    html +=
        fmt::format("<tr{}><th scope=\"row\">{}{}{}</th>", infeasible(row) ? " class=\"over\"" : "",
                    escape(row.method), mark, infeasible(row) ? "<small>infeasible</small>" : "");
    for (const Cell& c : cells(row, *base, results))
      html += fmt::format("<td{} data-label=\"{}\"><span>{}</span></td>", c.style, c.label, c.html);
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n" + notes + table_legend(results, *base);
  return html;
}

}  // namespace

std::string render_page(const Results& r, const std::vector<Figure>& figures,
                        const std::string& raw_json) {
  std::string html =
      fmt::format("<h1>HACScale: {}</h1>\n<p class=\"soft\">{}{}</p>\n", escape(r.recipe),
                  r.baseline.empty() ? "" : "baseline " + escape(r.baseline),
                  r.created.empty() ? "" : " · " + escape(r.created));
  const std::string unsteady = unsteady_text(r);
  if (!unsteady.empty()) html += fmt::format("<p><b>{}</b></p>\n", prose(unsteady));
  html += headline(figures) + "<h2>Results</h2>\n" + result_table(r);
  html += claims_section(r);
  html += "<h2>Figures</h2>\n<div class=\"figures\">\n";
  for (const Figure& figure : figures) html += render_figure(figure);
  html += "</div>\n" + render_evaluations(r.evaluations, r.table.size());
  if (r.explanation) html += render_explanation(*r.explanation);
  if (!r.notes.empty()) {
    html += "<h2>Notes</h2>\n<ul>\n";
    for (const auto& note : r.notes) html += fmt::format("<li>{}</li>\n", prose(note));
    html += "</ul>\n";
  }
  html += run_facts(r);
  html += fmt::format(
      "<details class=\"raw\"><summary>results.json</summary>\n<pre>{}</pre>\n"
      "</details>\n",
      escape(raw_json));
  return render_frame(r.recipe, html);
}

}  // namespace hac::report
