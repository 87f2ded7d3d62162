// The loader: order, resume, threads, errors and shutdown.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

#include "data/loader/input_transform.h"
#include "data/loader/loader.h"
#include "data/sets/datasets.h"
#include "engine/tensor/storage.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

// n images of 1x8x8 that hold their index; labels are index % 7. Image `broken` throws.
class Counting final : public Dataset {
 public:
  explicit Counting(std::int64_t n, std::int64_t broken = -1, int delay_us = 0)
      : n_(n), broken_(broken), delay_us_(delay_us) {}
  std::int64_t size() const override { return n_; }
  StoredImage read(std::int64_t i) const override {
    if (delay_us_) std::this_thread::sleep_for(std::chrono::microseconds(delay_us_));
    if (i == broken_) throw IoError("image 'broken.jpg': corrupt JPEG");
    return Sample{1, 8, 8, std::vector<std::uint8_t>(64, static_cast<std::uint8_t>(i))};
  }
  std::int32_t label(std::int64_t i) const override { return static_cast<std::int32_t>(i % 7); }
  const std::vector<std::string>& classes() const override { return classes_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

 private:
  std::int64_t n_, broken_;
  int delay_us_;
  std::vector<std::string> classes_ = std::vector<std::string>(7, "class");
  Preprocessing preprocessing_{.channels = 1, .resolution = 8};
};

DatasetPtr counting(std::int64_t n, std::int64_t broken = -1, int delay_us = 0) {
  return std::make_shared<Counting>(n, broken, delay_us);
}

// Pixels and labels of what is left of the epoch, batch by batch.
std::vector<std::vector<float>> drain(Loader& loader) {
  std::vector<std::vector<float>> batches;
  Batch batch;
  while (loader.next(batch)) {
    std::vector<float> values(batch.images.floats().begin(), batch.images.floats().end());
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      values.push_back(static_cast<float>(batch.labels.as<std::int32_t>()[i]));
    }
    batches.push_back(std::move(values));
  }
  return batches;
}

// The dataset indices of an epoch, read from the pixels.
std::vector<std::int64_t> indices(Loader& loader, std::int64_t epoch, std::int64_t first = 0) {
  loader.start(epoch, first);
  std::vector<std::int64_t> out;
  Batch batch;
  while (loader.next(batch)) {
    EXPECT_EQ(batch.images.shape(), (Shape{batch.size(), 1, 8, 8}));
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      out.push_back(std::lround(batch.images.floats()[i * 64] * 255));
      EXPECT_EQ(batch.labels.as<std::int32_t>()[i], out.back() % 7);
    }
  }
  return out;
}

TEST(EpochOrder, IsAPermutationOfSeedAndEpochAlone) {
  for (const std::int64_t n : {0, 1, 2, 10, 1000}) {
    std::vector<std::int64_t> order = epoch_order(n, 3, 4);
    EXPECT_EQ(order, epoch_order(n, 3, 4));
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i);
  }
  EXPECT_NE(epoch_order(100, 3, 4), epoch_order(100, 3, 5));
  EXPECT_NE(epoch_order(100, 3, 4), epoch_order(100, 4, 4));
}

TEST(EpochOrder, EveryIndexGoesEverywhereAlike) {
  constexpr int n = 8, epochs = 8000;
  std::vector<int> count(n * n);
  for (int e = 0; e < epochs; ++e) {
    const auto order = epoch_order(n, 11, e);
    for (int i = 0; i < n; ++i) ++count[i * n + order[i]];
  }
  double chi2 = 0;
  for (const int c : count) chi2 += (c - 1000.0) * (c - 1000.0) / 1000.0;
  EXPECT_LT(chi2, 95);  // 49 degrees of freedom: p < 1e-4 beyond
}

TEST(Loader, GivesEveryImageOnceInTheOrderOfTheEpoch) {
  Loader loader(counting(100), {.batch = 16, .pipeline = evaluation, .seed = 9});
  EXPECT_EQ(loader.batches(), 7);
  for (const std::int64_t epoch : {0, 1, 0})
    EXPECT_EQ(indices(loader, epoch), epoch_order(100, 9, epoch));
}

TEST(Loader, KeepsFileOrderWithoutShuffleAndCanDropTheRest) {
  Loader loader(counting(100),
                {.batch = 16, .shuffle = false, .pipeline = evaluation, .drop_last = true});
  EXPECT_EQ(loader.batches(), 6);
  const std::vector<std::int64_t> got = indices(loader, 5);
  ASSERT_EQ(got.size(), 96u);
  for (std::int64_t i = 0; i < 96; ++i) EXPECT_EQ(got[i], i);
}

TEST(Loader, LastBatchIsShort) {
  Loader loader(counting(10), {.batch = 4, .pipeline = evaluation});
  loader.start(0);
  Batch batch;
  for (const std::int64_t n : {4, 4, 2}) {
    ASSERT_TRUE(loader.next(batch));
    EXPECT_EQ(batch.size(), n);
  }
  EXPECT_FALSE(loader.next(batch));
  EXPECT_FALSE(loader.next(batch));
  Loader empty(counting(0), {.batch = 4});
  empty.start(0);
  EXPECT_FALSE(empty.next(batch));
}

