#pragma once
// Times that a user takes on another device: a folder with the networks to time and a table to fill
// in, and the reading of that table. Whole networks only: no tool elsewhere times layers alike.
//
//   DIR/README.md        what to do, for whoever has only the folder
//   DIR/net-000.json ... an architecture each (models/arch/architecture.h)
//   DIR/times.csv        network,ms,ms_low,ms_high  batch 1, milliseconds; the last two may be
//   empty

#include <cstddef>
#include <string>
#include <vector>

#include "scaling/latency/latency.h"

namespace hac {

// Throws IoError, and ConfigError for a folder that holds anything.
void write_network_list(const std::string& folder, const std::vector<Architecture>& nets);

struct TimesTable {
  std::vector<TimedNetwork> networks;
  std::vector<std::string> without_time;  // their cells are empty
};

// Of networks that differ from the baseline in widths, units and resolution, in this type. Throws
// IoError, and ConfigError naming the file and the line: a column that is missing or unknown, a
// network that is not in the table's folder, that is there twice or that is not scaled from the
// baseline, a time that is no number above 0, limits that do not enclose it, too few times.
inline constexpr std::size_t least_networks = 5;
TimesTable read_times(const std::string& path, const Architecture& baseline, Dtype dtype);

// Whether one becomes the other by other widths, units and resolution.
bool is_scaled_from(const Architecture& arch, const Architecture& baseline);

}  // namespace hac
