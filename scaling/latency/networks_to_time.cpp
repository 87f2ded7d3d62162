#include "scaling/latency/networks_to_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "engine/io/csv.h"
#include "engine/io/file.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "kernels/core/types.h"
#include "models/arch/counters.h"
#include "models/deploy/onnx.h"
#include "scaling/importance/sampling.h"

namespace hac {

std::vector<Architecture> networks_to_time(const Architecture& baseline,
                                           const NetworksToTime& options) {
  check(fields_of(options), "networks to time");
  std::vector<std::int64_t> sizes = options.resolutions;
  if (!std::ranges::count(sizes, baseline.resolution)) {
    sizes.insert(sizes.begin(), baseline.resolution);
  }
  const auto per_size = std::max<std::int64_t>(
      5, ceil_div(options.networks, static_cast<std::int64_t>(sizes.size())));
  std::vector<Architecture> nets;
  const auto add = [&](const Architecture& arch) {
    validate(arch);
    if (!std::ranges::count(nets, arch)) nets.push_back(arch);
  };
  add(baseline);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Architecture base = with_resolution(baseline, sizes[i]);
    add(base);
    const SamplingOptions sampling{.kind = SamplingKind::latin_hypercube,
                                   .samples = static_cast<int>(per_size),
                                   .low = options.low,
                                   .high = options.high,
                                   .seed = i};
    for (const auto& w : sample_widths(widths(base), sampling)) add(with_widths(base, w));
  }
  constexpr std::int64_t small = 256;
  for (const double r : {1.5, 2.0, 3.0, 4.0, 6.0, 8.0}) {
    if (!options.ladder || (r > 4 && r * static_cast<double>(baseline.resolution) > small)) break;
    add(scale_resolution(baseline, r, options.resolution_multiple));
  }
  for (const double d : options.depths) add(scale_depth(baseline, d));
  return nets;
}

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

constexpr const char* onnx_remark =
    "- `net-000.onnx` is `net-000.json` as ONNX (opset 17), with random weights:\n"
    "  `trtexec --onnx=net-000.onnx --noDataTransfers`, `benchmark_app -m net-000.onnx -hint "
    "latency`.\n";

std::string readme_of(const std::vector<Architecture>& nets, bool onnx) {
  return fmt::format(
      R"(# Networks to time on another device

{0} networks, scaled from `{1}`: other widths, resolutions and numbers of layers. Time each of them
there, write the milliseconds into `times.csv`, then

    hacscale latency-table MODEL --from times.csv --device-name "my device" --out device.json

with the MODEL and options that this list was written for.

- A network is an architecture file: its layers in order, with PyTorch's names. Shapes are inferred:
  the input is (1, channels, resolution, resolution), a convolution reads what the layer before it
  writes. `hacscale summary net-000.json` prints every shape. Weights may be random.
{2}- Batch 1, one precision for all networks (say which by `--dtype`), fixed clocks if the device has
  them. Warm up, then take the median of 50 or more runs.
- Count everything from the input in the device's memory to the logits there. No copies from or to
  the host, no preprocessing, no building of an engine.
- `ms_low` and `ms_high`, the 10th and 90th percentile, may stay empty. So may `ms`: such a network
  is left out. The more networks, the better; below ten expect little.
)",
      nets.size(), nets.at(0).name, onnx ? onnx_remark : "");
}

std::string table_of(const std::vector<std::string>& files) {
  std::string text = table_remarks + csv_line(table_columns);
  for (const std::string& file : files) text += file + ",,,\n";
  return text;
}

struct Row {
  std::string where;                         // "times 'DIR/times.csv' line 7"
  std::map<std::string, std::string> cells;  // by column; "" in one that is not there
};

