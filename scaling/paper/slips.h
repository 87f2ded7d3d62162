#pragma once
// Where the printed figures of Table I contradict each other or our counts, found by computing each
// from the others: utilization = ops / latency, efficiency = utilization / power, ratios and gains
// to the baseline's row, increases that the text states.

#include "scaling/paper/table1.h"

namespace hac {

struct Slip {
  std::string row;     // Table1Row::name
  std::string figure;  // of PrintedFigures
  double printed = 0, computed = 0;
  bool cut = false;  // no slip: the last digit was cut where the others are rounded
  std::string note;  // what it was computed from

  Fields fields() {
    return Fields()
        .add("row", row)
        .add("figure", figure)
        .add("printed", printed)
        .add("computed", computed)
        .add("cut", cut)
        .add("note", note);
  }
};

// In the table's order; those of the text last.
std::vector<Slip> slips();

}  // namespace hac
