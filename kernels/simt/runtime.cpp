// simt as a device: memory is the host's, between red zones, and everything runs at once.

#include "kernels/core/runtime.h"

#include <utility>

#include "kernels/cpu/host.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"

namespace hac {
namespace {

// What a recording cannot hold and a lost device cannot do.
void require_now(Device device, const std::string& call) {
  refuse_in_capture(call);
  simt::require_device(device);
}

// The same of what must be asked for on its own device.
void require_here(Context& ctx, const std::string& call) {
  require_now(ctx.device(), call);
  simt::require_current(ctx.device(), call);
}

void* allocate(Device device, std::size_t bytes) {
  require_now(device, "an allocation of " + std::to_string(bytes) + " bytes");
  return simt::allocate(bytes, device.index);
}
void release(Device, void* p) { simt::release(p); }

void copy(Context& ctx, void* to, const void* from, std::size_t bytes) {
  simt::submit(ctx, "copy", {{to, bytes}, {from, bytes}}, [=] { host::copy(to, from, bytes); });
}

void copy_in(Context& ctx, void* to, const void* host, std::size_t bytes) {
  refuse_in_capture("copy_in");
  simt::submit(ctx, "copy_in", {{to, bytes}}, [=] { host::copy(to, host, bytes); });
}

void copy_out(Context& ctx, void* host, const void* from, std::size_t bytes) {
  refuse_in_capture("copy_out");
  simt::submit(ctx, "copy_out", {{from, bytes}}, [=] { host::copy(host, from, bytes); });
}

void zero(Context& ctx, void* p, std::size_t bytes) {
  simt::submit(ctx, "zero", {{p, bytes}}, [=] { host::zero(p, bytes); });
}

void synchronize(Context& ctx) { require_now(ctx.device(), "synchronize"); }

Event event_record(Context& ctx) {
  require_here(ctx, "event_record");
  return host::event_record(ctx);
}

void begin_capture(Context& ctx) {
  require_here(ctx, "begin_capture");
  simt::recorded_calls() = {ctx.device(), {}};
  set_capturing(true);
}

Recording end_capture(Context&) {
  set_capturing(false);
  return std::make_shared<simt::Calls>(std::exchange(simt::recorded_calls().calls, {}));
}

void replay(Context& ctx, const Recording& recording) {
  require_here(ctx, "replay");
  for (const auto& call : *static_cast<const simt::Calls*>(recording.get())) call();
}

}  // namespace

const Runtime runtime_simt{.count = [](std::string*) { return simt::device_count; },
                           .make_current = simt::make_current,
                           .allocate = allocate,
                           .release = release,
                           .memory = host::memory,
                           .bus_id = [](Device) { return std::string(); },
                           .name = to_string,
                           .copy_in = copy_in,
                           .copy_out = copy_out,
                           .copy = copy,
                           .zero = zero,
                           .synchronize = synchronize,
                           .begin_capture = begin_capture,
                           .end_capture = end_capture,
                           .replay = replay,
                           .event_record = event_record,
                           .elapsed_ms = host::elapsed_ms};

}  // namespace hac
