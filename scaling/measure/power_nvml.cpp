// NVIDIA's management library, opened at run time: it comes with the driver, not with the toolkit,
// and its C interface is stable, so the few functions used are declared here.

#include <dlfcn.h>
#include <fmt/format.h>

#include <memory>

#include "kernels/core/error.h"
#include "scaling/measure/power_meters.h"

namespace hac {
namespace {

using Handle = void*;
constexpr int kSuccess = 0;

struct Library {
  Library() = default;
  ~Library() {
    if (started) shutdown();
    if (file != nullptr) ::dlclose(file);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void check(const std::string& call, int code) const {
    if (code != kSuccess) throw DeviceError(fmt::format("{}: {}", call, error_string(code)));
  }

  void* file = nullptr;
  bool started = false;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, Handle*) = nullptr;
  int (*by_pci_bus_id)(const char*, Handle*) = nullptr;
  int (*name)(Handle, char*, unsigned) = nullptr;
  int (*energy)(Handle, unsigned long long*) = nullptr;  // millijoules since the driver was loaded
};

void load(Library& library, const std::string& path) {
  library.file = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library.file == nullptr) {
    const char* why = ::dlerror();
    throw DeviceError(why != nullptr ? why : "cannot be opened");
  }
  const auto bind = [&](const char* symbol, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        ::dlsym(library.file, symbol));
    if (function == nullptr) throw DeviceError(fmt::format("'{}' has no {}", path, symbol));
  };
  bind("nvmlInit_v2", library.init);
  bind("nvmlShutdown", library.shutdown);
  bind("nvmlErrorString", library.error_string);
  bind("nvmlDeviceGetCount_v2", library.count);
  bind("nvmlDeviceGetHandleByIndex_v2", library.by_index);
  bind("nvmlDeviceGetHandleByPciBusId_v2", library.by_pci_bus_id);
  bind("nvmlDeviceGetName", library.name);
  bind("nvmlDeviceGetTotalEnergyConsumption", library.energy);
  library.check("nvmlInit", library.init());
  library.started = true;
}

Handle find_device(const Library& library, const std::string& pci_bus_id) {
  Handle device = nullptr;
  if (!pci_bus_id.empty()) {
    library.check("GPU " + pci_bus_id, library.by_pci_bus_id(pci_bus_id.c_str(), &device));
    return device;
  }
  unsigned devices = 0;
  library.check("nvmlDeviceGetCount", library.count(&devices));
  // Which of several is meant cannot be told: CUDA counts the fastest first.
  if (devices != 1) {
    throw DeviceError(fmt::format("{} GPUs and no PCI bus id to choose one by", devices));
  }
  library.check("nvmlDeviceGetHandleByIndex", library.by_index(0, &device));
  return device;
}

}  // namespace

PowerMeter open_nvml(const MeterOptions& options) {
  const auto library = std::make_shared<Library>();
  load(*library, options.nvml);
  const Handle device = find_device(*library, options.pci_bus_id);
  char name[96] = {};
  if (library->name(device, name, sizeof name - 1) != kSuccess) name[0] = '\0';
  unsigned long long start = 0;
  library->check("nvmlDeviceGetTotalEnergyConsumption", library->energy(device, &start));
  const auto joules = [library, device, start] {
    unsigned long long now = 0;
    library->check("meter 'NVML': energy counter", library->energy(device, &now));
    if (now < start) {
      throw DeviceError("meter 'NVML': energy counter: fell: the driver was reloaded");
    }
    return static_cast<double>(now - start) * 1e-3;
  };
  return {.name = fmt::format("NVML: {}", name),
          .covers = "GPU",
          .update = "counter in mJ, updated about every 100 ms",
          .joules = joules};
}

}  // namespace hac
