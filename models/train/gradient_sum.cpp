#include "models/train/gradient_sum.h"

#include <algorithm>

namespace hac {

GradientSum::GradientSum(const Model& model, Group* group, std::int64_t images, std::int64_t parts)
    : parameters_(model.parameters()), group_(group) {
  if (!group) return;
  for (int r = 0; r < group->size(); ++r) {
    const BatchShard shard = shard_of(images, parts, r, group->size());
    counts_.push_back(shard.last - shard.first);
  }
  for (const Parameter& p : parameters_) elements_ += p.var.value().numel();
  slice_ = ceil_div(elements_, group->size());
}

void GradientSum::after_part() {
  if (!group_) return;
  std::vector<float> flat;
  flat.reserve(slice_ * group_->size());
  for (const Parameter& p : parameters_) {
    const std::vector<float> gradient = p.var.grad().to_vector();
    flat.insert(flat.end(), gradient.begin(), gradient.end());
    p.var.set_grad({});
  }
  flat.resize(slice_ * group_->size());
  parts_.push_back(std::move(flat));
}

void GradientSum::finish() {
  if (!group_) return;
  const std::int64_t most = *std::max_element(counts_.begin(), counts_.end());
  const int ranks = group_->size();
  std::vector<float> out(slice_ * most * ranks), in(out.size()), sum(slice_);
  for (int r = 0; r < ranks; ++r) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      std::copy_n(parts_[i].begin() + r * slice_, slice_, out.begin() + (r * most + i) * slice_);
    }
  }
  group_->exchange(out, in);
  bool first = true;
  for (int r = 0; r < ranks; ++r) {
    for (std::int64_t i = 0; i < counts_[r]; ++i) {
      const float* part = in.data() + (r * most + i) * slice_;
      for (std::int64_t k = 0; k < slice_; ++k) sum[k] = first ? part[k] : sum[k] + part[k];
      first = false;
    }
  }
  std::vector<float> all(slice_ * ranks);
  group_->collect(sum, all);
  auto at = all.begin();
  for (const Parameter& p : parameters_) {
    const Shape& shape = p.var.value().shape();
    p.var.set_grad(
        Tensor::from(std::vector<float>(at, at + shape.numel()), shape).to(p.var.value().device()));
    at += shape.numel();
  }
}

}  // namespace hac
