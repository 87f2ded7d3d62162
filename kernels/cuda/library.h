#pragma once
// The vendor's side of a Context on a GPU: stream, handles, plan caches. Handles are made on first
// use, because each costs device memory and a second or so.

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <memory>
#include <string_view>

#include "kernels/core/context.h"
#include "kernels/core/plan_cache.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/options.h"

namespace hac::cuda {

class Tuner;  // kernels/ops/conv2d_autotune_cuda.h

void check(cublasStatus_t status, const char* call, std::string_view what);

struct Library {
  // Makes the device current for this thread. Throws DeviceError if it is not there.
  explicit Library(int ordinal);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  int ordinal() const { return ordinal_; }
  cudnnHandle_t cudnn();
  cublasLtHandle_t cublas();
  const PlanDevice& plan_device();  // what cuDNN plans are made for

  cudaStream_t stream = nullptr;  // all work of this context, in order
  PlanOptions options;
  bool early_launches = false;   // set_early_launches
  std::shared_ptr<Tuner> tuner;  // null: the first choice of the heuristics
  PlanCache plans;               // keyed by spec and options

 private:
  int ordinal_;
  cudnnHandle_t cudnn_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
  PlanDevice plan_device_;
};

}  // namespace hac::cuda
