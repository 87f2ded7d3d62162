#pragma once

#include "models/train/train.h"

namespace hac {

// What train() does with an observer in a step that it does not skip.
inline void observe(StepObserver& observer, const Model& model, std::int64_t step,
                    std::int64_t total_steps) {
  if (!observer.wants(step, total_steps)) return;
  observer.accumulate(model);
  observer.count_step();
}

}  // namespace hac
