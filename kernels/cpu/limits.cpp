// What kernels/core/machine.h says of this process's share of the machine.

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kernels/core/machine.h"
#include "kernels/cpu/control_group.h"

namespace hac {
namespace {

using cpu::number_in;

int affinity() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : omp_get_num_procs();
}

template <class T>
struct Found {
  std::optional<T> value;
  std::string file;

  void lower(std::optional<T> to, const std::string& of) {
    if (to && (!value || *to < *value)) value = to, file = of;
  }
};

// Cores' worth of time: "150000 100000" is 1.5, "max 100000" and v1's -1 are no limit.
Found<double> cpu_quota(const std::string& root) {
  Found<double> quota;
  const auto cores = [](std::optional<std::size_t> time, std::size_t period) {
    return time && period > 0 ? std::optional(static_cast<double>(*time) / period) : std::nullopt;
  };
  for (const std::string& folder : cpu::control_groups(root, "cpu")) {
    const std::string v2 = folder + "/cpu.max", v1 = folder + "/cpu.cfs_quota_us";
    const std::optional<std::size_t> time = number_in(v2);  // the period stands behind it
    if (time) quota.lower(cores(time, number_in(v2, std::to_string(*time)).value_or(0)), v2);
    quota.lower(cores(number_in(v1), number_in(folder + "/cpu.cfs_period_us").value_or(0)), v1);
  }
  return quota;
}

Found<std::size_t> memory_limit(const std::string& root) {
  const std::size_t physical = 1024 * number_in(root + "/proc/meminfo", "MemTotal:").value_or(0);
  Found<std::size_t> limit;
  for (const std::string& folder : cpu::control_groups(root, "memory")) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      const std::optional<std::size_t> bytes = number_in(folder + name);
      if (bytes && *bytes < physical) limit.lower(bytes, folder + name);
    }
  }
  return limit;
}

}  // namespace

Limits limits_in(const std::string& root) {
  const Found<double> quota = cpu_quota(root);
  const Found<std::size_t> memory = memory_limit(root);
  return {.affinity = affinity(),
          .cpu_quota = quota.value,
          .cpu_quota_from = quota.file,
          .memory_bytes = memory.value,
          .memory_from = memory.file};
}

const Limits& limits() {
  static const Limits found = limits_in("");
  return found;
}

int threads_within(const Limits& limits) {
  if (!limits.cpu_quota) return limits.affinity;
  const auto share = static_cast<int>(std::min(std::ceil(*limits.cpu_quota), 1e6));
  return std::max(1, std::min(limits.affinity, share));
}

}  // namespace hac
