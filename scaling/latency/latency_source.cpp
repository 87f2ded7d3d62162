#include "scaling/latency/latency_source.h"

#include <fmt/format.h>

#include "engine/device/plan_options.h"
#include "kernels/core/machine.h"
#include "kernels/core/runtime.h"
#include "kernels/cpu/options.h"

namespace hac {

std::string LatencySource::str() const {
  std::string text = fmt::format("{}, {}", device, dtype);
  if (threads > 0) text += fmt::format(", {} threads", threads);
  if (!isa.empty()) text += ", " + isa;
  return library.empty() ? text : text + ", " + library;
}

LatencySource latency_source(const TensorOptions& where) {
  LatencySource source{.device = runtime_of(where.device).name(where.device),
                       .dtype = std::string(name_of(where.dtype)),
                       .library = describe_plan_options(where.device)};
  if (where.device.kind == DeviceKind::cuda) return source;
  const Machine machine = this_machine();
  source.device = where.device.kind == DeviceKind::cpu ? machine.cpu : "simt on " + machine.cpu;
  source.threads = machine.threads;
  source.isa = machine.isa;
  source.library = fmt::format("oneDNN {}, {}{}{}", machine.onednn, cpu::own_convolutions,
                               source.library.empty() ? "" : ", ", source.library);
  return source;
}

std::string first_difference(const LatencySource& expected, const LatencySource& got) {
  const auto differ = [](const char* what, const auto& a, const auto& b) {
    return a == b ? "" : fmt::format("{}: expected '{}', got '{}'", what, a, b);
  };
  for (const std::string& line :
       {differ("device", expected.device, got.device), differ("dtype", expected.dtype, got.dtype),
        differ("threads", expected.threads, got.threads),
        differ("instruction set", expected.isa, got.isa),
        differ("library", expected.library, got.library)}) {
    if (!line.empty()) return line;
  }
  return "";
}

}  // namespace hac
