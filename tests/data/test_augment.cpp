// Batches made on the device against the CPU's transform and loader.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/loader/make_loader.h"
#include "data/loader/resident_loader.h"
#include "data/sets/datasets.h"
#include "engine/tensor/storage.h"
#include "kernels/core/random.h"
#include "kernels/ops/augment.h"
#include "tests/support/data_fixtures.h"
#include "tests/support/places.h"

namespace hac {
namespace {

// On the CPU there is Loader.
std::vector<Place> devices() {
  std::vector<Place> all = places();
  std::erase_if(all, [](const Place& p) { return p.device.kind == DeviceKind::cpu; });
  return all;
}

constexpr std::uint64_t kSeed = 5;

// Noise, so that no shift, mirror or channel looks like another.
DatasetPtr noise(std::int64_t images, std::int64_t channels, std::int64_t resolution) {
  ImageSet set{.channels = channels, .resolution = resolution};
  set.pixels.resize(images * channels * resolution * resolution);
  for (std::size_t i = 0; i < set.pixels.size(); ++i) {
    set.pixels[i] = static_cast<std::uint8_t>(Philox{kSeed, 77}.bits(i) >> 24);
  }
  for (std::int64_t i = 0; i < images; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(i * 5 % 11));
  }
  set.classes.resize(11, "class");
  set.normalization = {.mean = {0.5f, 0.4f, 0.3f}, .std = {0.2f, 0.25f, 0.3f}};
  return in_memory(std::move(set));
}

// Relative to the largest value: a pixel near the mean is a difference of larger numbers.
void expect_near(const std::vector<float>& got, const std::vector<float>& expected,
                 const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  float largest = 0;
  for (const float v : expected) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], 1e-6 * largest) << what << " at " << i << " seed " << kSeed;
  }
}

struct Size {
  std::int64_t channels, native, resolution;
};
constexpr Size sizes[] = {{3, 8, 8},  {1, 8, 8},   {3, 9, 9},  {1, 7, 12}, {3, 9, 13},
                          {3, 13, 6}, {1, 12, 11}, {3, 5, 17}, {3, 16, 1}};

// The kernel by itself on images of the set, in the order of `indices`.
Tensor augmented(const Dataset& set, const std::vector<std::int32_t>& indices,
                 const InputTransform& transform, AugmentSpec spec, Device device,
                 const std::vector<Augmentation>& shifts = {}, const BatchPosition& position = {},
                 Layout layout = Layout::nhwc) {
  const std::int64_t c = set.channels(), native = set.resolution(), n = std::ssize(indices);
  Tensor pixels = Tensor::empty({set.size(), c, native, native}, Dtype::u8);
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const Sample sample = set.get(i);
    std::memcpy(pixels.as<std::uint8_t>() + i * sample.pixels.size(), sample.pixels.data(),
                sample.pixels.size());
  }
  pixels = pixels.to(device);
  spec.n = n;
  spec.channels = c;
  spec.stored = padded_channels(layout, c);
  spec.native = native;
  spec.resolution = transform.resolution();
  spec.scale = transform.scale();
  spec.shift = transform.shift();
  const ResizeAxis& axis = transform.axis();
  Tensor start, weight;
  ResizeTable table;
  if (axis.taps > 0) {
    start = Tensor::from(axis.start, {axis.count}).to(device);
    weight = Tensor::from(axis.weight, {axis.taps, axis.count}).to(device);
    table = {start.data(), weight.data(), axis.taps};
  }
  // As a part of an epoch's order.
  std::vector<std::int32_t> order(position.first, -1);
  order.insert(order.end(), indices.begin(), indices.end());
  std::vector<Augmentation> moves(position.first);
  moves.insert(moves.end(), shifts.begin(), shifts.end());
  Tensor moved = Tensor::empty({std::ssize(moves), sizeof(Augmentation)}, Dtype::u8);
  std::copy(moves.begin(), moves.end(), static_cast<Augmentation*>(moved.data()));
  moved = moved.to(device);
  const Tensor chosen = Tensor::from(order, {std::ssize(order)}).to(device);
  const Tensor where = Tensor::empty({sizeof position}, Dtype::u8);
  std::memcpy(where.data(), &position, sizeof position);
  const Tensor there = where.to(device);
  const Tensor out =
      Tensor::empty({n, c, spec.resolution, spec.resolution}, spec.dtype, device, layout);
  const ImageSource from{.set = pixels.data(),
                         .order = chosen.data(),
                         .shifts = shifts.empty() ? nullptr : moved.data(),
                         .position = there.data()};
  augment_kernels.run(&AugmentKernels::images, device, spec, from, table, out.data());
  return out;
}

