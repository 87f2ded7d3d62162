#pragma once
// What a network asks of a GPU's memory, kernel by kernel, counted under simt: for
// `hacscale profile --device simt --trace`.

#include <string>

#include "models/model.h"
#include "scaling/latency/step_model.h"

namespace hac {

struct KernelTrace {
  bool step = false;         // of a training step, else of an inference
  bool run = true;           // else a step is counted from its graph (step_work.h): for networks
                             // whose step takes simt long
  std::string gpu = "h100";  // a device profile: whose multiprocessors the blocks are spread over,
                             // and by whose figures a step's time is predicted
  EpochImages epoch;         // of what is predicted
  bool json = false;
};

// Prints one line a launch of a batch, then sums. Convolutions and products are the vendor's on a
// GPU and not among them. Throws ConfigError unless the model is on simt and the profile a GPU's;
// of a step also where the profile has no figure for its type, or for kernels of a graph.
void print_kernel_trace(Model& model, std::int64_t batch, const KernelTrace& options);

}  // namespace hac
