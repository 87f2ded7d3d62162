// What an error of CUDA, cuBLAS or cuDNN says, and that it is cleared where it can be. Needs the
// libraries, and no GPU: errors are handed to the checks.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/core/error.h"
#include "kernels/cuda/library.h"

namespace hac::cuda {
namespace {

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

void expect_parts(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  }
}

// Where there is no driver, every call reports that anew.
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
  const std::string message = message_of<DeviceError>(
      [] { check(cudaErrorInvalidValue, "cudaMemcpyAsync", "to the host"); });
  expect_parts(message, {"cudaMemcpyAsync (to the host)", "cudaErrorInvalidValue", "argument"});
  EXPECT_EQ(message.find("any more"), std::string::npos) << message;
}

TEST(CudaErrors, WantOfMemoryIsOutOfMemory) {
  EXPECT_THROW(check(cudaErrorMemoryAllocation, "cudaGraphInstantiate", "x"), OutOfMemory);
  EXPECT_THROW(check(CUBLAS_STATUS_ALLOC_FAILED, "cublasLtMatmul", "x"), OutOfMemory);
  EXPECT_THROW(check(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, "cudnn", "x"),
               OutOfMemory);
}

// It shows at the next call that waits, whoever made that.
TEST(CudaErrors, AKernelsFaultPointsAtEarlierWorkAndEndsTheDevice) {
  ::unsetenv("CUDA_LAUNCH_BLOCKING");
  for (const cudaError_t error :
       {cudaErrorIllegalAddress, cudaErrorMisalignedAddress, cudaErrorLaunchFailure}) {
    EXPECT_TRUE(is_sticky(error));
    const auto fail = [&] { check(error, "cudaStreamSynchronize", "waiting for cuda:0"); };
    const std::string message = message_of<DeviceError>(fail);
    expect_parts(message, {"cudaStreamSynchronize (waiting for cuda:0)", cudaGetErrorName(error),
                           "cannot use the device any more", "earlier work",
                           "(hint: CUDA_LAUNCH_BLOCKING=1"});
    ::setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
    const std::string exact = message_of<DeviceError>(fail);
    EXPECT_EQ(exact.find("earlier"), std::string::npos) << exact;
    expect_parts(exact, {"cannot use the device any more"});
    ::unsetenv("CUDA_LAUNCH_BLOCKING");
  }
  for (const cudaError_t error : {cudaErrorMemoryAllocation, cudaErrorInvalidValue,
                                  cudaErrorInvalidConfiguration, cudaErrorNoDevice}) {
    EXPECT_FALSE(is_sticky(error)) << cudaGetErrorName(error);
  }
}

TEST(CudaErrors, ALaunchNamesKernelAndGridAndClearsTheError) {
  leave_an_error();
  const std::string message = message_of<DeviceError>(
      [] { check_launch(cudaErrorInvalidConfiguration, "batchnorm_apply", 12345, 256); });
  expect_parts(message, {"launch", "batchnorm_apply", "12345 blocks of 256", "configuration"});
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
  expect_parts(
      message_of<DeviceError>(
          [] { check(CUBLAS_STATUS_EXECUTION_FAILED, "cublasLtMatmul", "linear:f32,n1i2o3"); }),
      {"cublasLtMatmul (linear:f32,n1i2o3)", "CUBLAS_STATUS_EXECUTION_FAILED", left.c_str()});
  expect_cleared();
  leave_an_error();
  expect_parts(message_of<DeviceError>([] {
                 check(CUDNN_STATUS_EXECUTION_FAILED, "cudnnBackendExecute", "conv2d:f32");
               }),
               {"cudnnBackendExecute (conv2d:f32)", "CUDNN_STATUS_EXECUTION_FAILED", left.c_str()});
  expect_cleared();
}

}  // namespace
}  // namespace hac::cuda
