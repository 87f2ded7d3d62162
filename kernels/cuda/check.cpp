// Without fmt: bench/gpu builds this file where there are only CUDA's libraries.

#include "kernels/cuda/check.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "kernels/core/error.h"
#include "kernels/cuda/library.h"

namespace hac::cuda {

cudaStream_t stream_of(Context& ctx) { return ctx.cuda().stream; }
bool launches_early(Context& ctx) { return ctx.cuda().early_launches; }

bool is_sticky(cudaError_t error) {
  constexpr cudaError_t sticky[] = {
      cudaErrorIllegalAddress,      cudaErrorLaunchFailure,      cudaErrorLaunchTimeout,
      cudaErrorHardwareStackError,  cudaErrorIllegalInstruction, cudaErrorMisalignedAddress,
      cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,          cudaErrorAssert,
      cudaErrorECCUncorrectable,    cudaErrorNvlinkUncorrectable};
  return std::find(std::begin(sticky), std::end(sticky), error) != std::end(sticky);
}

std::string consequence(cudaError_t error) {
  if (!is_sticky(error)) return "";
  const char* blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
  const bool at_once = blocking != nullptr && std::string_view(blocking) == "1";
  const std::string gone = "; this process cannot use the device any more";
  return at_once ? gone
                 : gone +
                       ", and the fault may lie in earlier work (hint: CUDA_LAUNCH_BLOCKING=1 "
                       "shows it where it happens)";
}

void check(cudaError_t error, const char* call, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears
  const std::string where = std::string(call) + " (" + what + "): expected ";
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice) {
    throw DeviceError(where + "a GPU and its driver, got none: " + cudaGetErrorString(error));
  }
  const std::string message = where + "success, got " + cudaGetErrorName(error) + ": " +
                              cudaGetErrorString(error) + consequence(error);
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw DeviceError(message);
}

void check_launch(cudaError_t error, const char* kernel, std::int64_t grid, int block) {
  if (error == cudaSuccess) return;
  const std::string what = "kernel '" + std::string(kernel) + "', " + std::to_string(grid) +
                           " blocks of " + std::to_string(block);
  check(error, "launch", what.c_str());
}

void check(cublasStatus_t status, const char* call, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  // The library may have left CUDA's own error behind, which says more.
  const cudaError_t error = cudaGetLastError();
  const std::string message =
      std::string(call) + " (" + std::string(what) + "): expected success, got " +
      cublasLtGetStatusName(status) + ": " + cublasLtGetStatusString(status) +
      (error == cudaSuccess ? "" : std::string(", ") + cudaGetErrorName(error)) +
      consequence(error);
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(message);
  throw DeviceError(message);
}

}  // namespace hac::cuda
