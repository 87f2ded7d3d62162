#include "models/train/part_statistics.h"

#include <cstring>

#include "kernels/ops/lerp.h"

namespace hac {
namespace {

std::vector<Tensor> values_of(const std::vector<Buffer>& buffers) {
  std::vector<Tensor> values;
  for (const Buffer& b : buffers) values.push_back(b.tensor.clone());
  return values;
}

}  // namespace

PartStatistics::PartStatistics(Model& model)
    : model_(model), buffers_(model.buffers()), running_(values_of(buffers_)) {
  model_.set_statistics_momentum(1);
}

PartStatistics::~PartStatistics() {
  model_.set_statistics_momentum(Model::statistics_momentum);
  for (std::size_t i = 0; i < buffers_.size(); ++i) buffers_[i].tensor.copy_from(running_[i]);
}

void PartStatistics::after_part() {
  if (!buffers_.empty()) parts_.push_back(values_of(buffers_));
}

void PartStatistics::finish(Group* group) {
  if (buffers_.empty()) return;
  if (!group) {
    for (const Values& seen : parts_) move(seen);
    return;
  }
  std::string own;
  for (const Values& seen : parts_) {
    for (const Tensor& t : seen) {
      const std::vector<float> values = t.to_vector();
      own.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    }
  }
  Values seen = values_of(buffers_);
  for (const std::string& bytes : group->gather(own)) {
    for (std::size_t at = 0; at < bytes.size();) {
      for (Tensor& t : seen) {
        std::vector<float> values(t.numel());
        std::memcpy(values.data(), bytes.data() + at, values.size() * sizeof(float));
        at += values.size() * sizeof(float);
        t.copy_from(Tensor::from(values, t.shape()));
      }
      move(seen);
    }
  }
}

void PartStatistics::move(const Values& seen) {
  std::vector<LerpSegment> segments;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    segments.push_back({seen[i].data(), running_[i].data(), running_[i].storage_numel()});
  }
  lerp_kernels.run(&LerpKernels::apply, model_.device(), LerpSpec{Model::statistics_momentum},
                   std::span<const LerpSegment>(segments));
}

}  // namespace hac
