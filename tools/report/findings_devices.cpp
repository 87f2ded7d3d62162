// What the table shows of the device: its latencies, measured or modelled, utilization and energy.

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/findings.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

constexpr const char* modelled_mark = " (modelled)";

std::string without_mark(std::string device) {
  const std::size_t at = device.find(modelled_mark);
  return at == std::string::npos ? device : device.erase(at, std::string(modelled_mark).size());
}

// "highest in a (1.23), lowest in b (0.50)"
std::string range_text(const Results& r, double (*value)(const TableRow&)) {
  const TableRow *least = nullptr, *most = nullptr;
  for (const TableRow& row : r.table) {
    if (!known(value(row))) continue;
    if (!least || value(row) < value(*least)) least = &row;
    if (!most || value(row) > value(*most)) most = &row;
  }
  if (!most) return "";
  if (least == most) return fmt::format("{} in {}", format_number(value(*most)), most->method);
  return fmt::format("highest in {} ({}), lowest in {} ({})", most->method,
                     format_number(value(*most)), least->method, format_number(value(*least)));
}

}  // namespace

std::vector<const TableRow*> ordered_rows(const Results& results) {
  const TableRow* baseline = find_baseline(results);
  std::vector<const TableRow*> rows;
  for (const TableRow& row : results.table) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [&](const TableRow* a, const TableRow* b) {
    if (a == baseline || b == baseline) return a == baseline && b != baseline;
    if (!known(a->top1.mean) || !known(b->top1.mean)) {
      return known(a->top1.mean) && !known(b->top1.mean);
    }
    return a->top1.mean > b->top1.mean;
  });
  return rows;
}

bool infeasible(const TableRow& row) { return row.limit == to_string(StopReason::infeasible); }

double millijoules(const TableRow& row) {
  return row.energy ? 1e3 * row.energy->raw.mean : unknown;
}

double gmacs_per_joule(const TableRow& row) {
  return row.energy ? row.macs / 1e9 / row.energy->raw.mean : unknown;
}

bool any_energy(const Results& results) {
  return std::any_of(results.table.begin(), results.table.end(),
                     [](const TableRow& row) { return row.energy.has_value(); });
}

std::string search_text(const TableRow& row) {
  if (!row.search || row.search->trainings == 0) return "-";
  const double s = row.search->cpu_seconds;
  return fmt::format("{}, {}", row.search->trainings,
                     s < 120    ? format_number(s) + " s"
                     : s < 7200 ? format_number(s / 60) + " min"
                                : format_number(s / 3600) + " h");
}

bool any_search(const Results& results) {
  return std::any_of(results.table.begin(), results.table.end(),
                     [](const TableRow& row) { return row.search && row.search->trainings > 0; });
}

std::string modelled_text(const Results& results) {
  return results.modelled.empty() ? "" : "modelled: " + without_mark(results.modelled);
}

std::string modelled_device(const std::string& source) {
  return source.substr(0, source.find(modelled_mark));
}

std::string latency_label(const Results& results) {
  return results.modelled.empty() ? "measured latency, batch 1 (ms)"
                                  : "latency (ms), modelled: " + modelled_device(results.modelled);
}

std::string device_finding(const Results& r) {
  const std::string of = r.modelled.empty() ? "" : ", " + modelled_text(r);
  std::string text = fmt::format("Utilization{} (GMAC/s): {}.", of,
                                 range_text(r, [](auto& row) { return row.gmacs_per_s; }));
  if (any_energy(r)) {
    return text + fmt::format(" Efficiency (GMAC/J): {}. Energy per image (mJ): {}.",
                              range_text(r, gmacs_per_joule), range_text(r, millijoules));
  }
  const std::string reason = !r.energy_reason.empty() ? r.energy_reason
                             : !r.modelled.empty()    ? "a modelled device has no meter"
                                                      : "no meter was asked";
  return text +
         fmt::format(" Energy efficiency and energy per image were not measured: {}.", reason);
}

}  // namespace hac::report
