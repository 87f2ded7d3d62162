#pragma once
// A recipe of seconds: VGG11 at an eighth of its width on 60 images, every training three steps.

#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "scaling/experiment/recipe.h"

namespace hac {

inline nlohmann::json tiny_recipe() {
  return nlohmann::json::parse(R"({"name": "tiny", "seeds": [1], "arch": {"width": 0.125},
    "train": {"epochs": 1, "batch": 20, "schedule": {"lr": 0.02},
              "data": {"name": "synthetic", "limit_train": 60, "limit_test": 50}},
    "importance": {"sampling": "latin-hypercube", "epochs": 1},
    "latency": {"networks": 5, "runs": 3, "warmup": 1},
    "alpha": {"grid": [0.3, 0.7], "epochs": 1}, "scale": {"stride": 4},
    "sweep": {"growth": [1, 2]}})");
}

inline Recipe tiny() {
  Recipe recipe;
  read_json(tiny_recipe(), recipe.fields(), "tiny", "", {.complete = false});
  return recipe;
}

}  // namespace hac
