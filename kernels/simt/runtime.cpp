// simt as a device: memory is the host's, between red zones, and everything runs at once.

#include "kernels/runtime.h"

#include <cstring>
#include <utility>

#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"

namespace hac {
namespace {

int one(std::string*) { return 1; }
void* allocate(Device, std::size_t bytes) {
  refuse_in_capture("an allocation of " + std::to_string(bytes) + " bytes");
  return simt::allocate(bytes);
}
void release(Device, void* p) { simt::release(p); }

void copy(Context&, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) simt::submit([=] { std::memcpy(to, from, bytes); });
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
  if (bytes > 0) simt::submit([=] { std::memset(p, 0, bytes); });
}

void synchronize(Context&) { refuse_in_capture("synchronize"); }

void begin_capture(Context&) {
  refuse_in_capture("begin_capture");
  simt::recorded_calls().clear();
  set_capturing(true);
}

Recording end_capture(Context&) {
  set_capturing(false);
  return std::make_shared<simt::Calls>(std::exchange(simt::recorded_calls(), {}));
}

void replay(Context&, const Recording& recording) {
  refuse_in_capture("replay");
  for (const auto& call : *static_cast<const simt::Calls*>(recording.get())) call();
}

}  // namespace

const Runtime runtime_simt{.count = one,
                           .allocate = allocate,
                           .release = release,
                           .copy_in = copy_in,
                           .copy_out = copy_out,
                           .copy = copy,
                           .zero = zero,
                           .synchronize = synchronize,
                           .begin_capture = begin_capture,
                           .end_capture = end_capture,
                           .replay = replay,
                           .event_record = host_event,
                           .elapsed_ms = host_elapsed_ms};

}  // namespace hac
