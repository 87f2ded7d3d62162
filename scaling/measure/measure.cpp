#include "scaling/measure/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "scaling/measure/utilization.h"
#include "scaling/stats.h"

namespace hac {
namespace {

// On the network's device, so that the copy from the host is not part of an inference there.
Tensor random_images(const InferenceSession& net) {
  const Tensor images =
      net.captured() ? net.input() : Tensor::empty(net.graph().input, Dtype::f32, net.device());
  fill_normal(images, 1, "images", 1);
  return images;
}

Context& context_of(const InferenceSession& net) { return Context::current(net.device()); }

// Wall clock, until the device is done.
double time_once(InferenceSession& net, const Tensor& images) {
  Context& context = context_of(net);
  context.runtime().synchronize(context);
  const auto start = std::chrono::steady_clock::now();
  net.run(images);
  context.runtime().synchronize(context);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double event_time_once(InferenceSession& net, const Tensor& images) {
  Context& context = context_of(net);
  const Runtime& runtime = context.runtime();
  runtime.synchronize(context);
  const Event start = runtime.event_record(context);
  net.run(images);
  return runtime.elapsed_ms(context, start, runtime.event_record(context));
}

SteadyRuns steady_runs(const MeasureOptions& options) {
  return {options.repeats * options.runs, options.counters};
}

LatencyStats summarize(std::span<const double> values, const SteadyRuns& runs) {
  LatencyStats stats = hac::summarize(values);
  stats.disturbed = runs.disturbed();
  stats.repeated = runs.repeated();
  return stats;
}

constexpr int block = 5;  // runs that are taken together

// Milliseconds of each step. On the CPU in blocks of runs, of which a disturbed one is taken again
// as a whole; other devices have a clock that the host does not disturb.
std::vector<double> step_times(InferenceSession& net, const Tensor& images,
                               const MeasureOptions& options, LatencyStats& latency) {
  if (net.device().kind != DeviceKind::cpu) return net.step_ms(images, options.runs);
  const int blocks = static_cast<int>(ceil_div(options.runs, block));
  const int size = std::min(block, options.runs);
  SteadyRuns runs(options.repeats * blocks, options.counters);
  std::vector<std::vector<double>> times(net.steps().size());
  for (int b = 0; b < blocks; ++b) {
    std::vector<double> ms;
    runs.time([&] {
      ms = net.step_ms(images, size);
      return (size + 1) * std::accumulate(ms.begin(), ms.end(), 0.0);
    });
    for (std::size_t s = 0; s < times.size(); ++s) times[s].push_back(ms[s]);
  }
  latency.disturbed = std::max(latency.disturbed, std::min(options.runs, runs.disturbed() * size));
  latency.repeated += runs.repeated() * size;
  std::vector<double> medians;
  for (const std::vector<double>& t : times) medians.push_back(median(t));
  return medians;
}

// Larger than any second-level cache so far (126 MB); simt has none to speak of.
std::int64_t flush_bytes(Device device) {
  return device.kind == DeviceKind::cuda ? std::int64_t{256} << 20 : std::int64_t{1} << 20;
}

}  // namespace

std::string describe_disturbance(const LatencyStats& stats) {
  if (stats.disturbed == 0) return "";
  return fmt::format("{} of {} runs waited for a core, after {} were taken again", stats.disturbed,
                     stats.runs, stats.repeated);
}

Profile profile(InferenceSession& net, const MeasureOptions& options) {
  InferenceSession* const nets[] = {&net};
  Profile p;
  p.launch = net.captured() ? LaunchMode::graph : LaunchMode::eager;
  p.latency = measure_interleaved(nets, options)[0];
  if (net.device().kind != DeviceKind::cpu) p.device = measure_device(net, options);

  const Tensor images = random_images(net);
  const std::vector<double> ms = step_times(net, images, options, p.latency);
  for (std::size_t s = 0; s < ms.size(); ++s) {
    const int index = net.steps()[s].op;
    const Op& op = net.graph().ops[index];
    const ConvImplementation by = implementation(net, net.steps()[s]);
    p.ops.push_back({.op = index,
                     .name = op.name,
                     .kind = op.spec.kind(),
                     .spec = op.spec.str(),
                     .implementation = by.name,
                     .ms = ms[s],
                     .gmacs_per_s = static_cast<double>(op.spec.cost().macs) / ms[s] * 1e-6,
                     .multiplications = by.multiplications});
    OpTime& last = p.ops.back();
    last.multiplied_gmacs_per_s = static_cast<double>(last.multiplications) / last.ms * 1e-6;
    p.macs += op.spec.cost().macs;
    p.multiplications += last.multiplications;
  }
  p.multiplied_gmacs_per_s = utilization_gmacs(p.multiplications, p.latency.median);
  p.gmacs_per_s = static_cast<double>(p.macs) / p.latency.median * 1e-6;
  p.weight_mib = static_cast<double>(net.weight_bytes()) / (1 << 20);
  p.activation_mib = static_cast<double>(net.activation_bytes()) / (1 << 20);
  return p;
}

DeviceLatency measure_device(InferenceSession& net, const MeasureOptions& options) {
  const Tensor images = random_images(net);
  const Tensor flush = Tensor::empty({flush_bytes(net.device())}, Dtype::u8, net.device());
  const auto measure = [&](bool cold, auto time) {
    std::vector<double> times;
    for (int w = 0; w < options.warmup; ++w) net.run(images);
    warm_up(context_of(net), [&] { net.run(images); });
    SteadyRuns runs = steady_runs(options);
    for (int r = 0; r < options.runs; ++r) {
      times.push_back(runs.time([&] {
        if (cold) flush.zero();
        return time(net, images);
      }));
    }
    return summarize(times, runs);
  };
  return {.event = measure(false, event_time_once),
          .cold = measure(true, time_once),
          .cold_event = measure(true, event_time_once)};
}

std::vector<LatencyStats> measure_interleaved(std::span<InferenceSession* const> nets,
                                              const MeasureOptions& options) {
  if (options.runs < 1 || options.warmup < 0) {
    throw ConfigError("latency: expected runs >= 1 and warmup >= 0");
  }
  std::vector<Tensor> images;
  for (const InferenceSession* net : nets) images.push_back(random_images(*net));
  std::vector<std::vector<double>> times(nets.size());
  // One watch for all of them, once their first runs have made the threads.
  for (std::size_t i = 0; i < nets.size(); ++i) nets[i]->run(images[i]);
  MeasureOptions watched = options;
  if (!watched.counters) watched.counters = scheduler_counters();
  std::vector<SteadyRuns> runs(nets.size(), steady_runs(watched));
  // Blocks of a few runs: caches are as warm as in a stream of inferences, drift is still shared.
  for (int done = 0; done < options.runs; done += block) {
    for (std::size_t i = 0; i < nets.size(); ++i) {
      const int warm = done == 0 ? options.warmup : (nets.size() > 1 ? 2 : 0);
      for (int w = 0; w < warm; ++w) nets[i]->run(images[i]);
      if (done == 0) warm_up(context_of(*nets[i]), [&] { nets[i]->run(images[i]); });
      for (int r = done; r < std::min(done + block, options.runs); ++r) {
        times[i].push_back(runs[i].time([&] { return time_once(*nets[i], images[i]); }));
      }
    }
  }
  std::vector<LatencyStats> stats;
  for (std::size_t i = 0; i < nets.size(); ++i) stats.push_back(summarize(times[i], runs[i]));
  return stats;
}

EnergyResult measure_energy(const PowerMeter& meter, InferenceSession& net, EnergyOptions options) {
  options.inferences_per_run = net.graph().input[0];
  const Tensor images = random_images(net);
  return measure_energy(
      meter, [&] { time_once(net, images); }, options);
}

std::unique_ptr<InferenceSession> deploy_random(const Architecture& arch,
                                                const TensorOptions& where) {
  auto net = std::make_unique<InferenceSession>(Model(arch, 0, where.device, where.dtype));
  if (default_launch_mode(where.device) == LaunchMode::graph) net->capture();
  return net;
}

void measure_patiently(Patience* patience, const std::function<bool()>& measure) {
  constexpr double longest = 8;  // seconds
  double pause = 0.5;
  while (!measure() && patience && patience->seconds > 0) {
    pause = std::min({pause, longest, patience->seconds});
    if (patience->pause) {
      patience->pause(pause);
    } else {
      std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    }
    patience->seconds -= pause;
    pause *= 2;
  }
}

NetworkTiming time_network(const Architecture& arch, const MeasureOptions& options,
                           const TensorOptions& where, Patience* patience) {
  const std::unique_ptr<InferenceSession> net = deploy_random(arch, where);
  Profile p;
  measure_patiently(patience, [&] {
    p = profile(*net, options);
    return p.latency.steady();
  });
  NetworkTiming timing{.graph = net->graph(),
                       .op_ms = {},
                       .total_ms = p.latency.median,
                       .low_ms = p.latency.p10,
                       .high_ms = p.latency.p90,
                       .unsteady = p.latency.steady() ? "" : describe_disturbance(p.latency)};
  for (const OpTime& op : p.ops) timing.op_ms[op.op] = op.ms;
  return timing;
}

void require_steady(const NetworkTiming& timing) {
  if (timing.unsteady.empty()) return;
  throw DeviceError(fmt::format(
      "latency: expected the machine for itself, got {} (hint: end what else runs here, or lower "
      "--threads; --allow-unsteady decides on such figures anyway)",
      timing.unsteady));
}

}  // namespace hac
