#include "data/loader/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "data/loader/input_transform.h"
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

// Batch b of the epoch waits in slot b % slots until next() takes it. Workers claim batches in
// order; a batch belongs to the generation (the call of start) that asked for it and is dropped
// when that has passed.
struct Loader::Impl {
  struct Slot {
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  DatasetPtr dataset;
  LoaderConfig config;
  Pipeline pipeline;
  InputTransform transform;

  std::mutex mutex;
  std::condition_variable work, ready;
  std::vector<Slot> slots;
  std::shared_ptr<const std::vector<std::int64_t>> order;
  std::int64_t epoch = 0;
  std::int64_t claimed = 0, taken = 0, end = 0;
  std::atomic<std::uint64_t> generation{0};
  bool started = false, stop = false;
  std::vector<std::thread> threads;

  Impl(DatasetPtr set, const LoaderConfig& c)
      : dataset(std::move(set)),
        config(c),
        pipeline(c.pipeline(dataset->preprocessing())),
        transform(dataset->preprocessing(),
                  c.resolution == 0 ? dataset->resolution() : c.resolution),
        slots(std::max(c.prefetch, c.threads)) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
      ++generation;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  bool may_claim() const { return claimed < end && claimed < taken + std::ssize(slots); }

  void run() {
    flush_denormals();
    InputTransform::Scratch scratch;
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return stop || may_claim(); });
      if (stop) return;
      const std::int64_t b = claimed++;
      const std::uint64_t mine = generation;
      const std::int64_t my_epoch = epoch;
      const auto my_order = order;
      lock.unlock();
      Slot slot;
      try {
        slot.batch = make(b, my_epoch, *my_order, mine, scratch);
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      if (mine != generation) continue;
      slots[b % std::ssize(slots)] = std::move(slot);
      ready.notify_all();
    }
  }

  // Gives up early, with a batch that nobody will see, once its generation has passed.
  Batch make(std::int64_t b, std::int64_t of_epoch, const std::vector<std::int64_t>& indices,
             std::uint64_t mine, InputTransform::Scratch& scratch) const {
    const std::int64_t first = b * config.batch;
    const std::int64_t n = std::min<std::int64_t>(config.batch, std::ssize(indices) - first);
    const std::int64_t c = dataset->channels(), r = transform.resolution();
    Batch batch{Tensor::empty({n, c, r, r}), Tensor::empty({n}, Dtype::i32)};
    for (std::int64_t i = 0; i < n && mine == generation; ++i) {
      const std::int64_t index = indices[first + i];
      transform(apply(pipeline, dataset->read(index), {config.seed, of_epoch, first + i}),
                batch.images.as<float>() + i * c * r * r, scratch);
      batch.labels.as<std::int32_t>()[i] = dataset->label(index);
    }
    return batch;
  }
};

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
    : BatchSource(std::move(dataset), config), impl_(std::make_unique<Impl>(dataset_, config)) {
  for (int t = 0; t < config.threads; ++t) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
  }
}

Loader::~Loader() = default;

void Loader::begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) {
  {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->generation;
    for (Impl::Slot& slot : impl_->slots) slot = {};
    impl_->order = std::make_shared<const std::vector<std::int64_t>>(std::move(order));
    impl_->epoch = epoch;
    impl_->claimed = impl_->taken = first;
    impl_->end = batches();
    impl_->started = true;
  }
  impl_->work.notify_all();
}

bool Loader::advance() {
  Impl& impl = *impl_;
  std::unique_lock lock(impl.mutex);
  if (!impl.started) throw ConfigError("loader: expected start() before next()");
  if (impl.taken == impl.end) return false;
  Impl::Slot& slot = impl.slots[impl.taken % std::ssize(impl.slots)];
  impl.ready.wait(lock, [&] { return slot.batch || slot.error; });
  // The error stays: an epoch does not go on with a batch missing.
  if (slot.error) std::rethrow_exception(slot.error);
  chosen_ = std::move(*slot.batch);
  size_ = chosen_.size();
  slot = {};
  ++impl.taken;
  lock.unlock();
  impl.work.notify_one();
  return true;
}

}  // namespace hac
