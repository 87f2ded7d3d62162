#pragma once
// What a device gives besides kernels: memory, copies and order. One table a kind of device;
// Context, Storage and Tensor are built on it.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kernels/core/types.h"

namespace hac {

class Context;

// Work that was recorded, and a point in a device's time; what they hold is the runtime's affair.
using Recording = std::shared_ptr<void>;
using Event = std::shared_ptr<void>;

// Bytes; zeros where nobody can tell.
struct DeviceMemory {
  std::size_t free = 0;   // what the device would still give to this process
  std::size_t total = 0;  // what it has, or what this process may have of it
};

struct Runtime {
  // Devices of this kind on this machine; why there are none goes to `reason`, if given.
  int (*count)(std::string* reason);
  // What kernels of this kind need in a context: vendor handles and plans. Null: nothing.
  std::shared_ptr<void> (*open)(Device);
  // The plans that it has now, to be held by recorded work. Null: there are none.
  std::shared_ptr<void> (*keep_plans)(Context&);
  // What this thread launches from here on is for this device; Context::current calls it.
  void (*make_current)(Device);
  // At least 64-byte aligned; null when there is no more. Contents undefined. On the CPU readable
  // up to the next multiple of 64 bytes, as oneDNN needs it; elsewhere nothing lies behind the end.
  void* (*allocate)(Device, std::size_t bytes);
  void (*release)(Device, void* p);
  // Host memory that upload() may read and download() write (pinned); null when there is no more.
  // Both null where the device's memory is the host's.
  void* (*allocate_pinned)(Device, std::size_t bytes);
  void (*release_pinned)(Device, void* p);
  // Also asked on the way to an error, so it throws nothing.
  DeviceMemory (*memory)(Device);
  // "0000:3b:00.0", by which other libraries know the device; "" where it is on no bus.
  std::string (*bus_id)(Device);
  // What tells apart devices of different speed: "NVIDIA H100 80GB HBM3, sm_90, 132 SMs"; of the
  // CPU and simt the kind alone (kernels/core/machine.h knows the CPU).
  std::string (*name)(Device);
  // Ordered behind what this context was given before. A copy from or to host memory has read or
  // written it on return; `from` and `to` are on the context's device unless named host.
  void (*copy_in)(Context&, void* to, const void* host, std::size_t bytes);
  void (*copy_out)(Context&, void* host, const void* from, std::size_t bytes);
  void (*copy)(Context&, void* to, const void* from, std::size_t bytes);
  void (*zero)(Context&, void* p, std::size_t bytes);
  void (*synchronize)(Context&);

  // From pinned memory, while the host and other contexts go on: it must stay as it is until an
  // event recorded behind it has passed. Null where there is no pinned memory.
  void (*upload)(Context&, void* to, const void* pinned, std::size_t bytes);
  // To pinned memory, in the same way: it may be read, by any thread, once an event recorded behind
  // it has passed; until then `from` stays. Null where upload is.
  void (*download)(Context&, void* pinned, const void* from, std::size_t bytes);
  // What is given to the context from here on begins when the event, of any context of the device,
  // has passed; the host does not wait.
  void (*wait)(Context&, const Event&);
  void (*wait_on_host)(const Event&);  // of any thread, once it has made the device current
  // What `ctx` is given from here on begins when all that `other`, of the same device, was given
  // has passed; wait() is the same for a moment that was recorded, and nothing that may be
  // recorded. While one of them records, the other becomes part of the recording, to whose end the
  // recording context must follow it. Null where contexts have one order.
  void (*follow)(Context& ctx, Context& other);

  // From begin_capture on, what this thread gives to the context is recorded instead of run, until
  // end_capture; replay runs all of it again, with the same arguments and addresses. What needs the
  // host's memory or time (copies to or from it, synchronize, events) and an allocation are
  // DeviceErrors meanwhile. Null where the device cannot record.
  void (*begin_capture)(Context&);
  Recording (*end_capture)(Context&);
  void (*replay)(Context&, const Recording&);

  // The moment when everything given to the context before it is done.
  Event (*event_record)(Context&);
  // Milliseconds between two; waits for `to`.
  double (*elapsed_ms)(Context&, const Event& from, const Event& to);
  // How long it must have worked before its times mean anything: an idle GPU has a low clock.
  double warm_up_ms = 0;
};

// For runtimes and whatever must not happen while work is recorded.
bool capturing();  // this thread records
void set_capturing(bool on);
void refuse_in_capture(const std::string& call);  // DeviceError naming it, if this thread records

// Whoever counts a device's memory and keeps what was freed (engine/tensor/storage.h) says so here,
// for the one allocation that is not its own: before it is an OutOfMemory what is unused is given
// back, and the message holds the description ("in use 1.0 MiB, peak ...").
struct MemoryKeeper {
  void (*release_unused)(Device) = [](Device) {};
  std::string (*describe)(Device) = [](Device) { return std::string(); };
};
void set_memory_keeper(const MemoryKeeper* keeper);  // it must live on
const MemoryKeeper& memory_keeper();
// The device's memory, asked for once more when what is unused was given back; null when there is
// still no more. It is released with its last owner.
std::shared_ptr<void> allocate_unkept(Device device, std::size_t bytes);
// Pinned memory for the device; where its memory is the host's, some of that. Throws OutOfMemory.
std::shared_ptr<void> allocate_pinned(Device device, std::size_t bytes);

// ---- Timing ----

// Runs the work again and again for that long by the host's clock (up to twice that), and waits.
void work_for(Context& ctx, double ms, const std::function<void()>& work);
// The same for the device's warm_up_ms, unless this thread has timed something there in the last
// half second. What measures calls it first.
void warm_up(Context& ctx, const std::function<void()>& work);

// Median milliseconds of work by the device's clock, after warm_up and warm runs that do not count.
// All are given to the device before the first is waited for; work that takes the host longer to
// give than the device to do is timed by the host's pace all the same.
double event_ms(Context& ctx, int warm, int runs, const std::function<void()>& work);
// The same at the device's own pace: where it records, a recording of up to 20 repetitions is
// replayed. Only for work that may be recorded and repeated.
double recorded_ms(Context& ctx, int warm, int runs, const std::function<void()>& work);

extern const Runtime runtime_cpu, runtime_cuda, runtime_simt;

// Throws DeviceError when this machine (or this build) does not have the device.
const Runtime& runtime_of(Device device);

}  // namespace hac
