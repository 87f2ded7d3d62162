#pragma once
// Predicting the latency of a network that was never built (the "simple but effective latency
// predictor" of paper section III-C): a sum over its operations of what each would take *inside*
// a whole-network run, batch as in the graph. Isolated layers do not add up: caches are warmer.
//
// Two models, both fitted from timed networks:
//   table       measured layer times, by the spec of the operation without its sizes and widths
//   regression  non-negative least squares on {1, MACs, weight bytes, activation bytes}; needs the
//               times of whole networks only, which can be taken anywhere
// and a third for a device that is not here, from its data sheet: device_model.h.

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/arch/graph.h"
#include "scaling/latency/latency_source.h"
#include "scaling/latency/staircase.h"

namespace hac {

// One timed network. Operations that only pass their input on (a flatten of 1x1 maps) may be
// absent: they took no time. Without any `op_ms` only the whole run was timed.
struct NetworkTiming {
  Graph graph;                     // as inference runs it: fuse(lower(arch, batch, dtype))
  std::map<int, double> op_ms;     // index into graph.ops -> milliseconds inside the whole run
  double total_ms = 0;             // median of the whole run
  double low_ms = 0, high_ms = 0;  // its 10th and 90th percentile; 0, 0: unknown
  std::string unsteady;            // how a busy machine disturbed the runs; "" if it did not

  Fields fields() {  // but for the graph
    return Fields()
        .add("total_ms", total_ms)
        .add("low_ms", low_ms, {.optional = true})
        .add("high_ms", high_ms, {.optional = true})
        .add("op_ms", op_ms)
        .add("unsteady", unsteady, {.optional = true});
  }
};

// With what its graph was lowered from, so that a file can hold it and a model be fitted again.
struct TimedNetwork {
  Architecture arch;
  NetworkTiming timing;
};

struct LatencyError {
  std::int64_t networks = 0;
  std::int64_t unsteady = 0;      // of them, whose times a busy machine disturbed
  double median = 0, worst = 0;   // absolute relative error of the whole network
  double r2 = 0;                  // 1 - SSres/SStot over the networks
  std::vector<double> predicted;  // ms, of each network, in the order of the timings

  Fields fields() {  // without `predicted`
    return Fields()
        .add("networks", networks, {1, 1 << 20})
        .add("median", median, {0, 1e9})
        .add("worst", worst, {0, 1e9})
        .add("r2", r2, {.high = 1})
        .add("unsteady", unsteady, {0, 1 << 20}, "", {.omit = unsteady == 0});
  }
  bool operator==(const LatencyError&) const = default;
};

class LatencyModel {
 public:
  // Saved with the model: where its times were taken, and its error on networks that were left out
  // of the fit (cross_validate, without `predicted`). Both unknown of a model that was only fitted.
  std::optional<LatencySource> source;
  std::optional<LatencyError> error;
  // Where they were kept: the networks that it was fitted on, and the step of this device's layers.
  std::vector<TimedNetwork> networks;
  std::optional<Staircase> staircase;
  // The median of total / sum over the timed networks: what lies between operations.
  double scale = 1;

  virtual ~LatencyModel() = default;
  // Milliseconds, >= 0. Throws ConfigError for a kind of operation that no timed network had.
  virtual double predict(const OpSpec& op) const = 0;
  // False where the answer is an extrapolation: outside the widths or sizes that were timed, or of
  // an operation that was not.
  virtual bool covers(const OpSpec& op) const = 0;
  virtual std::string name() const = 0;         // table | regression | device
  virtual Fields fields() { return Fields(); }  // of the fit alone, in a file

