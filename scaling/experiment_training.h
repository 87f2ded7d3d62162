#pragma once
// What an experiment trains: networks for the alpha search, sampled widths for the importance laws,
// and those of the result table. Every function is one stage, kept under what it depends on.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scaling/experiment_results.h"
#include "scaling/recipe.h"
#include "scaling/stages.h"
#include "scaling/trained_network.h"

namespace hac {

struct ExperimentTraining {
  const Recipe& recipe;
  const std::string& data_key;  // of the recipe's data
  const std::string& out;       // DIR, which paths of weights are relative to
  Stages& stages;
  NetworkCache& networks;
};

// Eq. 4: the alpha whose trained N(1, r, w) is the most accurate.
// {s, points, best, resolution, peak, parabola, note}.
nlohmann::json search_alpha(const ExperimentTraining& training, const Architecture& baseline,
                            const LatencyModel& model, const Budget& budget);

// Eq. 5 and 6: trains the sampled widths at the final resolution, observes, fits a law a layer.
// {layers, laws, note}.
nlohmann::json fit_importance(const ExperimentTraining& training, const Architecture& grown,
                              const std::vector<std::vector<std::int64_t>>& samples);

// {top1, weights} of each network of the result table, over the recipe's seeds.
nlohmann::json train_networks(const ExperimentTraining& training,
                              const std::vector<ScaledNetwork>& networks);

}  // namespace hac
