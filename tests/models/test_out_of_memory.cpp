// Running out of memory: the message holds what there is to know, and the batch that it estimates
// does fit, while one several times larger does not.

#include <regex>

#include "kernels/cpu/host.h"
#include "models/deploy/inference_session.h"
#include "models/train/batch_estimate.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

struct Case {
  std::string name;
  Device device;
  std::size_t limit = 768 << 10;
  std::int64_t images = 150;
  LaunchMode launch = LaunchMode::eager;
  Dtype dtype = Dtype::f32;
  Architecture arch = tiny_net();
  OptimizerKind optimizer = OptimizerKind::sgd;
  double ema = 0;
};

// 280 KB of parameters and 2 KB of values more than tiny_net(): what is kept beside parameters
// decides which batch fits.
Architecture heavy_net() {
  Architecture arch = tiny_net();
  for (const char* name : {"conv4", "conv3"}) {
    arch.layers.insert(arch.layers.begin() + 6,
                       Conv{.name = name, .out = 256, .kernel = 1, .pad = 0});
  }
  return arch;
}

// So many bytes for a training, beside what this process holds already.
class Limit {
 public:
  Limit(std::size_t bytes, Device device) : device_(device) {
    Context::current(device).release_scratch();
    release_cached_memory(device);
    set_memory_limit(memory_stats(device).in_use + bytes, device);
  }
  ~Limit() { set_memory_limit(0, device_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  Device device_;
};

// Of a whole training of two epochs within the limit; "" if it ends well.
std::string error_of_training(const Case& c, std::int64_t batch, std::size_t limit_bytes,
                              std::int64_t parts = 1) {
  const Limit limit(limit_bytes, c.device);
  TrainConfig config = tiny_config(c.images, batch);
  config.launch = c.launch;
  config.accumulate = parts;
  config.optimizer.kind = c.optimizer;
  config.ema = c.ema;
  const DataSplit data = open_data(config.data);
  Model model(c.arch, 1, c.device, c.dtype);
  try {
    train(model, data, config);
  } catch (const OutOfMemory& error) {
    return error.what();
  }
  return "";
}

std::int64_t named_batch(const std::string& message) {
  std::smatch found;
  const bool named =
      std::regex_search(message, found, std::regex("hint: --batch ([0-9]+) may fit"));
  EXPECT_TRUE(named) << message;
  return named ? std::stoll(found[1]) : 0;
}

void expect_estimate_that_trains(const Case& c) {
  for (const std::size_t limit : {c.limit, c.limit + c.limit / 2}) {
    const std::string message = error_of_training(c, c.images - 10, limit);
    EXPECT_CONTAINS(message, "requested", "in use", "peak", "scratch", "free", "limit");
    const std::int64_t batch = named_batch(message);
    ASSERT_GT(batch, 4) << message;
    EXPECT_EQ(error_of_training(c, batch, limit), "") << batch << " was named";
    if (4 * batch < c.images) {
      EXPECT_NE(error_of_training(c, 4 * batch, limit), "") << batch << " is far from the most";
    }
  }
}

class OutOfMemoryTest : public ::testing::TestWithParam<Case> {};

TEST_P(OutOfMemoryTest, EstimatesABatchThatTrains) { expect_estimate_that_trains(GetParam()); }

TEST_P(OutOfMemoryTest, SaysThatNotEvenOneImageFits) {
  EXPECT_CONTAINS(error_of_training(GetParam(), 32, 12u << 10), "not even --batch 1 may fit");
}

INSTANTIATE_TEST_SUITE_P(
    Places, OutOfMemoryTest,
    // oneDNN's scratch memory is megabytes whatever the batch.
    ::testing::Values(Case{.name = "cpu", .device = {}, .limit = 10 << 20, .images = 600},
                      Case{.name = "simt", .device = kSimt},
                      Case{.name = "simt_graph", .device = kSimt, .launch = LaunchMode::graph},
                      Case{.name = "simt_bf16", .device = kSimt, .dtype = Dtype::bf16}),
    [](const auto& info) { return info.param.name; });

TEST(OutOfMemory, TheEstimateCountsWhatIsKeptBesideParameters) {
  expect_estimate_that_trains({.name = "adamw and ema",
                               .device = kSimt,
                               .limit = 2 << 20,
                               .arch = heavy_net(),
                               .optimizer = OptimizerKind::adamw,
                               .ema = 0.9});
}

// What the whole batch's images take does not shrink with the parts.
TEST(OutOfMemory, ABatchTrainsInThePartsThatAreNamed) {
  const Case cases[] = {{.device = kSimt, .limit = 2 << 20, .images = 144},
                        {.device = kSimt, .limit = 3 << 19, .images = 144, .dtype = Dtype::bf16},
                        {.device = {}, .limit = 12 << 20, .images = 720}};
  for (const Case& c : cases) {
    const std::string message = error_of_training(c, c.images, c.limit);
    std::smatch found;
    ASSERT_TRUE(std::regex_search(message, found, std::regex("; --accumulate ([0-9]+) keeps")))
        << message;
    const std::int64_t parts = std::stoll(found[1]);
    EXPECT_GT(parts, 1);
    EXPECT_EQ(error_of_training(c, c.images, c.limit, parts), "") << parts << " were named";
  }
}

TEST(OutOfMemory, OfADeploymentIsEstimatedToo) {
  const Model model(tiny_net(), 1, kSimt);
  const auto run = [&](std::int64_t batch) {
    InferenceSession net(model, batch);
    net.run(Tensor::zeros(net.graph().input, Dtype::f32, kSimt));
  };
  const Limit limit(400 << 10, kSimt);
  EXPECT_THROW(run(200), OutOfMemory);
  Context::current(kSimt).release_scratch();
  const std::int64_t batch = estimated_batch(model, Work::inference, LaunchMode::eager);
  ASSERT_GT(batch, 8);
  EXPECT_NO_THROW(run(batch)) << batch;
  EXPECT_THROW(run(4 * batch), OutOfMemory) << batch;
}

// The kernels' own allocation says as much as a tensor's, and takes what the tensors left unused.
TEST(OutOfMemory, OfScratchMemoryDescribesItAll) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer ends the process at such a request";
#endif
  Context& context = Context::current();
  { const Tensor kept = Tensor::empty({1 << 20}); }
  ASSERT_GE(memory_stats().cached, std::size_t{4} << 20);
  EXPECT_ERROR(context.scratch(std::size_t{1} << 62), OutOfMemory, "requested", "in use", "peak",
               "scratch", "free", "limit");
  EXPECT_EQ(memory_stats().cached, 0u);
}

// The test set alone is larger than what is left beside the network: its images go batch by batch.
TEST(OutOfMemory, InEvaluationHalvesTheBatch) {
  Model model(tiny_net(), 1, kSimt);
  TrainConfig config = tiny_config(8, 4);
  config.data.limit_test = 150;
  const DataSplit data = open_data(config.data);
  const EvalResult expected = evaluate(model, data.test, {.batch = 150});
  const Limit limit(300 << 10, kSimt);
  reset_peak_memory(kSimt);
  for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
    const EvalResult got = evaluate(model, data.test, {.batch = 150, .launch = launch});
    EXPECT_LE(memory_stats(kSimt).peak, memory_stats(kSimt).limit);
    EXPECT_EQ(got.images, expected.images);
    EXPECT_EQ(got.top1, expected.top1);
    EXPECT_NEAR(got.loss, expected.loss, 1e-6);
  }
}

