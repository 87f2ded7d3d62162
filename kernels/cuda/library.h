#pragma once
// The vendor's side of a Context on a GPU: stream, handles, plan caches. Handles are made on first
// use, because each costs device memory and a second or so.

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <string_view>
#include <typeindex>
#include <unordered_map>
#include <utility>

#include "kernels/context.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/options.h"

namespace hac::cuda {

class Tuner;  // kernels/cuda/autotune.h

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
  const Descriptor& properties();  // what cuDNN plans are made for

  // The plan of this key, made by make() on first use; valid until the next call. Keys hold all
  // that the plan depends on: spec and options.
  template <class Plan, class Key, class Make>
  Plan& plan(const Key& key, Make make) {
    using Cache = std::map<Key, Plan>;
    std::shared_ptr<void>& slot = caches_[std::type_index(typeid(Cache))];
    if (!slot) slot = std::make_shared<Cache>();
    const auto it = static_cast<Cache*>(slot.get())->find(key);
    if (it != static_cast<Cache*>(slot.get())->end()) return it->second;
    // A new cache instead of an empty one: recorded work may hold the old one's plans, and what is
    // being recorded has its plans in this one.
    if (static_cast<Cache*>(slot.get())->size() > kMaxPlans && !capturing()) {
      slot = std::make_shared<Cache>();
    }
    return static_cast<Cache*>(slot.get())->emplace(key, make()).first->second;
  }

  cudaStream_t stream = nullptr;  // all work of this context, in order
  PlanOptions options;
  std::shared_ptr<Tuner> tuner;  // null: the first choice of the heuristics

  // All plans made so far live as long as what this returns.
  std::shared_ptr<void> keep_plans() const { return std::make_shared<Caches>(caches_); }

 private:
  using Caches = std::unordered_map<std::type_index, std::shared_ptr<void>>;
  static constexpr std::size_t kMaxPlans = 4096;  // scaling visits many networks
  int ordinal_;
  cudnnHandle_t cudnn_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
  Descriptor properties_;
  Caches caches_;
};

std::shared_ptr<Library> make_library(Device device);

// The scratch memory of one call, cut into parts aligned to 256 bytes. Nothing that takes scratch
// memory itself may be called while its parts are in use.
class Scratch {
 public:
  Scratch(Context& ctx, std::initializer_list<std::int64_t> parts);
  void* take(std::int64_t bytes);

 private:
  char* next_ = nullptr;
};

}  // namespace hac::cuda
