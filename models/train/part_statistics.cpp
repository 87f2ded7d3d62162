#include "models/train/part_statistics.h"

#include <algorithm>

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

void PartStatistics::finish(StepRanks* ranks, std::int64_t images, std::int64_t parts) {
  if (buffers_.empty()) return;
  if (!ranks) {
    for (const Values& seen : parts_) {
      std::vector<const float*> numbers;
      for (const Tensor& t : seen) numbers.push_back(t.as());
      move(numbers);
    }
    return;
  }
  std::int64_t elements = 0;
  for (const Tensor& t : running_) elements += t.numel();
  const std::vector<std::int64_t> counts = ranks->parts_of(images, parts);
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  const Device device = model_.device();
  Context& ctx = Context::current(device);
  const Tensor own = Tensor::empty({most * elements}, Dtype::f32, device);
  const Tensor all = Tensor::empty({ranks->size() * most * elements}, Dtype::f32, device);
  float* to = own.as();
  for (const Values& seen : parts_) {
    for (const Tensor& t : seen) {
      ctx.runtime().copy(ctx, to, t.data(), t.numel() * sizeof(float));
      to += t.numel();
    }
  }
  ranks->device().collect(ctx, own, all);
  for (int r = 0; r < ranks->size(); ++r) {
    for (std::int64_t i = 0; i < counts[r]; ++i) {
      const float* from = all.as() + (r * most + i) * elements;
      std::vector<const float*> numbers;
      for (const Tensor& t : running_) {
        numbers.push_back(from);
        from += t.numel();
      }
      move(numbers);
    }
  }
}

void PartStatistics::move(const std::vector<const float*>& seen) {
  std::vector<LerpSegment> segments;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    segments.push_back({seen[i], running_[i].data(), running_[i].numel()});
  }
  lerp_kernels.run(&LerpKernels::apply, model_.device(), LerpSpec{Model::statistics_momentum},
                   std::span<const LerpSegment>(segments));
}

}  // namespace hac
