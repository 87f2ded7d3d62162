#include "scaling/paper/slips.h"

#include <fmt/format.h>

#include <cmath>

namespace hac {
namespace {

constexpr double half_digit = 0.005;  // by which a figure with two decimals may be off

// A figure that follows from two others, a / b, or a - b.
struct Derived {
  const char* figure;
  double printed, computed;
  double slack;  // what the rounding of the two others may add to it
  const char* note;
};

Derived quotient(const char* figure, double printed, double a, double b, const char* note) {
  const double q = a / b;
  return {figure, printed, q, q * half_digit * (1 / a + 1 / b), note};
}

std::vector<Derived> derived(const PrintedFigures& p, const PrintedFigures& base) {
  return {quotient("utilization", p.utilization, p.ops, p.latency, "ops / latency"),
          quotient("utilization_ratio", p.utilization_ratio, p.utilization, base.utilization,
                   "to the baseline's utilization"),
          quotient("efficiency", p.efficiency, p.utilization, p.power, "utilization / power"),
          quotient("efficiency_ratio", p.efficiency_ratio, p.efficiency, base.efficiency,
                   "to the baseline's efficiency"),
          {"gain", p.gain, p.top1 - base.top1, 0, "top1 - the baseline's"}};
}

void check_derived(const Table1Row& row, std::vector<Slip>& found) {
  for (const Derived& d : derived(row.printed, baseline_of(row).printed)) {
    const double above = d.computed - d.printed, slack = d.slack + 1e-9;
    if (std::abs(above) <= half_digit + slack) continue;
    found.push_back({.row = row.name(),
                     .figure = d.figure,
                     .printed = d.printed,
                     .computed = d.computed,
                     .cut = above > 0 && above < 2 * half_digit + slack,
                     .note = d.note});
  }
}

void check_counts(const Table1Row& row, std::vector<Slip>& found) {
  const RowCheck c = check(row);
  if (c.match != Match::differs) return;
  const auto add = [&](const char* figure, double printed, double off) {
    if (std::abs(off) < 0.01) return;
    std::string note = "of the rebuilt network";
    if (row.constraint == Constraint::baseline) {
      note += fmt::format("; ratios to this row are {:.1f} % high", 100 * off);
    }
    found.push_back({.row = row.name(),
                     .figure = figure,
                     .printed = printed,
                     .computed = printed * (1 + off),
                     .note = note});
  };
  add("params", row.printed.params, c.params_off);
  add("ops", row.printed.ops, c.ops_off);
}

double figure_of(const Table1Row& row, const std::string& figure) {
  return figure == "params" ? row.printed.params : row.printed.latency;
}

double percent_more(double value, double than) { return 100 * (value / than - 1); }

void check_quoted(const QuotedIncrease& quoted, std::vector<Slip>& found) {
  const Table1Row& row = table1_row(quoted.baseline, quoted.constraint, quoted.method);
  const Table1Row& base = baseline_of(row);
  const double computed =
      percent_more(figure_of(row, quoted.figure), figure_of(base, quoted.figure));
  const std::string digits = fmt::format("{}", quoted.percent);
  const std::size_t dot = digits.find('.');
  const auto decimals = dot == std::string::npos ? 0 : static_cast<int>(digits.size() - dot) - 1;
  Slip slip{
      .row = row.name(), .figure = quoted.figure, .printed = quoted.percent, .computed = computed};
  const double digit = std::pow(10, -decimals), above = computed - quoted.percent;
  if (std::abs(above) > digit / 2) {
    slip.cut = above > 0 && above < digit;
    slip.note = "% more than the baseline, from the printed figures";
    if (quoted.figure == "params") {
      const double exact = static_cast<double>(check(base).counts.params) * 1e-6;
      slip.note +=
          fmt::format("; {:.1f} % from its exact count", percent_more(row.printed.params, exact));
    }
    found.push_back(slip);
  }
  if (quoted.against && *quoted.against != quoted.constraint) {
    const Table1Row& fair = table1_row(quoted.baseline, *quoted.against, quoted.method);
    slip.note = fmt::format(
        "% more, {} under the {} constraint, is compared with HACScale's under the {} one; there "
        "{} has {:.1f} % more and gains {:.2f}",
        quoted.method, to_string(quoted.constraint), to_string(*quoted.against), quoted.method,
        percent_more(figure_of(fair, quoted.figure), figure_of(base, quoted.figure)),
        fair.printed.gain);
    found.push_back(slip);
  }
}

}  // namespace

std::vector<Slip> slips() {
  std::vector<Slip> found;
  for (const Table1Row& row : table1().rows) {
    check_counts(row, found);
    check_derived(row, found);
  }
  for (const QuotedIncrease& quoted : table1().quoted) check_quoted(quoted, found);
  return found;
}

}  // namespace hac
