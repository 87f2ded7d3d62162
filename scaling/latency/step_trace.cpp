#include "scaling/latency/step_trace.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "models/train/captured_step.h"

namespace hac {
namespace {

constexpr double sector_bytes = 32;

void run_step(Model& model, const Tensor& images) {
  const std::int64_t n = images.shape()[0];
  std::vector<std::int32_t> labels(n);
  for (std::int64_t i = 0; i < n; ++i) {
    labels[i] = static_cast<std::int32_t>(i % model.arch().classes);
  }
  const Tensor target = Tensor::from(labels, {n});
  // The least scale: at a larger one the first step may be left out.
  Sgd sgd(model.parameters(), {}, model.dtype() == Dtype::f16 ? 1 : 0);
  CapturedStep(model, sgd).run({images, target, target}, 0.1, 0);
}

}  // namespace

StepPart part_of(std::string_view kernel) {
  constexpr std::string_view updates[] = {"sgd",  "adamw",   "adamw_count", "unscale", "loss_scale",
                                          "clip", "squares", "lerp",        "taylor"};
  const bool sums = kernel.ends_with("_statistics") || kernel.ends_with("_gradients") ||
                    kernel == "bias_gradient";
  if (sums) return StepPart::sums;
  return std::ranges::find(updates, kernel) != std::end(updates) ? StepPart::updates
                                                                 : StepPart::passes;
}

std::vector<simt::Trace> trace_step(Model& model, std::int64_t batch) {
  const Architecture& arch = model.arch();
  const Tensor images = Tensor::empty({batch, arch.channels, arch.resolution, arch.resolution});
  fill_normal(images, 1, "images", 1);
  const simt::Options before = simt::options();
  simt::set_options({.trace = true});
  simt::take_traces();
  run_step(model, images);
  simt::set_options(before);
  return simt::take_traces();
}

double distinct_bytes(const simt::Trace& trace) {
  return sector_bytes *
         static_cast<double>(trace.distinct_load_sectors + trace.distinct_store_sectors);
}

StepWork recounted(StepWork work, const std::vector<simt::Trace>& traces) {
  work.sums = work.passes = work.updates = {};
  for (const simt::Trace& trace : traces) {
    const StepPart part = part_of(trace.kernel);
    KernelWork& own = part == StepPart::sums      ? work.sums
                      : part == StepPart::updates ? work.updates
                                                  : work.passes;
    own += {1, distinct_bytes(trace)};
  }
  return work;
}

}  // namespace hac
