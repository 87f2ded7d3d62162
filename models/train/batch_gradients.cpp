#include "models/train/batch_gradients.h"

#include <optional>

#include "engine/autograd/ops.h"
#include "models/train/gradient_sum.h"
#include "models/train/part_statistics.h"

namespace hac {
namespace {

// While it lives batch norms see the parts of all ranks as one.
class Synced {
 public:
  Synced(Model& model, DeviceGroup* group) : model_(model) { model_.set_statistics_group(group); }
  ~Synced() { model_.set_statistics_group(nullptr); }
  Synced(const Synced&) = delete;
  Synced& operator=(const Synced&) = delete;

 private:
  Model& model_;
};

}  // namespace

PartsDone batch_gradients(Model& model, const BatchWork& work, const StepBatch& batch,
                          const BatchShard& shard, const Tensor& seed,
                          const std::function<void(std::int64_t)>& before,
                          const std::function<void(const StepBatch&, const Tensor&)>& checked) {
  const bool synced = work.sync_batchnorm && work.ranks;
  const Synced scope(model, synced ? &work.ranks->device() : nullptr);
  model.zero_grad();
  PartsDone done;
  std::optional<PartStatistics> statistics;
  if (work.parts > 1 && !synced) statistics.emplace(model);
  GradientSum gradients(model, work.ranks, shard.images, work.parts);
  const auto after_leaf = [&gradients] { gradients.after_leaf(); };
  for (const StepBatch& part : split(batch, shard)) {
    before(std::ssize(done.probs));
    const auto [loss, probs] = ops::softmax_cross_entropy(model.logits(part.images), part.target,
                                                          static_cast<float>(work.smoothing),
                                                          work.parts > 1 ? shard.images : 0);
    if (checked) checked(part, loss.value());
    done.losses.push_back(loss.value());
    done.probs.push_back(probs);
    backward(loss, seed, work.ranks ? after_leaf : std::function<void()>());
    if (statistics) statistics->after_part();
  }
  gradients.finish();
  if (statistics) statistics->finish(work.ranks, shard.images, work.parts);
  return done;
}

}  // namespace hac
