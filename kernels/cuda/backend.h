#pragma once
// cuDNN's backend (graph) API with C++ lifetimes. A descriptor is created, its attributes are set,
// then it is finalised and constant. Whatever cuDNN refuses is a DeviceError that names the call,
// the descriptor, the status and cuDNN's own words; callers put the spec before it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cuda/cudnn_api.h"

namespace hac::cuda {

// Throws DeviceError (OutOfMemory where it is that) unless the call succeeded.
void check(cudnnStatus_t status, const char* call, std::string_view what);

// The tag that cuDNN gives an attribute of this C++ type.
template <class T>
consteval cudnnBackendAttributeType_t attribute_type() {
  const auto is = []<class U>(U) { return std::is_same_v<T, U>; };
  if (is(std::int64_t{})) return CUDNN_TYPE_INT64;
  if (is(std::int32_t{})) return CUDNN_TYPE_INT32;
  if (is(float{})) return CUDNN_TYPE_FLOAT;
  if (is(double{})) return CUDNN_TYPE_DOUBLE;
  if (is(bool{})) return CUDNN_TYPE_BOOLEAN;
  if (is(char{})) return CUDNN_TYPE_CHAR;
  if (std::is_same_v<T, void*>) return CUDNN_TYPE_VOID_PTR;
  if (is(cudnnHandle_t{})) return CUDNN_TYPE_HANDLE;
  if (is(cudnnDataType_t{})) return CUDNN_TYPE_DATA_TYPE;
  if (is(cudnnConvolutionMode_t{})) return CUDNN_TYPE_CONVOLUTION_MODE;
  if (is(cudnnPointwiseMode_t{})) return CUDNN_TYPE_POINTWISE_MODE;
  if (is(cudnnBackendHeurMode_t{})) return CUDNN_TYPE_HEUR_MODE;
  if (is(cudnnBackendKnobType_t{})) return CUDNN_TYPE_KNOB_TYPE;
  if (is(cudnnBackendNumericalNote_t{})) return CUDNN_TYPE_NUMERICAL_NOTE;
  if (is(cudnnBackendBehaviorNote_t{})) return CUDNN_TYPE_BEHAVIOR_NOTE;
  throw "no attribute of cuDNN has this type";  // where compiled, an error
}

class Descriptor {
 public:
  using Type = cudnnBackendDescriptorType_t;
  using Attribute = cudnnBackendAttributeName_t;

  Descriptor() = default;  // none
  explicit Descriptor(Type type);

  template <class T>
  Descriptor& set(Attribute name, std::span<const T> values) {
    set_bytes(name, attribute_type<T>(), values.size(), values.data());
    return *this;
  }
  template <class T>
  Descriptor& set(Attribute name, const T& value) {
    return set(name, std::span<const T>(&value, 1));
  }
  Descriptor& set(Attribute name, const Descriptor& value);
  Descriptor& set(Attribute name, std::span<const Descriptor> values);

  void finalize();
  // False where cuDNN does not support what is described, for whatever reason.
  bool try_finalize();

  template <class T>
  std::vector<T> get(Attribute name) const {
    std::vector<T> values(count(name, attribute_type<T>()));
    values.resize(get_bytes(name, attribute_type<T>(), values.size(), values.data()));
    return values;
  }
  // The one value of an attribute that always has one.
  template <class T>
  T value(Attribute name) const {
    T value{};
    get_bytes(name, attribute_type<T>(), 1, &value);
    return value;
  }
  // most: how many there can be, for attributes that do not tell their number (knob choices); 0
  // asks for it.
  std::vector<Descriptor> get(Attribute name, Type element, std::size_t most = 0) const;

  void* handle() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(void* p) const { cudnnBackendDestroyDescriptor(p); }
  };
  std::size_t count(Attribute name, cudnnBackendAttributeType_t type) const;
  // Fills at most n values and returns how many there were to fill.
  std::size_t get_bytes(Attribute name, cudnnBackendAttributeType_t type, std::size_t n,
                        void* values) const;
  void set_bytes(Attribute name, cudnnBackendAttributeType_t type, std::size_t n,
                 const void* values);

  std::unique_ptr<void, Destroy> handle_;
  Type type_{};
};

// What plans are made for: a GPU of this machine, or one that is described; before cuDNN 9.8 the
// GPU of a handle, which must outlive it.
class PlanDevice {
 public:
  PlanDevice() = default;  // none
  explicit PlanDevice(Descriptor properties) : properties_(std::move(properties)) {}
  explicit PlanDevice(cudnnHandle_t handle) : handle_(handle) {}
  explicit operator bool() const { return handle_ || properties_.handle(); }
  const Descriptor& properties() const { return properties_; }

  // Each sets what its kind of descriptor must know of the device.
  void set_on_graph(Descriptor& graph) const;
  void set_on_heuristics(Descriptor& heuristics) const;
  void set_on_engine(Descriptor& engine) const;
  void set_on_plan(Descriptor& plan) const;

 private:
  Descriptor properties_;
  cudnnHandle_t handle_ = nullptr;
};

// The text is undocumented and belongs to a version of cuDNN; tests make plans for devices that are
// not there. All three throw DeviceError before cuDNN 9.8.
PlanDevice device_properties(int ordinal);
PlanDevice device_properties(std::string_view json);
std::string device_json(const PlanDevice& device);

}  // namespace hac::cuda
