#pragma once
// The scaling methods, HACScale among them, as one table: recipe, command line and report take
// their names and help from it. A new method is a file here and its line in method.cpp.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/arch/architecture.h"
#include "scaling/importance/law.h"
#include "scaling/latency/latency.h"
#include "scaling/methods/budget.h"
#include "scaling/methods/width_scaling.h"

namespace hac {

// What widths and resolutions are rounded to.
struct Rounding {
  std::int64_t width_multiple = 8;
  std::int64_t resolution_multiple = 0;  // 0: 4 for inputs up to 64, else 32 (the total stride)
  bool scale_stem = true;                // the first convolution grows too

  Fields fields() {
    return Fields()
        .add("width_multiple", width_multiple, {1, 1024}, "widths are rounded to multiples of it")
        .add("resolution_multiple", resolution_multiple, {0, 1024},
             "and resolutions; 0 = 4 for inputs up to 64 pixels, else 32")
        .add("scale_stem", scale_stem, "the first convolution grows too",
             {.off_on = {"off", "on"}});
  }

  std::int64_t resolution_step(const Architecture& baseline) const {
    return resolution_multiple > 0 ? resolution_multiple : baseline.resolution <= 64 ? 4 : 32;
  }
};

// What a method may have trained while it searches. Every answer is kept by whoever gives it, so
// that a search that was cut off resumes, and what several methods ask is trained once.
struct ProxyTrainings {
  // Mean top-1 of short trainings on images that were held out, in [0, 1].
  std::function<double(const Architecture&)> top1;
  // Widths that survive, one row a pruning step (neuralscale.h).
  std::function<std::vector<std::vector<std::int64_t>>(const Architecture&)> prune;
  std::int64_t descent = 0;  // how often NeuralScale prunes what its fit gave
};

// What is to be scaled to which budget. Every method reads what it needs of it.
struct ScalingTask {
  const Architecture& baseline;
  const LatencyModel& model;
  Budget budget;
  Rounding rounding = {};
  std::vector<double> given = {};         // all coefficients but the last; none: their defaults
  const ProxyTrainings* proxy = nullptr;  // of methods that train while they search
  // Of methods that decide layer by layer (needs_laws).
  std::int64_t resolution = 0;               // of N(1, r, 1), to be widened; 0: the baseline's
  std::span<const ImportanceLaw> laws = {};  // in the order of widths(baseline)
  WideningOptions widening = {};             // the criterion is that of the method
};

struct ScaledNetwork {
  std::string method;            // Method::name
  std::string key = "baseline";  // Method::key
  Architecture arch;
  std::vector<double> coefficients = {};  // of the method, the one that was found at the end
  NetworkCost cost = {};
  std::string limit = "";  // what ended the growth, as StopReason; "" where it has no end
  std::optional<ScalingPlan> plan = {};  // of a method that decides layer by layer
  std::string note = "";                 // what a reader of the result should know
  std::optional<SearchCost> search = {};

  // Else no network of the family is within the budget, and this is the smallest one.
  bool feasible() const { return limit != to_string(StopReason::infeasible); }
};

struct Coefficient {
  const char* name;
  const char* help;
  double value = 1;  // where none is given
};

struct Method {
  std::string key;   // in recipes and on the command line: uniform-width
  std::string name;  // in tables and figures: uniform width
  std::string help;
  std::vector<Coefficient> coefficients = {};  // the last is the one that to_budget() finds
  bool needs_laws = false;                     // decides layer by layer, by importance
  bool needs_proxy = false;                    // trains while it searches
  bool needs_latency = false;                  // spends a limit of the latency
  // The network of these coefficients; null where no formula gives it.
  std::function<Architecture(const Architecture& baseline, std::span<const double> coefficients,
                             const Rounding& rounding)>
      scale = {};
  // The last coefficient of the i-th network of a family that grows in steps; the baseline has 1,
  // and 0 says that there is none any more.
  // Null: it may have any value from 1 to largest_growth.
  std::function<double(const ScalingTask& task, std::int64_t i)> step = {};
  // The network of a method that searches in its own way.
  std::function<ScaledNetwork(const ScalingTask& task)> decide = {};

  static constexpr double largest_growth = 64;

  // The largest network within the budget. Of steps: walks upwards and keeps the last network
  // within it. Latency is a staircase that may dip, so the walk ends after eight misses in a row,
  // or where it cannot grow any more; under a latency limit also at 256 times the baseline's
  // operations, whatever the limit allows. Of any value: the largest to 0.1 %, looking past dips of
  // up to half the growth. Where no network
  // but the baseline is within the budget: the smallest other one, marked infeasible. Throws
  // ConfigError when the budget has no finite limit that the family can reach, or the task lacks
  // what the method needs.
  ScaledNetwork to_budget(const ScalingTask& task) const;
};

std::span<const Method> methods();
const Method& method_of(const std::string& key);  // ConfigError naming the nearest key
const Method& method_by(WideningCriterion criterion);

// What the methods that decide by importance share.
Architecture grown_of(const ScalingTask& task);  // N(1, r, 1)
// Where the task limits latency alone, the paper's M is not given: it is then taken to be that of
// the widest uniform network of Eq. 3, at this resolution and within the latency.
Budget widening_budget(const ScalingTask& task);
// The coefficients of these methods, which have no formula: at the resolution of the uniform
// network of Eq. 3, as many parameters as it has are theirs to spend; latency has no limit.
void spend_as_uniform(ScalingTask& task, double alpha, double s);
ScaledNetwork network_of(ScalingPlan plan, const Architecture& grown);

// What a user should know of the model before the budget is decided on it, a line each: an error
// larger than the room that the budget leaves, times that a busy machine disturbed.
std::vector<std::string> model_warnings(const LatencyModel& model, const Budget& budget,
                                        double baseline_ms);

}  // namespace hac
