#pragma once
// A network of a few hundred weights on images of 16 pixels: a step under simt takes milliseconds.

#include "data/sets/datasets.h"
#include "models/arch/architecture.h"
#include "models/train/train_config.h"

namespace hac {

inline Architecture tiny_net() {
  return architecture_from_json(R"({"name": "tiny", "channels": 3, "resolution": 16, "classes": 4,
    "stage_ends": [], "layers": [
      {"type": "conv", "name": "conv1", "out": 8},
      {"type": "batchnorm", "name": "bn1", "relu": true},
      {"type": "pool", "kind": "max"},
      {"type": "conv", "name": "conv2", "out": 8},
      {"type": "batchnorm", "name": "bn2", "relu": true},
      {"type": "pool", "kind": "global_avg"},
      {"type": "flatten"},
      {"type": "linear", "name": "fc"}]})");
}

inline TrainConfig tiny_config(std::int64_t train_images, std::int64_t batch) {
  TrainConfig config{.data = {.name = "synthetic",
                              .limit_train = train_images,
                              .limit_test = 20,
                              .resolution = 16,
                              .classes = 4},
                     .epochs = 2,
                     .batch = batch};
  config.schedule = {.kind = "constant", .lr = 0.05};
  config.seed = 3;
  config.quiet = true;
  return config;
}

}  // namespace hac
