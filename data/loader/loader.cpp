#include "data/loader/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/tensor/random.h"
#include "kernels/core/denormals.h"
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
      slots_(std::max(config.prefetch, config.threads)) {
  for (int t = 0; t < config.threads; ++t) threads_.emplace_back([this] { work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Loader::work() {
  flush_denormals();
  InputTransform::Scratch scratch;
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stop_ || may_claim(); });
    if (stop_) return;
    const std::int64_t b = claimed_++;
    const std::uint64_t mine = generation_;
    const std::int64_t epoch = epoch_;
    const auto order = order_;
    lock.unlock();
    Slot slot;
    try {
      slot.batch = make(b, epoch, *order, mine, scratch);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    if (mine != generation_) continue;
    slots_[b % std::ssize(slots_)] = std::move(slot);
    ready_.notify_all();
  }
}

// Gives up early, with a batch that will not be used, once its generation has passed.
Batch Loader::make(std::int64_t b, std::int64_t epoch, const std::vector<std::int64_t>& order,
                   std::uint64_t generation, InputTransform::Scratch& scratch) const {
  const std::int64_t first = b * config_.batch;
  const std::int64_t n = std::min<std::int64_t>(config_.batch, std::ssize(order) - first);
  const std::int64_t c = dataset_->channels(), r = transform_.resolution();
  Batch batch{Tensor::empty({n, c, r, r}), Tensor::empty({n}, Dtype::i32)};
  for (std::int64_t i = 0; i < n && generation == generation_; ++i) {
    const std::int64_t index = order[first + i];
    transform_(apply(pipeline_, dataset_->read(index), {config_.seed, epoch, first + i}),
               batch.images.as<float>() + i * c * r * r, scratch);
    batch.labels.as<std::int32_t>()[i] = dataset_->label(index);
  }
  return batch;
}

void Loader::begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) {
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    for (Slot& slot : slots_) slot = {};
    order_ = std::make_shared<const std::vector<std::int64_t>>(std::move(order));
    epoch_ = epoch;
    claimed_ = taken_ = first;
    end_ = batches();
    started_ = true;
  }
  work_.notify_all();
}

bool Loader::advance() {
  std::unique_lock lock(mutex_);
  if (!started_) throw ConfigError("loader: expected start() before next()");
  if (taken_ == end_) return false;
  Slot& slot = slots_[taken_ % std::ssize(slots_)];
  ready_.wait(lock, [&] { return slot.batch || slot.error; });
  // The error stays: an epoch does not continue with a batch missing.
  if (slot.error) std::rethrow_exception(slot.error);
  chosen_ = std::move(*slot.batch);
  size_ = chosen_.size();
  slot = {};
  ++taken_;
  lock.unlock();
  work_.notify_one();
  return true;
}

}  // namespace hac
