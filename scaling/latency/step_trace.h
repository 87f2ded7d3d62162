#pragma once
// The own kernels of a training step as simt counts them while it runs them: launch by launch.

#include <string_view>
#include <vector>

#include "engine/io/fields.h"
#include "kernels/simt/executor.h"
#include "models/model.h"
#include "scaling/latency/step_work.h"

namespace hac {

// What the time of a step is told by.
enum class StepPart : std::uint8_t { products, sums, passes, updates, launches };
template <>
inline constexpr std::string_view enum_names<StepPart>[] = {"products", "sums", "passes", "updates",
                                                            "launches"};

// The part that an own kernel belongs to, by the name of its launch.
StepPart part_of(std::string_view kernel);

// One step of SGD on random images, whose weights it changes; the model must be on simt. Not beside
// other work on simt: its options are those of all.
std::vector<simt::Trace> trace_step(Model& model, std::int64_t batch);

// The same work with own kernels as they were counted.
StepWork recounted(StepWork work, const std::vector<simt::Trace>& traces);
// Bytes in sectors that differ within the launch: all that a cache can leave of them.
double distinct_bytes(const simt::Trace& trace);

}  // namespace hac
