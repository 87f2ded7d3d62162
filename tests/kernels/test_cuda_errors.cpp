// What an error of CUDA, cuBLAS or cuDNN says, and that it is cleared where it can be. Needs the
// libraries, and no GPU: errors are handed to the checks.

#include <cstdlib>

#include "kernels/cuda/library.h"
#include "tests/support/messages.h"

namespace hac::cuda {
namespace {

// Where there is no driver, every call reports that again.
void expect_cleared() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) return;
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess) << "the next call would report it again";
}

// Leaves an error behind that is not sticky, as a vendor's library may.
void leave_an_error() {
  ASSERT_NE(cudaSetDevice(1 << 20), cudaSuccess);
  ASSERT_NE(cudaPeekAtLastError(), cudaSuccess);
}

TEST(CudaErrors, NameCallPurposeAndCudasWords) {
  check(cudaSuccess, "cudaMalloc", "nothing");
  const std::string message =
      error_of<DeviceError>([] { check(cudaErrorInvalidValue, "cudaMemcpyAsync", "to the host"); });
  EXPECT_CONTAINS(message, "cudaMemcpyAsync (to the host)", "cudaErrorInvalidValue", "argument");
  EXPECT_LACKS(message, "any more");
}

TEST(CudaErrors, AMissingGpuIsOneClearLine) {
  for (const cudaError_t none : {cudaErrorInsufficientDriver, cudaErrorNoDevice}) {
    EXPECT_ERROR(check(none, "cudaMalloc", "batch"), DeviceError,
                 "cudaMalloc (batch): expected a GPU");
  }
  const std::string message = error_of<DeviceError>([] { Library library(4096); });
  EXPECT_CONTAINS(message, "device 'cuda:4096'");
  EXPECT_LACKS(message, "\n");
  EXPECT_THROW(check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmul", "fc"), DeviceError);
}

TEST(CudaErrors, WantOfMemoryIsOutOfMemory) {
  EXPECT_THROW(check(cudaErrorMemoryAllocation, "cudaGraphInstantiate", "x"), OutOfMemory);
  EXPECT_THROW(check(CUBLAS_STATUS_ALLOC_FAILED, "cublasLtMatmul", "x"), OutOfMemory);
  EXPECT_THROW(check(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, "cudnn", "x"),
               OutOfMemory);
  EXPECT_THROW(check(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "f", "x"), OutOfMemory);
}

// It shows at the next call that waits, whoever made that.
TEST(CudaErrors, AKernelsFaultPointsAtEarlierWorkAndEndsTheDevice) {
  ::unsetenv("CUDA_LAUNCH_BLOCKING");
  for (const cudaError_t error :
       {cudaErrorIllegalAddress, cudaErrorMisalignedAddress, cudaErrorLaunchFailure}) {
    EXPECT_TRUE(is_sticky(error));
    const auto fail = [&] { check(error, "cudaStreamSynchronize", "waiting for cuda:0"); };
    const std::string message = error_of<DeviceError>(fail);
    EXPECT_CONTAINS(message, "cudaStreamSynchronize (waiting for cuda:0)", cudaGetErrorName(error),
                    "cannot use the device any more", "earlier work",
                    "(hint: CUDA_LAUNCH_BLOCKING=1");
    ::setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
    const std::string exact = error_of<DeviceError>(fail);
    EXPECT_LACKS(exact, "earlier");
    EXPECT_CONTAINS(exact, "cannot use the device any more");
    ::unsetenv("CUDA_LAUNCH_BLOCKING");
  }
  for (const cudaError_t error : {cudaErrorMemoryAllocation, cudaErrorInvalidValue,
                                  cudaErrorInvalidConfiguration, cudaErrorNoDevice}) {
    EXPECT_FALSE(is_sticky(error)) << cudaGetErrorName(error);
  }
}

TEST(CudaErrors, ALaunchNamesKernelAndGridAndClearsTheError) {
  leave_an_error();
  EXPECT_ERROR(check_launch(cudaErrorInvalidConfiguration, "batchnorm_apply", 12345, 256),
               DeviceError, "launch", "batchnorm_apply", "12345 blocks of 256", "configuration");
  expect_cleared();
}

TEST(CudaErrors, ALaunchDoesNotReportWhatOthersLeft) {
  leave_an_error();
  EXPECT_NO_THROW(check_launch(cudaSuccess, "batchnorm_apply", 12345, 256));
  cudaGetLastError();
}

// The descriptor of an execution plan that holds nothing cannot be finalized.
TEST(CudaErrors, ARefusedPlanLeavesNoneBehind) {
  leave_an_error();
  EXPECT_FALSE(Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR).try_finalize());
  expect_cleared();
}

TEST(CudaErrors, OfALibraryTakeCudasOwnAlong) {
  leave_an_error();
  const std::string left = cudaGetErrorName(cudaPeekAtLastError());
  EXPECT_ERROR(check(CUBLAS_STATUS_EXECUTION_FAILED, "cublasLtMatmul", "linear:f32,n1i2o3"),
               DeviceError, "cublasLtMatmul (linear:f32,n1i2o3)", "CUBLAS_STATUS_EXECUTION_FAILED",
               left);
  expect_cleared();
  leave_an_error();
  EXPECT_ERROR(check(CUDNN_STATUS_EXECUTION_FAILED, "cudnnBackendExecute", "conv2d:f32"),
               DeviceError, "cudnnBackendExecute (conv2d:f32)", "CUDNN_STATUS_EXECUTION_FAILED",
               left);
  expect_cleared();
}

}  // namespace
}  // namespace hac::cuda
