// Two devices in one thread, and memory to the byte: simt knows which device an allocation is of
// and where it ends, for kernels, copies and what stands in for a vendor's library.

#include "engine/autograd/ops.h"
#include "engine/device/capture.h"
#include "engine/optim/sgd.h"
#include "kernels/ops/elementwise.h"
#include "models/deploy/inference_session.h"
#include "tests/support/simt_fixtures.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr Device kFirst{DeviceKind::simt, 0}, kSecond{DeviceKind::simt, 1};

TEST(TwoDevices, HaveNames) {
  EXPECT_EQ(to_string(kFirst), "simt");
  EXPECT_EQ(to_string(kSecond), "simt:1");
  EXPECT_EQ(parse_device("simt"), kFirst);
  EXPECT_EQ(parse_device("simt:0"), kFirst);
  EXPECT_EQ(parse_device("simt:1"), kSecond);
  EXPECT_EQ(parse_device("cuda"), (Device{DeviceKind::cuda, 0}));
  EXPECT_EQ(parse_device("cuda:3"), (Device{DeviceKind::cuda, 3}));
  for (const char* text : {"cpu", "cuda:0", "cuda:3"}) {
    EXPECT_EQ(to_string(parse_device(text)), text);
  }
  for (const char* bad : {"", "gpu", "cuda:-1", "cuda:1x", "CPU", "simt:", "simt:x", "simt:-1",
                          "simt1", "simt:1 ", "cpu:0", "cuda:"}) {
    EXPECT_THROW(parse_device(bad), ConfigError) << bad;
  }
  EXPECT_EQ(runtime_simt.count(nullptr), 2);
  EXPECT_THROW(runtime_of(parse_device("simt:2")), DeviceError);
}

// ---- Training ----

// A training of a few steps on batches of its own.
class Learner {
 public:
  Learner(Device device, std::uint64_t seed, LaunchMode launch)
      : seed_(seed), model_(tiny_net(), seed, device), sgd_(model_.parameters(), {}) {
    if (launch == LaunchMode::graph) captured_.emplace(model_, sgd_);
  }

  void step() {
    const StepBatch batch = noise_batch(static_cast<int>(100 * seed_ + steps_));
    if (captured_) {
      losses_.push_back(static_cast<float>(captured_->run(batch, 0.1, steps_).loss));
    } else {
      model_.zero_grad();
      const auto [loss, probs] =
          ops::softmax_cross_entropy(model_.forward(batch.images), batch.labels);
      backward(loss);
      sgd_.step(0.1);
      losses_.push_back(loss.value().item());
    }
    ++steps_;
  }

  Numbers result() {
    Numbers all = numbers_of(model_);
    all["losses"] = losses_;
    model_.eval();
    InferenceSession net(model_);
    if (captured_) net.capture();
    all["logits"] = net.run(noise_batch(static_cast<int>(seed_), 1).images).to_vector();
    return all;
  }

 private:
  const std::uint64_t seed_;
  Model model_;
  Sgd sgd_;
  std::optional<CapturedStep> captured_;
  std::int64_t steps_ = 0;
  std::vector<float> losses_;
};

class TwoDevicesTrain : public testing::TestWithParam<LaunchMode> {};

TEST_P(TwoDevicesTrain, InTurnToTheSameBitsAsAlone) {
  constexpr int steps = 4;
  const auto alone = [](std::uint64_t seed) {
    Learner learner(kFirst, seed, GetParam());
    for (int i = 0; i < steps; ++i) learner.step();
    return learner.result();
  };
  const Numbers first = alone(1), second = alone(2);
  Learner a(kFirst, 1, GetParam()), b(kSecond, 2, GetParam());
  for (int i = 0; i < steps; ++i) {
    a.step();
    b.step();
  }
  EXPECT_EQ(a.result(), first);
  EXPECT_EQ(b.result(), second);
}

