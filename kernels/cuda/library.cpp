#include "kernels/cuda/library.h"

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace hac::cuda {

Library::Library(int ordinal) : ordinal_(ordinal) {
  runtime_of({DeviceKind::cuda, ordinal});  // throws if it is not there
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

const PlanDevice& Library::plan_device() {
  if (!plan_device_) {
    plan_device_ = has_device_properties ? device_properties(ordinal_) : PlanDevice(cudnn());
  }
  return plan_device_;
}

PlanOptions& plan_options(Library& library) { return library.options; }

void set_early_launches(Library& library, bool on) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, library.ordinal()),
        "cudaDeviceGetAttribute", "early launches");
  if (on && major < 9) {
    throw ConfigError(
        fmt::format("early launches: expected compute capability 9.0, got {}.x", major));
  }
  library.early_launches = on;
}

void copy_options(const Library& from, Library& to) {
  to.options = from.options;
  to.tuner = from.tuner;
  to.early_launches = from.early_launches;
}

std::string describe_plans(Library& library) {
  const PlanOptions& o = library.options;
  return fmt::format("cudnn {}{}{}{}", cudnnGetVersion(), o.allow_tf32 ? ", tf32" : "",
                     o.exact ? ", exact" : "", library.tuner ? ", autotuned" : "");
}

}  // namespace hac::cuda
