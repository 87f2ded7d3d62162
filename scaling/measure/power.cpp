#include "scaling/measure/power.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/core/runtime.h"
#include "scaling/measure/power_meters.h"
#include "scaling/stats.h"

namespace hac {
namespace {

struct Kind {
  const char* name;
  PowerMeter (*open)(const MeterOptions&);
};
constexpr Kind nvml{"NVML", open_nvml}, ina3221{"INA3221", open_ina3221}, rapl{"RAPL", open_rapl};

PowerMeter first_of(std::initializer_list<Kind> kinds, const MeterOptions& options) {
  std::vector<std::string> reasons;
  for (const Kind& kind : kinds) {
    try {
      return kind.open(options);
    } catch (const DeviceError& e) {
      reasons.push_back(fmt::format("{}: {}", kind.name, e.what()));
    }
  }
  throw DeviceError(fmt::format("no meter: {}", fmt::join(reasons, "; ")));
}

struct Span {
  double joules = 0, seconds = 0;
  std::int64_t runs = 0;
  double watts() const { return joules / seconds; }
};

// The protocol's three kinds of time, each with the energy that went by.
struct Protocol {
  const PowerMeter& meter;
  const std::function<void()>& run_once;
  std::function<double()> now;
  std::function<void(double)> sleep;

  Span between(const std::function<std::int64_t()>& what) const {
    const double joules = meter.joules(), start = now();
    const std::int64_t runs = what();
    const double seconds = now() - start;
    return {.joules = meter.joules() - joules, .seconds = seconds, .runs = runs};
  }
  std::int64_t run_for(double seconds) const {
    std::int64_t runs = 0;
    for (const double start = now(); now() - start < seconds; ++runs) run_once();
    return runs;
  }
  Span idle(double seconds) const {
    return between([&] {
      sleep(seconds);
      return std::int64_t{0};
    });
  }
};

EnergyFigure figure(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {.mean = mean(values), .low = *low, .high = *high};
}

// "" where it cannot be told: then a machine's only GPU is meant.
std::string bus_id_of(Device device, const MeterOptions& options) {
  if (!options.pci_bus_id.empty()) return options.pci_bus_id;
  if (options.bus_id) return options.bus_id(device);
  const bool there = runtime_cuda.count && device.index < runtime_cuda.count(nullptr);
  return there ? runtime_cuda.bus_id(device) : "";
}

}  // namespace

PowerMeter open_meter(Device device, const MeterOptions& given) {
  MeterOptions options = given;
  switch (device.kind) {
    case DeviceKind::cuda:
      options.pci_bus_id = bus_id_of(device, given);
      return first_of({nvml, ina3221}, options);
    case DeviceKind::cpu:
      return first_of({ina3221, rapl}, options);
    case DeviceKind::simt:
      break;
  }
  throw DeviceError("no meter: simt executes kernels on the host for checking only");
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double planned_seconds(const EnergyOptions& o) {
  return o.warmup_seconds + 2 * o.idle_seconds + o.repetitions * (o.seconds + o.phase_seconds / 2);
}

EnergyResult measure_energy(const PowerMeter& meter, const std::function<void()>& run_once,
                            const EnergyOptions& o) {
  check(fields_of(o), "energy");
  Protocol protocol{meter, run_once, o.now ? o.now : steady_seconds, o.sleep};
  if (!protocol.sleep) {
    protocol.sleep = [](double s) {
      std::this_thread::sleep_for(std::chrono::duration<double>(s));
    };
  }
  const Span before = protocol.idle(o.idle_seconds);
  protocol.run_for(o.warmup_seconds);
  const Philox phase{o.seed, streams::energy_phase};
  std::vector<Span> spans;
  for (int r = 0; r < o.repetitions; ++r) {
    // Inferences, not sleep: the device stays at its clocks and temperature.
    protocol.run_for(o.phase_seconds * phase.uniform(static_cast<std::uint64_t>(r)));
    spans.push_back(protocol.between([&] { return protocol.run_for(o.seconds); }));
    if (!(spans.back().joules > 0)) {
      throw DeviceError(fmt::format("meter '{}': expected energy in {:.1f} s under load, got none",
                                    meter.name, spans.back().seconds));
    }
  }
  const Span after = protocol.idle(o.idle_seconds);

  const double idle_watts = (before.watts() + after.watts()) / 2;
  EnergyResult result{.meter = meter.name, .covers = meter.covers, .update = meter.update};
  std::vector<double> raw, net;
  Span all;
  for (const Span& s : spans) {
    const auto inferences = static_cast<double>(s.runs * o.inferences_per_run);
    raw.push_back(s.joules / inferences);
    net.push_back((s.joules - idle_watts * s.seconds) / inferences);
    all = {all.joules + s.joules, all.seconds + s.seconds, all.runs + s.runs};
  }
  result.raw = figure(raw);
  result.net = figure(net);
  result.watts = all.watts();
  result.idle_watts_before = before.watts();
  result.idle_watts_after = after.watts();
  result.inferences = all.runs * o.inferences_per_run;
  result.ms_per_inference = all.seconds * 1e3 / static_cast<double>(result.inferences);
  result.repetitions = o.repetitions;
  return result;
}

}  // namespace hac
