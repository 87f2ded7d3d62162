#pragma once
// The learning rate as a pure function of the step.
//   constant     lr0
//   step         lr0 * gamma^(number of milestones passed); the paper: /10 at 100, 200, 250
//   exponential  lr0 * beta^(t / T)          (the paper's ImageNet schedule, beta = 0.02)
//   cosine       lr0 * (1 + cos(pi t / T)) / 2
// t counts epochs, T = total epochs; `step` and `exponential` change per epoch as the paper's do,
// cosine per step. Linear warm-up over the first W = warmup * (steps an epoch) steps:
//   prefix    lr0 * (step + 1) / W, then the decay from lr0 on: t and T count from the end of the
//             warm-up, but milestones stay epochs of the run. PyTorch's SequentialLR(LinearLR(
//             start_factor=1/W, total_iters=W-1), CosineAnnealingLR(T_max=steps-W), milestones=[W])
//   multiply  the decayed rate times (step + 1) / W: below lr0 throughout if it decays meanwhile

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

enum class ScheduleKind : std::uint8_t { constant, step, exponential, cosine };
template <>
inline constexpr std::string_view enum_names<ScheduleKind>[] = {"constant", "step", "exponential",
                                                                "cosine"};
enum class WarmupStyle : std::uint8_t { prefix, multiply };
template <>
inline constexpr std::string_view enum_names<WarmupStyle>[] = {"prefix", "multiply"};

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::constant;
  double lr = 0.1;
  double warmup = 0;  // epochs
  WarmupStyle warmup_style = WarmupStyle::prefix;
  std::vector<double> milestones{100, 200, 250};
  double gamma = 0.1;  // step
  double beta = 0.02;  // exponential

  Fields fields() {
    return Fields()
        .add("kind", kind, "of the learning rate", {.flag = "--schedule"})
        .add("lr", lr, {0}, "learning rate")
        .add("warmup", warmup, {0}, "epochs of linear warm-up")
        .add("milestones", milestones, {0}, "epochs where step decays (100,200,250)")
        .add("gamma", gamma, {.low = 0, .above = true}, "factor at each milestone of step")
        .add("beta", beta, {.low = 0, .above = true}, "exponential ends at beta times lr")
        // Checkpoints of before there were styles do not name theirs, which was multiply.
        .add("warmup_style", warmup_style,
             "prefix = up to --lr, where the decay starts; multiply = times the decayed rate",
             {.omit = warmup == 0 || warmup_style == WarmupStyle::multiply});
  }
  bool operator==(const ScheduleConfig&) const = default;
};

double learning_rate(const ScheduleConfig& config, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t epochs);

}  // namespace hac