TEST(HostMemory, IsWhatIsAvailableOrLeftOfTheControlGroup) {
  const TempFolder folder;
  const std::string root = folder.path();
  EXPECT_EQ(host::memory_in(root).total, 0u);
  folder.write("proc/meminfo",
               "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n");
  EXPECT_EQ(host::memory_in(root).free, 600u * 1024);
  EXPECT_EQ(host::memory_in(root).total, 1000u * 1024);
  folder.write("proc/self/cgroup", "0::/user/job\n");
  folder.write("sys/fs/cgroup/user/job/memory.max", "max\n");
  folder.write("sys/fs/cgroup/user/job/memory.current", "4096\n");
  EXPECT_EQ(host::memory_in(root).free, 600u * 1024);
  folder.write("sys/fs/cgroup/user/job/memory.max", "204800\n");
  EXPECT_EQ(host::memory_in(root).free, 204800u - 4096);
  EXPECT_EQ(host::memory_in(root).total, 204800u);
  folder.write("sys/fs/cgroup/user/job/memory.stat", "anon 1024\ninactive_file 3072\n");
  EXPECT_EQ(host::memory_in(root).free, 204800u - 1024);
  folder.write("sys/fs/cgroup/user/job/memory.stat",
               "anon 24\ninactive_file 1024\nactive_file 2048\nslab_reclaimable 1000\n"
               "slab_unreclaimable 64\n");
  EXPECT_EQ(host::memory_in(root).free, 204800u - 24);
  // Version 1, seen from inside of a container.
  folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "102400\n");
  folder.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "200000\n");
  EXPECT_EQ(host::memory_in(root).free, 0u);
  folder.write("sys/fs/cgroup/memory/memory.stat",
               "inactive_file 1\nactive_file 1\ntotal_inactive_file 60000\n"
               "total_active_file 50000\n");
  EXPECT_EQ(host::memory_in(root).free, 102400u - 90000);
  EXPECT_GT(host::memory({}).free, 0u);
  EXPECT_GE(host::memory({}).total, host::memory({}).free);
}

}  // namespace
}  // namespace hac
