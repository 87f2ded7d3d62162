#include "kernels/core/machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <dnnl.hpp>
#include <fstream>

#include "kernels/core/context.h"
#include "kernels/core/isa.h"
#include "kernels/cpu/control_group.h"

namespace hac {
namespace {

// From "model name : AMD EPYC"; "" if absent.
std::string model_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(':');
    const auto value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) return line.substr(value);
  }
  return "";
}

}  // namespace

Machine this_machine() {
  const dnnl_version_t* v = dnnl_version();
  Machine m;
  m.cpu = model_name();
  m.cores = limits().affinity;
  m.threads = num_threads();
  m.isa = cpu::isa_name();
  m.onednn = fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
#if defined(__clang__)
  m.compiler =
      fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  m.compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  m.memory_bytes = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  return m;
}

std::size_t peak_resident_bytes() {
  return 1024 * cpu::number_in("/proc/self/status", "VmHWM:").value_or(0);
}

void limit_openmp_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  // The link's target and not the link, which would name the process "exe". Where any of this
  // fails, the program goes on as it is.
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  execv(path, argv);
}

}  // namespace hac
