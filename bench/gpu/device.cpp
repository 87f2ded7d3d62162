// What the GPU is, and cuDNN's description of it: the text that plans are built from on machines
// without one.

#include <cstdio>

#include "bench/gpu/peaks.h"
#include "kernels/cuda/backend.h"

namespace hac::peaks {
namespace {

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
    const std::string text = cuda::device_json(cuda::device_properties(0));
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
