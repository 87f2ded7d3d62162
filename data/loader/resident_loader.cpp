#include "data/loader/resident_loader.h"

#include <algorithm>
#include <tuple>

#include "kernels/core/error.h"
#include "kernels/ops/augment.h"

namespace hac {
namespace {

constexpr std::int64_t images_a_copy = 1024;

}  // namespace

bool can_reside(const Pipeline& pipeline) {
  const Pipeline random = split(pipeline).second;
  return std::all_of(random.begin(), random.end(), is_shift);
}

ResidentLoader::ResidentLoader(DatasetPtr dataset, const LoaderConfig& config, Device device)
    : BatchSource(std::move(dataset), config),
      device_(device),
      transform_(dataset_->preprocessing(), config, device),
      position_(device) {
  const Pipeline pipeline = config.pipeline(dataset_->preprocessing());
  std::tie(fixed_, shifting_) = split(pipeline);
  if (!can_reside(pipeline)) {
    throw ConfigError(
        "loader: expected a pipeline whose random part shifts and flips, got another");
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

bool ResidentLoader::choose() {
  if (epoch_ < 0) throw ConfigError("loader: expected start() before next()");
  if (taken_ == batches()) return false;
  chosen_ = taken_++;
  own_ = own_of(chosen_);
  size_ = images_of(chosen_);
  return true;
}

std::int64_t ResidentLoader::position_of(std::int64_t batch) const {
  return batch * config_.batch + own_of(batch).begin;
}

Batch ResidentLoader::make() {
  const ImageSource from{.set = pixels_.data(),
                         .order = order_.data(),
                         .shifts = shifts_.defined() ? shifts_.data() : nullptr,
                         .position = position_.data()};
  Batch batch{transform_(own_.n, from), Tensor::empty({own_.n}, Dtype::i32, device_)};
  augment_kernels.run(&AugmentKernels::labels, device_, transform_.spec(own_.n), labels_.data(),
                      order_.data(), position_.data(), batch.labels.data());
  return batch;
}

}  // namespace hac
