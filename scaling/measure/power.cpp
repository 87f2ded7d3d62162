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

namespace hac {
namespace {

using Open = MeterSearch (*)(const MeterOptions&);

MeterSearch first_of(std::initializer_list<Open> meters, const MeterOptions& options) {
  std::string reasons;
  for (const Open open : meters) {
    MeterSearch found = open(options);
    if (found.meter) return found;
    reasons += (reasons.empty() ? "" : "; ") + found.reason;
  }
  return {.meter = {}, .reason = "no meter: " + reasons};
}

struct Span {
  double joules = 0, seconds = 0;
  std::int64_t runs = 0;
  double watts() const { return joules / seconds; }
};

void expect(bool good, const char* option, const char* wanted, double got) {
  if (!good)
    throw ConfigError(fmt::format("energy '{}': expected {}, got {}", option, wanted, got));
}

void validate(const EnergyOptions& o) {
  const auto length = [](const char* option, double seconds, bool zero) {
    expect(seconds <= 3600 && (zero ? seconds >= 0 : seconds > 0), option,
           zero ? "0 to 3600 s" : "above 0 and up to 3600 s", seconds);
  };
  length("warmup_seconds", o.warmup_seconds, true);
  length("seconds", o.seconds, false);
  length("phase_seconds", o.phase_seconds, true);
  length("idle_seconds", o.idle_seconds, false);
  expect(o.min_runs >= 1, "min_runs", "at least 1", static_cast<double>(o.min_runs));
  expect(o.repetitions >= 1, "repetitions", "at least 1", o.repetitions);
  expect(o.inferences_per_run >= 1, "inferences_per_run", "at least 1",
         static_cast<double>(o.inferences_per_run));
}

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
  std::int64_t run_for(double seconds, std::int64_t min_runs) const {
    std::int64_t runs = 0;
    for (const double start = now(); runs < min_runs || now() - start < seconds; ++runs) run_once();
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
  EnergyFigure f{.mean = 0,
                 .low = *std::min_element(values.begin(), values.end()),
                 .high = *std::max_element(values.begin(), values.end())};
  for (const double v : values) f.mean += v / static_cast<double>(values.size());
  return f;
}

// "" where it cannot be told: then a machine's only GPU is meant.
std::string bus_id_of(Device device, const MeterOptions& options) {
  if (!options.pci_bus_id.empty()) return options.pci_bus_id;
  if (options.bus_id) return options.bus_id(device);
  const bool there = runtime_cuda.count && device.index < runtime_cuda.count(nullptr);
  return there ? runtime_cuda.bus_id(device) : "";
}

}  // namespace

MeterSearch open_meter(Device device, const MeterOptions& given) {
  MeterOptions options = given;
  switch (device.kind) {
    case DeviceKind::cuda:
      options.pci_bus_id = bus_id_of(device, given);
      return first_of({open_nvml, open_ina3221}, options);
    case DeviceKind::cpu:
      return first_of({open_ina3221, open_rapl}, options);
    case DeviceKind::simt:
      break;
  }
  return {.meter = {}, .reason = "no meter: simt executes kernels on the host for checking only"};
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double planned_seconds(const EnergyOptions& o) {
  return o.warmup_seconds + 2 * o.idle_seconds + o.repetitions * (o.seconds + o.phase_seconds / 2);
}

EnergyResult measure_energy(const PowerMeter& meter, const std::function<void()>& run_once,
                            const EnergyOptions& o) {
  validate(o);
  Protocol protocol{meter, run_once, o.now ? o.now : steady_seconds, o.sleep};
  if (!protocol.sleep) {
    protocol.sleep = [](double s) {
      std::this_thread::sleep_for(std::chrono::duration<double>(s));
    };
  }
  const Span before = protocol.idle(o.idle_seconds);
  protocol.run_for(o.warmup_seconds, 1);
  const Philox phase{o.seed, streams::energy_phase};
  std::vector<Span> spans;
  for (int r = 0; r < o.repetitions; ++r) {
    // Inferences, not sleep: the device stays at its clocks and temperature.
    protocol.run_for(o.phase_seconds * phase.uniform(static_cast<std::uint64_t>(r)), 0);
    spans.push_back(protocol.between([&] { return protocol.run_for(o.seconds, o.min_runs); }));
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
  result.seconds_per_inference = all.seconds / static_cast<double>(result.inferences);
  result.repetitions = o.repetitions;
  return result;
}

}  // namespace hac