// Any that there may be, by its number.
Augmentation shift(std::uint64_t i) {
  const Philox random{kSeed, 78};
  return {static_cast<std::int32_t>(random.below(3 * i, 9)) - 4,
          static_cast<std::int32_t>(random.below(3 * i + 1, 9)) - 4,
          static_cast<std::int32_t>(random.below(3 * i + 2, 2))};
}

TEST(Augment, HasTheNumbersOfTheCpu) {
  const std::vector<std::int32_t> indices{4, 0, 6, 6, 2, 1, 5};  // odd, one twice
  for (const Size& size : sizes) {
    const DatasetPtr set = noise(7, size.channels, size.native);
    const InputTransform transform(set->preprocessing(), size.resolution);
    InputTransform::Scratch scratch;
    for (const bool augment : {true, false}) {
      std::vector<Augmentation> shifts;
      const std::int64_t image = size.channels * size.resolution * size.resolution;
      std::vector<float> expected(indices.size() * image);
      for (std::size_t i = 0; i < indices.size(); ++i) {
        View view(set->get(indices[i]));
        if (augment) shifts.push_back(shift(i));
        if (augment) view.window(shift(i).dy, shift(i).dx, size.native, size.native);
        if (augment && shift(i).mirror) view.mirror();
        transform(view, expected.data() + i * image, scratch);
      }
      for (const Place& place : devices()) {
        const At at(place);
        const Tensor got = augmented(*set, indices, transform, {}, place.device, shifts, {14});
        EXPECT_EQ(got.layout(), Layout::nhwc);
        expect_near(got.to_vector(), expected,
                    place.name + " " + got.shape().str() + " of " + std::to_string(size.native) +
                        (augment ? " augmented" : ""));
      }
    }
  }
}

void expect_zero_padding(const Tensor& t, const std::string& what) {
  const Tensor host = t.cast(Dtype::f32).to(Device{});
  const std::int64_t c = t.shape()[1], block = block_of(t.layout(), c);
  const std::span<float> all = host.floats();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (static_cast<std::int64_t>(i) % block < c) continue;
    ASSERT_EQ(all[i], 0) << what << " at " << i;
  }
}

// The same kernel in 16 bits is the f32 one, rounded; as tensor cores want it, padded too.
TEST(Augment, RoundsOnceInSixteenBits) {
  for (const Place& place : devices()) {
    const At at(place);
    for (const Size& size : sizes) {
      const DatasetPtr set = noise(5, size.channels, size.native);
      const InputTransform transform(set->preprocessing(), size.resolution);
      const auto run = [&](Dtype dtype, Layout layout = Layout::nhwc) {
        return augmented(*set, {3, 1, 2}, transform, {.dtype = dtype}, place.device,
                         {shift(0), shift(1), shift(2)}, {}, layout);
      };
      const Tensor exact = run(Dtype::f32).to(Device{});
      for (const Dtype dtype : {Dtype::bf16, Dtype::f16, Dtype::f32}) {
        const std::string what =
            fmt::format("{} {} {}", place.name, name_of(dtype), exact.shape().str());
        EXPECT_EQ(run(dtype).to_vector(), exact.cast(dtype).to_vector()) << what;
        const Tensor padded = run(dtype, Layout::blocked8);
        EXPECT_EQ(padded.to_vector(), exact.cast(dtype).to_vector()) << what;
        expect_zero_padding(padded, what);
      }
    }
  }
}

TEST(Augment, OnTheCpuIsNotAvailable) {
  EXPECT_THROW(augment_kernels.on(Device{}, &AugmentKernels::images, AugmentSpec{}), DeviceError);
}

struct Values {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  bool operator==(const Values&) const = default;
};

std::vector<Values> drain(BatchSource& loader) {
  std::vector<Values> all;
  Batch batch;
  while (loader.next(batch)) {
    const Tensor labels = batch.labels.to(Device{});
    const auto* first = labels.as<std::int32_t>();
    all.push_back({batch.images.to_vector(), {first, first + batch.size()}});
  }
  return all;
}

