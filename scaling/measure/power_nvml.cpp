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

  std::string error(const char* call, int code) const {
    return fmt::format("{}: {}", call, error_string(code));
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

// "" or what failed.
std::string load(Library& library, const std::string& path) {
  library.file = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library.file == nullptr) {
    const char* why = ::dlerror();
    return why != nullptr ? why : "cannot be opened";
  }
  const char* absent = nullptr;
  const auto bind = [&](const char* symbol, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        ::dlsym(library.file, symbol));
    if (function == nullptr && absent == nullptr) absent = symbol;
  };
  bind("nvmlInit_v2", library.init);
  bind("nvmlShutdown", library.shutdown);
  bind("nvmlErrorString", library.error_string);
  bind("nvmlDeviceGetCount_v2", library.count);
  bind("nvmlDeviceGetHandleByIndex_v2", library.by_index);
  bind("nvmlDeviceGetHandleByPciBusId_v2", library.by_pci_bus_id);
  bind("nvmlDeviceGetName", library.name);
  bind("nvmlDeviceGetTotalEnergyConsumption", library.energy);
  if (absent != nullptr) return fmt::format("'{}' has no {}", path, absent);
  if (const int code = library.init(); code != kSuccess) return library.error("nvmlInit", code);
  library.started = true;
  return "";
}

// "" or what failed.
std::string find_device(const Library& library, const std::string& pci_bus_id, Handle& device) {
  if (!pci_bus_id.empty()) {
    const int code = library.by_pci_bus_id(pci_bus_id.c_str(), &device);
    return code == kSuccess ? "" : library.error(("GPU " + pci_bus_id).c_str(), code);
  }
  unsigned devices = 0;
  if (const int code = library.count(&devices); code != kSuccess) {
    return library.error("nvmlDeviceGetCount", code);
  }
  // Which of several is meant cannot be told: CUDA counts the fastest first.
  if (devices != 1) return fmt::format("{} GPUs and no PCI bus id to choose one by", devices);
  const int code = library.by_index(0, &device);
  return code == kSuccess ? "" : library.error("nvmlDeviceGetHandleByIndex", code);
}

}  // namespace

MeterSearch open_nvml(const MeterOptions& options) {
  const auto failed = [](const std::string& why) {
    return MeterSearch{.meter = {}, .reason = "NVML: " + why};
  };
  const auto library = std::make_shared<Library>();
  if (const std::string why = load(*library, options.nvml); !why.empty()) return failed(why);
  Handle device = nullptr;
  if (const std::string why = find_device(*library, options.pci_bus_id, device); !why.empty()) {
    return failed(why);
  }
  char name[96] = {};
  if (library->name(device, name, sizeof name - 1) != kSuccess) name[0] = '\0';
  unsigned long long start = 0;
  if (const int code = library->energy(device, &start); code != kSuccess) {
    return failed(library->error("nvmlDeviceGetTotalEnergyConsumption", code));
  }
  const auto joules = [library, device, start] {
    unsigned long long now = 0;
    const int code = library->energy(device, &now);
    if (code != kSuccess || now < start) {
      const std::string why = code != kSuccess ? library->error("energy counter", code)
                                               : "energy counter: fell: the driver was reloaded";
      throw DeviceError("meter 'NVML': " + why);
    }
    return static_cast<double>(now - start) * 1e-3;
  };
  return {.meter = PowerMeter{.name = fmt::format("NVML: {}", name),
                              .covers = "GPU",
                              .update = "counter in mJ, updated about every 100 ms",
                              .joules = joules},
          .reason = ""};
}

}  // namespace hac
