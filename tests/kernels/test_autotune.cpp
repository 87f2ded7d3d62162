// Which of cuDNN's plans an autotuner takes and remembers, with an invented clock and a described
// device, so without a GPU; on one, that a tuned convolution computes the same. Registered in
// builds with CUDA only (tests/CMakeLists.txt).

#include "kernels/ops/conv2d_autotune_cuda.h"

#include <algorithm>
#include <chrono>

#include "engine/device/plan_options.h"
#include "engine/io/file.h"
#include "kernels/core/half.h"
#include "kernels/cuda/library.h"
#include "kernels/simt/memory.h"
#include "tests/support/op_test.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using cuda::ConvPlan;
using cuda::measure_on;
using cuda::PlanDevice;
using cuda::PlanOptions;
using cuda::Tuner;

const Conv2dSpec kSpec{.dtype = Dtype::bf16, .n = 128, .c = 64, .h = 32, .w = 32, .k = 128};

// A clock that gives the i-th plan that it sees the i-th time; a negative one does not run.
class Clock {
 public:
  explicit Clock(std::vector<double> times) : times_(std::move(times)) {}
  double operator()(const ConvPlan& plan) {
    seen.push_back(plan.config.name());
    const double ms = seen.size() <= times_.size() ? times_[seen.size() - 1] : 100;
    if (ms < 0) throw DeviceError(plan.config.name() + " failed");
    return ms;
  }
  std::vector<std::string> seen;

 private:
  std::vector<double> times_;
};

class Autotune : public testing::Test {
 protected:
  void SetUp() override {
    if (cudnnGetVersion() / 100 != 919) {
      GTEST_SKIP() << "the device descriptions are for cuDNN 9.19, this is version "
                   << cudnnGetVersion();
    }
    device_ = cuda::device_properties(
        std::string_view(read_file(HAC_SOURCE_DIR "/tests/golden/cudnn/h100.json")));
    plans_ = cuda::list_plans(device_, kSpec, {}, 10);
    ASSERT_GE(plans_.size(), 5u);
  }

  cuda::Choice choose(std::vector<double> times) const {
    return cuda::fastest(kSpec, std::span(plans_).first(times.size()), Clock(times));
  }
  Tuner tuner(const std::string& gpu = "H100") const {
    const std::string path = file();
    return Tuner(PlanMemory(
        gpu, {.name = path,
              .read = [path] { return fs::exists(path) ? read_file(path) : ""; },
              .write = [path](const std::string& text) { write_file_atomically(path, text); }}));
  }
  std::string file() const { return folder_.file("plans.txt"); }
  TunedPlans kept() const { return parse_tuned_plans(read_file(file()), file()); }
  ConvPlan plan(Tuner& tuner, Clock& clock, const PlanOptions& options = {},
                const Conv2dSpec& spec = kSpec) const {
    return tuner.plan(device_, spec, options, std::ref(clock));
  }

  TempFolder folder_;
  PlanDevice device_;
  std::vector<ConvPlan> plans_;
};

TEST_F(Autotune, TakesTheFastest) {
  const cuda::Choice c = choose({5, 3, 4, 2, 6});
  EXPECT_EQ(c.index, 3u);
  EXPECT_EQ(c.ms, 2);
  EXPECT_EQ(choose({7}).index, 0u);
}

TEST_F(Autotune, NoiseDoesNotDecide) {
  EXPECT_EQ(choose({1.019, 1, 1.01}).index, 0u);
  EXPECT_EQ(choose({1.03, 1.01, 1}).index, 1u);
  EXPECT_EQ(choose({1, 1, 1}).index, 0u);
  EXPECT_EQ(choose({1.021, 1}).index, 1u) << "more than noise";
}

TEST_F(Autotune, PassesOverWhatDoesNotRun) {
  EXPECT_EQ(choose({-1, 4, -1, 3}).index, 3u);
  const std::string error = message_of<DeviceError>([&] { choose({-1, -1}); });
  EXPECT_EQ(error, kSpec.str() + ": " + plans_[0].config.name() + " failed");
}

// The plan that did not fit this time may be the faster one.
TEST_F(Autotune, WhatMemoryDidNotAllowIsNotRemembered) {
  Tuner t = tuner();
  const auto crowded = [&](const ConvPlan& p) -> double {
    if (p.config.name() == plans_[2].config.name()) throw OutOfMemory("no room");
    return p.config.name() == plans_[1].config.name() ? 1 : 2;
  };
  EXPECT_EQ(t.plan(device_, kSpec, {}, crowded).config.name(), plans_[1].config.name());
  EXPECT_FALSE(fs::exists(file()));
  Clock clock({3, 2, 1});
  EXPECT_EQ(plan(t, clock).config.name(), plans_[2].config.name());
  EXPECT_EQ(kept().size(), 1u);
}