TEST(ResidentLoader, GivesTheBatchesOfLoader) {
  const LoaderConfig configs[] = {
      {.batch = 8, .seed = 2},
      {.batch = 7, .resolution = 12, .seed = 3},
      {.batch = 9, .resolution = 21, .drop_last = true, .seed = 4},
      {.batch = 64, .resolution = 16, .shuffle = false, .pipeline = evaluation},
      {.batch = 8, .seed = 2, .parts = 4, .rank = 1, .ranks = 2},
      {.batch = 8, .seed = 2, .parts = 4, .rank = 0, .ranks = 4},  // without a part of the last one
  };
  for (const std::int64_t channels : {1, 3}) {
    const DatasetPtr set = noise(51, channels, 16);
    for (const LoaderConfig& config : configs) {
      Loader cpu(set, config);
      for (const Place& place : devices()) {
        const At at(place);
        ResidentLoader resident(set, config, place.device);
        ASSERT_EQ(resident.batches(), cpu.batches());
        for (const std::int64_t epoch : {0, 1}) {
          cpu.start(epoch);
          resident.start(epoch);
          const auto expected = drain(cpu), got = drain(resident);
          ASSERT_EQ(got.size(), expected.size());
          for (std::size_t b = 0; b < got.size(); ++b) {
            const std::string what =
                place.name + " batch " + std::to_string(b) + " of epoch " + std::to_string(epoch);
            ASSERT_EQ(got[b].labels, expected[b].labels) << what;
            expect_near(got[b].images, expected[b].images, what);
          }
        }
      }
    }
  }
}

TEST(ResidentLoader, GivesTheirImagesInAnyTypeAndLayout) {
  const DatasetPtr set = noise(51, 3, 16);
  for (const std::int64_t resolution : {16, 21}) {
    LoaderConfig config{.batch = 7, .resolution = resolution, .seed = 3};
    const Device simt{DeviceKind::simt, 0};
    ResidentLoader exact(set, config, simt);
    config.dtype = Dtype::bf16;
    config.layout = Layout::blocked8;
    ResidentLoader padded(set, config, simt);
    exact.start(1);
    padded.start(1);
    for (Batch a, b; exact.next(a);) {
      ASSERT_TRUE(padded.next(b));
      EXPECT_EQ(b.images.layout(), Layout::blocked8);
      EXPECT_EQ(b.images.to_vector(), a.images.cast(Dtype::bf16).to_vector());
    }
  }
}

TEST(ResidentLoader, ResumesInTheMiddleOfAnEpochBitForBit) {
  const DatasetPtr set = noise(51, 3, 10);
  const LoaderConfig config{.batch = 8, .resolution = 12, .seed = 2};
  for (const Place& place : devices()) {
    const At at(place);
    ResidentLoader whole(set, config, place.device);
    whole.start(6);
    const auto all = drain(whole);
    ASSERT_EQ(all.size(), 7u);
    for (const std::int64_t first : {0, 1, 5, 6, 7}) {
      ResidentLoader part(set, config, place.device);
      part.start(6, first);
      EXPECT_TRUE(drain(part) == std::vector(all.begin() + first, all.end()))
          << place.name << " from batch " << first;
    }
  }
}

TEST(ResidentLoader, IsTakenWhereTheSetFits) {
  const Device simt{DeviceKind::simt, 0};
  const DatasetPtr set = noise(50, 3, 10);  // 15,000 bytes
  const auto resident = [&](Device device) {
    return dynamic_cast<ResidentLoader*>(make_loader(set, {}, device).get()) != nullptr;
  };
  EXPECT_FALSE(resident({}));
  EXPECT_TRUE(resident(simt));
  const std::size_t used = memory_stats(simt).in_use;
  ASSERT_LT(used, 15000u);
  set_memory_limit(4 * 15000 - 1, simt);
  EXPECT_FALSE(resident(simt));
  set_memory_limit(4 * 15000, simt);
  EXPECT_TRUE(resident(simt));
  set_memory_limit(0, simt);
}

TEST(ResidentLoader, RejectsWhatCannotBeMeant) {
  const Device simt{DeviceKind::simt, 0};
  EXPECT_THROW(ResidentLoader(nullptr, {}, simt), ConfigError);
  EXPECT_THROW(ResidentLoader(noise(8, 1, 8), {.batch = 0}, simt), ConfigError);
  const LoaderConfig cropping{.pipeline = random_resized_crop};
  EXPECT_ERROR(ResidentLoader(noise(8, 1, 8), cropping, simt), ConfigError,
               "whose random part shifts and flips");
  EXPECT_EQ(dynamic_cast<ResidentLoader*>(make_loader(noise(8, 1, 8), cropping, simt).get()),
            nullptr);
  ResidentLoader loader(noise(8, 1, 8), {.batch = 4}, simt);
  Batch batch;
  EXPECT_THROW(loader.next(batch), ConfigError);
  EXPECT_THROW(loader.start(0, 3), ConfigError);
  EXPECT_THROW(loader.start(-1), ConfigError);
  ResidentLoader empty(noise(0, 1, 8), {.batch = 4}, simt);
  empty.start(0);
  EXPECT_FALSE(empty.next(batch));
}

}  // namespace
}  // namespace hac
