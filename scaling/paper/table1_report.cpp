#include "scaling/paper/table1_report.h"

#include <fmt/format.h>

#include <cmath>

#include "models/zoo/zoo.h"
#include "scaling/latency/device_calibration.h"
#include "scaling/latency/device_model.h"
#include "scaling/stats.h"

namespace hac {
namespace {

constexpr double explained_factor = 1.5;

// Which board the paper measured this half of the table on.
struct Half {
  const char *baseline, *data, *device;
};
constexpr Half halves[] = {{"preact_resnet18", "ImageNet", "xavier"}, {"vgg11", "CIFAR-10", "tx2"}};

ModelledLatency modelled(const LatencyModel& model, const Architecture& arch,
                         const Table1Row& row) {
  const double ms = model.predict(arch), factor = row.printed.latency / ms;
  return {.ms = ms,
          .factor = factor,
          .explained = factor <= explained_factor && factor * explained_factor >= 1};
}

LatencyCorrelations correlations_of(const Half& half, const std::vector<Table1Entry>& rows) {
  std::vector<double> latency, params, macs, activations;
  for (const Table1Entry& e : rows) {
    if (e.row.baseline != half.baseline || !e.row.rebuilt()) continue;
    latency.push_back(e.row.printed.latency);
    params.push_back(static_cast<double>(e.check.counts.params));
    macs.push_back(static_cast<double>(e.check.counts.macs));
    activations.push_back(static_cast<double>(e.check.counts.activations));
  }
  return {.baseline = half.baseline,
          .rows = std::ssize(latency),
          .params = pearson(latency, params),
          .macs = pearson(latency, macs),
          .activations = pearson(latency, activations)};
}

// Adds the half's rows and witnesses to the report.
void add_half(const Half& half, Table1Report& report) {
  const auto model = device_model(half.device);
  ModelledHalf result{
      .baseline = half.baseline, .device = model->source->device, .median_off_explained = unknown};
  std::vector<double> off, off_explained;
  std::vector<NetworkTiming> printed;
  for (const Table1Row& row : table1().rows) {
    if (row.baseline != half.baseline) continue;
    Table1Entry& e = report.rows.emplace_back(Table1Entry{.row = row, .check = check(row)});
    if (!row.rebuilt()) {
      const Witness w = witness_of(row);
      const Architecture arch =
          with_resolution(with_widths(zoo(row.baseline), w.widths), w.resolution);
      report.witnesses.push_back({.witness = w, .modelled = modelled(*model, arch, row)});
      continue;
    }
    e.modelled = modelled(*model, network_of(row), row);
    printed.push_back({.graph = model->graph_of(network_of(row)), .total_ms = row.printed.latency});
    ++result.rows;
    off.push_back(std::abs(1 / e.modelled->factor - 1));
    if (e.modelled->explained) off_explained.push_back(off.back());
    if (!e.modelled->explained) result.unexplained.push_back(row.name());
  }
  result.median_off = median(off);
  if (!off_explained.empty()) result.median_off_explained = median(off_explained);
  result.median_off_fitted_to_half =
      calibrate(model->profile(), model->launch(), printed, "Table I", 2).after.median;
  report.modelled.push_back(result);
  report.correlations.push_back(correlations_of(half, report.rows));
}

std::string label(const Table1Row& row) {
  return row.constraint == Constraint::baseline
             ? row.method
             : fmt::format("{} {}", to_string(row.constraint), row.method);
}

double millions(std::int64_t count) { return static_cast<double>(count) * 1e-6; }

std::string counts_text(const Half& half, const Table1Report& report) {
  std::string text = fmt::format("{:<19}{:>9}{:>10}{:>9}{:>10}{:>11}{:>9}{:>10}{:>11}{:>11}  {}\n",
                                 "counts, M", "params", "ours", "off", "FLOPs", "THOP 2021", "off",
                                 "MACs", "fvcore", "ptflops", "match");
  for (const Table1Entry& e : report.rows) {
    if (e.row.baseline != half.baseline) continue;
    text += fmt::format("{:<19}{:>9.2f}", label(e.row), e.row.printed.params);
    if (e.row.rebuilt()) {
      const Counters& c = e.check.counts;
      text += fmt::format(
          "{:>10.4f}{:>+7.2f} %{:>10.2f}{:>11.3f}{:>+7.2f} %{:>10.2f}{:>11.3f}{:>11.3f}",
          millions(c.params), 100 * e.check.params_off, e.row.printed.ops, millions(c.ops_thop2021),
          100 * e.check.ops_off, millions(c.macs), millions(c.ops_fvcore), millions(c.ops_ptflops));
    } else {
      text += fmt::format("{:>10}{:>9}{:>10.2f}{:>11}{:>9}{:>10}{:>11}{:>11}", "--", "--",
                          e.row.printed.ops, "--", "--", "--", "--", "--");
    }
    text += fmt::format("  {}\n", to_string(e.check.match));
  }
  return text;
}

std::string figures_text(const Half& half, const Table1Report& report) {
  std::string text =
      fmt::format("{:<19}{:>8}{:>9}{:>7}{:>9}{:>16}{:>16}{:>16}{:>17}\n", "as printed", "ms",
                  "modelled", "ratio", "W", "GMAC/s", "G/J", "top-1 %", "mJ an image");
  for (const Table1Entry& e : report.rows) {
    if (e.row.baseline != half.baseline) continue;
    const PrintedFigures& p = e.row.printed;
    const auto with = [](double value, double ratio) {
      return fmt::format("{:.2f} ({:.2f}x)", value, ratio);
    };
    std::string modelled = fmt::format("{:>9}{:>7}", "--", "--");
    if (e.modelled) {
      modelled = fmt::format("{:>9.2f}{:>6.2f}{}", e.modelled->ms, e.modelled->factor,
                             e.modelled->explained ? ' ' : '!');
    }
    text += fmt::format("{:<19}{:>8.2f}{}{:>9.2f}{:>16}{:>16}{:>16}{:>17}\n", label(e.row),
                        p.latency, modelled, p.power, with(p.utilization, p.utilization_ratio),
                        with(p.efficiency, p.efficiency_ratio),
                        fmt::format("{:.2f} ({:+.2f})", p.top1, p.gain),
                        fmt::format("{:.1f} ({:.2f}x)", e.check.energy_mj, e.check.energy_ratio));
  }
  return text;
}

// 64 64 64 128 -> "64x3 128".
std::string runs(const std::vector<std::int64_t>& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = i;
    while (end < values.size() && values[end] == values[i]) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : " ", values[i]);
    if (end - i > 1) text += fmt::format("x{}", end - i);
    i = end;
  }
  return text;
}

