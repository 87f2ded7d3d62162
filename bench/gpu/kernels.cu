#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "bench/gpu/peaks.h"

namespace hac::peaks {
namespace {

__global__ void copy_kernel(const uint4* __restrict__ from, uint4* __restrict__ to,
                            std::int64_t n) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    to[i] = from[i];
  }
}

__device__ float hashed(std::int64_t i, unsigned seed) {
  unsigned x = static_cast<unsigned>(i) * 0x9E3779B9u + seed;
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return static_cast<float>((x ^ (x >> 16)) >> 8) * 0x1p-23f - 1.0f;
}

template <class T>
__global__ void fill_kernel(T* p, std::int64_t n, unsigned seed) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    p[i] = static_cast<T>(hashed(i, seed));
  }
}

__global__ void nothing() {}

constexpr int kBlocks = 2048, kThreads = 256;

}  // namespace

void copy16(const void* from, void* to, std::int64_t n, cudaStream_t stream) {
  copy_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<const uint4*>(from),
                                                static_cast<uint4*>(to), n);
  check(cudaGetLastError(), "copy kernel");
}

void fill_random(void* p, Element type, std::int64_t n, unsigned seed, cudaStream_t stream) {
  switch (type) {
    case Element::f32:
      fill_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<float*>(p), n, seed);
      break;
    case Element::bf16:
      fill_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<__nv_bfloat16*>(p), n, seed);
      break;
    case Element::f16:
      fill_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<__half*>(p), n, seed);
      break;
  }
  check(cudaGetLastError(), "fill kernel");
}

void empty_kernel(cudaStream_t stream) {
  nothing<<<1, 32, 0, stream>>>();
  check(cudaGetLastError(), "empty kernel");
}

}  // namespace hac::peaks
