#include "data/loader/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "data/loader/batch_shard.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

void check(const Dataset* dataset, const LoaderConfig& config) {
  const auto at_least = [](const char* what, std::int64_t value, std::int64_t least) {
    if (value < least) {
      throw ConfigError(
          fmt::format("loader: expected {} of at least {}, got {}", what, least, value));
    }
  };
  if (!dataset) throw ConfigError("loader: expected a dataset, got none");
  at_least("a batch", config.batch, 1);
  at_least("a resolution (0 = native)", config.resolution, 0);
  at_least("threads", config.threads, 1);
  at_least("a prefetch", config.prefetch, 1);
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  const Philox philox{seed, streams::order(epoch)};
  for (std::int64_t i = n - 1; i > 0; --i) {  // Fisher-Yates
    std::swap(order[i], order[philox.below(i, static_cast<std::uint32_t>(i + 1))]);
  }
  return order;
}

BatchSource::BatchSource(DatasetPtr dataset, const LoaderConfig& config)
    : dataset_(std::move(dataset)), config_(config) {
  check(dataset_.get(), config_);
}

std::int64_t BatchSource::batches() const {
  const std::int64_t n = dataset_->size();
  return config_.drop_last ? n / config_.batch : ceil_div(n, config_.batch);
}

std::int64_t BatchSource::images_of(std::int64_t batch) const {
  return std::min(config_.batch, dataset_->size() - batch * config_.batch);
}

void BatchSource::start(std::int64_t epoch, std::int64_t first) {
  if (epoch < 0 || first < 0 || first > batches()) {
    throw ConfigError(
        fmt::format("loader: expected to start at batch 0 to {} of an epoch from 0, got "
                    "batch {} of epoch {}",
                    batches(), first, epoch));
  }
  const std::int64_t n = dataset_->size();
  std::vector<std::int64_t> order;
  if (config_.shuffle) {
    order = epoch_order(n, config_.seed, epoch);
  } else {
    order.resize(n);
    std::iota(order.begin(), order.end(), 0);
  }
  begin(std::move(order), epoch, first);
}

BatchSource::Range BatchSource::own_of(std::int64_t batch) const {
  const BatchShard shard = shard_of(images_of(batch), config_.parts, config_.rank, config_.ranks);
  if (shard.size() == 0) return {0, shard.images};
  return {shard.begin(), shard.size()};
}

bool BatchSource::advance() {
  if (!choose()) return false;
  place(chosen_);
  return true;
}

bool BatchSource::next(Batch& batch) {
  if (!advance()) return false;
  batch = make();
  return true;
}

Loader::Loader(DatasetPtr dataset, const LoaderConfig& config)
    : BatchSource(std::move(dataset), config),
      pipeline_(config.pipeline(dataset_->preprocessing())),
      transform_(dataset_->preprocessing(),
                 config.resolution == 0 ? dataset_->resolution() : config.resolution),
      slots_(std::max(config.prefetch, config.threads)),
      prefetcher_(config.threads, static_cast<int>(slots_.size()), 1,
                  [this](const Prefetcher::Work& work) { slots_[work.slot] = made(work); }) {}

// Gives up early, with a batch that will not be used, once it is not wanted.
Batch Loader::made(const Prefetcher::Work& work) const {
  thread_local InputTransform::Scratch scratch;
  const auto [begin, n] = own_of(work.batch);
  const std::int64_t first = work.batch * config_.batch;
  const std::int64_t c = dataset_->channels(), r = transform_.resolution();
  Batch batch{Tensor::empty({n, c, r, r}), Tensor::empty({n}, Dtype::i32)};
  for (std::int64_t i = 0; i < n && work.wanted(); ++i) {
    const std::int64_t position = first + begin + i, index = work.order[position];
    transform_(apply(pipeline_, dataset_->read(index), {config_.seed, work.epoch, position}),
               batch.images.as<float>() + i * c * r * r, scratch);
    batch.labels.as<std::int32_t>()[i] = dataset_->label(index);
  }
  return batch;
}

void Loader::begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) {
  next_ = first;
  prefetcher_.start(std::move(order), epoch, first, batches());
}

bool Loader::choose() {
  const auto slot = prefetcher_.take();
  if (!slot) return false;
  batch_ = std::move(slots_[*slot]);
  chosen_ = next_++;
  size_ = images_of(chosen_);
  prefetcher_.release();
  return true;
}

}  // namespace hac
