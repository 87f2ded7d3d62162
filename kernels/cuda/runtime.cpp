// The CUDA runtime behind the engine's memory. A driver that is absent (35) and one that finds no
// GPU (100) are the same to a user: no GPU here.

#include "kernels/runtime.h"

#include <cuda_runtime.h>

#include "kernels/context.h"
#include "kernels/cuda/check.h"

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

void* allocate(Device device, std::size_t bytes) {
  void* p = nullptr;
  cuda::check(cudaSetDevice(device.index), "cudaSetDevice", to_string(device).c_str());
  if (cudaMalloc(&p, bytes) == cudaSuccess) return p;
  cudaGetLastError();
  return nullptr;
}

// Also runs while the process ends, when the driver may be gone: nothing to report then.
void release(Device, void* p) { cudaFree(p); }

void copy_in(Context& ctx, void* to, const void* host, std::size_t bytes) {
  // The copy from pageable memory stages it before it returns.
  cuda::check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "to the device");
}

void synchronize(Context& ctx) {
  cuda::check(cudaStreamSynchronize(cuda::stream_of(ctx)), "cudaStreamSynchronize", "");
}

void copy_out(Context& ctx, void* host, const void* from, std::size_t bytes) {
  cuda::check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "to the host");
  synchronize(ctx);
}

void copy(Context& ctx, void* to, const void* from, std::size_t bytes) {
  cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda::stream_of(ctx)),
              "cudaMemcpyAsync", "on the device");
}

void zero(Context& ctx, void* p, std::size_t bytes) {
  cuda::check(cudaMemsetAsync(p, 0, bytes, cuda::stream_of(ctx)), "cudaMemsetAsync", "");
}

}  // namespace

const Runtime runtime_cuda{.count = count,
                           .allocate = allocate,
                           .release = release,
                           .copy_in = copy_in,
                           .copy_out = copy_out,
                           .copy = copy,
                           .zero = zero,
                           .synchronize = synchronize};

}  // namespace hac
