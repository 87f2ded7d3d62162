#include "data/loader/resident_loader.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "engine/tensor/storage.h"
#include "kernels/core/error.h"
#include "kernels/ops/augment.h"

namespace hac {
namespace {

constexpr std::int64_t most_resident_bytes = std::int64_t{2} << 30;
constexpr std::int64_t images_a_copy = 1024;

bool only_shifts(const Pipeline& pipeline) {
  return std::all_of(pipeline.begin(), pipeline.end(), is_shift);
}

bool fits(const Dataset& set, Device device) {
  const std::int64_t image = set.channels() * set.resolution() * set.resolution();
  const auto limit = static_cast<std::int64_t>(memory_stats(device).limit);
  const std::int64_t most =
      limit > 0 ? std::min(limit / 4, most_resident_bytes) : most_resident_bytes;
  return set.size() <= most / std::max<std::int64_t>(1, image);
}

}  // namespace

ResidentLoader::ResidentLoader(DatasetPtr dataset, const LoaderConfig& config, Device device)
    : BatchSource(std::move(dataset), config),
      device_(device),
      transform_(dataset_->preprocessing(),
                 config.resolution == 0 ? dataset_->resolution() : config.resolution) {
  std::tie(fixed_, shifting_) = split(config.pipeline(dataset_->preprocessing()));
  if (!only_shifts(shifting_)) {
    throw ConfigError(
        "loader: expected a pipeline whose random part shifts and flips, got another");
  }
  const ResizeAxis& axis = transform_.axis();
  if (axis.taps > 0) {
    resize_start_ = Tensor::from(axis.start, {axis.count}).to(device_);
    resize_weight_ = Tensor::from(axis.weight, {axis.taps, axis.count}).to(device_);
  }
  upload();
}

// In pieces, so that the host never holds the set twice.
void ResidentLoader::upload() {
  const std::int64_t images = dataset_->size(), c = dataset_->channels(),
                     r = dataset_->resolution(), bytes = c * r * r;
  pixels_ = Tensor::empty({images, c, r, r}, Dtype::u8, device_);
  std::vector<std::int32_t> labels(images);
  const Tensor piece = Tensor::empty({std::min(images, images_a_copy), c, r, r}, Dtype::u8);
  for (std::int64_t begin = 0; begin < images; begin += images_a_copy) {
    const std::int64_t end = std::min(begin + images_a_copy, images);
    for (std::int64_t i = begin; i < end; ++i) {
      const Sample sample = apply(fixed_, dataset_->read(i), {0, 0, 0}).render(c);
      std::copy(sample.pixels.begin(), sample.pixels.end(),
                piece.as<std::uint8_t>() + (i - begin) * bytes);
      labels[i] = dataset_->label(i);
    }
    pixels_.slice(begin, end).copy_from(piece.slice(0, end - begin));
  }
  labels_ = Tensor::from(labels, {images}).to(device_);
  order_ = Tensor::empty({images}, Dtype::i32, device_);
  position_ = Tensor::empty({sizeof(BatchPosition)}, Dtype::u8, device_);
  if (!shifting_.empty()) {
    shifts_ = Tensor::empty({images, sizeof(Augmentation)}, Dtype::u8, device_);
  }
}

void ResidentLoader::begin(std::vector<std::int64_t> order, std::int64_t epoch,
                           std::int64_t first) {
  const std::vector<std::int32_t> narrow(order.begin(), order.end());
  order_.copy_from(Tensor::from(narrow, order_.shape()));
  if (shifts_.defined()) shifts_.copy_from(shifts_of(epoch));
  epoch_ = epoch;
  taken_ = first;
}

Tensor ResidentLoader::shifts_of(std::int64_t epoch) const {
  const Tensor host = Tensor::empty(shifts_.shape(), Dtype::u8);
  auto* shift = reinterpret_cast<Augmentation*>(host.data());
  const std::int64_t r = dataset_->resolution();
  for (std::int64_t i = 0; i < dataset_->size(); ++i) {
    const View view = apply(shifting_, Sample{.height = r, .width = r}, {config_.seed, epoch, i});
    shift[i] = {static_cast<std::int32_t>(view.rows().offset),
                static_cast<std::int32_t>(view.columns().offset), view.mirrored()};
  }
  return host;
}

bool ResidentLoader::advance() {
  if (epoch_ < 0) throw ConfigError("loader: expected start() before next()");
  if (taken_ == batches()) return false;
  const BatchPosition position{.first = taken_ * config_.batch};
  const Tensor host = Tensor::empty(position_.shape(), Dtype::u8);
  std::memcpy(host.data(), &position, sizeof position);
  position_.copy_from(host);
  size_ = std::min(config_.batch, dataset_->size() - position.first);
  ++taken_;
  return true;
}

Batch ResidentLoader::make() {
  const std::int64_t c = dataset_->channels(), r = transform_.resolution();
  const AugmentSpec spec{.n = size_,
                         .channels = c,
                         .native = dataset_->resolution(),
                         .resolution = r,
                         .scale = transform_.scale(),
                         .shift = transform_.shift()};
  ResizeTable table;
  if (resize_start_.defined()) {
    table = {resize_start_.data(), resize_weight_.data(), transform_.axis().taps};
  }
  Batch batch{Tensor::activation({size_, c, r, r}, spec.dtype, device_),
              Tensor::empty({size_}, Dtype::i32, device_)};
  augment_kernels.run(&AugmentKernels::images, device_, spec, pixels_.data(), order_.data(),
                      shifts_.defined() ? shifts_.data() : nullptr, position_.data(), table,
                      batch.images.data());
  augment_kernels.run(&AugmentKernels::labels, device_, spec, labels_.data(), order_.data(),
                      position_.data(), batch.labels.data());
  return batch;
}

std::unique_ptr<BatchSource> make_loader(DatasetPtr dataset, const LoaderConfig& config,
                                         Device device) {
  if (dataset && device.kind != DeviceKind::cpu && fits(*dataset, device) &&
      only_shifts(split(config.pipeline(dataset->preprocessing())).second)) {
    try {
      return std::make_unique<ResidentLoader>(dataset, config, device);
    } catch (const OutOfMemory&) {  // batches can still be sent there one by one
    }
  }
  return std::make_unique<Loader>(std::move(dataset), config);
}

}  // namespace hac
