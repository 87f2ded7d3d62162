#include "kernels/cuda/library.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"

namespace hac::cuda {
namespace {

bool means_no_gpu(cudaError_t error) {
  return error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice;
}

std::int64_t aligned(std::int64_t bytes) { return round_up(bytes, 256); }

// 0 where there is no GPU or no driver.
int device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (means_no_gpu(error)) {
    cudaGetLastError();
    return 0;
  }
  check(error, "cudaGetDeviceCount", "looking for GPUs");
  return count;
}

}  // namespace

Library::Library(int ordinal) : ordinal_(ordinal) {
  const int count = device_count();
  if (count == 0) {
    throw DeviceError(fmt::format(
        "device 'cuda:{}': expected a GPU and its driver, got none (hint: --device cpu)", ordinal));
  }
  if (ordinal < 0 || ordinal >= count) {
    throw DeviceError(fmt::format("device 'cuda:{}': expected cuda:0 to cuda:{}, got no such GPU",
                                  ordinal, count - 1));
  }
  check(cudaSetDevice(ordinal), "cudaSetDevice", "opening the GPU");
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate",
        "opening the GPU");
}

Library::~Library() {
  plans = {};  // plans before their handles
  if (cudnn_) cudnnDestroy(cudnn_);
  if (cublas_) cublasLtDestroy(cublas_);
  if (stream) cudaStreamDestroy(stream);
}

cudnnHandle_t Library::cudnn() {
  if (!cudnn_) {
    check(cudnnCreate(&cudnn_), "cudnnCreate", "starting cuDNN");
    check(cudnnSetStream(cudnn_, stream), "cudnnSetStream", "starting cuDNN");
  }
  return cudnn_;
}

cublasLtHandle_t Library::cublas() {
  if (!cublas_) check(cublasLtCreate(&cublas_), "cublasLtCreate", "starting cuBLAS");
  return cublas_;
}

const Descriptor& Library::properties() {
  if (!properties_.handle()) properties_ = device_properties(ordinal_);
  return properties_;
}

PlanOptions& plan_options(Library& library) { return library.options; }

std::string describe_plans(Library& library) {
  return fmt::format("cudnn {}{}{}", cudnnGetVersion(), library.options.allow_tf32 ? ", tf32" : "",
                     library.tuner ? ", autotuned" : "");
}

}  // namespace hac::cuda
