// What the GPU is, and cuDNN's description of it: the text that plans are built from on machines
// without one.

#include <cudnn.h>

#include <cstdio>
#include <vector>

#include "bench/gpu/peaks.h"

namespace hac::peaks {
namespace {

void check_cudnn(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string(call) + ": " + cudnnGetErrorString(status));
}

std::string cudnn_description() {
  cudnnBackendDescriptor_t d = nullptr;
  check_cudnn(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d),
              "device description");
  const std::int32_t id = 0;
  check_cudnn(
      cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id),
      "device id");
  check_cudnn(cudnnBackendFinalize(d), "device description");
  std::int64_t size = 0;
  check_cudnn(cudnnBackendGetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                       CUDNN_TYPE_CHAR, 0, &size, nullptr),
              "size of the device description");
  std::vector<char> text(static_cast<std::size_t>(size));
  check_cudnn(cudnnBackendGetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                       CUDNN_TYPE_CHAR, size, &size, text.data()),
              "device description");
  cudnnBackendDestroyDescriptor(d);
  std::string json(text.begin(), text.end());
  return json.substr(0, json.find('\0'));
}

double attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

Json device_part(const std::string& describe) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  char bus[32] = {};
  check(cudaDeviceGetPCIBusId(bus, sizeof bus, 0), "cudaDeviceGetPCIBusId");
  Json json;
  json.text("name", p.name);
  json.text("pci_bus_id", bus);
  json.number("compute_capability", 10 * p.major + p.minor);
  json.number("multiprocessors", p.multiProcessorCount);
  json.number("memory_bytes", static_cast<double>(p.totalGlobalMem));
  json.number("l2_bytes", p.l2CacheSize);
  json.number("sm_clock_khz", attribute(cudaDevAttrClockRate));
  json.number("memory_clock_khz", attribute(cudaDevAttrMemoryClockRate));
  json.number("memory_bus_bits", attribute(cudaDevAttrGlobalMemoryBusWidth));
  json.number("shared_bytes_per_block_optin", attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  json.number("driver", driver);
  json.number("runtime", runtime);
  json.number("cudnn", static_cast<double>(cudnnGetVersion()));
  std::printf("%s, sm_%d%d, %d SM, %.1f GiB, L2 %.1f MiB, CUDA %d on driver %d, cuDNN %zu\n",
              p.name, p.major, p.minor, p.multiProcessorCount,
              static_cast<double>(p.totalGlobalMem) / (1 << 30),
              static_cast<double>(p.l2CacheSize) / (1 << 20), runtime, driver, cudnnGetVersion());
  if (!describe.empty()) {
    const std::string text = cudnn_description();
    std::FILE* file = std::fopen(describe.c_str(), "w");
    if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file) != text.size() ||
        std::fclose(file) != 0) {
      throw std::runtime_error("file '" + describe + "': cannot be written");
    }
    std::printf("cuDNN describes it in %zu bytes\n", text.size());
  }
  return json;
}

}  // namespace hac::peaks