  double predict(const Graph& graph) const;
  // The type that was timed; f32 where that is not known.
  Dtype dtype() const { return source ? parse_dtype(source->dtype) : Dtype::f32; }
  // At batch 1, in that type.
  double predict(const Architecture& arch) const { return predict(graph_of(arch)); }
  Graph graph_of(const Architecture& arch) const;
  // One line for every operation that is extrapolated, for reports.
  std::vector<std::string> extrapolated(const Graph& graph) const;
  std::vector<std::string> extrapolated(const Architecture& arch) const {
    return extrapolated(graph_of(arch));
  }
};

using LatencyModelPtr = std::shared_ptr<const LatencyModel>;

// Both throw ConfigError: no timings, an op index outside its graph, a time that is negative or
// not finite, a total that is not positive; a table also for a network without times of operations.
//
// Table. Operations whose specs differ in batch, size and widths alone are one family. Each lies in
// it at (px, c_in, c_out): the positions of a convolution's output, or of another's input, and its
// widths. These are rounded up to `block` channels, because cost is a staircase in the vector block
// (8 or 16, LatencySource::block); not so the few of an image, whose layout is plain.
//   t = f(px, c_in, c_out) * rho,   f = sum p_i x_i,   p >= 0,
// with x_i the eight products of {1, px} x {1, c_in} x {1, c_out} and rho the ratio measured/f,
// interpolated by inverse distance to the fourth power in the logarithms: exact at timed points,
// near f between them. Outside their box f goes on, with the rho of the nearest point in the box.
// A family that was never timed takes the most similar one of its kind, by the work of its window.
// One scale correction, the median of total / sum, carries what lies between operations.
std::shared_ptr<LatencyModel> fit_latency_table(std::span<const NetworkTiming> timings,
                                                std::int64_t block = 16);
// Regression. Four coefficients for every kind of operation, each row weighed by 1 / total_ms of
// its network so that small networks count, then the same scale correction. Where a network has no
// times of operations, every network is one row instead: the sums of these four over its operations
// of each kind, against its total (specification 1.7 #25 (3); AOWS, arXiv 2005.10481).
std::shared_ptr<LatencyModel> fit_latency_regression(std::span<const NetworkTiming> timings);

enum class LatencyModelKind : std::uint8_t { table, regression };
template <>
inline constexpr std::string_view enum_names<LatencyModelKind>[] = {"table", "regression"};
std::shared_ptr<LatencyModel> fit_latency(LatencyModelKind kind,
                                          std::span<const NetworkTiming> timings,
                                          std::int64_t block = 16);
// The same by a block, or that of its source, knowing that and its error; at least five timings,
// all of them in the type of the source (ConfigError).
std::shared_ptr<LatencyModel> fit_latency(LatencyModelKind kind,
                                          std::span<const NetworkTiming> timings,
                                          const LatencySource& source,
                                          std::optional<std::int64_t> block = {});
// The same of networks that are then kept in the model, by the block of the staircase where its
// evidence is clear.
LatencyModelPtr fit_latency(LatencyModelKind kind, std::vector<TimedNetwork> networks,
                            const LatencySource& source, std::optional<Staircase> staircase);

// Throws ConfigError (malformed), load also IoError. A saved model predicts the same bits.
std::string to_json(const LatencyModel& model);
LatencyModelPtr latency_model_from_json(const std::string& text);
LatencyModelPtr load_latency_model(const std::string& path);
// Throws ConfigError naming the first difference unless the model was measured just so; `consent`
// tells how to use it anyway.
void require_source(const LatencyModel& model, const LatencySource& here, const std::string& file,
                    const std::string& consent);
// Throws ConfigError for a model whose times a busy machine disturbed: no budget is decided on them
// unless a user consents.
void require_steady(const LatencyModel& model, const std::string& file);
void save_latency_model(const LatencyModel& model, const std::string& path);

LatencyError prediction_error(const LatencyModel& model, std::span<const NetworkTiming> timings);
// The error on networks that a model was not fitted on: fold i leaves out every network whose index
// is i modulo `folds`. Throws ConfigError for fewer networks than folds, or folds < 2.
LatencyError cross_validate(LatencyModelKind kind, std::span<const NetworkTiming> timings,
                            int folds = 5, std::int64_t block = 16);

}  // namespace hac
