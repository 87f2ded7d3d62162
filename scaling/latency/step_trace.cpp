#include "scaling/latency/step_trace.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "data/loader/make_loader.h"
#include "data/sets/image_set.h"
#include "engine/optim/sgd.h"
#include "kernels/core/random.h"
#include "models/train/captured_step.h"

namespace hac {
namespace {

constexpr double sector_bytes = 32;

DatasetPtr noise(const Architecture& arch, std::int64_t images) {
  ImageSet set{.channels = arch.channels, .resolution = arch.resolution};
  const Philox random{1};
  set.pixels.resize(images * arch.channels * arch.resolution * arch.resolution);
  for (std::size_t i = 0; i < set.pixels.size(); ++i) {
    set.pixels[i] = static_cast<std::uint8_t>(random.below(i, 256));
  }
  for (std::int64_t i = 0; i < images; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(i % arch.classes));
  }
  for (std::int64_t c = 0; c < arch.classes; ++c) set.classes.push_back(std::to_string(c));
  return in_memory(set);
}

void run_step(Model& model, BatchSource& loader) {
  const auto make = [&] {
    const Batch batch = loader.make();
    return StepBatch{batch.images, batch.labels, batch.labels};
  };
  // The least scale: at a larger one the first step may be left out.
  Sgd sgd(model.parameters(), {}, model.dtype() == Dtype::f16 ? 1 : 0);
  CapturedStep(model, sgd).run(make, 0.1, 0);
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
  const auto loader = make_loader(
      noise(arch, batch), {.batch = batch, .dtype = model.dtype(), .layout = model.image_layout()},
      model.device());
  loader->start(0);
  loader->advance();
  const simt::Options before = simt::options();
  simt::set_options({.trace = true});
  simt::take_traces();
  run_step(model, *loader);
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
