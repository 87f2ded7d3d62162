// What the program believes of the machine: its ceilings, what this process may have of it, and how
// threads that compute treat denormals.

#include <cstdlib>
#include <thread>

#include "data/loader/loader.h"
#include "kernels/core/context.h"
#include "kernels/core/denormals.h"
#include "kernels/core/machine.h"
#include "kernels/cpu/host.h"
#include "tests/support/temp_folder.h"
#if defined(__x86_64__)
#include "tests/support/handwritten_loops.h"
#endif

namespace hac {
namespace {

#if defined(__x86_64__)
// A factor of two apart is a loop that does not stay in its registers, or one stream of loads, and
// not a busy machine.
TEST(Machine, PeakLoopIsAsFastAsOneByHand) {
  const Rates peak = peak_rates(60);
  EXPECT_GT(peak.measured, peak.by_hand / 2) << cpu::isa_name();
  EXPECT_LT(peak.measured, peak.by_hand * 2) << cpu::isa_name();
}

TEST(Machine, ReadLoopIsAsFastAsTouchingEachCacheLine) {
  const Rates bandwidth = read_rates(64);
  EXPECT_GT(bandwidth.measured, bandwidth.by_hand / 2) << cpu::isa_name();
  EXPECT_LT(bandwidth.measured, bandwidth.by_hand * 2) << cpu::isa_name();
}

TEST(Machine, MeasuresThemAsLoops) {
  EXPECT_GT(measure_peak_gmacs().rate, peak_rates(60).by_hand / 2);
  EXPECT_GT(measure_bandwidth_gbs().rate, 0);
}
#endif

TEST(Machine, ACeilingSaysThatABusyMachineDisturbedIt) {
  SchedulerCounters last{.waited_ms = {1}};
  int readings = 0;
  const auto busy = [&] {
    ++readings;
    last.waited_ms[0] += 1000;
    return last;
  };
  EXPECT_FALSE(measure_peak_gmacs(busy).steady);
  EXPECT_EQ(readings, 2 * 4 * 60) << "each trial is watched, and more are taken";
  const Ceiling idle = measure_peak_gmacs([&] { return last; });
  EXPECT_TRUE(idle.steady);
  EXPECT_GT(idle.rate, 0);
}

// In slices of 32 MiB.
TEST(Machine, BandwidthIsReadFromMoreThanTheCachesHold) {
  constexpr std::size_t mib = 1 << 20, plenty = std::size_t{64} << 30;
  EXPECT_EQ(cpu::bandwidth_slices(0, plenty), 8);
  EXPECT_EQ(cpu::bandwidth_slices(32 * mib, plenty), 8);
  EXPECT_EQ(cpu::bandwidth_slices(320 * mib, plenty), 40);
  EXPECT_EQ(cpu::bandwidth_slices(1100 * mib, plenty), 138);
  EXPECT_EQ(cpu::bandwidth_slices(32 * mib, 300 * mib), 4) << "half of what is free";
  EXPECT_EQ(cpu::bandwidth_slices(32 * mib, 127 * mib), 0);
  EXPECT_EQ(cpu::bandwidth_slices(320 * mib, 1280 * mib), 20);
  EXPECT_EQ(cpu::bandwidth_slices(320 * mib, 1279 * mib), 0) << "a cache would answer";
  EXPECT_EQ(cpu::bandwidth_slices(0, 0), 0);
}

class LimitsIn : public InFolder {
 protected:
  LimitsIn() { folder.write("proc/meminfo", "MemTotal:       1000 kB\n"); }
  const std::string root = folder.path();
};

TEST_F(LimitsIn, AreWhatTheControlGroupsOfEachLevelLeave) {
  EXPECT_FALSE(limits_in(root).cpu_quota);
  EXPECT_FALSE(limits_in(root).memory_bytes);

  folder.write("proc/self/cgroup", "0::/user/job\n");
  folder.write("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
  folder.write("sys/fs/cgroup/user/job/memory.max", "max\n");
  EXPECT_FALSE(limits_in(root).cpu_quota);
  EXPECT_FALSE(limits_in(root).memory_bytes);
  folder.write("sys/fs/cgroup/user/job/cpu.max", "350000 100000\n");
  folder.write("sys/fs/cgroup/user/job/memory.max", "409600\n");
  EXPECT_EQ(limits_in(root).cpu_quota, 3.5);
  EXPECT_EQ(limits_in(root).memory_bytes, 409600u);
  // A group above it that has less.
  folder.write("sys/fs/cgroup/user/cpu.max", "75000 50000\n");
  folder.write("sys/fs/cgroup/user/memory.max", "204800\n");
  const Limits v2 = limits_in(root);
  EXPECT_EQ(v2.cpu_quota, 1.5);
  EXPECT_EQ(v2.cpu_quota_from, root + "/sys/fs/cgroup/user/cpu.max");
  EXPECT_EQ(v2.memory_bytes, 204800u);
  EXPECT_EQ(v2.memory_from, root + "/sys/fs/cgroup/user/memory.max");
}

TEST_F(LimitsIn, OfVersionOneAreFoundByControllerAndAtTheTopOfAContainer) {
  folder.write("proc/self/cgroup", "5:cpu,cpuacct:/a/b\n4:memory:/docker/0123\n0::/\n");
  folder.write("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
  folder.write("sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
  folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(limits_in(root).cpu_quota);
  EXPECT_FALSE(limits_in(root).memory_bytes);
  folder.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "25000\n");
  folder.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000\n");
  folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "102400\n");
  const Limits v1 = limits_in(root);
  EXPECT_EQ(v1.cpu_quota, 0.5);
  EXPECT_EQ(v1.cpu_quota_from, root + "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us");
  EXPECT_EQ(v1.memory_bytes, 102400u);
  EXPECT_EQ(v1.memory_from, root + "/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

// An ARM processor names itself by numbers alone.
TEST_F(LimitsIn, ABoardGivesItsProcessorTheNameThatItHasNot) {
  EXPECT_EQ(host::cpu_name_in(root), "");
  folder.write("proc/cpuinfo",
               "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0b\n");
  EXPECT_EQ(host::cpu_name_in(root), "CPU part 0xd0b of implementer 0x41");
  folder.write("proc/device-tree/model", std::string("Raspberry Pi 5 Model B Rev 1.0\0", 31));
  EXPECT_EQ(host::cpu_name_in(root), "Raspberry Pi 5 Model B Rev 1.0");
  folder.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC\n");
  EXPECT_EQ(host::cpu_name_in(root), "AMD EPYC");
}

TEST(Threads, AreBoundByTheLimits) {
  EXPECT_EQ(threads_within({.affinity = 64}), 64);
  EXPECT_EQ(threads_within({.affinity = 64, .cpu_quota = 1}), 1);
  EXPECT_EQ(threads_within({.affinity = 64, .cpu_quota = 1.01}), 2);
  EXPECT_EQ(threads_within({.affinity = 64, .cpu_quota = 0.2}), 1);
  EXPECT_EQ(threads_within({.affinity = 2, .cpu_quota = 4}), 2);
  EXPECT_EQ(threads_within({.affinity = 2, .cpu_quota = 1e300}), 2);
}

TEST(Threads, ZeroIsWhatTheProcessMayHave) {
  const int before = num_threads();
  set_num_threads(before + 3);
  EXPECT_EQ(num_threads(), before + 3);
  set_num_threads(0);
  if (!std::getenv("OMP_NUM_THREADS")) {
    EXPECT_EQ(num_threads(), threads_within(limits()));
  }
  set_num_threads(before);
}

// Reads a denormal, and makes one.
bool flushes() {
  const volatile float denormal = 1e-40f, small = 1e-30f, one = 1;
  const volatile float read = denormal * one, written = small * (one * 1e-10f);
  return read == 0 && written == 0;
}

// As in a thread that nobody told to flush them.
void keep_denormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() & ~0x8040u);
#endif
}

TEST(Denormals, AreZeroInAThreadThatComputes) {
  bool before = true, after = false;
  std::thread([&] {
    keep_denormals();
    before = flushes();
    Context::current();
    after = flushes();
  }).join();
#if defined(__x86_64__)
  EXPECT_FALSE(before);
#endif
  EXPECT_TRUE(after);
}

// Also those that OpenMP had before the program came to set anything.
TEST(Denormals, AreZeroInOpenMpsThreads) {
#pragma omp parallel
  keep_denormals();
  const int threads = num_threads();
  set_num_threads(4);
  std::vector<char> flushed(4);
#pragma omp parallel num_threads(4)
  flushed[omp_get_thread_num()] = flushes();
  EXPECT_EQ(flushed, std::vector<char>(4, 1));
  set_num_threads(threads);
}

// Its labels say whether the thread that asked flushes.
class FlushingSet final : public Dataset {
 public:
  std::int64_t size() const override { return 8; }
  StoredImage read(std::int64_t) const override {
    return Sample{.channels = 1, .height = 2, .width = 2, .pixels = {0, 0, 0, 0}};
  }
  std::int32_t label(std::int64_t) const override { return flushes(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

 private:
  std::vector<std::string> classes_{"no", "yes"};
  Preprocessing preprocessing_{.channels = 1, .resolution = 2};
};

TEST(Denormals, AreZeroInALoadersThreads) {
  std::vector<std::int32_t> flushed;
  std::thread([&] {
    keep_denormals();
    Loader loader(std::make_shared<FlushingSet>(),
                  {.batch = 2, .pipeline = evaluation, .threads = 2});
    loader.start(0);
    for (Batch batch; loader.next(batch);) {
      flushed.insert(flushed.end(),
                     {batch.labels.as<std::int32_t>()[0], batch.labels.as<std::int32_t>()[1]});
    }
  }).join();
  EXPECT_EQ(flushed, std::vector<std::int32_t>(8, 1));
}

}  // namespace
}  // namespace hac
