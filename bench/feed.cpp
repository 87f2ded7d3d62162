#include "bench/feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "bench/bench.h"
#include "data/image/jpeg_encode.h"
#include "data/loader/streaming_loader.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac::bench {
namespace {

struct Sizes {
  std::int64_t height, width, side, batch, batches;
};

// The same few photographs over and over: waves, and noise enough for files of 100 KB.
class Photographs final : public Dataset {
 public:
  Photographs(bool files, const Sizes& s) : count_(s.batch * s.batches) {
    preprocessing_.resolution = s.side;
    for (std::uint64_t i = 0; i < 8; ++i) {
      Sample image{3, s.height, s.width, {}};
      for (std::int64_t k = 0; k < 3 * s.height * s.width; ++k) {
        const double wave = 90 * std::sin(0.02 * static_cast<double>(k % s.width + 9 * i)) +
                            0.15 * static_cast<double>(Philox{1, i}.bits(k) >> 24);
        image.pixels.push_back(static_cast<std::uint8_t>(110 + wave));
      }
      if (files) {
        stored_.emplace_back(EncodedImage{encode_jpeg(image, 90), "photograph"});
      } else {
        stored_.emplace_back(view_of(std::move(image)));
      }
    }
  }
  std::int64_t size() const override { return count_; }
  StoredImage read(std::int64_t i) const override { return stored_[i % stored_.size()]; }
  std::int32_t label(std::int64_t) const override { return 0; }
  const std::vector<std::string>& classes() const override { return classes_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

 private:
  std::int64_t count_;
  std::vector<StoredImage> stored_;
  std::vector<std::string> classes_{"photograph"};
  Preprocessing preprocessing_;
};

// All batches of an epoch, each on the device in the end; the last is left in `batch`.
double images_a_second(BatchSource& loader, std::int64_t images, Device device, Batch& batch) {
  Context& context = Context::current(device);
  const double ms = milliseconds([&] {
    loader.start(0);
    while (loader.next(batch)) batch.images = batch.images.to(device);
    context.runtime().synchronize(context);
  });
  return 1e3 * static_cast<double>(images) / ms;
}

double largest_difference(const Batch& a, const Batch& b) {
  const std::vector<float> x = a.images.to_vector(), y = b.images.to_vector();
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) most = std::max<double>(most, std::abs(x[i] - y[i]));
  return most;
}

}  // namespace

nlohmann::ordered_json feed_part(Device device, bool tiny) {
  const Sizes s = tiny ? Sizes{40, 50, 16, 4, 3} : Sizes{375, 500, 224, 256, 12};
  const int threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 16);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const bool files : {true, false}) {
    const auto set = std::make_shared<Photographs>(files, s);
    for (const bool jitter : {false, true}) {
      TrainTransforms transforms{.random_resized_crop = RandomResizedCrop{}};
      if (jitter) transforms.color_jitter = ColorJitter{0.4, 0.4, 0.4, 0.1};
      const LoaderConfig config{
          .batch = s.batch,
          .pipeline = [&](const Preprocessing& p) { return training(transforms, true, p); },
          .threads = threads};
      Loader host(set, config);
      StreamingLoader streaming(set, config, device);
      Batch by_host, by_device;
      const double before = images_a_second(host, set->size(), device, by_host);
      const double after = images_a_second(streaming, set->size(), device, by_device);
      const double difference = largest_difference(by_host, by_device);
      if (!(difference < 1e-5)) {
        throw Error(fmt::format("feed: expected the batch of Loader, got one that differs by {}",
                                difference));
      }
      fmt::print(
          "{:<5} crop, flip{:<8}  {:9.0f} images/s by Loader, {:9.0f} by StreamingLoader, "
          "{:.2f}x; {} threads\n",
          files ? "JPEG" : "bytes", jitter ? ", jitter" : "", before, after, after / before,
          threads);
      rows.push_back({{"stored", files ? "jpeg" : "bytes"},
                      {"jitter", jitter},
                      {"threads", threads},
                      {"loader_images_per_second", before},
                      {"streaming_images_per_second", after},
                      {"largest_difference", difference}});
    }
  }
  return {{"rows", rows}};
}

}  // namespace hac::bench
