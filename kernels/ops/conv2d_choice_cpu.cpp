// Which algorithm computes a convolution on the CPU: by rules, or measured.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "kernels/cpu/library.h"
#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_operands.h"
#include "kernels/ops/conv2d_taps_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"

namespace hac::cpu {
namespace {

using enum ConvAlgorithm;

constexpr std::string_view names[] = {"direct",    "product", "winograd4",
                                      "winograd2", "taps",    "taps_bf16"};

// What bench_kernels --grid measures as the fastest, where has_winograd(): the last row whose least
// sizes a convolution has.
struct Rule {
  bool inference;       // else the passes of training, which transform the weights in each step
  std::int64_t map;     // output pixels of an image
  std::int64_t pixels;  // of all images
  std::int64_t work;    // C K pixels
  ConvAlgorithm algorithm;
};
constexpr Rule rules[] = {
    {.inference = true, .map = 9, .pixels = 49, .work = 1 << 20, .algorithm = winograd4},
    {.inference = false, .map = 9, .pixels = 196, .work = 0, .algorithm = winograd2},
    {.inference = false, .map = 9, .pixels = 300, .work = 0, .algorithm = winograd4},
};

ConvAlgorithm by_rule(const Conv2dSpec& s) {
  if (!has_winograd(s)) return direct;
  const bool inference = s.pass == Pass::inference;
  const std::int64_t map = s.oh() * s.ow(), pixels = s.n * map, work = s.c * s.k * pixels;
  // So many transformed weights that each inference reads them from memory.
  if (inference && s.c * s.k >= 1 << 18 && pixels < 196) return direct;
  ConvAlgorithm algorithm = direct;
  for (const Rule& r : rules) {
    const bool fits = map >= r.map && pixels >= r.pixels && work >= r.work;
    if (r.inference == inference && fits) algorithm = r.algorithm;
  }
  return algorithm;
}

// Many weights for few pixels: at batch 1 reading them is most of the time. At any batch, so that
// an evaluation is that of what is deployed.
bool streams_weights(const Conv2dSpec& s) {
  return s.pass == Pass::inference && has_taps(s) && s.weight_shape().numel() >= 1 << 17 &&
         s.oh() * s.ow() <= 64;
}

// One plan with memory of its own, run as the network would: weights are packed each step, but once
// for inference.
class Trial {
 public:
  Trial(Context& ctx, std::unique_ptr<ConvPlan> plan, const RandomOperands& operands)
      : plan_(std::move(plan)),
        operands_(operands),
        packed_(allocate_to_measure(ctx, plan_->packed_bytes)),
        scratch_(allocate_to_measure(ctx, plan_->scratch_bytes)) {
    plan_->pack(operands.w, packed_.get(), scratch_.get());
    run();
  }

  void run() {
    const auto start = std::chrono::steady_clock::now();
    once();
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - start;
    least_ms = std::min(least_ms, taken.count());
  }

  ConvAlgorithm algorithm() const { return plan_->algorithm; }

  double least_ms = 1e30;

 private:
  void once() {
    const Conv2dSpec& s = plan_->spec;
    void* const bias = s.bias ? operands_.bias : nullptr;
    void* const packed = packed_.get();
    if (s.pass == Pass::backward_weights) {
      return plan_->gradient(operands_.x, operands_.y, packed, operands_.w, as<float>(bias),
                             scratch_.get());
    }
    if (s.pass != Pass::inference) plan_->pack(operands_.w, packed, scratch_.get());
    const bool back = s.pass == Pass::backward_data;
    plan_->convolve(back ? operands_.y : operands_.x, packed, bias,
                    back ? operands_.x : operands_.y, scratch_.get());
  }

  std::unique_ptr<ConvPlan> plan_;
  const RandomOperands& operands_;
  std::shared_ptr<void> packed_, scratch_;
};

// The rule's choice, and every other that has a plan and the same weights.
std::vector<ConvAlgorithm> candidates(Library& library, const Conv2dSpec& s) {
  std::vector<ConvAlgorithm> found{choose(library, s)};
  if (found.front() == taps_bf16) return found;
  for (const ConvAlgorithm a : {direct, product, winograd4, winograd2, taps}) {
    if (a == found.front() || (library.conv.exact && is_winograd(a))) continue;
    if (make_plan(library, s, a)) found.push_back(a);
  }
  return found;
}

}  // namespace

std::span<const std::string_view> conv_algorithm_names() { return names; }

ConvAlgorithm choose(Library& library, const Conv2dSpec& s) {
  if (library.conv.bf16_weights && streams_weights(s)) return taps_bf16;
  const ConvAlgorithm ruled = by_rule(s);
  if (is_winograd(ruled) && !library.conv.exact) return ruled;
  return onednn_plan(library, s) ? direct : product;
}

ConvAlgorithm measured_choice(Context& ctx, const Conv2dSpec& s) {
  Library& library = ctx.library();
  const TunedKey key{
      library.measured->device(), fmt::format("onednn {}", this_machine().onednn),
      fmt::format("{},{} threads", library.conv.exact ? "exact" : "fast", num_threads()), s.str()};
  const std::vector<ConvAlgorithm> algorithms = candidates(library, s);
  if (const TunedPlan* known = library.measured->find(key)) {
    const auto algorithm = static_cast<ConvAlgorithm>(known->engine);
    if (std::ranges::find(algorithms, algorithm) != algorithms.end()) return algorithm;
  }
  const RandomOperands operands(ctx, s);
  std::vector<Trial> trials;
  for (const ConvAlgorithm a : algorithms) {
    trials.emplace_back(ctx, make_plan(library, s, a), operands);
  }
  constexpr int most = 30;
  constexpr double wanted_ms = 60;  // of each, but three runs at least
  for (int i = 0; i < most; ++i) {
    for (Trial& t : trials) {
      if (i < 3 || i * t.least_ms < wanted_ms) t.run();
    }
  }
  std::vector<double> ms;
  for (const Trial& t : trials) ms.push_back(t.least_ms);
  const std::size_t best = fastest(ms);
  library.measured->remember(
      key, {.engine = static_cast<std::int64_t>(algorithms[best]), .microseconds = 1e3 * ms[best]});
  return algorithms[best];
}

ConvOptions& conv_options(Library& library) { return library.conv; }

void autotune(Library& library, PlanFile file) {
  const Machine m = this_machine();
  library.measured =
      std::make_shared<PlanMemory>(fmt::format("{}, {}", m.cpu, m.isa), std::move(file));
}

std::string describe_plans(const Library& library) {
  std::string text = library.conv.exact ? ", exact" : "";
  if (library.conv.bf16_weights) text += ", bf16 weights";
  if (library.measured) text += ", autotuned";
  return text.empty() ? "" : text.substr(2);
}

}  // namespace hac::cpu
