#include "bench/one_rank.h"

#include <fmt/format.h>

#include <optional>

#include "bench/bench.h"
#include "engine/optim/sgd.h"
#include "engine/parallel/communicator.h"
#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "models/train/captured_step.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"

namespace hac::bench {
namespace {

class Training {
 public:
  Training(Device device, bool tiny, std::int64_t batch, StepRanks* ranks)
      : model_(resolve("vgg11", {.width = tiny ? 0.125 : 1, .classes = 10}), 1, device),
        sgd_(model_.parameters(), {}),
        work_{.ranks = ranks},
        shard_(shard_of(batch, 1)) {
    const Shape& input = model_.graph().input;
    const Tensor images = Tensor::empty({batch, input[1], input[2], input[3]});
    fill_normal(images, 5, "images", 1);
    const Tensor labels = Tensor::zeros({batch}, Dtype::i32, device);
    batch_ = {images.to(device), labels, labels};
    if (!ranks || ranks->device().on_device()) captured_.emplace(model_, sgd_, work_);
  }

  void step() {
    if (captured_) {
      captured_->run(batch_, 0.01, step_++);
      return;
    }
    batch_gradients(
        model_, work_, batch_, shard_, sgd_.loss_scale().seed(), [](auto) {}, nullptr);
    sgd_.set_rate(0.01);
    observe_and_update(model_, sgd_, nullptr);
  }

  std::vector<std::vector<float>> weights() const {
    std::vector<std::vector<float>> all;
    for (const Parameter& p : model_.parameters()) all.push_back(p.var.value().to_vector());
    return all;
  }

 private:
  Model model_;
  Sgd sgd_;
  const BatchWork work_;
  const BatchShard shard_;
  StepBatch batch_;
  std::int64_t step_ = 0;
  std::optional<CapturedStep> captured_;
};

}  // namespace

nlohmann::ordered_json ranks_part(Device device, bool tiny) {
  const std::int64_t batch = tiny ? 2 : 128;
  const auto group = open_communicator();
  StepRanks ranks(*group, device);
  const bool nccl = ranks.device().on_device();
  if (device.kind == DeviceKind::cuda && !nccl) return {};
  Training alone(device, tiny, batch, nullptr), ranked(device, tiny, batch, &ranks);
  constexpr int steps = 5;
  for (int i = 0; i < steps; ++i) {
    alone.step();
    ranked.step();
  }
  if (alone.weights() != ranked.weights()) {
    throw Error(fmt::format("a rank: other weights than alone after {} steps", steps));
  }
  const int runs = tiny ? 2 : 50;
  Context& context = Context::current(device);
  const double own = event_ms(context, 3, runs, [&] { alone.step(); });
  const double sent = event_ms(context, 3, runs, [&] { ranked.step(); });
  fmt::print("vgg11 f32  batch {:<4} {:.3f} ms alone, {:.3f} as a rank {}: the same weights\n",
             batch, own, sent, nccl ? "by NCCL" : "by way of the host");
  return {{"batch", batch}, {"nccl", nccl}, {"alone_ms", own}, {"rank_ms", sent}};
}

}  // namespace hac::bench