std::vector<Row> rows_of(const Csv& csv, const std::string& what) {
  for (const std::string& name : csv.columns) {
    if (std::ranges::count(table_columns, name)) continue;
    throw ConfigError(fmt::format("{}: expected the columns {}, got '{}'", what,
                                  fmt::join(table_columns, ", "), one_line(name.substr(0, 60))));
  }
  for (const char* name : {"network", "ms"}) {
    if (std::ranges::count(csv.columns, name)) continue;
    throw ConfigError(fmt::format("{}: expected a column '{}', got {}", what, name,
                                  fmt::join(csv.columns, ", ")));
  }
  std::vector<Row> rows;
  for (const CsvRow& row : csv.rows) {
    rows.push_back({.where = fmt::format("{} line {}", what, row.line)});
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      rows.back().cells[csv.columns[i]] = row.cells[i];
    }
  }
  return rows;
}

// 0 of an empty cell.
double milliseconds(Row& row, const char* column) {
  const std::string& cell = row.cells[column];
  if (cell.empty()) return 0;
  double ms = 0;
  const char* const end = cell.data() + cell.size();
  const auto [rest, error] = std::from_chars(cell.data(), end, ms);
  if (error == std::errc{} && rest == end && std::isfinite(ms) && ms > 0) return ms;
  throw ConfigError(fmt::format("{} '{}': expected milliseconds, a number > 0, got '{}'", row.where,
                                column, one_line(cell.substr(0, 60))));
}

Architecture network_of(Row& row, const fs::path& folder, const Architecture& baseline) {
  const std::string& name = row.cells["network"];
  const fs::path path = folder / name;
  if (name.empty() || fs::path(name).has_parent_path() || !fs::is_regular_file(path)) {
    throw ConfigError(fmt::format("{} 'network': expected a file of '{}', got '{}'", row.where,
                                  folder.string(), one_line(name.substr(0, 200))));
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
      row.where, baseline.name, baseline.classes, baseline.channels, arch.name, name));
}

}  // namespace

void write_network_list(const std::string& folder, const std::vector<Architecture>& nets,
                        bool onnx) {
  if (onnx) {
    require_onnx();
    for (const Architecture& net : nets) require_onnx_size(net);
  }
  if (fs::exists(folder) && (!fs::is_directory(folder) || !fs::is_empty(folder))) {
    throw ConfigError(fmt::format(
        "list '{}': expected a new or an empty folder, as its files would be lost", folder));
  }
  make_folder(folder);
  std::vector<std::string> files;
  for (std::size_t i = 0; i < nets.size(); ++i) {
    files.push_back(fmt::format("net-{:03}.json", i));
    save_architecture(nets[i], folder + "/" + files.back());
    if (!onnx) continue;
    write_file_atomically(fmt::format("{}/net-{:03}.onnx", folder, i),
                          to_onnx(Model(nets[i]), {.batch = 1}, {}).bytes);
  }
  write_file_atomically(folder + "/README.md", readme_of(nets, onnx));
  write_file_atomically(folder + "/times.csv", table_of(files));
}

TimesTable read_times(const std::string& path, const Architecture& baseline, Dtype dtype) {
  const std::string what = fmt::format("times '{}'", path);
  const fs::path folder =
      fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  TimesTable table;
  std::set<std::string> seen;
  for (Row& row : rows_of(parse_csv(read_file(path, max_table_bytes), what), what)) {
    const std::string& name = row.cells["network"];
    if (!seen.insert(name).second) {
      throw ConfigError(
          fmt::format("{} 'network': expected each network once, got '{}' again", row.where, name));
    }
    TimedNetwork network{.arch = network_of(row, folder, baseline)};
    if (row.cells["ms"].empty()) {
      table.without_time.push_back(name);
      continue;
    }
    NetworkTiming& t = network.timing;
    t.graph = fuse(lower(network.arch, 1, dtype));
    t.total_ms = milliseconds(row, "ms");
    t.low_ms = milliseconds(row, "ms_low");
    t.high_ms = milliseconds(row, "ms_high");
    if (t.low_ms > t.total_ms || (t.high_ms > 0 && t.high_ms < t.total_ms)) {
      throw ConfigError(fmt::format("{}: expected ms_low <= ms <= ms_high, got {}, {}, {}",
                                    row.where, row.cells["ms_low"], row.cells["ms"],
                                    row.cells["ms_high"]));
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
