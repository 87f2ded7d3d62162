#include "scaling/paper/table1.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/embedded.h"
#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "models/zoo/zoo.h"

namespace hac {

std::span<const EmbeddedFile> paper_files();  // scaling/CMakeLists.txt

std::string Table1Row::name() const {
  if (constraint == Constraint::baseline) return baseline + " " + method;
  return fmt::format("{} {} {}", baseline, to_string(constraint), method);
}

const Table1& table1() {
  static const Table1 table = [] {
    Table1 read;
    const EmbeddedFile& file = paper_files().front();
    // The counts and networks that the tests expect.
    read_json(parse_json(file.text, file.name), read.fields(), file.name, "",
              {.others = {"counts", "witnesses"}});
    return read;
  }();
  return table;
}

const Table1Row& table1_row(const std::string& baseline, Constraint constraint,
                            const std::string& method) {
  for (const Table1Row& row : table1().rows) {
    if (row.baseline == baseline && row.constraint == constraint && row.method == method) {
      return row;
    }
  }
  throw ConfigError(fmt::format("Table I: expected one of its rows, got '{} {} {}'", baseline,
                                to_string(constraint), method));
}

const Table1Row& baseline_of(const Table1Row& row) {
  return table1_row(row.baseline, Constraint::baseline, to_string(Constraint::baseline));
}

Architecture network_of(const Table1Row& row) {
  if (!row.rebuilt()) {
    throw ConfigError(fmt::format(
        "Table I, {}: expected a row whose network is known, got one whose widths and resolution "
        "are not published",
        row.name()));
  }
  const Architecture deep = with_blocks(zoo(row.baseline), row.blocks);
  return with_resolution(with_widths(deep, row.widths), row.resolution);
}

Fields RowCheck::fields() {
  Fields all = Fields().add("match", match);
  if (match != Match::constraint) {
    Fields counted = Fields().add("params", counts.params);
    for (const CountingRule& rule : counting_rules) counted.add(rule.key, counts.*rule.value);
    all.add("counts", counted.add("activations", counts.activations))
        .add("params_off", params_off)
        .add("ops_off", ops_off);
  }
  return all.add("energy_mj", energy_mj).add("energy_ratio", energy_ratio);
}

bool agrees(double printed, double value) {
  const auto hundredths = [](double x) { return std::lround(x * 100); };
  // What is printed exactly must not be cut below itself by its own rounding error.
  const auto cut = static_cast<long>(std::floor(value * 100 + 1e-7));
  return hundredths(printed) == hundredths(value) || hundredths(printed) == cut;
}

RowCheck check(const Table1Row& row) {
  const PrintedFigures& base = baseline_of(row).printed;
  RowCheck result{.energy_mj = row.printed.power * row.printed.latency};
  result.energy_ratio = result.energy_mj / (base.power * base.latency);
  if (!row.rebuilt()) return result;
  result.counts = count(network_of(row));
  const double params = static_cast<double>(result.counts.params) * 1e-6;
  const double ops = static_cast<double>(result.counts.ops_thop2021) * 1e-6;
  result.params_off = params / row.printed.params - 1;
  result.ops_off = ops / row.printed.ops - 1;
  const bool same_params = agrees(row.printed.params, params);
  if (same_params && agrees(row.printed.ops, ops)) {
    result.match = Match::exact;
  } else if (same_params &&
             agrees(row.printed.ops, static_cast<double>(result.counts.macs) * 1e-6)) {
    result.match = Match::exact_macs;
  } else {
    const double off = std::max(std::abs(result.params_off), std::abs(result.ops_off));
    result.match = off <= 2e-3 ? Match::close : Match::differs;
  }
  return result;
}

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
