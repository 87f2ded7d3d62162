#include "models/train/rank_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/parallel/group.h"
#include "engine/tensor/hash.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"

namespace hac {

std::string what_is_trained(const Model& model, const TrainConfig& config, std::int64_t steps,
                            const DataSplit& data) {
  std::string all = fmt::format("{} {} {} {} threads, {} steps, '{}' {}", HAC_VERSION,
                                to_string(Device{model.device().kind}), this_machine().isa,
                                num_threads(), steps, config.out, config.resume);
  all += to_json(config) + to_json(model.arch());
  for (const auto& [_, text] : to_metadata(trained_on(data, config.data.name))) all += text;
  return all;
}

void require_images_a_rank(const TrainConfig& config, std::int64_t images) {
  if (!config.group || !config.sync_batchnorm) return;
  const std::int64_t batch = std::min(config.batch, images), rest = images % batch;
  const std::int64_t least = rest > 1 ? rest : batch;  // a last batch of one image is dropped
  if (least >= 2 * config.group->size()) return;
  throw ConfigError(
      fmt::format("training 'sync_batchnorm': expected two images a rank or more in every batch, "
                  "got a last one of {} on {} ranks (hint: another --batch)",
                  least, config.group->size()));
}

std::string where_it_begins(const Model& model, const TrainPosition& position) {
  std::string all = fmt::format("step {}", position.step);
  for (const auto& [name, tensor] : model.state()) {
    const std::vector<float> values = tensor.to_vector();
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()),
                                 values.size() * sizeof(float));
    all += fmt::format(" {:x}", fnv1a(bytes));
  }
  return all;
}

}  // namespace hac
