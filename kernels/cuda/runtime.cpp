// The CUDA runtime behind the engine's memory. A driver that is absent (35) and one that finds no
// GPU (100) are the same to a user: no GPU here.

#include "kernels/core/runtime.h"

#include <cuda_runtime.h>

#include "kernels/core/context.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/library.h"

namespace hac {
namespace {

int count(std::string* reason) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return devices;
  cudaGetLastError();
  if (reason) *reason = std::string("no GPU here: ") + cudaGetErrorString(error);
  return 0;
}

void make_current(Device device) {
  cuda::check(cudaSetDevice(device.index), "cudaSetDevice", to_string(device).c_str());
}

// Null where there is no more.
void* allocate_by(cudaError_t (*call)(void**, std::size_t), const char* name, Device device,
                  std::size_t bytes) {
  refuse_in_capture("an allocation of " + std::to_string(bytes) + " bytes");
  void* p = nullptr;
  make_current(device);
  const cudaError_t error = call(&p, bytes);
  if (error == cudaSuccess) return p;
  // A device that earlier work has broken is not out of memory.
  if (error != cudaErrorMemoryAllocation) cuda::check(error, name, to_string(device).c_str());
  cudaGetLastError();
  return nullptr;
}

void* allocate(Device device, std::size_t bytes) {
  return allocate_by(cudaMalloc, "cudaMalloc", device, bytes);
}

void* allocate_pinned(Device device, std::size_t bytes) {
  return allocate_by(cudaMallocHost, "cudaMallocHost", device, bytes);
}

// Also runs while the process ends, when the driver may be gone: nothing to report then.
void release(Device, void* p) { cudaFree(p); }
void release_pinned(Device, void* p) { cudaFreeHost(p); }

DeviceMemory memory(Device device) {
  DeviceMemory m;
  if (cudaSetDevice(device.index) == cudaSuccess &&
      cudaMemGetInfo(&m.free, &m.total) == cudaSuccess) {
    return m;
  }
  cudaGetLastError();
  return {};
}

std::string name(Device device) {
  cudaDeviceProp gpu{};
  cuda::check(cudaGetDeviceProperties(&gpu, device.index), "cudaGetDeviceProperties",
              to_string(device).c_str());
  return std::string(gpu.name) + ", sm_" + std::to_string(gpu.major) + std::to_string(gpu.minor) +
         ", " + std::to_string(gpu.multiProcessorCount) + " SMs";
}

std::string bus_id(Device device) {
  char id[32] = "";
  cuda::check(cudaDeviceGetPCIBusId(id, sizeof id, device.index), "cudaDeviceGetPCIBusId",
              to_string(device).c_str());
  return id;
}

std::string name_of(Context& ctx) { return to_string(ctx.device()); }

void copy_in(Context& ctx, void* to, const void* host, std::size_t bytes) {
  refuse_in_capture("copy_in");
  // The copy from pageable memory stages it before it returns.
  cuda::check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "to the device");
}

void upload(Context& ctx, void* to, const void* pinned, std::size_t bytes) {
  refuse_in_capture("upload");
  cuda::check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "an upload");
}

void download(Context& ctx, void* pinned, const void* from, std::size_t bytes) {
  refuse_in_capture("download");
  cuda::check(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "a download");
}

void synchronize(Context& ctx) {
  refuse_in_capture("synchronize");
  cuda::check(cudaStreamSynchronize(cuda::stream_of(ctx)), "cudaStreamSynchronize",
              ("waiting for " + name_of(ctx)).c_str());
}

void copy_out(Context& ctx, void* host, const void* from, std::size_t bytes) {
  refuse_in_capture("copy_out");
  cuda::check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "to the host");
  synchronize(ctx);
}

void copy(Context& ctx, void* to, const void* from, std::size_t bytes) {
  cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "on the device");
}

void zero(Context& ctx, void* p, std::size_t bytes) {
  cuda::check(cudaMemsetAsync(p, 0, bytes, cuda::stream_of(ctx)), "cudaMemsetAsync", "zeros");
}

// Other threads may keep allocating and copying: only this one's calls are watched.
void begin_capture(Context& ctx) {
  refuse_in_capture("begin_capture");
  cuda::check(cudaStreamBeginCapture(cuda::stream_of(ctx), cudaStreamCaptureModeThreadLocal),
              "cudaStreamBeginCapture", "recording");
  set_capturing(true);
}

Recording end_capture(Context& ctx) {
  set_capturing(false);
  cudaGraph_t graph = nullptr;
  cuda::check(cudaStreamEndCapture(cuda::stream_of(ctx), &graph), "cudaStreamEndCapture",
              "something in the capture was not capturable");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  cuda::check(error, "cudaGraphInstantiate", "recording");
  return {executable, [](void* p) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(p)); }};
}

void replay(Context& ctx, const Recording& recording) {
  refuse_in_capture("replay");
  cuda::check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording.get()), cuda::stream_of(ctx)),
              "cudaGraphLaunch", "replay");
}

Event event_record(Context& ctx) {
  refuse_in_capture("event_record");
  cudaEvent_t raw = nullptr;
  cuda::check(cudaEventCreate(&raw), "cudaEventCreate", "timing");
  Event event(raw, [](void* p) { cudaEventDestroy(static_cast<cudaEvent_t>(p)); });
  cuda::check(cudaEventRecord(raw, cuda::stream_of(ctx)), "cudaEventRecord", "timing");
  return event;
}

cudaEvent_t raw(const Event& event) { return static_cast<cudaEvent_t>(event.get()); }

void wait(Context& ctx, const Event& event) {
  refuse_in_capture("wait");
  cuda::check(cudaStreamWaitEvent(cuda::stream_of(ctx), raw(event), 0), "cudaStreamWaitEvent",
              "order");
}

void wait_on_host(const Event& event) {
  refuse_in_capture("wait_on_host");
  cuda::check(cudaEventSynchronize(raw(event)), "cudaEventSynchronize", "waiting for an event");
}

void follow(Context& ctx, Context& other) {
  cudaEvent_t now = nullptr;
  cuda::check(cudaEventCreateWithFlags(&now, cudaEventDisableTiming), "cudaEventCreateWithFlags",
              "order");
  const Event event(now, [](void* p) { cudaEventDestroy(static_cast<cudaEvent_t>(p)); });
  cuda::check(cudaEventRecord(now, cuda::stream_of(other)), "cudaEventRecord", "order");
  cuda::check(cudaStreamWaitEvent(cuda::stream_of(ctx), now, 0), "cudaStreamWaitEvent", "order");
}

double elapsed_ms(Context&, const Event& from, const Event& to) {
  cuda::check(cudaEventSynchronize(raw(to)), "cudaEventSynchronize", "timing");
  float ms = 0;
  cuda::check(cudaEventElapsedTime(&ms, raw(from), raw(to)), "cudaEventElapsedTime", "timing");
  return ms;
}

std::shared_ptr<void> open(Device device) { return std::make_shared<cuda::Library>(device.index); }

std::shared_ptr<void> keep_plans(Context& ctx) { return ctx.cuda().plans.keep(); }

}  // namespace

const Runtime runtime_cuda{.count = count,
                           .open = open,
                           .keep_plans = keep_plans,
                           .make_current = make_current,
                           .allocate = allocate,
                           .release = release,
                           .allocate_pinned = allocate_pinned,
                           .release_pinned = release_pinned,
                           .memory = memory,
                           .bus_id = bus_id,
                           .name = name,
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
                           .elapsed_ms = elapsed_ms,
                           .warm_up_ms = 150};

}  // namespace hac
