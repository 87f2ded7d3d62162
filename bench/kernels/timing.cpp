#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "bench/kernels/kernels.h"
#include "engine/device/capture.h"
#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "scaling/measure/peak.h"

namespace hac::bench {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point end_of_time = Clock::time_point::max();

// Bytes read plus written by a copy inside the device's memory.
double copy_gbs(Context& context) {
  constexpr std::size_t bytes = std::size_t{256} << 20;
  const Tensor from = Tensor::zeros({bytes}, Dtype::u8, context.device()), to = from.clone();
  return 2e-6 * bytes / event_ms(context, 3, 10, [&] {
           context.runtime().copy(context, to.data(), from.data(), bytes);
         });
}

// What the device does at most, measured once.
struct Ceilings {
  std::optional<double> gmacs, gbs;
};

const Ceilings& ceilings(Device device, Dtype dtype) {
  static std::map<std::pair<Device, Dtype>, Ceilings> known;
  const auto [it, fresh] = known.try_emplace({device, dtype});
  if (fresh) {
    it->second.gmacs = measure_peak(device, dtype).gmacs_per_s;
    if (device.kind == DeviceKind::cuda) it->second.gbs = copy_gbs(Context::current(device));
    if (device.kind == DeviceKind::cpu) {
      if (const auto bandwidth = bandwidth_if_free()) it->second.gbs = bandwidth->rate;
    }
  }
  return it->second;
}

bool cold = false;

// Seconds of all iterations by the clock on the wall.
double time_here(benchmark::State& state, const std::function<void()>& run,
                 const std::function<void()>& before) {
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto start = Clock::now();
  double paused = 0;
  for (auto _ : state) {
    if (before) {
      const auto pause = Clock::now();
      state.PauseTiming();
      before();
      state.ResumeTiming();
      paused += since(pause);
    }
    run();
  }
  return since(start) - paused;
}

// Reads and writes more than the caches of the CPU hold. All threads do, and so are awake.
const std::function<void()>& flush_caches() {
  static Operands operands(Device{});
  static const Work work =
      variants_of(ActivationSpec{.shape = {1, 64, 512, 512}}, Device{}).front().prepare(operands);
  return work.run;
}

// By the device's events around replays of short work several times over: it waits for no host.
double time_recorded(benchmark::State& state, Context& context, const std::function<void()>& run) {
  const Runtime& runtime = context.runtime();
  Capture capture(context.device());
  capture.warm_up(run);
  const double once = std::max(event_ms(context, 1, 1, run), 1e-3);
  const int repetitions = std::clamp(static_cast<int>(0.2 / once), 1, 20);
  capture.record([&] {
    for (int r = 0; r < repetitions; ++r) run();
  });
  double seconds = 0;
  while (state.KeepRunningBatch(repetitions)) {
    const Event start = runtime.event_record(context);
    capture.replay();
    const double s = 1e-3 * runtime.elapsed_ms(context, start, runtime.event_record(context));
    state.SetIterationTime(s);
    seconds += s;
  }
  return seconds;
}

}  // namespace

// A block of them, again and again.
Tensor Operands::random(const Shape& shape, Dtype dtype, Layout layout) {
  static const Tensor block = [] {
    const Tensor t = Tensor::empty({1 << 16});
    fill_normal(t, 1, "bench", 1);
    return t;
  }();
  const Tensor some = block.to(device_).cast(dtype);
  const Tensor plain = Tensor::empty(shape, dtype, device_);
  Context& context = Context::current(device_);
  for (std::size_t at = 0; at < plain.bytes(); at += some.bytes()) {
    context.runtime().copy(context, plain.as<char>() + at, some.data(),
                           std::min(some.bytes(), plain.bytes() - at));
  }
  bytes_ += static_cast<std::int64_t>(plain.bytes());
  return plain.to(layout);
}

Tensor Operands::workspace(std::size_t bytes) const {
  if (bytes == 0) return {};
  return Tensor::empty({static_cast<std::int64_t>(bytes)}, Dtype::u8, device_);
}

void set_cold() { cold = true; }
bool is_cold() { return cold; }

void set_time_limit(double seconds) {
  end_of_time = Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void time_kernel(benchmark::State& state, Device device, Dtype dtype, const Variant& variant) {
  if (Clock::now() > end_of_time) return state.SkipWithError("no time left");
  try {
    Operands operands(device);
    const Work work = variant.prepare(operands);
    work.run();  // makes the plan
    Context& context = Context::current(device);
    context.runtime().synchronize(context);
    const double seconds = device.kind != DeviceKind::cpu
                               ? time_recorded(state, context, work.run)
                               : time_here(state, work.run, cold ? flush_caches() : nullptr);
    const double rate = 1e-9 * static_cast<double>(state.iterations()) / seconds;
    const double bytes = rate * static_cast<double>(operands.bytes());
    const double multiplied = rate * static_cast<double>(work.multiplications);
    const Ceilings& most = ceilings(device, dtype);
    if (work.macs > 0) {
      state.counters["GMAC/s"] = rate * static_cast<double>(work.macs);
      state.counters["multiplied"] = multiplied;
      if (most.gmacs) state.counters["of_peak"] = multiplied / *most.gmacs;
    }
    state.counters["GB/s"] = bytes;
    if (most.gbs) state.counters["of_bandwidth"] = bytes / *most.gbs;
    if (!work.label.empty()) state.SetLabel(work.label);
  } catch (const Error& e) {
    state.SkipWithError(e.what());
  }
}

}  // namespace hac::bench