std::string networks_text(const Half& half, const Table1Report& report) {
  std::string text = "our networks\n";
  for (const Table1Entry& e : report.rows) {
    if (e.row.baseline != half.baseline || !e.row.rebuilt()) continue;
    text += fmt::format("{:<19}{}\n{:<19}widths {}; blocks {}; {} px\n", label(e.row), e.row.origin,
                        "", runs(e.row.widths), fmt::join(e.row.blocks, " "), e.row.resolution);
  }
  return text;
}

std::string modelled_text(const ModelledHalf& half) {
  std::string text = fmt::format(
      "{}, from its data sheet and an assumed launch overhead: ratio is printed / modelled; off by "
      "{:.0f} % (median of {} rows)",
      half.device, 100 * half.median_off, half.rows);
  if (!half.unexplained.empty()) {
    text += fmt::format("; not within a factor of {} of the printed ones (!): {}", explained_factor,
                        fmt::join(half.unexplained, ", "));
    if (known(half.median_off_explained)) {
      text += fmt::format("; without them {:.0f} %", 100 * half.median_off_explained);
    }
  }
  return text + fmt::format(
                    ".\nFitted to half of the rows it is off by {:.0f} % on the others: an "
                    "experiment, no profile comes of it.\n",
                    100 * half.median_off_fitted_to_half);
}

std::string correlations_text(const LatencyCorrelations& c) {
  return fmt::format(
      "Over these {} rows the printed latency correlates {:.2f} with parameters, {:.2f} with MACs, "
      "{:.2f} with\nactivations (Pearson).\n",
      c.rows, c.params, c.macs, c.activations);
}

std::string slips_text(const std::vector<Slip>& slips) {
  std::string text = "Slips of the paper\n";
  for (const Slip& slip : slips) {
    if (slip.cut) continue;
    text += fmt::format("  {}, {}: {:g}, computed {:.4g} ({})\n", slip.row, slip.figure,
                        slip.printed, slip.computed, slip.note);
  }
  text += "Cut where others are rounded\n";
  for (const Slip& slip : slips) {
    if (!slip.cut) continue;
    text += fmt::format("  {}, {}: {:g}, computed {:.4g}\n", slip.row, slip.figure, slip.printed,
                        slip.computed);
  }
  return text;
}

std::string witnesses_text(const std::vector<Table1Witness>& witnesses) {
  std::string text =
      "HACScale's rows cannot be rebuilt: two figures do not fix so many widths. Networks with "
      "the\n"
      "printed counts, widths the baseline's + 10 k, were found from the lowest to the highest\n"
      "resolution; one of them, with its modelled latency and the printed one / modelled:\n";
  for (const auto& [w, latency] : witnesses) {
    text += fmt::format(
        "  {}: {} to {} px\n    at {} px {}\n    {:.4f} M parameters, {:.3f} M operations, {:.2f} "
        "ms "
        "modelled ({:.2f})\n",
        w.row, w.lowest, w.highest, w.resolution, runs(w.widths), millions(w.params),
        millions(w.ops_thop2021), latency.ms, latency.factor);
  }
  return text;
}

}  // namespace

Table1Report table1_report() {
  Table1Report report{.slips = slips()};
  for (const Half& half : halves) add_half(half, report);
  return report;
}

std::string to_text(const Table1Report& report) {
  std::string text;
  for (std::size_t i = 0; i < std::size(halves); ++i) {
    const Half& half = halves[i];
    text += fmt::format("Table I, {} on {}\n\n{}\n{}\n{}{}\n{}\n", half.baseline, half.data,
                        counts_text(half, report), figures_text(half, report),
                        modelled_text(report.modelled[i]),
                        correlations_text(report.correlations[i]), networks_text(half, report));
  }
  return text + slips_text(report.slips) + "\n" + witnesses_text(report.witnesses);
}

}  // namespace hac
