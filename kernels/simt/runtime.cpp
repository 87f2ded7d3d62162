// simt as a device: memory is the host's, between red zones. Uploads and downloads are done when
// they are waited for (uploads.h), everything else runs at once.

#include "kernels/core/runtime.h"

#include <utility>

#include "kernels/core/error.h"
#include "kernels/cpu/host.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"
#include "kernels/simt/uploads.h"

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

// No memory of the device: a kernel that reads it is refused.
void* allocate_pinned(Device device, std::size_t bytes) {
  require_now(device, "an allocation of " + std::to_string(bytes) + " bytes");
  return runtime_cpu.allocate({}, bytes);
}
void release_pinned(Device, void* p) { runtime_cpu.release({}, p); }

void copy(Context& ctx, void* to, const void* from, std::size_t bytes) {
  simt::submit(ctx, "copy", {{to, bytes}, {from, bytes}}, [=] { host::copy(to, from, bytes); });
}

void copy_in(Context& ctx, void* to, const void* host, std::size_t bytes) {
  refuse_in_capture("copy_in");
  simt::count_host_transfer(ctx.device());
  simt::submit(ctx, "copy_in", {{to, bytes}}, [=] { host::copy(to, host, bytes); });
}

void copy_out(Context& ctx, void* host, const void* from, std::size_t bytes) {
  refuse_in_capture("copy_out");
  simt::count_host_transfer(ctx.device());
  simt::submit(ctx, "copy_out", {{from, bytes}}, [=] { host::copy(host, from, bytes); });
}

void zero(Context& ctx, void* p, std::size_t bytes) {
  simt::submit(ctx, "zero", {{p, bytes}}, [=] { host::zero(p, bytes); });
}

void upload(Context& ctx, void* to, const void* pinned, std::size_t bytes) {
  require_here(ctx, "upload");
  ctx.uploads().add([=, device = ctx.device()] {
    simt::begin_launch(device);
    simt::require_memory(device, to, bytes, "upload");
    host::copy(to, pinned, bytes);
  });
}

// A launch when it is asked for, since any thread may come to do it. A device that is lost then
// does nothing of what still waits.
void download(Context& ctx, void* pinned, const void* from, std::size_t bytes) {
  require_here(ctx, "download");
  try {
    simt::begin_launch(ctx.device());
  } catch (const DeviceError&) {
    ctx.uploads() = {};
    throw;
  }
  ctx.uploads().add([=, device = ctx.device()] {
    simt::require_device(device);
    simt::require_memory(device, from, bytes, "download");
    host::copy(pinned, from, bytes);
  });
}

void synchronize(Context& ctx) {
  require_now(ctx.device(), "synchronize");
  simt::count_host_transfer(ctx.device());
  ctx.uploads().finish();
}

struct Moment {
  Event time;             // by the host's clock
  simt::Uploads uploads;  // that come before it
};
const Moment& moment(const Event& event) { return *static_cast<const Moment*>(event.get()); }

void pass(const Event& event) {
  for (const auto& upload : moment(event).uploads.all) upload->finish();
}

Event event_record(Context& ctx) {
  require_here(ctx, "event_record");
  return std::make_shared<Moment>(Moment{host::event_record(ctx), ctx.uploads()});
}

void wait(Context& ctx, const Event& event) {
  require_here(ctx, "wait");
  pass(event);
}

void wait_on_host(const Event& event) {
  refuse_in_capture("wait_on_host");
  pass(event);
}

// What is not recorded runs in the order of the calls.
void follow(Context& ctx, Context& other) {
  simt::require_current(ctx.device(), "follow");
  simt::require_current(other.device(), "follow");
  other.uploads().finish();
  if (capturing()) simt::recorded_work()->follow(ctx, other);
}

double elapsed_ms(Context& ctx, const Event& from, const Event& to) {
  simt::count_host_transfer(ctx.device());
  pass(to);
  return host::elapsed_ms(ctx, moment(from).time, moment(to).time);
}

void begin_capture(Context& ctx) {
  require_here(ctx, "begin_capture");
  simt::recorded_work().emplace(ctx);
  set_capturing(true);
}

Recording end_capture(Context&) {
  set_capturing(false);
  const auto work = std::make_shared<simt::RecordedWork>(std::move(*simt::recorded_work()));
  simt::recorded_work().reset();
  work->require_joined();
  return work;
}

void replay(Context& ctx, const Recording& recording) {
  require_here(ctx, "replay");
  static_cast<const simt::RecordedWork*>(recording.get())->replay(simt::options());
}

}  // namespace

const Runtime runtime_simt{
    .count = [](std::string*) { return simt::device_count; },
    .open = [](Device) -> std::shared_ptr<void> { return std::make_shared<simt::Uploads>(); },
    .make_current = simt::make_current,
    .allocate = allocate,
    .release = release,
    .allocate_pinned = allocate_pinned,
    .release_pinned = release_pinned,
    .memory = host::memory,
    .bus_id = [](Device) { return std::string(); },
    .name = to_string,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .copy = copy,
    .zero = zero,
    .synchronize = synchronize,
    .upload = upload,
    .download = download,
    .wait = wait,
    .wait_on_host = wait_on_host,
    .follow = follow,
    .begin_capture = begin_capture,
    .end_capture = end_capture,
    .replay = replay,
    .event_record = event_record,
    .elapsed_ms = elapsed_ms};

}  // namespace hac
