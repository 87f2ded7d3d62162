#include "models/train/batch_estimate.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/tensor/storage.h"
#include "kernels/ops/conv2d_channels.h"
#include "models/arch/graph.h"

namespace hac {
namespace {

double bytes_of(const Shape& shape, Dtype dtype, Device device) {
  return static_cast<double>(storage_elements(layout_of(device, shape), shape) * size_of(dtype));
}

// Bytes: an image's, a step's or an inference's, and what there is for them.
struct Estimate {
  double image = 0, free = 0;
};

Estimate estimate(const Model& model, Work work, LaunchMode launch, int kept) {
  const Device device = model.device();
  double all = bytes_of(model.graph().input, model.dtype(), device), parameters = 0;
  std::vector<double> values;
  const std::vector<int> readers = reader_counts(model.graph());
  const bool pools =
      work == Work::training && batchnorm_pool_kernels.of(device).forward_train != nullptr;
  for (std::size_t i = 0; i < model.graph().ops.size(); ++i) {
    const Op& op = model.graph().ops[i];
    if (std::holds_alternative<FlattenSpec>(op.spec)) continue;
    const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
    if (conv && device.kind != DeviceKind::cpu && pads_channels(*conv)) {
      all += bytes_of(with_padded_channels(*conv).in_shape(), conv->dtype, device);
    }
    if (pools && pooled_alone(model.graph(), readers, i)) {
      all += bytes_of(model.graph().ops[i + 1].out(), Dtype::u8, device);
      continue;
    }
    values.push_back(bytes_of(op.out(), model.dtype(), device));
    all += values.back();
  }
  std::sort(values.rbegin(), values.rend());
  double image = values[0] + (values.size() > 1 ? values[1] : 0);
  if (work == Work::training) {
    image += all;
    for (const Parameter& p : model.parameters()) {
      parameters += (1 + kept) * static_cast<double>(p.var.value().bytes());
    }
  }
  const double share = launch == LaunchMode::graph ? 0.4 : 0.7;
  return {image, share * (static_cast<double>(memory_stats(device).free) - parameters)};
}

}  // namespace

std::int64_t estimated_batch(const Model& model, Work work, LaunchMode launch, int kept) {
  const Estimate e = estimate(model, work, launch, kept);
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(e.free / e.image));
}

std::int64_t estimated_parts(const Model& model, LaunchMode launch, int kept, std::int64_t batch) {
  const Estimate e = estimate(model, Work::training, launch, kept);
  const auto images =
      static_cast<double>(batch) * bytes_of(model.graph().input, Dtype::f32, model.device());
  for (std::int64_t parts = 1; 2 * parts <= batch; ++parts) {
    const auto part = static_cast<double>(batch / parts);
    if (batch % parts == 0 && 2 * images + part * e.image <= e.free) return parts;
  }
  return 0;
}

void throw_with_batch(const OutOfMemory& error, std::int64_t estimated, std::int64_t parts) {
  std::string hint = "not even --batch 1 may fit: a smaller --resolution or --width";
  if (estimated > 0) hint = fmt::format("--batch {} may fit, by an estimate", estimated);
  if (parts > 0) hint += fmt::format("; --accumulate {} keeps the batch", parts);
  throw OutOfMemory(with_hint(error.what(), hint));
}

}  // namespace hac
