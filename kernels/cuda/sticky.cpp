// Without fmt: bench/gpu builds this file where there are only CUDA's libraries.

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "kernels/cuda/check.h"

namespace hac::cuda {

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

}  // namespace hac::cuda
