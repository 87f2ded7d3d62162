// Latency on a machine that others use too, by planted counters: what is taken again, what is said,
// when it gives up. And what a convolution really multiplies.

#include <chrono>

#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "models/zoo/zoo.h"
#include "scaling/measure/measure.h"
#include "scaling/measure/network_times.h"
#include "scaling/measure/peak.h"
#include "scaling/measure/utilization.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

// Counters of which the caller says how many milliseconds a run has to wait.
struct Planted {
  SchedulerCounters now{.waited_ms = {1}};
  std::function<SchedulerCounters()> counters() {
    return [this] { return now; };
  }
};

TEST(Disturbed, IsWhoWaitsForATwentiethOfTheRun) {
  const SchedulerCounters start{.waited_ms = {7}, .preemptions = 3};
  EXPECT_FALSE(disturbed(start, {.waited_ms = {7}, .preemptions = 9}, 1)) << "for no time at all";
  EXPECT_FALSE(disturbed(start, {.waited_ms = {7.04}}, 1));
  EXPECT_TRUE(disturbed(start, {.waited_ms = {7.06}}, 1));
  EXPECT_FALSE(disturbed(start, {.waited_ms = {7.015}}, 0.1)) << "any thread that is woken";
  // Where the kernel does not tell.
  EXPECT_FALSE(disturbed({.preemptions = 3}, {.preemptions = 3}, 1));
  EXPECT_TRUE(disturbed({.preemptions = 3}, {.preemptions = 4}, 1));
}

// What 64 threads wait side by side is not the time that was lost, but that of one of them is.
TEST(Disturbed, IsByTheThreadThatWaitedLongest) {
  const SchedulerCounters start{.waited_ms = std::vector<double>(64, 7)};
  EXPECT_FALSE(disturbed(start, {.waited_ms = std::vector<double>(64, 7.01)}, 0.1));
  EXPECT_FALSE(disturbed(start, {.waited_ms = std::vector<double>(64, 7.04)}, 1));
  SchedulerCounters one = start;
  one.waited_ms[50] += 0.06;
  EXPECT_TRUE(disturbed(start, one, 1));
  one.waited_ms[50] = 0;
  EXPECT_FALSE(disturbed(start, one, 1)) << "the thread has ended";
}

TEST(Disturbed, CountersOfThisProcessGrow) {
  const SchedulerWatch watch;
  const SchedulerCounters first = watch.read(), second = watch.read();
  ASSERT_GE(first.waited_ms.size(), 1u);
  ASSERT_EQ(second.waited_ms.size(), first.waited_ms.size());
  for (std::size_t t = 0; t < first.waited_ms.size(); ++t) {
    EXPECT_GE(first.waited_ms[t], 0);
    EXPECT_GE(second.waited_ms[t], first.waited_ms[t]);
  }
  EXPECT_GE(second.preemptions, first.preemptions);
}

// Every second run waits: each of those is taken again, and none counts.
TEST(SteadyRuns, TakesADisturbedRunAgain) {
  Planted planted;
  SteadyRuns runs(10, planted.counters());
  int calls = 0;
  for (int r = 0; r < 5; ++r) {
    EXPECT_EQ(runs.time([&] {
      const bool waits = ++calls % 2 == 1;
      if (waits) planted.now.waited_ms[0] += 3;
      return waits ? 4.0 : 1.0;
    }),
              1.0);
  }
  EXPECT_EQ(calls, 10);
  EXPECT_EQ(runs.repeated(), 5);
  EXPECT_EQ(runs.disturbed(), 0);
}

TEST(SteadyRuns, GivesUpWithinABoundAndSaysSo) {
  Planted planted;
  SteadyRuns runs(7, planted.counters());
  int calls = 0;
  for (int r = 0; r < 5; ++r) {
    runs.time([&] {
      ++calls;
      planted.now.waited_ms[0] += 3;
      return 4.0;
    });
  }
  EXPECT_EQ(calls, 12);
  EXPECT_EQ(runs.repeated(), 7);
  EXPECT_EQ(runs.disturbed(), 5);
  EXPECT_FALSE((LatencyStats{.runs = 5, .disturbed = runs.disturbed()}.steady()));
  EXPECT_TRUE((LatencyStats{.runs = 50, .disturbed = 5}.steady()));
  EXPECT_FALSE((LatencyStats{.runs = 50, .disturbed = 6}.steady()));
}

// A machine that is busy until `rests` readings were taken.
MeasureOptions busy_until(std::shared_ptr<int> readings, int rests) {
  return {.runs = 3,
          .warmup = 0,
          .repeats = 1,
          .counters = [readings, rests, waited = 1.0]() mutable -> SchedulerCounters {
            if (++*readings < rests) waited += 1000;
            return {.waited_ms = {waited}};
          }};
}