TEST(Loader, AppliesTheAugmentationOfThePosition) {
  const DatasetPtr data =
      open_data({.name = "synthetic", .limit_train = 50, .resolution = 16}).train;
  Loader loader(data, {.batch = 16, .resolution = 20, .seed = 4});
  loader.start(3);
  const auto order = epoch_order(50, 4, 3);
  const InputTransform transform(data->preprocessing(), 20);
  const Pipeline pipeline = standard_augmentation(data->preprocessing());
  InputTransform::Scratch scratch;
  std::vector<float> expected(3 * 20 * 20);
  Batch batch;
  for (std::int64_t position = 0; loader.next(batch);) {
    for (std::int64_t i = 0; i < batch.size(); ++i, ++position) {
      transform(apply(pipeline, data->read(order[position]), {4, 3, position}), expected.data(),
                scratch);
      const float* got = batch.images.as<float>() + i * 1200;
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), got)) << "position " << position;
    }
  }
}

TEST(Loader, ResumesInTheMiddleOfAnEpochBitForBit) {
  const DatasetPtr data =
      open_data({.name = "synthetic", .limit_train = 100, .resolution = 16}).train;
  const LoaderConfig config{.batch = 8, .resolution = 12, .seed = 2};
  Loader whole(data, config);
  whole.start(6);
  const auto all = drain(whole);
  ASSERT_EQ(all.size(), 13u);
  for (const std::int64_t first : {0, 1, 5, 12, 13}) {
    Loader part(data, config);
    part.start(6, first);
    const auto rest = drain(part);
    ASSERT_EQ(rest, std::vector(all.begin() + first, all.end())) << "from batch " << first;
  }
}

TEST(Loader, ThreadsAndPrefetchDoNotChangeABit) {
  const DatasetPtr data =
      open_data({.name = "synthetic", .limit_train = 200, .resolution = 16}).train;
  std::vector<std::vector<std::vector<float>>> runs;
  for (const auto& [threads, prefetch] :
       std::vector<std::pair<int, int>>{{1, 1}, {1, 3}, {3, 1}, {3, 8}}) {
    Loader loader(data, {.batch = 7, .seed = 1, .threads = threads, .prefetch = prefetch});
    loader.start(1);
    runs.push_back(drain(loader));
  }
  for (const auto& run : runs) EXPECT_EQ(run, runs[0]);
}

TEST(Loader, AnEpochCanBeLeftAndRestarted) {
  Loader loader(counting(100), {.batch = 8, .pipeline = evaluation, .seed = 5, .threads = 2});
  Batch batch;
  for (int leave = 0; leave < 8; ++leave) {
    loader.start(leave);
    for (int i = 0; i < leave; ++i) ASSERT_TRUE(loader.next(batch));
    const auto order = epoch_order(100, 5, 2);
    EXPECT_EQ(indices(loader, 2, 3), std::vector(order.begin() + 24, order.end()));
  }
}

TEST(Loader, ErrorsOfItsThreadsComeOutOfNext) {
  for (const int threads : {1, 3}) {
    Loader loader(counting(64, 42),
                  {.batch = 8, .shuffle = false, .pipeline = evaluation, .threads = threads});
    loader.start(0);
    Batch batch;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(loader.next(batch));
    for (int again = 0; again < 2; ++again) {
      EXPECT_EQ(error_of<IoError>([&] { loader.next(batch); }), "image 'broken.jpg': corrupt JPEG");
    }
    loader.start(0, 6);  // behind the broken image
    EXPECT_TRUE(loader.next(batch));
    EXPECT_EQ(batch.labels.as<std::int32_t>()[0], 48 % 7);
  }
}

TEST(Loader, OutOfMemoryComesOutOfNext) {
  Loader loader(counting(64), {.batch = 8});
  fail_allocation_after(1);
  loader.start(0);
  Batch batch;
  EXPECT_THROW(loader.next(batch), OutOfMemory);
  fail_allocation_after(0);
  loader.start(0);
  EXPECT_TRUE(loader.next(batch));
}

TEST(Loader, StopsCleanlyAtAnyMoment) {
  Batch batch;
  for (int round = 0; round < 60; ++round) {
    Loader loader(counting(200, round % 3 == 0 ? 7 : -1, 20),
                  {.batch = 8, .shuffle = false, .threads = 1 + round % 3});
    if (round % 5 == 4) continue;  // never started
    loader.start(0);
    std::this_thread::sleep_for(std::chrono::microseconds(37 * round));
    if (round % 2 && round % 3) {
      ASSERT_TRUE(loader.next(batch));
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  {
    Loader slow(counting(100000, -1, 1000), {.batch = 100000});  // a batch of 100 seconds
    slow.start(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(Loader, SleepsWhenItHasNothingToDo) {
  Loader loader(counting(100), {.batch = 8, .threads = 3});
  loader.start(0);
  Batch batch;
  loader.next(batch);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the slots fill
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double cpu_ms = 1e3 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(cpu_ms, 60);  // one spinning thread would use 300
}

TEST(Loader, RejectsWhatCannotBeMeant) {
  EXPECT_THROW(Loader(nullptr, {}), ConfigError);
  EXPECT_THROW(Loader(counting(8), {.batch = 0}), ConfigError);
  EXPECT_THROW(Loader(counting(8), {.resolution = -1}), ConfigError);
  EXPECT_THROW(Loader(counting(8), {.threads = 0}), ConfigError);
  EXPECT_THROW(Loader(counting(8), {.prefetch = 0}), ConfigError);
  Loader loader(counting(8), {.batch = 4});
  Batch batch;
  EXPECT_THROW(loader.next(batch), ConfigError);
  EXPECT_THROW(loader.start(0, 3), ConfigError);
  EXPECT_THROW(loader.start(-1), ConfigError);
}

}  // namespace
}  // namespace hac
