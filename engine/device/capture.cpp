#include "engine/device/capture.h"

#include <fmt/format.h>

#include "engine/device/overlap.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"

namespace hac {

LaunchMode default_launch_mode(Device device) {
  return device.kind == DeviceKind::cuda ? LaunchMode::graph : LaunchMode::eager;
}

void require_launch_mode(LaunchMode mode, Device device) {
  if (mode == LaunchMode::eager || runtime_of(device).begin_capture) return;
  throw ConfigError(
      fmt::format("launch 'graph': expected a device that records work, got {} (hint: --launch "
                  "eager)",
                  to_string(device)));
}

Capture::Capture(Device device, Context* second)
    : arena_(std::make_shared<Arena>(device)), second_(second) {
  require_launch_mode(LaunchMode::graph, device);
}

Capture::~Capture() {
  if (!recording_) return;
  // Queued replays must not outlive what they write to. Where the device is lost, nothing runs.
  try {
    Context& context = Context::current(arena_->device());
    context.runtime().synchronize(context);
  } catch (const Error&) {
  }
}

std::vector<Context*> Capture::contexts() const {
  std::vector<Context*> all{&Context::current(arena_->device())};
  if (second_) all.push_back(second_);
  return all;
}

void Capture::warm_up(const std::function<void()>& work) {
  const ArenaScope scope(arena_);
  const OverlapScope overlap(second_);
  work();
  scratch_bytes_.clear();
  for (const Context* c : contexts()) scratch_bytes_.push_back(c->scratch_bytes());
}

void Capture::record(const std::function<void()>& work) {
  Context& context = Context::current(arena_->device());
  const Runtime& runtime = context.runtime();
  const ArenaScope scope(arena_);
  const OverlapScope overlap(second_);
  // An evaluation gives its own back, and with it the warm-up's.
  const std::vector<Context*> all = contexts();
  for (std::size_t i = 0; i < scratch_bytes_.size(); ++i) all[i]->scratch(scratch_bytes_[i]);
  runtime.begin_capture(context);
  try {
    work();
  } catch (...) {
    // Only what was wrong with the work is worth telling.
    try {
      runtime.end_capture(context);
    } catch (const Error&) {
    }
    throw;
  }
  recording_ = runtime.end_capture(context);
  for (Context* c : all) kept_.push_back(c->keep_for_replay());
}

void Capture::replay() const {
  if (!recording_) throw Error("capture: replayed before anything was recorded");
  Context& context = Context::current(arena_->device());
  context.runtime().replay(context, recording_);
}

void Capture::repeat(const std::function<void()>& work) {
  if (!recorded() && !refused_ && !scratch_bytes_.empty()) {
    try {
      record(work);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const DeviceError&) {
      refused_ = true;  // what else was wrong, running it will say
    }
  }
  recorded() ? replay() : warm_up(work);
}

}  // namespace hac