TEST(TimeNetwork, WaitsForTheMachineToComeToRest) {
  const auto readings = std::make_shared<int>(0);
  std::vector<double> pauses;
  Patience patience{.seconds = 60, .pause = [&](double s) { pauses.push_back(s); }};
  // Before and after three runs and as many repeats, then a block of the layers' and its repeat: 16
  // readings a time.
  const NetworkTiming timing = time_network(tiny_net(), busy_until(readings, 33), {}, &patience);
  EXPECT_EQ(timing.unsteady, "");
  EXPECT_EQ(pauses, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(patience.seconds, 58.5);
  EXPECT_NO_THROW(require_steady(timing));
}

TEST(TimeNetwork, GivesUpNamingTheOption) {
  const auto readings = std::make_shared<int>(0);
  double waited = 0;
  Patience patience{.seconds = 20, .pause = [&](double s) { waited += s; }};
  const NetworkTiming timing =
      time_network(tiny_net(), busy_until(readings, 1 << 30), {}, &patience);
  EXPECT_EQ(waited, 20);
  EXPECT_EQ(patience.seconds, 0);
  EXPECT_EQ(timing.unsteady, "3 of 3 runs waited for a core, after 6 were taken again");
  EXPECT_ERROR(require_steady(timing), DeviceError, "3 of 3 runs", "--allow-unsteady");
}

TEST(TimeNetworks, TheFasterHalfOfTheRoundsCounts) {
  const auto round = [](double ms, const char* unsteady = "") {
    return NetworkTiming{.op_ms = {{2, ms / 2}, {5, 100 - ms}},
                         .total_ms = ms,
                         .low_ms = ms - 0.5,
                         .high_ms = ms + 1,
                         .unsteady = unsteady};
  };
  const NetworkTiming of_five =
      of_rounds({round(9, "slow"), round(1), round(4), round(70), round(2)});
  EXPECT_EQ(of_five.total_ms, 2);
  EXPECT_EQ(of_five.low_ms, 0.5);
  EXPECT_EQ(of_five.high_ms, 5);
  EXPECT_EQ(of_five.op_ms, (std::map<int, double>{{2, 1}, {5, 98}}));
  EXPECT_EQ(of_five.unsteady, "") << "a round that does not count";
  EXPECT_EQ(of_rounds({round(3, "busy"), round(8)}).unsteady, "busy");

  std::vector<std::size_t> told;
  const auto timed = time_networks({tiny_net(), tiny_net()}, {},
                                   {.measure = {.runs = 7, .warmup = 0},
                                    .allow_unsteady = true,
                                    .done = [&](std::size_t n) { told.push_back(n); }});
  EXPECT_EQ(told, (std::vector<std::size_t>{1, 2}));
  ASSERT_EQ(timed.size(), 2u);
  EXPECT_GT(timed[1].timing.total_ms, 0);
  EXPECT_LE(timed[1].timing.low_ms, timed[1].timing.high_ms);
}

TEST(MeasureInterleaved, SaysOfWhichNetworkTheRunsWereDisturbed) {
  const auto quiet = deploy_random(tiny_net(), {}), busy = deploy_random(tiny_net(), {});
  InferenceSession* const nets[] = {quiet.get(), busy.get()};
  const auto readings = std::make_shared<int>(0);
  const auto stats = measure_interleaved(nets, busy_until(readings, 1 << 30));
  EXPECT_EQ(stats[0].disturbed, 3);
  EXPECT_EQ(stats[1].repeated, 3);
  EXPECT_FALSE(stats[0].steady());
  EXPECT_EQ(describe_disturbance(stats[0]),
            "3 of 3 runs waited for a core, after 3 were taken again");
  EXPECT_EQ(describe_disturbance({.runs = 3}), "");
}

TEST(Multiplications, OfANetworkAreAtMostItsMacs) {
  const auto net = deploy_random(zoo("vgg11"), {});
  std::int64_t macs = 0;
  for (const Op& op : net->graph().ops) macs += op.spec.cost().macs;
  EXPECT_LE(multiplications(*net), macs);
  EXPECT_GT(multiplications(*net), macs / 5);
}

// What is really multiplied, or a count is wrong: not a matter of a few percent. A peak or a time
// that a busy machine disturbed proves nothing.
TEST(Multiplications, OfNoConvolutionExceedThePeak) {
  for (const char* name : {"vgg11", "resnet20"}) {
    const auto net = deploy_random(scale_width(zoo(name), 0.5), {});
    const Profile p = profile(*net, {.runs = 10});
    const Ceiling peak = measure_peak_gmacs();
    if (!p.latency.steady() || !peak.steady) continue;
    for (const OpTime& op : p.ops) {
      const double rate = static_cast<double>(op.multiplications) / op.ms * 1e-6;
      EXPECT_LT(rate, 2 * peak.rate) << name << " " << op.spec;
    }
  }
}

// Each run takes 2 ms at least, so of 1, 2, 4, ... runs before each look at the clock at most
// 1 + 2 + 4 + 8 begin within 20 ms.
TEST(WarmUp, LastsForATimeAndNotForACount) {
  int runs = 0;
  const auto work = [&] {
    ++runs;
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  work_for(Context::current(kSimt), 20, work);
  EXPECT_GE(runs, 1);
  EXPECT_LE(runs, 15);
  runs = 0;
  work_for(Context::current(kSimt), 0, work);
  warm_up(Context::current(kSimt), work);
  EXPECT_EQ(runs, 0) << "simt and the CPU have no clock to raise";
}

TEST(Peak, IsOfTheDeviceAndSimtHasNone) {
  const Peak simt = measure_peak(kSimt, Dtype::bf16);
  EXPECT_FALSE(simt.gmacs_per_s);
  EXPECT_CONTAINS(simt.of, "simt");
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    if (dtype == Dtype::bf16 && !cpu::has_bf16()) continue;
    const Peak peak = measure_peak({}, dtype);
    EXPECT_GT(peak.gmacs_per_s.value_or(0), 0.1);
    EXPECT_CONTAINS(peak.of, std::string(name_of(dtype)) + " multiply-adds");
  }
}

// The median of ten is at most twice their mean.
TEST(Peak, OfAProductIsItsMacsOverItsMedianTime) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    const LinearSpec spec{.dtype = dtype, .n = 300, .in = 40, .out = 24, .bias = false};
    const auto start = std::chrono::steady_clock::now();
    const double gmacs = measure_linear_gmacs(kSimt, spec, 10);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    EXPECT_GE(gmacs, 5 * static_cast<double>(spec.cost().macs) * 1e-9 / taken.count());
    EXPECT_LT(gmacs, 50) << "no host multiplies that fast under simt";
  }
}

}  // namespace
}  // namespace hac
