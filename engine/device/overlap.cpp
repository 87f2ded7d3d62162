#include "engine/device/overlap.h"

#include <fmt/format.h>

#include <utility>

#include "engine/device/plan_options.h"
#include "kernels/core/context_scope.h"
#include "kernels/core/error.h"
#include "kernels/cuda/options.h"

namespace hac {
namespace {

thread_local bool streams = true;
thread_local Context* second = nullptr;

}  // namespace

void set_overlap(Device device, Overlap which) {
  const bool launches = which == Overlap::launches || which == Overlap::both;
  if (launches && device.kind == DeviceKind::cpu) {
    throw ConfigError(fmt::format(
        "overlap '{}': expected a GPU, got cpu, which starts no kernels (hint: --device "
        "cuda:0)",
        enum_names<Overlap>[static_cast<int>(which)]));
  }
  if (device.kind == DeviceKind::cuda) {
    cuda::set_early_launches(Context::current(device).cuda(), launches);
  }
  streams = which == Overlap::streams || which == Overlap::both;
}

std::unique_ptr<Context> second_context(Device device) {
  Context& ctx = Context::current(device);
  if (!streams || !ctx.runtime().follow) return nullptr;
  auto made = std::make_unique<Context>(device);
  copy_plan_options(ctx, *made);
  return made;
}

OverlapScope::OverlapScope(Context* context) : before_(std::exchange(second, context)) {}
OverlapScope::~OverlapScope() { second = before_; }

void overlap(Device device, const std::function<void()>& aside, const std::function<void()>& here) {
  Context& ctx = Context::current(device);
  if (!second || second->device() != device) {
    aside();
    here();
    return;
  }
  const auto follow = ctx.runtime().follow;
  follow(*second, ctx);
  try {
    {
      const ContextScope scope(*second);
      aside();
    }
    here();
  } catch (...) {
    // Whoever handles it may free what the second context still works on.
    follow(ctx, *second);
    throw;
  }
  follow(ctx, *second);
}

}  // namespace hac
