// Without fmt: bench/gpu builds this file where there are only CUDA's libraries.

#include "kernels/cuda/backend.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/core/error.h"
#include "kernels/cuda/check.h"

namespace hac::cuda {
namespace {

std::string name_of(cudnnBackendDescriptorType_t type) {
  static constexpr std::pair<cudnnBackendDescriptorType_t, const char*> names[] = {
      {CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "device properties"},
      {CUDNN_BACKEND_TENSOR_DESCRIPTOR, "tensor"},
      {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "convolution"},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "operation convolution"},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, "operation convolution"},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, "operation convolution"},
      {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "pointwise"},
      {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "operation pointwise"},
      {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "operation graph"},
      {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "heuristics"},
      {CUDNN_BACKEND_ENGINE_DESCRIPTOR, "engine"},
      {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "engine configuration"},
      {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "execution plan"},
      {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "variant pack"}};
  for (const auto& [known, name] : names) {
    if (type == known) return name;
  }
  return "descriptor " + std::to_string(static_cast<int>(type));
}

std::string last_words() {
  char text[1024] = "";
  cudnnGetLastErrorString(text, sizeof text);
  std::string words = text;
  for (char& c : words) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return words;
}

}  // namespace

void check(cudnnStatus_t status, const char* call, std::string_view what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string words = last_words();
  // cuDNN may have left CUDA's own error behind, for the next call to report.
  const cudaError_t error = cudaGetLastError();
  const std::string message =
      std::string(call) + " (" + std::string(what) + "): expected success, got " +
      cudnnGetErrorString(status) + (words.empty() ? "" : ": " + words) +
      (error == cudaSuccess ? "" : std::string(", ") + cudaGetErrorName(error)) +
      consequence(error);
  if (status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
      status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) {
    throw OutOfMemory(message);
  }
  throw DeviceError(message);
}

Descriptor::Descriptor(Type type) : type_(type) {
  cudnnBackendDescriptor_t raw = nullptr;
  check(cudnnBackendCreateDescriptor(type, &raw), "cudnnBackendCreateDescriptor", name_of(type));
  handle_.reset(raw);
}

void Descriptor::set_bytes(Attribute name, cudnnBackendAttributeType_t type, std::size_t n,
                           const void* values) {
  const auto status =
      cudnnBackendSetAttribute(handle(), name, type, static_cast<std::int64_t>(n), values);
  if (status == CUDNN_STATUS_SUCCESS) return;
  check(status, "cudnnBackendSetAttribute",
        name_of(type_) + ", attribute " + std::to_string(static_cast<int>(name)));
}

Descriptor& Descriptor::set(Attribute name, const Descriptor& value) {
  void* const raw = value.handle();
  set_bytes(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
  return *this;
}

Descriptor& Descriptor::set(Attribute name, std::span<const Descriptor> values) {
  std::vector<void*> raw;
  for (const Descriptor& value : values) raw.push_back(value.handle());
  set_bytes(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.size(), raw.data());
  return *this;
}

void Descriptor::finalize() {
  check(cudnnBackendFinalize(handle()), "cudnnBackendFinalize", name_of(type_));
}

bool Descriptor::try_finalize() {
  if (cudnnBackendFinalize(handle()) == CUDNN_STATUS_SUCCESS) return true;
  last_words();  // taken, so that a later error does not show them, nor CUDA's own
  cudaGetLastError();
  return false;
}

std::size_t Descriptor::count(Attribute name, cudnnBackendAttributeType_t type) const {
  std::int64_t n = 0;
  check(cudnnBackendGetAttribute(handle(), name, type, 0, &n, nullptr), "cudnnBackendGetAttribute",
        name_of(type_));
  return static_cast<std::size_t>(n);
}

std::size_t Descriptor::get_bytes(Attribute name, cudnnBackendAttributeType_t type, std::size_t n,
                                  void* values) const {
  std::int64_t got = 0;
  if (n == 0) return 0;
  check(cudnnBackendGetAttribute(handle(), name, type, static_cast<std::int64_t>(n), &got, values),
        "cudnnBackendGetAttribute", name_of(type_));
  return std::min(n, static_cast<std::size_t>(got));
}

std::vector<Descriptor> Descriptor::get(Attribute name, Type element, std::size_t most) const {
  std::vector<Descriptor> values;
  std::vector<void*> raw;
  for (std::size_t i = most ? most : count(name, CUDNN_TYPE_BACKEND_DESCRIPTOR); i > 0; --i) {
    raw.push_back(values.emplace_back(element).handle());
  }
  // Fewer may come than were counted.
  values.resize(get_bytes(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.size(), raw.data()));
  return values;
}

void PlanDevice::set_on_graph(Descriptor& graph) const {
  if (handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle_);
}

void PlanDevice::set_on_heuristics(Descriptor& heuristics) const {
  if (!handle_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties_);
}

void PlanDevice::set_on_engine(Descriptor& engine) const {
  if (!handle_) engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, properties_);
}

void PlanDevice::set_on_plan(Descriptor& plan) const {
  if (handle_) {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_);
  } else {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_);
  }
}

PlanDevice device_properties(int ordinal) {
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, std::int32_t{ordinal}).finalize();
  return PlanDevice(std::move(properties));
}

PlanDevice device_properties(std::string_view json) {
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::span<const char>(json));
  properties.finalize();
  return PlanDevice(std::move(properties));
}

std::string device_json(const PlanDevice& device) {
  const auto text = device.properties().get<char>(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
  return {text.data(), strnlen(text.data(), text.size())};
}

}  // namespace hac::cuda
