// Whole networks on a GPU's kernels against the CPU: forward, backward, importance, the optimiser,
// evaluation and deployment, under simt in three orders of its threads (and on a GPU where there is
// one).

#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "models/deploy/inference_session.h"
#include "models/model.h"
#include "models/train/evaluate.h"
#include "models/zoo/arch_options.h"
#include "scaling/importance/importance.h"
#include "tests/support/observe.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

constexpr std::int64_t batch = 6;

// Three units of everything that the zoo is made of.
Architecture small(const std::string& name) {
  ArchOptions options{.width = name == "vgg11" ? 0.0625 : 0.125, .classes = 10};
  if (name == "resnet18" || name == "preact_resnet18") {
    options.blocks = {1, 1, 1, 1};
    options.resolution = 32;
  }
  return resolve(name, options);
}

struct Outcome {
  double loss = 0;
  std::map<std::string, Tensor> gradients, state, momentum;
  std::vector<LayerImportance> importance;
  Tensor evaluated, deployed;
};

Tensor images_of(const Architecture& arch, std::uint64_t seed) {
  return random_tensor({batch, arch.channels, arch.resolution, arch.resolution}, seed, 0);
}

// Two training steps, then the logits of the same images in evaluation and deployed.
Outcome train(const Architecture& arch, const Place& place, std::uint64_t seed = 3) {
  Model model(arch, 1, place.device, place.dtype);
  Sgd sgd(model.parameters(), {.nesterov = true});
  ImportanceObserver observer(2);
  const Tensor images = images_of(arch, seed);
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1, 2, 3, 4, 9}, {batch});
  Outcome out;
  for (int step = 0; step < 2; ++step) {
    model.zero_grad();
    const auto [loss, probs] = ops::softmax_cross_entropy(model.forward(images), labels, 0.1f);
    backward(loss);
    if (step == 0) {
      out.loss = loss.value().item();
      for (const Parameter& p : model.parameters()) {
        out.gradients[p.name] = p.var.grad().to(Device{}).clone();
      }
    }
    observe(observer, model, step, 2);
    sgd.step(0.01);
  }
  for (const auto& [name, t] : model.state()) out.state[name] = t.to(Device{}).clone();
  for (const auto& [name, t] : sgd.state()) out.momentum[name] = t.to(Device{}).clone();
  out.importance = observer.result(model);
  model.eval();
  out.evaluated = model.forward(images).value().to(Device{});
  out.deployed = InferenceSession(model, batch).run(images).to(Device{});
  return out;
}

double largest(const Tensor& t) {
  double most = 0;
  for (const float v : t.to_vector()) most = std::max(most, std::abs(double{v}));
  return most;
}

// Relative to the largest number of a tensor, or to a thousandth of the largest of all.
void expect_same(const std::map<std::string, Tensor>& got,
                 const std::map<std::string, Tensor>& expected, double relative,
                 const std::string& where) {
  ASSERT_EQ(got.size(), expected.size());
  double of_all = 0;
  for (const auto& [name, t] : expected) of_all = std::max(of_all, largest(t));
  for (const auto& [name, t] : expected) {
    const double allowed = relative * std::max(largest(t), 1e-3 * of_all);
    const std::vector<float> a = got.at(name).to_vector(), b = t.to_vector();
    ASSERT_EQ(a.size(), b.size()) << where << " " << name;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a[i], b[i], allowed) << where << " " << name << " element " << i;
    }
  }
}

class Devices : public testing::TestWithParam<const char*> {};

// Both sum in f32 in other orders; batch norm over six images at 2x2 and less multiplies what that
// leaves.
TEST_P(Devices, TrainAsTheCpuDoes) {
  const Architecture arch = small(GetParam());
  const Outcome cpu = train(arch, {});
  for (const Place& place : places()) {
    if (place.device.kind == DeviceKind::cpu || place.dtype != Dtype::f32) continue;
    const At at(place);
    const Outcome there = train(arch, place);
    const std::string where = arch.name + " on " + place.name;
    EXPECT_NEAR(there.loss, cpu.loss, 1e-5 * cpu.loss) << where;
    expect_same(there.gradients, cpu.gradients, 1e-3, where + " gradient of");
    expect_same(there.state, cpu.state, 1e-3, where + " after two steps");
    expect_same(there.momentum, cpu.momentum, 2e-3, where);
    expect_close(there.evaluated, doubles(cpu.evaluated), 1e-3, where + " logits");
    expect_close(there.deployed, doubles(there.evaluated), 1e-4, where + " deployed");
    ASSERT_EQ(there.importance.size(), cpu.importance.size());
    for (std::size_t l = 0; l < cpu.importance.size(); ++l) {
      const double own = cpu.importance[l].reduce(KernelReduction::sum);
      EXPECT_NEAR(there.importance[l].reduce(KernelReduction::sum), own, 2e-3 * own)
          << where << " importance of " << cpu.importance[l].layer;
    }
  }
}

// All gradients as one vector: its length and direction.
double cosine(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (const auto& [name, t] : a) {
    const Doubles x = doubles(t), y = doubles(b.at(name));
    ab += dot(x, y);
    aa += dot(x, x);
    bb += dot(y, y);
  }
  return ab / std::sqrt(aa * bb);
}