INSTANTIATE_TEST_SUITE_P(Launch, TwoDevicesTrain,
                         testing::Values(LaunchMode::eager, LaunchMode::graph),
                         [](const auto& info) { return to_string(info.param); });

TEST(TwoDevices, CopyThroughTheHost) {
  const Tensor a = Tensor::from(std::vector<float>{1, 2, 3}, {3}).to(kFirst);
  const Tensor b = a.to(kSecond);
  a.zero();
  EXPECT_EQ(b.device(), kSecond);
  EXPECT_EQ(b.to_vector(), (std::vector<float>{1, 2, 3}));
}

TEST(TwoDevices, CountTheirMemoryApart) {
  const MemoryStats first = memory_stats(kFirst), second = memory_stats(kSecond);
  const Tensor t = Tensor::empty({1001}, Dtype::u8, kSecond);
  EXPECT_EQ(memory_stats(kFirst).in_use, first.in_use);
  EXPECT_EQ(memory_stats(kSecond).in_use, second.in_use + 1001);
  Context& context = Context::current(kSecond);
  context.release_scratch();
  const std::size_t scratch = Context::total_scratch_bytes(kSecond);
  context.scratch(100);
  EXPECT_EQ(Context::total_scratch_bytes(kFirst), first.scratch);
  EXPECT_EQ(Context::total_scratch_bytes(kSecond), scratch + 100);
  context.release_scratch();
  set_memory_limit(memory_stats(kSecond).in_use + 10, kSecond);
  EXPECT_THROW(Tensor::empty({11}, Dtype::u8, kSecond), OutOfMemory);
  EXPECT_NO_THROW(Tensor::empty({11}, Dtype::u8, kFirst));
  set_memory_limit(0, kSecond);
}

// ---- What a GPU would refuse, or worse, would not ----

void add_on(Device device, const Tensor& a, const Tensor& b, const Tensor& y) {
  add_kernels.run(&AddKernels::forward, device, AddSpec{.shape = {a.numel()}}, a.data(), b.data(),
                  y.data());
}

TEST(TwoDevices, AKernelWithMemoryOfTheOtherIsCaught) {
  const Tensor x = Tensor::zeros({64}, Dtype::f32, kFirst), y = x.to(kSecond).clone();
  EXPECT_NO_THROW(add_on(kFirst, x, x, x));
  EXPECT_NO_THROW(add_on(kSecond, y, y, y));
  EXPECT_ERROR(add_on(kFirst, x, y, x), DeviceError, "on simt:", "kernel 'add'", "a load",
               "memory of simt:1");
  EXPECT_ERROR(add_on(kSecond, y, y, x), DeviceError, "on simt:1", "kernel 'add'", "a store",
               "memory of simt,");
}

TEST(TwoDevices, ACopyOrAProductWithMemoryOfTheOtherIsCaught) {
  const Tensor x = Tensor::zeros({64}, Dtype::f32, kFirst), y = x.to(kSecond).clone();
  Context& context = Context::current(kFirst);
  EXPECT_ERROR(context.runtime().copy(context, x.data(), y.data(), 4), DeviceError, "copy",
               "4 bytes in an allocation of simt,", "memory of simt:1");
  EXPECT_ERROR(context.runtime().zero(context, y.data(), 4), DeviceError, "zero",
               "memory of simt:1");
  const LinearSpec spec{.n = 2, .in = 8, .out = 4, .bias = false};
  const auto product = [&](const Tensor& w) {
    linear_kernels.run(&LinearKernels::forward, kFirst, spec, x.data(), w.data(), nullptr,
                       x.data());
  };
  EXPECT_NO_THROW(product(x));
  EXPECT_ERROR(product(y), DeviceError, "linear", "memory of simt:1");
}

