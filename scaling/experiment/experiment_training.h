#pragma once
// What an experiment trains: networks for the alpha search, sampled widths for the importance laws,
// and those of the result table. Every function is one stage, kept under what it depends on. Where
// the networks may not train (NetworkCache::set_training), they throw TrainingsMissing.

#include <optional>
#include <string>
#include <vector>

#include "scaling/experiment/recipe.h"
#include "scaling/experiment/results.h"
#include "scaling/experiment/stage_cache.h"
#include "scaling/experiment/trained_network.h"
#include "scaling/methods/method.h"

namespace hac {

struct ExperimentTraining {
  const Recipe& recipe;
  const std::string& data_key;  // of the recipe's data
  const std::string& out;       // DIR, which paths of weights are relative to
  bool keep_weights;            // of the networks of the result table
  StageCache& stages;
  NetworkCache& networks;
};

// What methods may have trained while they search, added to `cost` when they ask. Both outlive it.
ProxyTrainings proxy_trainings(const ExperimentTraining& training, SearchCost& cost);

// Eq. 4: the alpha whose trained N(1, r, w) is the most accurate.
AlphaCurve search_alpha(const ExperimentTraining& training, const Architecture& baseline,
                        const LatencyModel& model, const Budget& budget);

// Eq. 5 and 6: trains the sampled widths at the final resolution, observes, fits a law a layer.
struct FittedImportance {
  std::vector<LayerLaw> layers;
  std::string note;
  SearchCost search;
  Fields fields() { return Fields().add("layers", layers).add("note", note).add("search", search); }
};
FittedImportance fit_importance(const ExperimentTraining& training, const Architecture& grown,
                                const std::vector<std::vector<std::int64_t>>& samples);

// Of each network of the result table, over the recipe's seeds.
struct TrainedAccuracy {
  Accuracy top1;
  std::vector<std::string> weights;
  std::optional<NetworkEvaluation> evaluation;  // of the median of the seeds that have details
  Fields fields() {
    return Fields()
        .add("top1", top1)
        .add("weights", weights)
        .add("evaluation", evaluation, {.omit = !evaluation, .optional = true});
  }
};
// Each network at every seed, the seeds of one after another.
std::vector<TrainingRequest> table_requests(const ExperimentTraining& training,
                                            const std::vector<ScaledNetwork>& networks);
std::vector<TrainedAccuracy> train_networks(const ExperimentTraining& training,
                                            const std::vector<ScaledNetwork>& networks);

}  // namespace hac
