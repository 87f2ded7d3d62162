// Batches that the host stages and a device makes, epoch by epoch against the CPU's loader.

#include <algorithm>
#include <cmath>

#include "data/loader/make_loader.h"
#include "data/loader/staging.h"
#include "data/loader/streaming_loader.h"
#include "engine/tensor/storage.h"
#include "tests/support/image_fixtures.h"
#include "tests/support/places.h"

namespace hac {
namespace {

using testing::noise_image;

constexpr Device kSimt{DeviceKind::simt, 0};

// On the CPU there is Loader.
std::vector<Place> devices() {
  std::vector<Place> all = places();
  std::erase_if(all, [](const Place& p) {
    return p.device.kind == DeviceKind::cpu || p.dtype != Dtype::f32;
  });
  return all;
}

// Images of every kind that a set may have: files, bytes that it owns and that it does not, one
// pixel, grey, and larger than what is staged.
class Mixed final : public Dataset {
 public:
  Mixed() {
    for (int i = 0; i < 29; ++i) {
      const int height = 9 + 7 * i % 40, width = 8 + 11 * i % 37;
      images_.push_back(stored(i, height, width));
    }
  }
  std::int64_t size() const override { return std::ssize(images_); }
  StoredImage read(std::int64_t i) const override {
    if (i == broken) throw IoError("image 'broken.jpg': corrupt JPEG");
    return images_.at(i);
  }
  std::int32_t label(std::int64_t i) const override { return static_cast<std::int32_t>(i % 4); }
  const std::vector<std::string>& classes() const override { return classes_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }
  std::int64_t broken = -1;

