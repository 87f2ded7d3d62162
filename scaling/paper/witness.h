#pragma once
// What can be said of HACScale's own rows, whose widths and resolution are not published: their two
// printed counts are a constraint, and networks that meet it exist at these resolutions.
//
// Widths are the baseline's + 10 k, k >= 0, as Algorithm 1 with its stride of 10 makes them; those
// of a residual stream are equal, and R is at least the baseline's. The counts are quadratic in k,
// so (n + 1)(n + 2) / 2 counted networks give them exactly; then steepest descent from random
// starts of a fixed seed.

#include <optional>

#include "engine/io/named_fields.h"
#include "models/arch/architecture.h"
#include "scaling/paper/table1.h"

namespace hac {

// At this resolution, with params and THOP 2021 operations (in M) that agree with the printed
// digits; none where the search finds none, which proves nothing.
std::optional<Architecture> find_witness(const Architecture& baseline, std::int64_t resolution,
                                         double params, double ops);

struct Witness {
  std::string row;                       // Table1Row::name
  std::int64_t lowest = 0, highest = 0;  // resolutions at which one was found
  // One of them, about half-way between.
  std::int64_t resolution = 0;
  std::vector<std::int64_t> widths;
  std::int64_t params = 0, ops_thop2021 = 0;

  Fields fields() {
    return Fields()
        .add("row", row)
        .add("lowest_resolution", lowest)
        .add("highest_resolution", highest)
        .add(HAC_FIELDS(resolution, widths, params, ops_thop2021));
  }
};
// Of a row that cannot be rebuilt. Throws ConfigError where no resolution has one.
Witness witness_of(const Table1Row& row);

}  // namespace hac
