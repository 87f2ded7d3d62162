#include "data/loader/streaming_loader.h"

#include <algorithm>
#include <utility>

#include "kernels/core/error.h"

namespace hac {

StreamingLoader::StreamingLoader(DatasetPtr dataset, const LoaderConfig& config, Device device)
    : BatchSource(std::move(dataset), config),
      device_(device),
      pipeline_(config.pipeline(dataset_->preprocessing())),
      transform_(dataset_->preprocessing(), config, device),
      most_bytes_(most_staged_bytes(most_images(), dataset_->preprocessing())),
      staged_(Tensor::empty({2, most_bytes_}, Dtype::u8, device)),
      squares_(Tensor::empty(
          {most_images(), dataset_->channels(), dataset_->resolution(), dataset_->resolution()},
          Dtype::u8, device)),
      erased_(Tensor::empty({most_images(), most_erased, sizeof(ErasedBox)}, Dtype::u8, device)),
      position_(device),
      copies_(device),
      // One has arrived, one is on its way.
      slots_(std::max(3, config.prefetch + 1)),
      prefetcher_(config.threads, static_cast<int>(slots_.size()), config.threads,
                  [this](const Prefetcher::Work& work) { stage(work); }) {
  for (Slot& slot : slots_) {
    slot.pinned = allocate_pinned(device, most_bytes_);
    slot.parts.resize(config.threads);
  }
}

// Where the device is lost nothing reads the memory any more.
StreamingLoader::~StreamingLoader() {
  try {
    finish_uploads();
  } catch (const Error&) {
  }
}

void StreamingLoader::finish_uploads() {
  for (Event& event : uploaded_) {
    if (event) copies_.runtime().wait_on_host(std::exchange(event, nullptr));
  }
}

void StreamingLoader::begin(std::vector<std::int64_t> order, std::int64_t epoch,
                            std::int64_t first) {
  finish_uploads();
  next_ = next_uploaded_ = first;
  prefetcher_.start(std::move(order), epoch, first, batches());
}

void StreamingLoader::stage(const Prefetcher::Work& work) {
  const auto [begin, n] = own_of(work.batch);
  const std::int64_t part = ceil_div(n, config_.threads), first = std::min(n, work.part * part),
                     end = std::min(n, first + part);
  Slot& slot = slots_[work.slot];
  StagedBatch batch(slot.pinned.get(), n, first, dataset_->preprocessing());
  for (std::int64_t i = first; i < end && work.wanted(); ++i) {
    const std::int64_t at = work.batch * config_.batch + begin + i, index = work.order[at];
    batch.add(apply(pipeline_, dataset_->read(index), {config_.seed, work.epoch, at}),
              dataset_->label(index));
  }
  slot.parts[work.part] = batch.others();
}

// Into the half that the last batch but one was in: its kernels have all been given to the device,
// and its own upload is done, so that its slot is free.
void StreamingLoader::upload(std::size_t slot) {
  const Runtime& runtime = copies_.runtime();
  const std::int64_t half = next_uploaded_ % 2;
  if (uploaded_[half]) {
    runtime.wait_on_host(uploaded_[half]);
    prefetcher_.release();
  }
  runtime.wait(copies_, runtime.event_record(Context::current(device_)));
  const Slot& from = slots_[slot];
  const auto send = [&](const StagedBatch::Range& bytes) {
    if (bytes.begin == bytes.end) return;
    runtime.upload(copies_, staged_.as<std::uint8_t>() + half * most_bytes_ + bytes.begin,
                   static_cast<const std::uint8_t*>(from.pinned.get()) + bytes.begin,
                   bytes.end - bytes.begin);
  };
  send(StagedBatch::records(own_of(next_uploaded_++).n));
  for (const auto& part : from.parts) send(part);
  uploaded_[half] = runtime.event_record(copies_);
}

std::int64_t StreamingLoader::position_of(std::int64_t batch) const {
  return batch % 2 * most_bytes_;
}

bool StreamingLoader::choose() {
  if (next_uploaded_ == next_) {
    const auto slot = prefetcher_.take();
    if (!slot) return false;
    upload(*slot);
  }
  Context& context = Context::current(device_);
  chosen_ = next_++;
  context.runtime().wait(context, uploaded_[chosen_ % 2]);
  own_ = own_of(chosen_);
  size_ = images_of(chosen_);
  // The one after it, while this one is computed with.
  if (const auto slot = prefetcher_.take_if_made()) upload(*slot);
  return true;
}

Batch StreamingLoader::make() {
  const std::int64_t n = own_.n;
  Tensor labels = Tensor::empty({n}, Dtype::i32, device_);
  augment_kernels.run(&AugmentKernels::squares, device_, transform_.spec(n), staged_.data(),
                      position_.data(), squares_.data(), erased_.data(), labels.data());
  return {transform_(n, {.set = squares_.data(), .erased = erased_.data()}), labels};
}

}  // namespace hac
