#pragma once
// The energy of an inference, read from whatever counter the machine has.
//
//   meter                              covers                                update
//   NVML                               the GPU's board                       about 100 ms
//   INA3221 (Jetson)                   the module, or the sum of its rails   power, at 20 Hz
//   RAPL (Intel, AMD)                  the processor packages                about 1 ms

#include <cstdint>
#include <functional>
#include <string>

#include "engine/io/named_fields.h"

namespace hac {

struct PowerMeter {
  std::string name;    // "NVML: NVIDIA H100 80GB HBM3", "INA3221", "RAPL"
  std::string covers;  // "GPU", "VDD_IN: module total", "package"
  std::string update;  // how fine it is: "counter in mJ, updated about every 100 ms"
  // Energy since the meter was opened, never falling. Throws DeviceError when the sensor fails.
  std::function<double()> joules;
};

struct MeterOptions {
  std::string sysfs_root = "/";  // the folder that holds sys/
  std::string nvml = "libnvidia-ml.so.1";
  // Of the GPU, "0000:3b:00.0": CUDA and NVML count in different orders. Empty = asked of bus_id.
  std::string pci_bus_id;
  std::function<std::string(Device)> bus_id;  // empty = the device's runtime
  // Meters that measure power integrate it by the trapezoid rule, sampled every so often by a
  // thread of their own; 0 = only when joules() is called.
  double sample_seconds = 0.05;
  std::function<double()> now;  // seconds; empty = the steady clock
};

// cuda: NVML, else INA3221. cpu: INA3221, else RAPL. simt is no hardware and has none. Throws
// DeviceError saying why there is none: "no meter: ...".
PowerMeter open_meter(Device device, const MeterOptions& options = {});

// The sensors of current GPUs look only a quarter of the time (arXiv 2312.02741), so a short run
// can be badly off: runs of seconds, repeated, each starting at a random phase of the sensor.
struct EnergyOptions {
  double warmup_seconds = 2;
  double seconds = 5;  // of inferences at least, each repetition
  int repetitions = 4;
  double phase_seconds = 1;  // before each repetition, up to this long unmetered inferences
  double idle_seconds = 10;  // at rest before and after
  std::int64_t inferences_per_run = 1;  // images that one call of run_once takes
  std::uint64_t seed = 1;               // of the phases
  std::function<double()> now;          // seconds; empty = the steady clock
  std::function<void(double)> sleep;    // empty = this thread sleeps

  Fields fields() {
    return Fields()
        .add("warmup_seconds", warmup_seconds, {0, 3600})
        .add("seconds", seconds, {.low = 0, .high = 3600, .above = true})
        .add("repetitions", repetitions, {1})
        .add("phase_seconds", phase_seconds, {0, 3600})
        .add("idle_seconds", idle_seconds, {.low = 0, .high = 3600, .above = true})
        .add("inferences_per_run", inferences_per_run, {1});
  }
};

// Joules an inference over the repetitions.
struct EnergyFigure {
  double mean = 0, low = 0, high = 0;
  Fields fields() { return HAC_FIELDS(mean, low, high); }
};

struct EnergyResult {
  std::string meter, covers, update;  // of the meter
  EnergyFigure raw;                   // everything that the meter covers
  EnergyFigure net;                   // without what it draws at rest
  double watts = 0;                   // under load
  double idle_watts_before = 0, idle_watts_after = 0;
  double ms_per_inference = 0;
  std::int64_t inferences = 0;  // of all repetitions
  int repetitions = 0;

  Fields fields() {
    return HAC_FIELDS(meter, covers, update)
        .add("joules_per_inference", raw)
        .add("net_joules_per_inference", net)
        .add(HAC_FIELDS(watts, idle_watts_before, idle_watts_after, ms_per_inference, inferences,
                        repetitions));
  }
};

// raw = E / n, net = (E - P_idle t) / n, with P_idle the mean of before and after. run_once returns
// when its work is done. Throws DeviceError (the meter fails or stands still), ConfigError
// (options), and whatever run_once throws.
EnergyResult measure_energy(const PowerMeter& meter, const std::function<void()>& run_once,
                            const EnergyOptions& options = {});
// How long that takes at least.
double planned_seconds(const EnergyOptions& options);

}  // namespace hac