TEST_F(Autotune, CandidatesAreTheHeuristicsFirst) {
  EXPECT_EQ(plans_.size(), 10u);
  // In their order, but that no engine has more than four.
  std::vector<std::string> proposed;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const auto& config : cuda::engine_configs(device_, kSpec, mode)) {
      proposed.push_back(config.name());
    }
  }
  auto from = proposed.begin();
  for (const ConvPlan& plan : plans_) {
    from = std::find(from, proposed.end(), plan.config.name());
    ASSERT_NE(from, proposed.end()) << plan.config.name() << " comes earlier, or not at all";
  }
  EXPECT_EQ(plans_.front().config.name(), proposed.front());
  Tuner t = tuner();
  Clock clock({});
  plan(t, clock);
  EXPECT_EQ(clock.seen.size(), 10u);
}

TEST_F(Autotune, RemembersAcrossProcesses) {
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    Conv2dSpec spec = kSpec;
    spec.pass = pass;
    Tuner first = tuner(), second = first;
    Clock clock({5, 4, 1}), unused({});
    const ConvPlan chosen = plan(first, clock, {}, spec);
    const auto listed = cuda::list_plans(device_, spec, {}, 3);
    EXPECT_EQ(chosen.config.name(), listed.at(2).config.name());
    EXPECT_EQ(plan(first, unused, {}, spec).config.name(), chosen.config.name());
    Tuner later = tuner();
    const ConvPlan again = plan(later, unused, {}, spec);
    EXPECT_TRUE(unused.seen.empty()) << "measured again";
    EXPECT_EQ(again.config.engine, chosen.config.engine);
    EXPECT_EQ(again.config.knobs, chosen.config.knobs);
    EXPECT_EQ(again.workspace_bytes, chosen.workspace_bytes);
    Clock other({1});
    plan(second, other, {}, spec);
    EXPECT_FALSE(other.seen.empty()) << "it read the file before there was one";
  }
  EXPECT_EQ(kept().size(), 3u);
  for (const auto& [key, p] : kept()) EXPECT_EQ(p.microseconds, 1000) << key.spec;
}

TEST_F(Autotune, OthersEntriesAreKeptAndNotUsed) {
  Tuner mine = tuner();
  Clock clock({2, 1});
  plan(mine, clock);
  TunedPlans all = kept();
  ASSERT_EQ(all.size(), 1u);
  const auto [key, value] = *all.begin();
  EXPECT_EQ(key.library, "cudnn " + std::to_string(cudnnGetVersion()));
  for (const auto& change : {&TunedKey::device, &TunedKey::library}) {
    TunedKey other = key;
    other.*change += "0";
    all[other] = {0, {}, 7};
  }
  all.erase(key);
  write_file_atomically(file(), to_text(all));
  Tuner again = tuner();
  Clock fresh({2, 1});
  EXPECT_EQ(plan(again, fresh).config.name(), plans_[1].config.name());
  EXPECT_EQ(fresh.seen.size(), 10u) << "another machine's plan was taken";
  all[key] = value;
  EXPECT_EQ(kept(), all);
}

TEST_F(Autotune, OptionsAndDeviceAreInTheKey) {
  Clock clock({});
  Conv2dSpec f32 = kSpec;
  f32.dtype = Dtype::f32;
  f32.pass = Pass::backward_weights;
  Tuner h100 = tuner(), a100 = tuner("A100\t80GB");
  plan(h100, clock, {}, f32);
  plan(a100, clock, {}, f32);
  for (const PlanOptions options :
       {PlanOptions{.deterministic = false}, PlanOptions{.allow_tf32 = true},
        PlanOptions{.workspace_limit = 0}}) {
    plan(h100, clock, options, f32);
  }
  EXPECT_EQ(kept().size(), 5u);
  plan(h100, clock);
  plan(h100, clock, {.allow_tf32 = true});
  EXPECT_EQ(kept().size(), 6u) << "TF32 says nothing to bf16";
}

