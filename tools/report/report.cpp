#include "tools/report/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/io/file.h"
#include "engine/io/text.h"
#include "tools/report/evaluation.h"
#include "tools/report/explanation.h"
#include "tools/report/figures.h"
#include "tools/report/findings.h"
#include "tools/report/html.h"
#include "tools/report/text.h"

namespace hac {
namespace {

using namespace report;
using Cells = std::vector<std::string>;

// "1.30 M 1.05x": the value and its factor of the baseline.
std::string with_factor(const std::string& text, double value, double base) {
  return known(value / base) ? text + " " + format_factor(value / base) : text;
}

// Those that only some runs have.
struct Columns {
  bool energy, search, modelled;
};

Cells table_cells(const TableRow& row, const TableRow& base, const Columns& columns) {
  std::string top1 = known(row.top1.mean) ? fmt::format("{:.2f}", 100 * row.top1.mean) : "-";
  if (known(row.top1.low) && known(row.top1.high))
    top1 += fmt::format(" [{:.2f}, {:.2f}]", 100 * row.top1.low, 100 * row.top1.high);
  const double median = row.measured.ms.median;
  // A line break in a name would break the table.
  std::string method = row.method;
  std::replace_if(
      method.begin(), method.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  Cells cells{method,
              with_factor(format_count(row.params), row.params, base.params),
              with_factor(format_count(row.macs), row.macs, base.macs),
              format_whole(row.resolution),
              format_number(row.predicted_ms),
              with_factor(format_number(median), median, base.measured.ms.median) +
                  (row.measured.ms.steady() ? "" : " unsteady"),
              row.saves_multiplications() ? fmt::format("{} ({})", format_number(row.gmacs_per_s),
                                                        format_number(row.multiplied_gmacs_per_s))
                                          : format_number(row.gmacs_per_s),
              known(row.peak_fraction) ? fmt::format("{:.1f}", 100 * row.peak_fraction) : "-",
              top1,
              or_dash(row.limit)};
  if (columns.energy) {
    const double mj = millijoules(row);
    cells.insert(cells.end() - 2, with_factor(format_number(mj), mj, millijoules(base)));
  }
  if (columns.search) cells.insert(cells.end() - 1, search_text(row));
  return cells;
}

Cells header(const Columns& columns) {
  Cells cells{"method", "params", "MACs",   "px",      "pred ms",
              "",       "GMAC/s", "peak %", "top-1 %", "stopped by"};
  cells[5] = columns.modelled ? "model ms" : "meas ms";
  if (columns.energy) cells.insert(cells.end() - 2, "mJ");
  if (columns.search) cells.insert(cells.end() - 1, "search");
  return cells;
}

// What methods say of themselves.
std::string notes_text(const std::vector<const TableRow*>& rows) {
  std::string text;
  for (const TableRow* row : rows)
    if (!row->note.empty()) text += one_line(row->method + ": " + row->note) + "\n";
  return text;
}

std::string aligned(const std::vector<Cells>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const Cells& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], text_columns(row[i]));
  std::string text;
  for (const Cells& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - text_columns(row[i]), ' ');
      const bool last = i + 1 == row.size();
      // Words to the left, numbers to the right.
      text += i == 0 ? row[i] + space : last ? "  " + row[i] : "  " + space + row[i];
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string render_report(const Results& results, const std::string& results_json) {
  return render_page(results, make_figures(results), results_json);
}

std::string write_report(const std::string& folder, const Results& results,
                         const std::string& results_json) {
  const std::vector<Figure> figures = make_figures(results);
  write_data(folder, figures);
  write_data(folder, evaluation_figures(results.evaluations));
  if (results.explanation) write_data(folder, explanation_figures(*results.explanation));
  write_file_atomically(folder + "/index.html", render_page(results, figures, results_json));
  return folder + "/index.html";
}

std::string render_result_table(const Results& results) {
  const TableRow* base = find_baseline(results);
  if (!base) return "This run has no result table.\n";
  const Columns columns{.energy = any_energy(results),
                        .search = any_search(results),
                        .modelled = !results.modelled.empty()};
  const std::vector<const TableRow*> ordered = ordered_rows(results);
  std::vector<Cells> cells{header(columns)};
  for (const TableRow* row : ordered) cells.push_back(table_cells(*row, *base, columns));
  std::string text = aligned(cells) + "order: the baseline, then by top-1\n" + notes_text(ordered);
  if (columns.modelled) text += "latency: " + modelled_text(results) + "\n";
  if (columns.search) text += "search: trainings that the method asked for, and their CPU time\n";
  const auto kinds = intervals_text(results);
  const bool saved = std::any_of(results.table.begin(), results.table.end(),
                                 [](const TableRow& row) { return row.saves_multiplications(); });
  if (saved) text += "GMAC/s: of the network (really multiplied, which the peak bounds)\n";
  if (!results.table_accuracy.empty()) text += "accuracy: " + results.table_accuracy + "\n";
  if (!kinds.empty()) text += "top-1: mean [" + kinds + "]\n";
  const auto latency = [](const TableRow& row) { return row.measured.ms.median; };
  return text + accuracy_finding(results, latency, "latency") + "\n";
}

}  // namespace hac
