// What the loader costs while a net trains: CPU time for a batch of 128, on one loader thread.
//   bench_loader [DATA[@RESOLUTION]...]   default: fashion-mnist cifar10 cifar10@40 synthetic
// A set that is not there is skipped with its reason. The last column is the CPU time of a batch as
// a share of one core when a step takes 30 ms (a slim VGG11 on two cores).

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "data/loader/loader.h"
#include "data/sets/datasets.h"
#include "kernels/core/error.h"

namespace {

double seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Cost {
  double wall_ms, cpu_ms;  // a batch
  std::int64_t images;
};

// Takes batches as fast as they come, or pauses between them as a training step would.
Cost measure(hac::Loader& loader, std::int64_t batches, double step_ms) {
  hac::Batch batch;
  Cost cost{};
  loader.start(0);
  for (int i = 0; i < 3; ++i) loader.next(batch);
  const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  std::int64_t epoch = 0, done = 0;
  for (; done < batches; ++done) {
    if (!loader.next(batch)) {
      loader.start(++epoch);
      loader.next(batch);
    }
    cost.images += batch.size();
    if (step_ms > 0)
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(step_ms));
  }
  cost.wall_ms = 1e3 * (seconds(CLOCK_MONOTONIC) - wall) / static_cast<double>(done);
  cost.cpu_ms = 1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / static_cast<double>(done);
  return cost;
}

void bench(const std::string& spec) {
  const std::size_t at = spec.rfind('@');
  const std::int64_t resolution = at == spec.npos ? 0 : std::stoll(spec.substr(at + 1));
  const hac::DataSplit data = hac::open_data({.name = spec.substr(0, at)});
  constexpr double step_ms = 30;
  hac::Loader loader(data.train, {.resolution = resolution, .threads = 1});
  const Cost busy = measure(loader, std::min<std::int64_t>(1000, 2 * loader.batches()), 0);
  const Cost paced = measure(loader, 50, step_ms);
  fmt::print("{:<24} {:>10.0f} {:>13.3f} {:>14.3f} {:>14.3f} {:>9.2f} %\n", spec,
             static_cast<double>(busy.images) /
                 (busy.wall_ms * 1e-3 * static_cast<double>(busy.images) / 128),
             busy.wall_ms, busy.cpu_ms, paced.cpu_ms, 100 * paced.cpu_ms / step_ms);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> specs(argv + 1, argv + argc);
  if (specs.empty()) specs = {"fashion-mnist", "cifar10", "cifar10@40", "synthetic"};
  fmt::print("{:<24} {:>10} {:>13} {:>14} {:>14} {:>11}\n", "crop and flip, batch 128", "images/s",
             "wall ms/batch", "CPU ms/batch", "CPU ms, paced", "of a core");
  for (const std::string& spec : specs) {
    try {
      bench(spec);
    } catch (const hac::Error& error) {
      fmt::print("{:<24} skipped: {}\n", spec, error.what());
    }
  }
}
