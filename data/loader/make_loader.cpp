#include "data/loader/make_loader.h"

#include <algorithm>

#include "data/loader/resident_loader.h"
#include "data/loader/streaming_loader.h"
#include "engine/tensor/storage.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr std::int64_t most_resident_bytes = std::int64_t{2} << 30;

bool fits(const Dataset& set, Device device) {
  const std::int64_t image = set.channels() * set.resolution() * set.resolution();
  const auto limit = static_cast<std::int64_t>(memory_stats(device).limit);
  const std::int64_t most =
      limit > 0 ? std::min(limit / 4, most_resident_bytes) : most_resident_bytes;
  return set.size() <= most / std::max<std::int64_t>(1, image);
}

template <class L>
std::unique_ptr<BatchSource> try_loader(const DatasetPtr& dataset, const LoaderConfig& config,
                                        Device device) {
  try {
    return std::make_unique<L>(dataset, config, device);
  } catch (const OutOfMemory&) {
    return nullptr;
  }
}

}  // namespace

std::unique_ptr<BatchSource> make_loader(DatasetPtr dataset, const LoaderConfig& config,
                                         Device device) {
  if (dataset && device.kind != DeviceKind::cpu) {
    const bool resident =
        fits(*dataset, device) && can_reside(config.pipeline(dataset->preprocessing()));
    std::unique_ptr<BatchSource> loader;
    if (resident) loader = try_loader<ResidentLoader>(dataset, config, device);
    if (!loader) loader = try_loader<StreamingLoader>(dataset, config, device);
    if (loader) return loader;
  }
  return std::make_unique<Loader>(std::move(dataset), config);
}

}  // namespace hac
