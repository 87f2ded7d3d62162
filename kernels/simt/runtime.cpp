// simt as a device: memory is the host's, between red zones, and everything runs at once.

#include "kernels/runtime.h"

#include <utility>

#include "kernels/cpu/host.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"

namespace hac {
namespace {

// What a recording cannot hold and a lost device cannot do.
void require_now(const std::string& call) {
  refuse_in_capture(call);
  simt::require_device();
}

void* allocate(Device, std::size_t bytes) {
  require_now("an allocation of " + std::to_string(bytes) + " bytes");
  return simt::allocate(bytes);
}
void release(Device, void* p) { simt::release(p); }

void copy(Context&, void* to, const void* from, std::size_t bytes) {
  simt::submit([=] { host::copy(to, from, bytes); });
}

void copy_in(Context& ctx, void* to, const void* host, std::size_t bytes) {
  refuse_in_capture("copy_in");
  copy(ctx, to, host, bytes);
}

void copy_out(Context& ctx, void* host, const void* from, std::size_t bytes) {
  refuse_in_capture("copy_out");
  copy(ctx, host, from, bytes);
}

void zero(Context&, void* p, std::size_t bytes) {
  simt::submit([=] { host::zero(p, bytes); });
}

void synchronize(Context&) { require_now("synchronize"); }

Event event_record(Context& ctx) {
  require_now("event_record");
  return host::event_record(ctx);
}

void begin_capture(Context&) {
  require_now("begin_capture");
  simt::recorded_calls().clear();
  set_capturing(true);
}

Recording end_capture(Context&) {
  set_capturing(false);
  return std::make_shared<simt::Calls>(std::exchange(simt::recorded_calls(), {}));
}

void replay(Context&, const Recording& recording) {
  require_now("replay");
  for (const auto& call : *static_cast<const simt::Calls*>(recording.get())) call();
}

}  // namespace

const Runtime runtime_simt{.count = host::count,
                           .allocate = allocate,
                           .release = release,
                           .memory = host::memory,
                           .bus_id = host::bus_id,
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
