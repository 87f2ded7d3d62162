#include "kernels/cuda/check.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/cuda/library.h"

namespace hac::cuda {

cudaStream_t stream_of(Context& ctx) { return ctx.cuda().stream; }

void check(cudaError_t error, const char* call, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice) {
    throw DeviceError(fmt::format("{} ({}): expected a GPU and its driver, got none: {}", call,
                                  what, cudaGetErrorString(error)));
  }
  const std::string message =
      fmt::format("{} ({}): expected success, got {}: {}{}", call, what, cudaGetErrorName(error),
                  cudaGetErrorString(error), consequence(error));
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw DeviceError(message);
}

void check_launch(cudaError_t error, const char* kernel, std::int64_t grid, int block) {
  if (error == cudaSuccess) return;
  check(error, "launch", fmt::format("kernel '{}', {} blocks of {}", kernel, grid, block).c_str());
}

void check(cublasStatus_t status, const char* call, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  // The library may have left CUDA's own error behind, which says more.
  const cudaError_t error = cudaGetLastError();
  const std::string message = fmt::format(
      "{} ({}): expected success, got {}: {}{}{}", call, what, cublasLtGetStatusName(status),
      cublasLtGetStatusString(status),
      error == cudaSuccess ? "" : fmt::format(", {}", cudaGetErrorName(error)), consequence(error));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(message);
  throw DeviceError(message);
}

}  // namespace hac::cuda
