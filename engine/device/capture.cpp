#include "engine/device/capture.h"

#include <fmt/format.h>

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

Capture::Capture(Device device) : arena_(std::make_shared<Arena>(device)) {
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

void Capture::warm_up(const std::function<void()>& work) {
  const ArenaScope scope(arena_);
  work();
  scratch_bytes_ = Context::current(arena_->device()).scratch_bytes();
}

void Capture::record(const std::function<void()>& work) {
  Context& context = Context::current(arena_->device());
  const Runtime& runtime = context.runtime();
  const ArenaScope scope(arena_);
  context.scratch(scratch_bytes_);  // an evaluation gives its own back, and with it the warm-up's
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
  kept_ = context.keep_for_replay();
}

void Capture::replay() const {
  if (!recording_) throw Error("capture: replayed before anything was recorded");
  Context& context = Context::current(arena_->device());
  context.runtime().replay(context, recording_);
}

}  // namespace hac
