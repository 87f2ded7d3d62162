#pragma once
// What to do instead of running out of memory: a smaller batch, found by trying.

#include <cstdint>
#include <functional>

#include "engine/capture.h"
#include "kernels/error.h"
#include "models/model.h"

namespace hac {

struct BatchSearch {
  std::int64_t batch = 0;  // fits; 0 = none was found
  bool complete = true;    // false: time was up, a larger one may fit too
};

// The largest batch below one that is too large, to within a sixteenth; by bisection, for at most
// about `seconds`. work(n) does with n images all that a batch must survive; an OutOfMemory means
// no, and so does a ShapeError: batch norm may want more than one image. The batch found has been
// tried; above it a single one may fit all the same, where a library's scratch memory is less.
BatchSearch largest_batch(std::int64_t too_large, const std::function<void(std::int64_t)>& work,
                          double seconds = 20);

// Of Deployment(model, batch) and its runs.
BatchSearch largest_deployed_batch(const Model& model, LaunchMode launch, std::int64_t too_large);

// The same error with the hint "--batch N would fit", or that not even one image would.
[[noreturn]] void throw_with_batch(const OutOfMemory& error, const BatchSearch& found);

}  // namespace hac