TEST_F(Autotune, AnEntryThatCannotBeTakenIsMeasuredAnew) {
  Clock clock({1});
  Tuner first = tuner();
  plan(first, clock);
  TunedPlans all = kept();
  const TunedKey key = all.begin()->first;
  const auto measures = [&](const TunedPlan& entry) {
    write_file_atomically(file(), to_text({{key, entry}}));
    Tuner t = tuner();
    Clock fresh({3, 1});
    EXPECT_EQ(plan(t, fresh).config.name(), plans_[1].config.name());
    EXPECT_EQ(kept().at(key).engine, plans_[1].config.engine);
    return !fresh.seen.empty();
  };
  EXPECT_TRUE(measures({9999, {}, 1})) << "no such engine";
  EXPECT_TRUE(measures({plans_[0].config.engine, {{2, 1 << 20}}, 1})) << "no such knob";

  // One that cuDNN has and the options forbid: it adds up in no fixed order.
  Conv2dSpec dw = kSpec;
  dw.dtype = Dtype::f32;
  dw.pass = Pass::backward_weights;
  const auto any_order = cuda::list_plans(device_, dw, {.deterministic = false});
  const auto random = std::find_if(any_order.begin(), any_order.end(), [&](const ConvPlan& p) {
    return !objection(p.config, dw, {}).empty();
  });
  ASSERT_TRUE(random != any_order.end());
  TunedKey dw_key = key;
  dw_key.spec = dw.str();
  write_file_atomically(file(),
                        to_text({{dw_key, {random->config.engine, random->config.knobs, 1}}}));
  Tuner t = tuner();
  Clock fresh({});
  EXPECT_EQ(objection(plan(t, fresh, {}, dw).config, dw, {}), "");
  EXPECT_FALSE(fresh.seen.empty());
}

TEST_F(Autotune, ADamagedFileIsAnErrorAndStaysAsItIs) {
  write_file_atomically(file(), "a letter to my mother\n");
  EXPECT_ERROR(tuner(), IoError, file() + "', line 1");
  EXPECT_EQ(read_file(file()), "a letter to my mother\n");

  fs::remove(file());
  Tuner t = tuner();
  write_file_atomically(file(), "damaged meanwhile");
  Clock clock({});
  EXPECT_ERROR(plan(t, clock), IoError, "line 1");
  EXPECT_EQ(read_file(file()), "damaged meanwhile");
}

TEST_F(Autotune, TwoProcessesKeepEachOthersResults) {
  Tuner one = tuner(), two = tuner();
  Clock clock({});
  std::size_t expected = 0;
  for (const std::int64_t batch : {1, 2, 4}) {
    Conv2dSpec a = kSpec, b = kSpec;
    a.n = batch;
    b.n = 8 * batch;
    plan(one, clock, {}, a);
    plan(two, clock, {}, b);
    expected += 2;
    EXPECT_EQ(kept().size(), expected);
  }
  Clock unused({});
  Conv2dSpec theirs = kSpec;
  theirs.n = 8;
  plan(one, unused, {}, theirs);
  EXPECT_TRUE(unused.seen.empty()) << "what the other wrote was read";
}

TEST_F(Autotune, NoPlanSaysWhy) {
  Tuner t = tuner();
  Clock clock({});
  EXPECT_ERROR(plan(t, clock, {.workspace_limit = -1}), DeviceError, "over the workspace limit");
}

// Under simt, whose list of live allocations shows what a plan may touch.
TEST_F(Autotune, TimesOnOperandsAndWorkspaceOfItsOwn) {
  Context& simt = Context::current({DeviceKind::simt, 0});
  const auto before = simt::live_ranges()->size();
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    const Conv2dSpec spec{.dtype = dtype,
                          .n = 2,
                          .c = 8,
                          .h = 150,
                          .w = 140,
                          .k = 16,
                          .bias = true,
                          .add = true,
                          .activation = Activation::relu,
                          .pass = Pass::inference};
    const std::int64_t size = static_cast<std::int64_t>(size_of(dtype));
    int runs = 0;
    std::int64_t workspace_bytes = 0;
    const auto run = [&](const ConvPlan& plan, const cuda::ConvOperands& o, void* workspace) {
      ++runs;
      workspace_bytes += plan.workspace_bytes;
      const auto live = simt::live_ranges();
      const auto expect = [&](const char* name, const void* p, std::int64_t bytes) {
        const auto at = reinterpret_cast<std::uintptr_t>(p);
        EXPECT_EQ(at % 16, 0u) << name;
        EXPECT_TRUE(find_range(*live, at, static_cast<std::size_t>(bytes)))
            << name << ": " << simt::describe_place(*live, at + static_cast<std::size_t>(bytes));
      };
      expect("x", o.x, size * spec.in_shape().numel());
      expect("w", o.w, size * spec.weight_shape().numel());
      expect("y", o.y, size * spec.out_shape().numel());
      expect("bias", o.bias, size * spec.k);
      expect("residual", o.residual, size * spec.out_shape().numel());
      if (plan.workspace_bytes > 0) expect("workspace", workspace, plan.workspace_bytes);
      // The very last numbers too.
      const auto number = [&](const void* p, std::int64_t i) {
        if (dtype == Dtype::f32) return static_cast<const float*>(p)[i];
        if (dtype == Dtype::f16) return to_float(static_cast<const f16*>(p)[i]);
        return to_float(static_cast<const bf16*>(p)[i]);
      };
      for (const std::int64_t i : {std::int64_t{0}, spec.in_shape().numel() - 1}) {
        EXPECT_LE(std::abs(number(o.x, i)), 1);
        EXPECT_NE(number(o.x, i), number(o.x, i - (i > 0 ? 1 : -1)));
      }
    };
    Tuner t = tuner();
    t.plan(device_, spec, {}, measure_on(simt, spec, run));
    const auto plans = cuda::list_plans(device_, spec, {}, 10);
    // Twice by itself, and up to 20 times into a recording.
    EXPECT_GE(runs, 3 * std::ssize(plans)) << spec.str();
    EXPECT_LE(runs, 22 * std::ssize(plans)) << spec.str();
    EXPECT_TRUE(workspace_bytes > 0 || dtype != Dtype::f32) << "no plan with workspace was seen";
  }
  EXPECT_EQ(simt::live_ranges()->size(), before) << "something was kept";
}

