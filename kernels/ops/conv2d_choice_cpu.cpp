// Which algorithm computes a convolution on the CPU: by rules, or measured.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "kernels/cpu/library.h"
#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_depthwise_cpu.h"
#include "kernels/ops/conv2d_operands.h"
#include "kernels/ops/conv2d_taps_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"

namespace hac::cpu {
namespace {

using enum ConvAlgorithm;

constexpr std::string_view names[] = {"direct", "product",   "winograd4",      "winograd2",
                                      "taps",   "taps_bf16", "winograd2_bf16", "depthwise"};

struct Range {
  std::int64_t least = 1, most = std::numeric_limits<std::int64_t>::max();
  bool contains(std::int64_t x) const { return x >= least && x <= most; }
};

// What bench_kernels --grid measures as the fastest, and what does where the weights have left the
// caches: the last row that a convolution fits, of those that have a plan and are allowed, or else
// direct. AVX2 and AVX-512 agree but where they are close.
struct Rule {
  Pass pass;
  Range map;              // output pixels of an image
  Range pixels;           // of all images
  std::int64_t weights;   // C K R S at least
  std::int64_t products;  // C K pixels at least
  ConvAlgorithm algorithm;
};
constexpr Rule rules[] = {
    // Weights are transformed once. Those of many channels are read from memory in each run, the
    // more the larger the transform; a tile that hangs over the map multiplies zeros.
    {Pass::inference, {1, 8}, {}, 9 << 10, 0, taps},
    {Pass::inference, {9, 16}, {1, 64}, 1 << 17, 0, taps},
    {Pass::inference, {17, 64}, {1, 64}, 9 << 17, 0, taps},
    {Pass::inference, {9, 48}, {}, 0, 1 << 17, winograd2},
    {Pass::inference, {9, 48}, {100}, 9 << 10, 1 << 17, winograd4},
    {Pass::inference, {9, 16}, {1, 16}, 9 << 18, 0, taps},
    {Pass::inference, {49}, {}, 0, 3 << 14, winograd4},
    {Pass::inference, {49}, {1, 64}, 9 << 18, 0, winograd2},
    // Weights are transformed in each step.
    {Pass::forward, {1, 8}, {}, 0, 1 << 19, taps},
    {Pass::forward, {9}, {196}, 0, 1 << 20, winograd2},
    {Pass::forward, {9}, {300}, 0, 1 << 20, winograd4},
    {Pass::backward_data, {4, 8}, {}, 0, 1 << 25, winograd2},
    {Pass::backward_data, {9}, {196}, 0, 1 << 20, winograd2},
    {Pass::backward_data, {9}, {300}, 0, 1 << 20, winograd4},
    {Pass::backward_weights, {4, 8}, {}, 0, 1 << 19, winograd2},
    {Pass::backward_weights, {9}, {196}, 0, 1 << 21, winograd2},
    {Pass::backward_weights, {9}, {300}, 0, 1 << 21, winograd4},
    // Of these weights' gradients oneDNN has 3x3 alone, and is faster but for large maps.
    {Pass::inference, {}, {}, 0, 0, depthwise},
    {Pass::forward, {}, {}, 0, 0, depthwise},
    {Pass::backward_data, {}, {}, 0, 0, depthwise},
    {Pass::backward_weights, {56 * 56}, {1 << 15}, 0, 0, depthwise},
};

// More than caches hold: then the own depthwise convolution is faster with stride 1 alone, which
// computes more from each input, or backward.
bool strides_over_memory(const Conv2dSpec& s) {
  const bool forward = s.pass == Pass::forward || s.pass == Pass::inference;
  return forward && s.stride == 2 && s.in_shape().numel() >= 1 << 22;
}

bool available(const Library& library, const Conv2dSpec& s, ConvAlgorithm a) {
  if (a == depthwise) return has_depthwise(s) && !strides_over_memory(s);
  return is_winograd(a) ? has_winograd(s) && !library.conv.exact : has_taps(s);
}

std::optional<ConvAlgorithm> by_rule(const Library& library, const Conv2dSpec& s) {
  const std::int64_t map = s.oh() * s.ow(), pixels = s.n * map;
  const std::int64_t weights = s.weight_shape().numel(), products = s.c * s.k * pixels;
  std::optional<ConvAlgorithm> found;
  for (const Rule& r : rules) {
    const bool fits = r.pass == s.pass && r.map.contains(map) && r.pixels.contains(pixels) &&
                      weights >= r.weights && products >= r.products;
    if (fits && available(library, s, r.algorithm)) found = r.algorithm;
  }
  return found;
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
  if (has_bf16_weights(found.front())) return found;
  for (const ConvAlgorithm a : {direct, product, winograd4, winograd2, taps, depthwise}) {
    if (a == found.front() || (library.conv.exact && is_winograd(a))) continue;
    if (make_plan(library, s, a)) found.push_back(a);
  }
  return found;
}

}  // namespace

std::span<const std::string_view> conv_algorithm_names() { return names; }

ConvAlgorithm choose(Library& library, const Conv2dSpec& s) {
  if (library.conv.bf16_weights && streams_weights(s)) {
    const bool filtered = available(library, s, winograd2_bf16) && s.oh() * s.ow() > 16;
    return filtered ? winograd2_bf16 : taps_bf16;
  }
  if (const auto ruled = by_rule(library, s)) return *ruled;
  if (onednn_plan(library, s)) return direct;
  Conv2dSpec wide = s;
  wide.dtype = Dtype::f32;
  return has_depthwise(wide) ? depthwise : product;
}

ConvAlgorithm measured_choice(Context& ctx, const Conv2dSpec& s) {
  Library& library = ctx.library();
  const std::vector<ConvAlgorithm> algorithms = candidates(library, s);
  if (algorithms.size() == 1) return algorithms.front();
  const TunedKey key{
      library.measured->device(),
      fmt::format("onednn {}, {}", this_machine().onednn, own_convolutions),
      fmt::format("{},{} threads", library.conv.exact ? "exact" : "fast", num_threads()), s.str()};
  if (const TunedPlan* known = library.measured->find(key)) {
    for (const ConvAlgorithm a : algorithms) {
      if (static_cast<std::int64_t>(a) == known->engine) return a;
    }
  }
  const RandomOperands operands(ctx, s);
  std::vector<Trial> trials;
  for (const ConvAlgorithm a : algorithms) {
    trials.emplace_back(ctx, make_plan(library, s, a), operands);
  }
  // In turns: where weights are many, those of the others push them out of the caches, as those of
  // other layers would.
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
