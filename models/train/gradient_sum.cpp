#include "models/train/gradient_sum.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/core/error.h"
#include "kernels/ops/elementwise.h"

namespace hac {
namespace {

constexpr std::int64_t float_bytes = sizeof(float), aligned = 64;

void copy(Context& ctx, float* to, const float* from, std::int64_t elements) {
  ctx.runtime().copy(ctx, to, from, elements * float_bytes);
}

}  // namespace

GradientSum::GradientSum(const Model& model, StepRanks* ranks, std::int64_t images,
                         std::int64_t parts, std::int64_t bucket_bytes)
    : ranks_(ranks), device_(model.device()) {
  if (!ranks) return;
  counts_ = ranks->parts_of(images, parts);
  most_ = *std::max_element(counts_.begin(), counts_.end());
  leaves_ = model.parameters();
  std::reverse(leaves_.begin(), leaves_.end());
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < leaves_.size(); ++i) {
    if (elements == 0) buckets_.push_back({.first = i});
    offsets_.push_back(elements);
    elements += leaves_[i].var.value().storage_numel();
    if (i + 1 < leaves_.size() && elements * float_bytes < bucket_bytes) continue;
    buckets_.back().last = i + 1;
    const std::int64_t share = ceil_div(elements, ranks->size());
    buckets_.back().slice = ceil_div(share, aligned) * aligned;
    elements = 0;
  }
}

Tensor GradientSum::rows(const Bucket& bucket) const {
  return Tensor::empty({ranks_->size(), bucket.slice}, Dtype::f32, device_);
}

// In one order on all ranks, whichever leaf comes first.
void GradientSum::after_leaf() {
  if (!ranks_) return;
  while (leaf_ < leaves_.size() && leaves_[leaf_].var.grad().defined()) {
    Bucket& bucket = buckets_[bucket_];
    if (!bucket.filling.defined()) bucket.filling = rows(bucket);
    const Tensor gradient = leaves_[leaf_].var.float_grad();  // in the layout of the value
    copy(Context::current(device_), bucket.filling.as() + offsets_[leaf_], gradient.as(),
         gradient.storage_numel());
    leaves_[leaf_].var.set_grad({});
    if (++leaf_ < bucket.last) continue;
    bucket.own.push_back(std::exchange(bucket.filling, {}));
    if (ranks_->device().on_device()) send(bucket);
    ++bucket_;
  }
  if (leaf_ < leaves_.size()) return;
  leaf_ = bucket_ = 0;  // of the next part
}

// The next part's that is not yet.
void GradientSum::send(Bucket& bucket) {
  Context& beside = ranks_->beside();
  const Runtime& runtime = beside.runtime();
  if (runtime.follow) runtime.follow(beside, Context::current(device_));
  const Tensor& own = bucket.own[bucket.received.size()];
  bucket.received.push_back(rows(bucket));
  ranks_->device().exchange(beside, own, bucket.received.back());
  if (std::ssize(bucket.received) == most_) add_up(bucket);
}

// A slice of all parts, in their order.
void GradientSum::add_up(Bucket& bucket) {
  Context& beside = ranks_->beside();
  const AddSpec spec{.shape = {bucket.slice}};
  bucket.sum = Tensor::empty({bucket.slice}, Dtype::f32, device_);
  bool first = true;
  for (int r = 0; r < ranks_->size(); ++r) {
    for (std::int64_t i = 0; i < counts_[r]; ++i) {
      const float* part = bucket.received[i].as() + r * bucket.slice;
      float* const sum = bucket.sum.as();
      if (std::exchange(first, false)) {
        copy(beside, sum, part, bucket.slice);
      } else {
        add_kernels.of(device_).forward(beside, spec, sum, part, sum);
      }
    }
  }
  bucket.all = rows(bucket);
  ranks_->device().collect(beside, bucket.sum, bucket.all);
}

void GradientSum::finish() {
  if (!ranks_) return;
  if (leaf_ != 0) throw Error(fmt::format("no gradient of '{}'", leaves_[leaf_].name));
  for (Bucket& bucket : buckets_) {
    // A rank of fewer parts gives zeros that nobody adds.
    while (std::ssize(bucket.own) < most_) {
      bucket.own.push_back(rows(bucket));
      bucket.own.back().zero();
    }
    while (bucket.received.size() < bucket.own.size()) send(bucket);
  }
  Context& ctx = Context::current(device_);
  if (ctx.runtime().follow) ctx.runtime().follow(ctx, ranks_->beside());
  for (const Bucket& bucket : buckets_) {
    for (std::size_t i = bucket.first; i < bucket.last; ++i) {
      const Var& leaf = leaves_[i].var;
      const Tensor sum = Tensor::empty(leaf.shape(), Dtype::f32, device_, leaf.value().layout());
      copy(ctx, sum.as(), bucket.all.as() + offsets_[i], sum.storage_numel());
      leaf.set_grad(sum);
    }
  }
  buckets_.clear();
}

}  // namespace hac
