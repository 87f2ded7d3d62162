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

}  // namespace hac
