#include "kernels/ops/conv2d_autotune_cuda.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>

#include "kernels/core/error.h"
#include "kernels/core/half.h"
#include "kernels/core/random.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/naming.h"

namespace hac::cuda {
namespace {

constexpr std::size_t kCandidates = 10;
constexpr double kNoise = 0.02;
constexpr int kWarmRuns = 3, kRuns = 10;

// TF32 is a matter of f32 alone.
std::string text_of(const PlanOptions& o, const Conv2dSpec& spec) {
  return fmt::format("{},{},{}", o.deterministic ? "deterministic" : "any order",
                     o.allow_tf32 && spec.dtype == Dtype::f32 ? "tf32" : "strict",
                     o.workspace_limit);
}

// The plan of that name, unless this cuDNN does not have it or it may not be taken.
std::optional<ConvPlan> rebuild(const Descriptor& properties, const Conv2dSpec& spec,
                                const PlanOptions& options, const TunedPlan& tuned) {
  try {
    ConvPlan plan = rebuild_plan(properties, spec, tuned.engine, tuned.knobs);
    const bool allowed = objection(plan.config, spec, options).empty() &&
                         plan.workspace_bytes <= options.workspace_limit;
    return allowed ? std::optional(std::move(plan)) : std::nullopt;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError&) {
    return std::nullopt;
  }
}

std::shared_ptr<void> allocate(Context& ctx, std::int64_t bytes) {
  std::shared_ptr<void> p = allocate_unkept(ctx.device(), static_cast<std::size_t>(bytes));
  if (!p) {
    throw OutOfMemory(
        fmt::format("{} bytes requested on {} to measure plans (hint: a smaller batch, or without "
                    "autotuning)",
                    bytes, to_string(ctx.device())));
  }
  return p;
}

// Numbers of the type between -1 and 1: products of zeros run faster than real ones.
std::vector<std::uint8_t> random_numbers(Dtype dtype, std::int64_t count) {
  const Philox random{.seed = 1};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  by_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = 2 * random.uniform(static_cast<std::uint64_t>(i)) - 1;
      reinterpret_cast<T*>(bytes.data())[i] = from_float<T>(value);
    }
  });
  return bytes;
}

// Stands in for the operands of a spec.
class Operands {
 public:
  Operands(Context& ctx, const Conv2dSpec& s)
      : ctx_(ctx), dtype_(s.dtype), block_(random_numbers(s.dtype, 1 << 16)) {
    operands_.x = take(s.in_shape().numel());
    operands_.w = take(s.weight_shape().numel());
    operands_.y = take(s.out_shape().numel());
    if (has_bias(s)) operands_.bias = take(s.k);
    if (has_residual(s)) operands_.residual = take(s.out_shape().numel());
  }
  const ConvOperands& get() const { return operands_; }

 private:
  const void* take(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * size_of(dtype_);
    char* p = as<char>(memory_.emplace_back(allocate(ctx_, bytes)).get());
    for (std::size_t at = 0; at < bytes; at += block_.size()) {
      ctx_.runtime().copy_in(ctx_, p + at, block_.data(), std::min(block_.size(), bytes - at));
    }
    return p;
  }

  Context& ctx_;
  Dtype dtype_;
  std::vector<std::uint8_t> block_;
  std::vector<std::shared_ptr<void>> memory_;
  ConvOperands operands_;
};

}  // namespace

Choice fastest(const Conv2dSpec& spec, std::span<const ConvPlan> plans,
               const MeasurePlan& measure) {
  std::vector<Choice> run;
  std::exception_ptr first;
  bool all_tried = true;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    try {
      run.push_back({i, measure(plans[i])});
    } catch (const OutOfMemory&) {
      all_tried = false;
      if (!first) first = std::current_exception();
    } catch (const DeviceError&) {
      if (!first) first = std::current_exception();
    }
  }
  if (run.empty()) naming(spec, [&] { std::rethrow_exception(first); });
  const auto less = [](const Choice& a, const Choice& b) { return a.ms < b.ms; };
  const double limit = std::min_element(run.begin(), run.end(), less)->ms * (1 + kNoise);
  Choice choice =
      *std::find_if(run.begin(), run.end(), [&](const Choice& c) { return c.ms <= limit; });
  choice.all_tried = all_tried;
  return choice;
}

Tuner::Tuner(std::string device, PlanFile file)
    : device_(std::move(device)), file_(std::move(file)) {
  // What is a control character in a file of lines is none of a name.
  std::replace_if(
      device_.begin(), device_.end(), [](unsigned char c) { return c < ' '; }, ' ');
  if (file_.read) known_ = parse_tuned_plans(file_.read(), file_.name);
}

ConvPlan Tuner::plan(const Descriptor& properties, const Conv2dSpec& spec,
                     const PlanOptions& options, const MeasurePlan& measure) {
  const TunedKey key{device_, fmt::format("cudnn {}", cudnnGetVersion()), text_of(options, spec),
                     spec.str()};
  if (const auto it = known_.find(key); it != known_.end()) {
    if (auto plan = rebuild(properties, spec, options, it->second)) return std::move(*plan);
  }
  std::vector<ConvPlan> plans = list_plans(properties, spec, options, kCandidates);
  if (plans.empty()) return make_plan(properties, spec, options);  // says why there is none
  const Choice choice = fastest(spec, plans, measure);
  ConvPlan& best = plans[choice.index];
  if (choice.all_tried) remember(key, {best.config.engine, best.config.knobs, 1e3 * choice.ms});
  return std::move(best);
}

void Tuner::remember(const TunedKey& key, TunedPlan plan) {
  measured_[key] = std::move(plan);
  // Others may have written since.
  if (file_.read) known_ = parse_tuned_plans(file_.read(), file_.name);
  for (const auto& [k, p] : measured_) known_[k] = p;
  if (file_.write) file_.write(to_text(known_));
}

MeasurePlan measure_on(Context& ctx, const Conv2dSpec& spec, RunPlan run) {
  // Made when first wanted: a remembered plan needs none.
  return [&ctx, spec, run, operands = std::shared_ptr<Operands>()](const ConvPlan& plan) mutable {
    if (!operands) operands = std::make_shared<Operands>(ctx, spec);
    const std::shared_ptr<void> workspace =
        plan.workspace_bytes > 0 ? allocate(ctx, plan.workspace_bytes) : nullptr;
    return recorded_ms(ctx, kWarmRuns, kRuns, [&] { run(plan, operands->get(), workspace.get()); });
  };
}

ConvPlan tuned_plan(Context& ctx, const Conv2dSpec& spec) {
  Library& lib = ctx.cuda();
  const auto run = [&](const ConvPlan& plan, const ConvOperands& operands, void* workspace) {
    execute(lib.cudnn(), plan, spec, operands, workspace);
  };
  return lib.tuner->plan(lib.properties(), spec, lib.options, measure_on(ctx, spec, run));
}

void autotune(Library& library, PlanFile file) {
  library.tuner = std::make_shared<Tuner>(runtime_cuda.name({DeviceKind::cuda, library.ordinal()}),
                                          std::move(file));
}

}  // namespace hac::cuda
