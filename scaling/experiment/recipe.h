#pragma once
// What one run of the whole pipeline is told: the baseline, the data, how to train, what to sample,
// the budget. A plain value; tools/ reads it from TOML.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/train/train_config.h"
#include "models/zoo/arch_options.h"
#include "scaling/experiment/pruning.h"
#include "scaling/importance/importance.h"
#include "scaling/importance/sampling.h"
#include "scaling/latency/latency.h"
#include "scaling/methods/width_scaling.h"

namespace hac {

// A training shorter than the recipe's own: for sampling and for the alpha search.
struct ProxyTraining {
  std::int64_t epochs = 2;
  std::int64_t limit_train = 0;  // 0 = the recipe's
  double validation = 0;         // held out, as TrainConfig says; 0 = the recipe's
  std::vector<std::uint64_t> seeds{1};
  bool operator==(const ProxyTraining&) const = default;

  Fields fields() {
    return Fields()
        .add("epochs", epochs, {1})
        .add("limit_train", limit_train, {0})
        .add("validation", validation, {0})
        .add("seeds", seeds);
  }
};

struct Recipe {
  std::string name = "custom";
  std::string model = "vgg11";  // zoo name or JSON file
  ArchOptions arch;
  TrainConfig train;  // of the networks in the result table; train.seed is not used
  std::vector<std::uint64_t> seeds{1, 2, 3};

  struct {
    SamplingOptions sampling;
    ProxyTraining proxy;
    KernelReduction reduction = KernelReduction::mean;  // from kernels to a layer
    bool relative = false;                              // weigh the fit by 1/importance
    bool strict = false;                                // refuse b >= 0

    Fields fields() {
      return proxy.fields()
          .add(sampling.fields())
          .add("reduction", reduction)
          .add("relative", relative)
          .add("strict", strict);
    }
  } importance;

  struct {
    LatencyModelKind kind = LatencyModelKind::table;
    std::string file;            // a saved model to use instead of measuring
    std::string device_model;    // or a device that is not here (device_model.h), no measuring
    std::optional<Dtype> dtype;  // that it computes in; none = what is trained in
    bool foreign = false;        // also one of another device, type, thread count or library
    std::int64_t networks = 16;  // sampled networks to time
    double low = 0.5, high = 3;  // their width multipliers
    int runs = 50, warmup = 10;

    Fields fields() {
      return Fields()
          .add("model", kind)
          .add("file", file)
          .add("foreign", foreign)
          .add("device_model", device_model)
          .add("dtype", dtype)
          .add("networks", networks, {4})
          .add("low", low, {.low = 0, .above = true})
          .add("high", high)
          .add("runs", runs, {1})
          .add("warmup", warmup, {0});
    }
  } latency;

  struct {
    double growth = 2;  // s of Eq. 3
    // At this alpha, s is at most what the latency budget allows the uniform network (alpha.h).
    std::optional<double> largest_growth;
    std::vector<double> grid{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    std::int64_t resolution_multiple = 4, width_multiple = 8;
    ProxyTraining proxy;

    Fields fields() {
      return proxy.fields()
          .add("growth", growth, {.low = 1, .high = 64, .above = true})
          .add("grid", grid, {.low = 0, .high = 1, .above = true, .below = true})
          .add("resolution_multiple", resolution_multiple, {1})
          .add("width_multiple", width_multiple, {1})
          .add("largest_growth", largest_growth, {0, 1});
    }
  } alpha;

  struct Search : ProxyTraining {  // of methods that train while they search
    PruneOptions prune;
    Fields fields() { return ProxyTraining::fields().add("prune", prune); }
  } search;

  struct {
    std::string latency = "4x", params = "1.3x", memory;  // budget.h
    double latency_slack = 0;                             // of Budget
    WideningOptions widening;
    std::vector<std::string> methods{"uniform-width", "resolution"};
    bool all_limits = false;  // for methods without importance too, not only `latency`
    std::vector<WideningCriterion> gains{WideningCriterion::plain, WideningCriterion::per_latency};

    Fields fields() {
      return Fields()
          .add("latency", latency, "", {.valid = [](auto& text) { parse_latency_limit(text); }})
          .add("params", params, "", {.valid = [](auto& text) { parse_params_limit(text); }})
          .add("memory", memory, "", {.valid = [](auto& text) { parse_memory_limit(text); }})
          .add("latency_slack", latency_slack, {0, 10})
          .add(widening.fields().without("gain"))
          .add("methods", methods)
          .add("all_limits", all_limits)
          .add("gains", gains);
    }
  } scale;

  bool claims = false;  // rows that only the paper's claims need too (claims.h)

  struct {  // the utilization figure (Fig. 2)
    std::vector<double> growth{1, 1.5, 2, 3, 4};
    std::vector<std::string>
        models;  // zoo names or JSON files, beside the baseline, for its images

    Fields fields() { return Fields().add("growth", growth, {1}).add("models", models); }
  } sweep;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("model", model)
        .add("arch", arch)
        .add("seeds", seeds)
        .add("claims", claims)
        .add("train", train)
        .add("importance", importance)
        .add("latency", latency)
        .add("alpha", alpha)
        .add("search", search)
        .add("scale", scale)
        .add("sweep", sweep);
  }
};

// Throws ConfigError naming the key.
void validate(const Recipe& recipe);
// Keys of the methods in its result table, those of its gains last, each once.
std::vector<std::string> methods_of(const Recipe& recipe);
// The recipe's training, as short as `proxy` says.
TrainConfig proxy_config(const Recipe& recipe, const ProxyTraining& proxy, std::uint64_t seed);
std::string to_json(const Recipe& recipe);  // every field: shown, saved, and cut into stage keys

}  // namespace hac