TEST_F(Autotune, WithoutMemoryItSaysHowMuchItWanted) {
  Conv2dSpec huge = kSpec;
  huge.n = std::int64_t{1} << 40;
  Context& cpu = Context::current();
  const auto measure = measure_on(cpu, huge, [](const auto&, const auto&, void*) {});
  const std::string error = message_of<OutOfMemory>([&] { cuda::fastest(huge, plans_, measure); });
  EXPECT_EQ(error.find(huge.str() + ": 144115188075855872 bytes requested on cpu"), 0u) << error;
}

TEST(EventMs, IsTheMedianOfTheRunsThatCount) {
  Context& cpu = Context::current();
  int calls = 0;
  const double ms = event_ms(cpu, 3, 5, [&] {
    // Warm runs are slow, and one of the others.
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(calls < 3 || calls == 5 ? 100 : 2);
    ++calls;
    while (std::chrono::steady_clock::now() < end) {
    }
  });
  EXPECT_EQ(calls, 8);
  EXPECT_GE(ms, 2);
  EXPECT_LT(ms, 80);
}

TEST(AutotuneOnAGpu, ComputesTheSame) {
  if (!runtime_cuda.count || runtime_cuda.count(nullptr) == 0) GTEST_SKIP() << "no GPU here";
  const Device gpu{DeviceKind::cuda, 0};
  const TempFolder folder;
  const std::string file = folder.file("plans.txt");
  const Conv2dSpec spec{.dtype = Dtype::f32, .n = 4, .c = 16, .h = 17, .w = 19, .k = 24};
  const Tensor x = in_own_layout(random_tensor(spec.in_shape(), 1, 0).to(gpu));
  const Tensor dy = in_own_layout(random_tensor(spec.out_shape(), 2, 0).to(gpu));
  const Tensor w = random_tensor(spec.weight_shape(), 3, 0).to(gpu);
  const auto run = [&] {
    const Tensor y = Tensor::activation(spec.out_shape(), Dtype::f32, gpu);
    const Tensor dx = Tensor::activation(spec.in_shape(), Dtype::f32, gpu);
    const Tensor dw = Tensor::zeros(spec.weight_shape(), Dtype::f32, gpu);
    conv2d_kernels.run(&Conv2dKernels::forward, gpu, spec, x.data(), w.data(), nullptr, y.data());
    conv2d_kernels.run(&Conv2dKernels::backward_data, gpu, spec, dy.data(), w.data(), dx.data());
    conv2d_kernels.run(&Conv2dKernels::backward_weights, gpu, spec, x.data(), dy.data(), dw.data(),
                       nullptr);
    return std::array{y, dx, dw};
  };
  const auto expected = run();
  autotune(gpu, file);
  const auto tuned = run();
  for (std::size_t i = 0; i < tuned.size(); ++i) {
    expect_close(tuned[i], doubles(expected[i]), tolerance(4 * 17 * 19, 1e-6), spec.str());
  }
  EXPECT_EQ(describe_plan_cache(file), file + ", 3 plans");
  Context::current(gpu).cuda().tuner = nullptr;
}

}  // namespace
}  // namespace hac
