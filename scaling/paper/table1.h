#pragma once
// Table I of the HACScale paper (Kong et al., ASP-DAC 2022, 10.1109/ASP-DAC52403.2022.9712593): its
// 24 rows as printed, beside the networks that we rebuilt from them.
//
// The paper publishes no network. 20 rows follow from the named method's formula with one round
// parameter (`origin`) on NeuralScale's networks, counted as THOP counted in 2021; HACScale's own
// four rows do not: two printed figures cannot say 8 or 17 widths (scaling/paper/witness.h).

#include <optional>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "models/arch/counters.h"

namespace hac {

// As printed; two decimals each, trailing zeros left out.
struct PrintedFigures {
  double params = 0;             // M
  double ops = 0;                // M, "FLOPs"
  double latency = 0;            // ms, batch 1: Xavier for ResNet18, TX2 for VGG11
  double power = 0;              // W
  double utilization = 0;        // ops / latency, G/s
  double utilization_ratio = 0;  // to the baseline's
  double efficiency = 0;         // utilization / power, G/J
  double efficiency_ratio = 0;   // to the baseline's
  double top1 = 0;               // %
  double gain = 0;               // of top1 over the baseline's, percentage points

  Fields fields() {
    return HAC_FIELDS(params, ops, latency, power, utilization, utilization_ratio, efficiency,
                      efficiency_ratio, top1, gain);
  }
};

enum class Constraint : std::uint8_t { baseline, tight, loose };
template <>
inline constexpr std::string_view enum_names<Constraint>[] = {"baseline", "tight", "loose"};

struct Table1Row {
  std::string baseline;  // of the zoo
  Constraint constraint = Constraint::baseline;
  std::string method;
  PrintedFigures printed;
  std::string origin;  // what gives the network; "" of a row that cannot be rebuilt
  std::vector<std::int64_t> blocks, widths;
  std::int64_t resolution = 0;

  bool rebuilt() const { return !widths.empty(); }
  std::string name() const;  // "vgg11 tight NeuralScale"
  Fields fields() {
    const FieldDetails given{.omit = !rebuilt()};
    return HAC_FIELDS(baseline, constraint, method, printed)
        .add("origin", origin, given)
        .add("blocks", blocks, given)
        .add("widths", widths, given)
        .add("resolution", resolution, given);
  }
};

// An increase over the baseline that the paper's text states.
struct QuotedIncrease {
  std::string baseline;
  Constraint constraint = Constraint::tight;
  std::string method;
  std::string figure;  // of PrintedFigures
  double percent = 0;
  std::optional<Constraint> against;  // that of HACScale's row which the text compares it with

  Fields fields() {
    return HAC_FIELDS(baseline, constraint, method, figure, percent)
        .add("against", against, {.optional = true});
  }
};

struct Table1 {
  std::vector<Table1Row> rows;
  std::vector<QuotedIncrease> quoted;
  Fields fields() { return Fields().add("rows", rows).add("quoted", quoted); }
};

const Table1& table1();
// That of the row's own half of the table.
const Table1Row& baseline_of(const Table1Row& row);
const Table1Row& table1_row(const std::string& baseline, Constraint constraint,
                            const std::string& method);  // throws ConfigError

// Throws ConfigError for a row that cannot be rebuilt.
Architecture network_of(const Table1Row& row);

// Printed with two decimals, rounded or cut.
bool agrees(double printed, double value);

enum class Match : std::uint8_t {
  exact,       // both counts agree with the printed digits
  exact_macs,  // so they do with multiply-accumulates alone
  close,       // both within 0.2 %
  differs,
  constraint  // not rebuilt
};
template <>
inline constexpr std::string_view enum_names<Match>[] = {"exact", "exact (MACs)", "close",
                                                         "differs", "constraint"};

// The row's network counted, against the printed figures.
struct RowCheck {
  Match match = Match::constraint;
  Counters counts;                     // of network_of(row); zeros of a constraint
  double params_off = 0, ops_off = 0;  // ours / printed - 1
  double energy_mj = 0;                // an image, from the printed power and latency
  double energy_ratio = 0;             // to the baseline's

  Fields fields();
};
RowCheck check(const Table1Row& row);

// Where the printed figures contradict each other or our counts, found by computing each from the
// others: utilization = ops / latency, efficiency = utilization / power, ratios and gains to the
// baseline's row, increases that the text states.
struct Slip {
  std::string row;     // Table1Row::name
  std::string figure;  // of PrintedFigures
  double printed = 0, computed = 0;
  bool cut = false;  // no slip: the last digit was cut where the others are rounded
  std::string note;  // what it was computed from

  Fields fields() { return HAC_FIELDS(row, figure, printed, computed, cut, note); }
};

// In the table's order; those of the text last.
std::vector<Slip> slips();

}  // namespace hac