// 16-bit activations around f32 parameters: the same loss and direction, but for rounding. Batch
// norm over six images of one pixel multiplies that: where a GPU sums in another order than simt,
// one rounding that falls the other way moves resnet18's direction as far again (weights changed by
// a millionth: cosines of 0.95 to 0.985), so its gradients are compared below.
TEST_P(Devices, TrainInSixteenBits) {
  const Architecture arch = small(GetParam());
  const Outcome cpu = train(arch, {});
  for (const Place& place : places()) {
    if (place.dtype == Dtype::f32) continue;
    const At at(place);
    const Outcome there = train(arch, place);
    const std::string where = arch.name + " on " + place.name;
    const double eps = rounding(place.dtype);
    EXPECT_NEAR(there.loss, cpu.loss, eps * cpu.loss) << where;
    if (place.device.kind == DeviceKind::simt) {
      EXPECT_GT(cosine(there.gradients, cpu.gradients), 1 - 3 * eps) << where;
    }
    expect_close(there.deployed, doubles(there.evaluated), 4 * eps, where + " deployed");
  }
}

// All round at the same places, so most sets of images leave gradients that are alike (an H200's
// cosines: 0.99997 and more for 33 sets of 36 in bf16).
TEST_P(Devices, HaveTheGradientsOfSimtInSixteenBits) {
  const Architecture arch = small(GetParam());
  int compared = 0;
  for (const Place& place : places()) {
    if (place.dtype == Dtype::f32 || place.device.kind == DeviceKind::simt) continue;
    std::vector<double> cosines;
    for (std::uint64_t seed = 3; seed < 8; ++seed) {
      const Outcome simt = train(arch, {"simt", {DeviceKind::simt, 0}, {}, place.dtype}, seed);
      cosines.push_back(cosine(train(arch, place, seed).gradients, simt.gradients));
    }
    std::sort(cosines.begin(), cosines.end());
    EXPECT_GT(cosines[2], 1 - rounding(place.dtype)) << arch.name << " on " << place.name;
    ++compared;
  }
  if (compared == 0) GTEST_SKIP() << "no GPU, and a CPU without bf16";
}

TEST(DevicesDtype, WhatADeviceCannotComputeInIsAClearError) {
  const auto make = [](Device device, Dtype dtype) { Model(small("vgg11"), 1, device, dtype); };
  if (!cpu::has_bf16()) {
    EXPECT_ERROR(make({}, Dtype::bf16), ConfigError, cpu::isa_name());
  }
  EXPECT_ERROR(make({}, Dtype::f16), ConfigError, "expected f32 or bf16");
  EXPECT_ERROR(make({DeviceKind::simt, 0}, Dtype::i32), ConfigError, "dtype 'i32' on simt");
}

// What a batch norm reads loses its mean, so no bias before it changes the loss; the second
// convolution's output also goes around one, to a sum.
TEST(DevicesBias, HasAGradientOnlyWhereItChangesTheLoss) {
  const Architecture arch{
      .name = "biased",
      .resolution = 8,
      .classes = 10,
      .layers = {Conv{.name = "before", .out = 8, .bias = true},
                 BatchNorm{.name = "bn", .activation = Activation::relu},
                 Conv{.name = "around", .out = 8, .bias = true},
                 PreactBlock{.name = "block", .mid = 8, .out = 8},
                 Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}}};
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 1, 2, 3, 4, 9}, {batch});
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    const At at(place);
    Model model(arch, 1, place.device);
    const auto loss = [&] {
      return ops::softmax_cross_entropy(model.forward(images_of(arch, 3)), labels).loss;
    };
    const auto loss_with = [&](const char* bias, float value) {
      const Tensor tensor = model.state().at(bias), kept = tensor.clone();
      tensor.copy_from(Tensor::from(std::vector<float>(8, value), {8}));
      const double changed = loss().value().item();
      tensor.copy_from(kept);
      return changed;
    };
    backward(loss());
    std::map<std::string, std::vector<float>> gradients;
    for (const Parameter& p : model.parameters()) gradients[p.name] = p.var.grad().to_vector();

    EXPECT_EQ(gradients.at("before.bias"), std::vector<float>(8, 0)) << place.name;
    EXPECT_NEAR(loss_with("before.bias", 0.5f), loss_with("before.bias", -0.5f), 1e-5);
    double along_ones = 0;
    for (const float g : gradients.at("around.bias")) along_ones += g;
    const double h = 0.01, upper = loss_with("around.bias", h),
                 lower = loss_with("around.bias", -h);
    EXPECT_NEAR(along_ones, (upper - lower) / (2 * h), 1e-3) << place.name;
    EXPECT_GT(std::abs(along_ones), 1e-2) << place.name;

    // The optimiser decays it as PyTorch does.
    const Tensor bias = model.state().at("before.bias");
    bias.copy_from(Tensor::from(std::vector<float>(8, 1), {8}));
    Sgd(model.parameters(), {.weight_decay = 0.1}).step(0.5);
    EXPECT_FLOAT_EQ(bias.to_vector()[0], 1 - 0.5f * 0.1f) << place.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, Devices, testing::Values("vgg11", "preact_resnet18", "resnet18"));

TEST(DevicesAbsent, AGpuThatIsNotThereIsAClearError) {
  if (gpu_present()) GTEST_SKIP() << "there is a GPU";
  try {
    Model(small("vgg11"), 1, {DeviceKind::cuda, 0});
    FAIL();
  } catch (const DeviceError& e) {
    EXPECT_CONTAINS(e.what(), "cuda:0");
    EXPECT_EQ(e.exit_code(), 3);
  }
}

}  // namespace
}  // namespace hac