 private:
  static StoredImage stored(int i, int height, int width) {
    switch (i % 6) {
      case 0:
        return EncodedImage{testing::jpeg(testing::quadrants(height, width), width, height), "x"};
      case 1:
        return noise_image(3, height, width);
      case 2:
        return view_of(noise_image(3, height, width));
      case 3:
        return noise_image(1, height, width);
      case 4:
        return noise_image(3, 1, 1);
      default:
        return noise_image(3, 20 * height, 150);
    }
  }
  std::vector<StoredImage> images_;
  std::vector<std::string> classes_ = std::vector<std::string>(4, "class");
  Preprocessing preprocessing_{.resolution = 14,
                               .border = 1,
                               .crop_pct = 0.8,
                               .normalization = {{0.5f, 0.4f, 0.3f}, {0.2f, 0.25f, 0.3f}}};
};

TrainTransforms every_transform() {
  return {.random_resized_crop = RandomResizedCrop{.scale = {0.1, 0.9}},
          .auto_augment = AutoAugment{},
          .color_jitter = ColorJitter{0.4, 0.4, 0.4, 0.1},
          .random_erasing = RandomErasing{},
          .cutout = Cutout{.side = 3}};
}

LoaderConfig with(const TrainTransforms& transforms, LoaderConfig config) {
  config.pipeline = [transforms](const Preprocessing& p) { return training(transforms, true, p); };
  return config;
}

struct Values {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  bool operator==(const Values&) const = default;
};

Values values_of(const Batch& batch) {
  const Tensor labels = batch.labels.to(Device{});
  return {batch.images.to_vector(),
          {labels.as<std::int32_t>(), labels.as<std::int32_t>() + labels.numel()}};
}

std::vector<Values> drain(BatchSource& loader) {
  std::vector<Values> all;
  for (Batch batch; loader.next(batch);) all.push_back(values_of(batch));
  return all;
}

void expect_near(const Values& got, const Values& expected, const std::string& what) {
  ASSERT_EQ(got.labels, expected.labels) << what;
  ASSERT_EQ(got.images.size(), expected.images.size()) << what;
  float largest = 0;
  for (const float v : expected.images) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < got.images.size(); ++i) {
    ASSERT_NEAR(got.images[i], expected.images[i], 1e-6 * largest) << what << " at " << i;
  }
}

TEST(StreamingLoader, GivesTheirImagesInAnyTypeAndLayout) {
  const auto set = std::make_shared<Mixed>();
  LoaderConfig config = with(every_transform(), {.batch = 7, .resolution = 11, .seed = 3});
  StreamingLoader exact(set, config, kSimt);
  config.dtype = Dtype::f16;
  config.layout = Layout::blocked8;
  StreamingLoader padded(set, config, kSimt);
  exact.start(0);
  padded.start(0);
  for (Batch a, b; exact.next(a);) {
    ASSERT_TRUE(padded.next(b));
    EXPECT_EQ(b.images.layout(), Layout::blocked8);
    EXPECT_EQ(b.images.to_vector(), a.images.cast(Dtype::f16).to_vector());
  }
}

TEST(StreamingLoader, GivesTheBatchesOfLoader) {
  TrainTransforms jitter = every_transform();
  jitter.auto_augment.reset();
  const LoaderConfig configs[] = {
      {.batch = 8, .pipeline = random_resized_crop, .seed = 2, .threads = 2},
      with(every_transform(), {.batch = 7, .resolution = 11, .seed = 3, .threads = 3}),
      with(jitter, {.batch = 5, .resolution = 19, .drop_last = true, .seed = 4, .prefetch = 1}),
      {.batch = 64, .shuffle = false, .pipeline = evaluation},
      {.batch = 6, .seed = 5},
      // A rank's images; of the last batch, which has two parts, the first of four has none.
      {.batch = 8, .seed = 6, .threads = 3, .parts = 4, .rank = 1, .ranks = 3},
      {.batch = 8, .seed = 6, .threads = 2, .parts = 4, .rank = 0, .ranks = 4},
  };
  const auto set = std::make_shared<Mixed>();
  for (const LoaderConfig& config : configs) {
    Loader cpu(set, config);
    for (const Place& place : devices()) {
      const At at(place);
      StreamingLoader streaming(set, config, place.device);
      ASSERT_EQ(streaming.batches(), cpu.batches());
      for (const std::int64_t epoch : {0, 1}) {
        cpu.start(epoch);
        streaming.start(epoch);
        const auto expected = drain(cpu), got = drain(streaming);
        ASSERT_EQ(got.size(), expected.size());
        for (std::size_t b = 0; b < got.size(); ++b) {
          expect_near(got[b], expected[b],
                      place.name + ", pipeline " + std::to_string(&config - configs) + ", batch " +
                          std::to_string(b) + " of epoch " + std::to_string(epoch));
        }
      }
    }
  }
}

TEST(StreamingLoader, ThreadsAndResumingDoNotChangeABit) {
  const auto set = std::make_shared<Mixed>();
  LoaderConfig config = with(every_transform(), {.batch = 6, .resolution = 16, .seed = 2});
  for (const Place& place : devices()) {
    const At at(place);
    StreamingLoader whole(set, config, place.device);
    whole.start(6);
    const auto all = drain(whole);
    ASSERT_EQ(all.size(), 5u);
    EXPECT_FALSE(whole.advance()) << "an epoch went on behind its end";
    for (const int threads : {1, 3}) {
      config.threads = threads;
      StreamingLoader part(set, config, place.device);
      // Left in the middle, with an upload on its way.
      part.start(2);
      EXPECT_TRUE(part.advance());
      for (const std::int64_t first : {0, 1, 2, 4, 5}) {
        part.start(6, first);
        EXPECT_TRUE(drain(part) == std::vector(all.begin() + first, all.end()))
            << place.name << " from batch " << first << ", " << threads << " threads";
      }
    }
  }
}

// What comes next is on its way while a batch is computed with; it must not show.
TEST(StreamingLoader, MakesTheSameBatchAsOftenAsItIsAsked) {
  const LoaderConfig config{.batch = 6, .pipeline = random_resized_crop, .threads = 2};
  for (const Place& place : devices()) {
    const At at(place);
    StreamingLoader loader(std::make_shared<Mixed>(), config, place.device);
    loader.start(0);
    while (loader.advance()) {
      const Values first = values_of(loader.make());
      EXPECT_TRUE(values_of(loader.make()) == first) << place.name;
    }
  }
}

TEST(StreamingLoader, RethrowsWhatAThreadThrewBehindTheBatchesBeforeIt) {
  const auto set = std::make_shared<Mixed>();
  set->broken = 20;
  for (const Place& place : devices()) {
    const At at(place);
    StreamingLoader loader(set, {.batch = 6, .shuffle = false, .pipeline = evaluation},
                           place.device);
    loader.start(0);
    for (int b = 0; b < 3; ++b) EXPECT_TRUE(loader.advance()) << b;
    for (int again = 0; again < 2; ++again) {
      EXPECT_ERROR(loader.advance(), IoError, "image 'broken.jpg': corrupt JPEG");
    }
    loader.start(0, 4);
    EXPECT_TRUE(loader.advance());
  }
}

TEST(StreamingLoader, RejectsWhatCannotBeMeant) {
  const auto set = std::make_shared<Mixed>();
  EXPECT_THROW(StreamingLoader(nullptr, {}, kSimt), ConfigError);
  EXPECT_THROW(StreamingLoader(set, {.batch = 0}, kSimt), ConfigError);
  StreamingLoader loader(set, {.batch = 6}, kSimt);
  EXPECT_ERROR(loader.advance(), ConfigError, "expected start() before next()");
  // Not the square that the network reads.
  const auto smaller = [](const Preprocessing&) { return Pipeline{RandomResizedCrop{.size = 9}}; };
  StreamingLoader odd(set, {.batch = 6, .pipeline = smaller}, kSimt);
  odd.start(0);
  EXPECT_ERROR(odd.advance(), ShapeError, "a pipeline that ends in (14, 14), got (9, 9)");
  // More boxes than a device is told of.
  const auto holes = [](const Preprocessing& p) {
    Pipeline pipeline = evaluation(p);
    pipeline.insert(pipeline.end(), most_erased + 1, Cutout{});
    return pipeline;
  };
  StreamingLoader full(set, {.batch = 6, .pipeline = holes}, kSimt);
  full.start(0);
  EXPECT_ERROR(full.advance(), ShapeError, "at most 4 erased boxes", "got 5");
}

// A device without the memory is fed by Loader.
TEST(StreamingLoader, IsTakenWhereTheSetDoesNotFit) {
  const auto set = std::make_shared<Mixed>();
  const LoaderConfig config{.batch = 6, .pipeline = random_resized_crop};
  const auto streams = [&](Device device) {
    return dynamic_cast<StreamingLoader*>(make_loader(set, config, device).get()) != nullptr;
  };
  EXPECT_FALSE(streams({}));
  EXPECT_TRUE(streams(kSimt));
  const std::int64_t needed = 2 * most_staged_bytes(6, set->preprocessing());
  release_cached_memory(kSimt);
  set_memory_limit(memory_stats(kSimt).in_use + needed, kSimt);
  EXPECT_ERROR(StreamingLoader(set, config, kSimt), OutOfMemory, "simt");
  EXPECT_FALSE(streams(kSimt));
  EXPECT_TRUE(make_loader(set, config, kSimt)->batches() == 5);
  set_memory_limit(0, kSimt);
  EXPECT_TRUE(streams(kSimt));
}

}  // namespace
}  // namespace hac
