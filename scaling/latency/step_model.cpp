#include "scaling/latency/step_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"
#include "models/train/train.h"

namespace hac {
namespace {

// A step's tensors are more than a cache keeps until they are read.
DeviceProfile without_cache(DeviceProfile profile) {
  if (profile.processor != Processor::gpu) {
    throw ConfigError(
        fmt::format("device profile '{}': expected a GPU's, got one of a CPU", profile.name));
  }
  profile.cache_kib = 0;
  return profile;
}

}  // namespace

double StepTime::floor_us() const {
  double sum = 0;
  for (const PartTime& part : parts) sum += part.floor_us;
  return sum;
}

double StepTime::us() const {
  double sum = 0;
  for (const PartTime& part : parts) sum += part.us;
  return sum;
}

double StepTime::launch_us() const {
  const PartTime& all = (*this)[StepPart::launches];
  return all.us / static_cast<double>(std::max<std::int64_t>(1, all.launches));
}

double StepTime::products_us() const {
  const PartTime& products = (*this)[StepPart::products];
  return products.us + static_cast<double>(products.launches) * launch_us();
}

StepModel::StepModel(const DeviceProfile& profile, Dtype dtype, StepAssumptions assumed)
    : model_(without_cache(profile), LaunchMode::graph, dtype),
      peak_(*profile.peak_gmacs.of(dtype) * 1e3),
      assumed_(assumed) {}

double StepModel::product_us(const OpSpec& op) const {
  const LatencyParts parts = model_.explain(op);
  return 1e3 * std::max(parts.compute / assumed_.product_share,
                        parts.traffic() / assumed_.bandwidth_share);
}

StepTime StepModel::predict(const StepWork& work) const {
  const double bandwidth = model_.profile().bandwidth_gbs * 1e3;  // bytes a microsecond
  PartTime products{.launches = std::ssize(work.products), .macs = work.product_macs()};
  products.floor_us = products.macs / peak_;
  for (const OpSpec& op : work.products) products.us += product_us(op);
  const auto own = [&](const KernelWork& w, double share) {
    const double us = w.bytes / bandwidth;
    return PartTime{.launches = w.launches, .bytes = w.bytes, .floor_us = us, .us = us / share};
  };
  PartTime launches{.launches = products.launches + work.own().launches};
  const double each = *model_.profile().launch_us.graph;
  launches.us = each * static_cast<double>(launches.launches);
  launches.floor_us =
      std::min(each, assumed_.least_launch_us) * static_cast<double>(launches.launches);
  return {.parts = {products, own(work.sums, assumed_.sum_share),
                    own(work.passes, assumed_.bandwidth_share),
                    own(work.updates, assumed_.bandwidth_share), launches}};
}

StepTime predict_step(const Architecture& arch, std::int64_t batch, Dtype dtype,
                      const DeviceProfile& profile) {
  return StepModel(profile, dtype).predict(step_work(arch, batch, dtype));
}

EpochTime predict_epoch(const Architecture& arch, std::int64_t batch, Dtype dtype,
                        const DeviceProfile& profile, double step_us, EpochImages images) {
  if (images.training < 1 || images.test < 0) {
    throw ConfigError(fmt::format("epoch: expected training images, got {} and {} for testing",
                                  images.training, images.test));
  }
  const StepModel times(profile, dtype);
  return {.steps = steps_per_epoch(images.training, batch),
          .evaluations = ceil_div(images.test, batch),
          .step_us = step_us,
          .evaluation_us = times.predict(evaluation_work(arch, batch, dtype)).us()};
}

}  // namespace hac
