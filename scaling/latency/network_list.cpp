#include "scaling/latency/network_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "engine/io/csv.h"
#include "engine/io/file.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_table_bytes = 16 << 20;
const std::vector<std::string> table_columns = {"network", "ms", "ms_low", "ms_high"};

constexpr const char* table_remarks =
    "# Milliseconds of one inference at batch 1, the median of 50 or more warm runs.\n"
    "# From the input in the device's memory to the logits there: every operation of the network\n"
    "# and what it takes to launch them, no copies from or to the host, no preprocessing.\n"
    "# ms_low and ms_high are what 80 % of the runs lie between (10th and 90th percentile), or\n"
    "# empty. A network without ms is left out.\n";

std::string readme_of(const std::vector<Architecture>& nets) {
  return fmt::format(
      R"(# Networks to time on another device

{0} networks, scaled from `{1}`: other widths, resolutions and numbers of layers. Time each of them
there, write the milliseconds into `times.csv`, then

    hacscale latency-table MODEL --from times.csv --device-name "my device" --out device.json

with the MODEL and options that this list was written for.

- A network is an architecture file: its layers in order, with PyTorch's names. Shapes are inferred:
  the input is (1, channels, resolution, resolution), a convolution reads what the layer before it
  writes. `hacscale summary net-000.json` prints every shape. Weights may be random.
- Batch 1, one precision for all networks (say which by `--dtype`), fixed clocks if the device has
  them. Warm up, then take the median of 50 or more runs.
- Count everything from the input in the device's memory to the logits there. No copies from or to
  the host, no preprocessing, no building of an engine.
- `ms_low` and `ms_high`, the 10th and 90th percentile, may stay empty. So may `ms`: such a network
  is left out. The more networks, the better; below ten expect little.
)",
      nets.size(), nets.at(0).name);
}

std::string table_of(const std::vector<std::string>& files) {
  std::string text = table_remarks + csv_line(table_columns);
  for (const std::string& file : files) {
    text += csv_line(std::vector<std::string>{file, "", "", ""});
  }
  return text;
}

// The cells of one row by name.
struct Row {
  std::string where;  // "times 'DIR/times.csv' line 7"
  std::string network;
  std::string ms, low, high;
};

std::vector<Row> rows_of(const Csv& csv, const std::string& what) {
  for (const std::string& name : csv.columns) {
    if (std::ranges::count(table_columns, name)) continue;
    throw ConfigError(fmt::format("{}: expected the columns {}, got '{}'", what,
                                  fmt::join(table_columns, ", "), one_line(name.substr(0, 60))));
  }
  const auto column = [&](const std::string& name) {
    return std::ranges::find(csv.columns, name) - csv.columns.begin();
  };
  for (const char* name : {"network", "ms"}) {
    if (column(name) < std::ssize(csv.columns)) continue;
    throw ConfigError(fmt::format("{}: expected a column '{}', got {}", what, name,
                                  fmt::join(csv.columns, ", ")));
  }
  std::vector<Row> rows;
  for (const CsvRow& row : csv.rows) {
    const auto cell = [&](const std::string& name) {
      const auto at = column(name);
      return at < std::ssize(csv.columns) ? row.cells[at] : std::string();
    };
    rows.push_back({fmt::format("{} line {}", what, row.line), cell("network"), cell("ms"),
                    cell("ms_low"), cell("ms_high")});
  }
  return rows;
}

double milliseconds(const std::string& cell, const Row& row, const char* column) {
  double ms = 0;
  const char* const end = cell.data() + cell.size();
  const auto [rest, error] = std::from_chars(cell.data(), end, ms);
  if (error == std::errc{} && rest == end && std::isfinite(ms) && ms > 0) return ms;
  throw ConfigError(fmt::format("{} '{}': expected milliseconds, a number > 0, got '{}'", row.where,
                                column, one_line(cell.substr(0, 60))));
}

Architecture network_of(const Row& row, const fs::path& folder, const Architecture& baseline) {
  const fs::path path = folder / row.network;
  if (row.network.empty() || fs::path(row.network).has_parent_path() ||
      !fs::is_regular_file(path)) {
    throw ConfigError(fmt::format("{} 'network': expected a file of '{}', got '{}'", row.where,
                                  folder.string(), one_line(row.network.substr(0, 200))));
  }
  Architecture arch;
  try {
    arch = load_architecture(path.string());
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", row.where, error.what()));
  }
  if (is_scaled_from(arch, baseline)) return arch;
  throw ConfigError(fmt::format(
      "{} 'network': expected a network scaled from '{}' ({} classes, {} channels), got '{}' in "
      "'{}' (hint: give the MODEL and options that --list was given)",
      row.where, baseline.name, baseline.classes, baseline.channels, arch.name, row.network));
}

}  // namespace

void write_network_list(const std::string& folder, const std::vector<Architecture>& nets) {
  if (fs::exists(folder) && (!fs::is_directory(folder) || !fs::is_empty(folder))) {
    throw ConfigError(fmt::format(
        "list '{}': expected a new or an empty folder, as its files would be lost", folder));
  }
  make_folder(folder);
  std::vector<std::string> files;
  for (std::size_t i = 0; i < nets.size(); ++i) {
    files.push_back(fmt::format("net-{:03}.json", i));
    save_architecture(nets[i], folder + "/" + files.back());
  }
  write_file_atomically(folder + "/README.md", readme_of(nets));
  write_file_atomically(folder + "/times.csv", table_of(files));
}

TimesTable read_times(const std::string& path, const Architecture& baseline, Dtype dtype) {
  const std::string what = fmt::format("times '{}'", path);
  const fs::path folder =
      fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  TimesTable table;
  std::set<std::string> seen;
  for (const Row& row : rows_of(parse_csv(read_file(path, max_table_bytes), what), what)) {
    if (!seen.insert(row.network).second) {
      throw ConfigError(fmt::format("{} 'network': expected each network once, got '{}' again",
                                    row.where, row.network));
    }
    TimedNetwork network{.arch = network_of(row, folder, baseline)};
    if (row.ms.empty()) {
      table.without_time.push_back(row.network);
      continue;
    }
    NetworkTiming& t = network.timing;
    t.graph = fuse(lower(network.arch, 1, dtype));
    t.total_ms = milliseconds(row.ms, row, "ms");
    t.low_ms = row.low.empty() ? 0 : milliseconds(row.low, row, "ms_low");
    t.high_ms = row.high.empty() ? 0 : milliseconds(row.high, row, "ms_high");
    if (t.low_ms > t.total_ms || (t.high_ms > 0 && t.high_ms < t.total_ms)) {
      throw ConfigError(fmt::format("{}: expected ms_low <= ms <= ms_high, got {}, {}, {}",
                                    row.where, row.low, row.ms, row.high));
    }
    table.networks.push_back(std::move(network));
  }
  if (table.networks.size() < least_networks) {
    throw ConfigError(fmt::format("{}: expected times of {} or more networks, got {}", what,
                                  least_networks, table.networks.size()));
  }
  return table;
}

bool is_scaled_from(const Architecture& arch, const Architecture& baseline) {
  try {
    Architecture same = with_widths(with_blocks(arch, blocks(baseline)), widths(baseline));
    same = with_resolution(same, baseline.resolution);
    same.name = baseline.name;
    return same == baseline;
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace hac