// As on a GPU, where the other device's stream refuses the launch.
TEST(TwoDevices, WorkForADeviceThatIsNotCurrentIsCaught) {
  Context& first = Context::current(kFirst);
  const Tensor x = Tensor::zeros({4}, Dtype::f32, kFirst);
  Context::current(kSecond);
  const ActivationSpec spec{.shape = {4}};
  EXPECT_ERROR(activation_simt.forward(first, spec, x.data(), x.data()), DeviceError,
               "expected simt:1, on which this thread launches", "got one for simt");
  EXPECT_ERROR(first.runtime().event_record(first), DeviceError, "event_record", "simt:1");
  Context::current(kFirst);
  EXPECT_NO_THROW(activation_simt.forward(first, spec, x.data(), x.data()));
}

TEST(TwoDevices, ARecordingIsOfOneDevice) {
  const Tensor x = Tensor::zeros({4}, Dtype::f32, kFirst), y = x.to(kSecond);
  Capture capture(kFirst);
  const auto work = [&] {
    x.zero();
    y.zero();
  };
  capture.warm_up(work);
  EXPECT_ERROR(capture.record(work), DeviceError, "capture", "only work of simt", "simt:1");
  EXPECT_FALSE(capturing());
}

// ---- To the byte ----

TEST(ExactMemory, ATensorEndsWhereItsLastElementDoes) {
  const Tensor x = Tensor::zeros({3}, Dtype::f32, kFirst),
               y = Tensor::zeros({4}, Dtype::f32, kFirst);
  EXPECT_ERROR(add_on(kFirst, y, x, y), DeviceError, "kernel 'add'",
               "end of the allocation of 12 bytes");
  Context& context = Context::current(kFirst);
  const Runtime& runtime = context.runtime();
  std::vector<float> host(4);
  EXPECT_ERROR(runtime.copy_out(context, host.data(), x.data(), 13), DeviceError,
               "copy_out: expected 13 bytes", "allocation of 12 bytes");
  EXPECT_ERROR(runtime.copy_in(context, x.data(), host.data(), 13), DeviceError, "copy_in");
  EXPECT_ERROR(runtime.zero(context, x.data(), 13), DeviceError, "zero");
  EXPECT_NO_THROW(runtime.copy_in(context, x.data(), host.data(), 12));
}

// A convolution's operand that is one number too small.
TEST(ExactMemory, AReferenceLoopStaysInItsOperands) {
  const Conv2dSpec spec{.n = 1, .c = 2, .h = 3, .w = 3, .k = 2};
  const auto convolve = [&](std::int64_t less) {
    const Tensor x = Tensor::zeros({spec.in_shape().numel() - less}, Dtype::f32, kFirst);
    const Tensor w = Tensor::zeros({spec.weight_shape().numel()}, Dtype::f32, kFirst);
    const Tensor y = Tensor::zeros({spec.out_shape().numel()}, Dtype::f32, kFirst);
    conv2d_kernels.run(&Conv2dKernels::forward, kFirst, spec, x.data(), w.data(), nullptr,
                       y.data());
  };
  EXPECT_NO_THROW(convolve(0));
  EXPECT_ERROR(convolve(1), DeviceError, "convolution: expected 72 bytes",
               "the allocation of 68 bytes");
}

// However large it was asked for before.
TEST(ExactMemory, ScratchMemoryEndsWhereItsRequestDoes) {
  Context& context = Context::current(kFirst);
  context.release_scratch();
  for (const std::size_t floats : {1000, 1000, 4, 12, 1}) {
    float* const p = static_cast<float*>(context.scratch(floats * sizeof(float)));
    const auto zero = [&](std::size_t n) { context.runtime().zero(context, p, n * sizeof(float)); };
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 16, 0u);
    EXPECT_NO_THROW(zero(floats));
    // The end lies at a multiple of 16 bytes from the beginning.
    EXPECT_ERROR(zero((floats + 3) / 4 * 4 + 1), DeviceError, "zero", "4000 bytes");
  }
  context.release_scratch();
}

}  // namespace
}  // namespace hac
