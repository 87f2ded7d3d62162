#include "models/largest_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/storage.h"
#include "kernels/context.h"
#include "models/deploy.h"

namespace hac {
namespace {

using Clock = std::chrono::steady_clock;

bool survives(const std::function<void(std::int64_t)>& work, std::int64_t images) {
  try {
    work(images);
    return true;
  } catch (const OutOfMemory&) {
    return false;
  } catch (const ShapeError&) {
    return false;
  }
}

}  // namespace

BatchSearch largest_batch(std::int64_t too_large, const std::function<void(std::int64_t)>& work,
                          double seconds) {
  const Clock::time_point start = Clock::now();
  std::int64_t fits = 0, fails = too_large;
  while (fails - fits > std::max<std::int64_t>(1, fits / 16)) {
    if (std::chrono::duration<double>(Clock::now() - start).count() > seconds) {
      return {.batch = fits, .complete = false};
    }
    const std::int64_t batch = fits + (fails - fits) / 2;
    (survives(work, batch) ? fits : fails) = batch;
  }
  return {.batch = fits};
}

BatchSearch largest_deployed_batch(const Model& model, LaunchMode launch, std::int64_t too_large) {
  const Device device = model.device();
  return largest_batch(too_large, [&](std::int64_t batch) {
    Context::current(device).release_scratch();
    Deployment net(model, batch);
    if (launch == LaunchMode::graph) net.capture();
    net.run(Tensor::zeros(net.graph().input, Dtype::f32, device));
  });
}

void throw_with_batch(const OutOfMemory& error, const BatchSearch& found) {
  if (found.batch == 0 && !found.complete) throw error;
  throw OutOfMemory(with_hint(
      error.what(), found.batch > 0
                        ? fmt::format("--batch {} would fit", found.batch)
                        : "not even --batch 1 would fit: a smaller --resolution or --width"));
}

}  // namespace hac
