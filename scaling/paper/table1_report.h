#pragma once
// Table I as `hacscale table1` prints it: every row with our network, its counts, the modelled
// latency of the paper's device, then slips and witnesses.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "scaling/paper/table1.h"
#include "scaling/paper/witness.h"

namespace hac {

// What a device model (scaling/latency/device_model.h), which has never seen the row, says of it.
struct ModelledLatency {
  double ms = 0;
  double factor = 0;  // printed / modelled
  // Within a factor of 1.5. Neighbouring networks of the table differ twofold in printed latency,
  // which no smooth model explains.
  bool explained = false;

  Fields fields() {
    return Fields().add("ms", ms).add("printed_by_modelled", factor).add("explained", explained);
  }
};

struct Table1Entry {
  Table1Row row;
  RowCheck check;
  std::optional<ModelledLatency> modelled;  // of rebuilt rows

  Fields fields() {
    return Fields()
        .add(row.fields())
        .add(check.fields())
        .add("modelled_latency", modelled, {.omit = !modelled});
  }
};

struct Table1Witness {
  Witness witness;
  ModelledLatency modelled;  // against the latency printed for the row

  Fields fields() { return Fields().add(witness.fields()).add("modelled_latency", modelled); }
};

// Over the rebuilt rows of one half of the table.
struct ModelledHalf {
  std::string baseline, device;  // "Jetson AGX Xavier (modelled)"
  std::int64_t rows = 0;
  std::vector<std::string> unexplained;  // Table1Row::name
  double median_off = 0;                 // of |modelled / printed - 1|
  double median_off_explained = 0;       // without the unexplained rows; NaN where none is left
  // Of the rows of either half under a profile fitted to the others (device_calibration.h): what
  // the figures of a data sheet are worth here. An experiment; no profile is made of it.
  double median_off_fitted_to_half = 0;

  Fields fields() {
    return HAC_FIELDS(baseline, device, rows, unexplained, median_off, median_off_explained,
                      median_off_fitted_to_half);
  }
};

// Pearson's correlation of the printed latency with the counts of the rebuilt rows of one half.
struct LatencyCorrelations {
  std::string baseline;
  std::int64_t rows = 0;
  double params = 0, macs = 0, activations = 0;

  Fields fields() { return HAC_FIELDS(baseline, rows, params, macs, activations); }
};

struct Table1Report {
  std::vector<Table1Entry> rows;
  std::vector<Slip> slips;
  std::vector<Table1Witness> witnesses;
  std::vector<ModelledHalf> modelled;
  std::vector<LatencyCorrelations> correlations;

  Fields fields() { return HAC_FIELDS(rows, slips, witnesses, modelled, correlations); }
};

Table1Report table1_report();
std::string to_text(const Table1Report& report);

}  // namespace hac
