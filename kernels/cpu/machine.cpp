#include "kernels/core/machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "kernels/core/context.h"
#include "kernels/core/isa.h"
#include "kernels/cpu/control_group.h"
#include "kernels/cpu/host.h"
#include "kernels/cpu/library.h"

namespace hac {
namespace {

// From "model name : AMD EPYC"; "" if absent.
std::string field_of_cpuinfo(const std::string& file, const std::string& field) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(field)) continue;
    const auto colon = line.find(':');
    const auto value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) return line.substr(value);
  }
  return "";
}

}  // namespace

namespace host {

std::string cpu_name_in(const std::string& root) {
  const std::string cpuinfo = root + "/proc/cpuinfo";
  if (const auto name = field_of_cpuinfo(cpuinfo, "model name"); !name.empty()) return name;
  // ARM's has numbers alone, but a board its name, which ends in a zero byte.
  std::ifstream in(root + "/proc/device-tree/model");
  std::string board;
  std::getline(in, board, '\0');
  if (!board.empty()) return board;
  const std::string part = field_of_cpuinfo(cpuinfo, "CPU part");
  if (part.empty()) return "";
  return fmt::format("CPU part {} of implementer {}", part,
                     field_of_cpuinfo(cpuinfo, "CPU implementer"));
}

}  // namespace host

Machine this_machine() {
  Machine m;
  m.cpu = host::cpu_name_in("");
  m.cores = limits().affinity;
  m.threads = num_threads();
  m.isa = cpu::isa_name();
  m.onednn = cpu::onednn_version();
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
