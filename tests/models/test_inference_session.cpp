// A deployed network gives the numbers of the model in evaluation mode, whatever was folded, fused
// and planned; two seeds of statistics, batch 1 and 3.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/device/plan_options.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/deploy/inference_session.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"
#include "tests/support/scattered.h"

namespace hac {
namespace {

class Deployed : public testing::TestWithParam<const char*> {};

TEST_P(Deployed, GivesTheLogitsOfEvaluation) {
  const std::string name = GetParam();
  ArchOptions options{.width = 0.25, .resolution = 64, .classes = 7, .in_channels = 3};
  Architecture arch = resolve(name, options);
  // Odd widths: blocks are padded and residual widths untied.
  std::vector<std::int64_t> w = widths(arch);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] += static_cast<std::int64_t>(i % 3);
  for (const Architecture& a : {arch, with_widths(arch, w)}) {
    for (const std::uint64_t seed : {1, 2}) {
      Model model(a, seed);
      scatter_batch_norms(model, seed);
      model.eval();
      for (const std::int64_t batch : {1, 3}) {
        const Tensor images = Tensor::empty({batch, 3, 64, 64});
        fill_normal(images, seed, "images", 1);
        const Tensor expected = model.forward(images).value();
        InferenceSession net(model, batch);
        // Folding rounds each weight once more, and a deep net adds that up.
        EXPECT_LT(difference(net.run(images), expected), 1e-4)
            << name << " batch " << batch << " seed " << seed;
        EXPECT_LT(difference(net.run(images), expected), 1e-4) << "a second run differs";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, Deployed,
                         testing::Values("vgg11", "preact_resnet18", "resnet18", "resnet20",
                                         "resnet50", "mobilenet_v2", "efficientnet_b0"));

TEST(InferenceSession, FoldsEveryBatchNormThatHasAConvolutionBeforeIt) {
  const auto left = [](const char* name) {
    int count = 0;
    const InferenceSession net{Model(resolve(name, {.width = 0.125}))};
    for (const Op& op : net.graph().ops) count += std::holds_alternative<BatchNormSpec>(op.spec);
    return count;
  };
  EXPECT_EQ(left("vgg11"), 0);
  EXPECT_EQ(left("resnet18"), 0);
  EXPECT_EQ(left("mobilenet_v2"), 0);
  EXPECT_EQ(left("efficientnet_b0"), 0);
  // At the input of each of 8 blocks but the first, which follows the stem directly, and the last
  // of all: behind them lies a residual sum.
  EXPECT_EQ(left("preact_resnet18"), 8);
}

// Nine blocks add their input, behind stochastic depth, which inference leaves out.
TEST(InferenceSession, FusesASumThroughStochasticDepth) {
  const InferenceSession net{Model(resolve("efficientnet_b0", {.width = 0.125, .resolution = 32}))};
  int sums = 0;
  for (const Op& op : net.graph().ops) {
    EXPECT_FALSE(std::holds_alternative<AddSpec>(op.spec));
    const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
    sums += conv && conv->add;
  }
  EXPECT_EQ(sums, 9);
}

TEST(InferenceSession, PassesOnWhatADropoutRightBehindAConvolutionReads) {
  Architecture arch{.name = "hand", .channels = 3, .resolution = 6, .classes = 4};
  arch.layers = {Conv{.name = "conv", .out = 8}, Dropout{}, Pool{.kind = PoolMode::global_avg},
                 Flatten{}, Linear{.name = "fc"}};
  Model model(arch, 1);
  model.eval();
  const Tensor images = Tensor::empty({1, 3, 6, 6});
  fill_normal(images, 1, "images", 1);
  EXPECT_LT(difference(InferenceSession(model).run(images), model.forward(images).value()), 1e-5);
}

// Images for tensor cores are padded; as a residual they are not, whoever adds it.
TEST(InferenceSession, AddsImagesAsTheyAre) {
  const Device simt{DeviceKind::simt, 0};
  const Architecture arch{
      .name = "hand",
      .channels = 3,
      .resolution = 6,
      .classes = 4,
      .layers = {BasicBlock{.name = "block", .mid = 4, .out = 3},
                 Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}}};
  Model model(arch, 1, simt, Dtype::bf16);
  model.eval();
  EXPECT_EQ(model.image_layout(), Layout::nhwc);
  EXPECT_EQ(Model(resolve("vgg11"), 1, simt, Dtype::bf16).image_layout(), Layout::blocked8);
  EXPECT_EQ(Model(resolve("vgg11"), 1, simt).image_layout(), Layout::nhwc);
  EXPECT_EQ(Model(resolve("vgg11"), 1).image_layout(), Layout::plain);
  const InferenceSession session(model, 2);
  EXPECT_EQ(input_layout(simt, session.graph()), Layout::nhwc);
  const Tensor images = Tensor::empty({2, 3, 6, 6});
  fill_normal(images, 1, "images", 1);
  EXPECT_LT(difference(InferenceSession(model, 2).run(images), model.forward(images).value()),
            2e-2);
}

// On a device that records and on one that does not, captured or not; a step that adds in place is
// repeated, and leaves no trace in the next run.
TEST(InferenceSession, TimesEachStepAndComputesTheSameAfterwards) {
  const Device simt{DeviceKind::simt, 0};
  const struct {
    Device device;
    Dtype dtype;
  } places[] = {{{}, Dtype::f32}, {simt, Dtype::f32}, {simt, Dtype::bf16}};
  for (const auto& [device, dtype] : places) {
    Architecture arch = resolve(
        "resnet18", {.width = 0.125, .blocks = {1, 1, 1, 1}, .resolution = 32, .classes = 5});
    // So narrow that in 16 bits the inputs of all convolutions are padded.
    if (dtype == Dtype::bf16) {
      arch = with_widths(arch, std::vector<std::int64_t>(widths(arch).size(), 4));
    }
    InferenceSession net{Model(arch, 1, device, dtype)};
    const Tensor images = Tensor::empty({1, 3, 32, 32});
    fill_normal(images, 1, "images", 1);
    for (const bool captured : {false, true}) {
      if (captured && device == Device{}) continue;
      net.capture(captured);
      const std::vector<float> expected = net.run(images).to_vector();
      const std::size_t before = memory_stats(device).in_use;
      const std::vector<double> ms = net.step_ms(images, 3);
      EXPECT_EQ(memory_stats(device).in_use, before);
      ASSERT_EQ(ms.size(), net.steps().size());
      for (const double t : ms) EXPECT_GT(t, 0);
      EXPECT_EQ(net.run(images).to_vector(), expected) << to_string(device);
    }
  }
}

// Of VGG11's last five convolutions, most of its bytes; those of the others stay what they were.
TEST(InferenceSession, KeepsWeightsThatStreamInBf16) {
  Model model(zoo("vgg11"), 3);
  scatter_batch_norms(model, 3);
  for (const std::int64_t batch : {1, 5}) {
    const Tensor images = Tensor::empty({batch, 3, 32, 32});
    fill_normal(images, 3, "images", 1);
    InferenceSession full(model, batch);
    set_inference_weights({}, Dtype::bf16);
    InferenceSession half(model, batch);
    set_inference_weights({}, Dtype::f32);
    const double off = difference(half.run(images), full.run(images));
    EXPECT_LT(off, 1e-2) << "batch " << batch;
    EXPECT_GT(off, 1e-5) << "as exact as f32";
    // 8.3 of its 9.2 million parameters are in two bytes each, others in Winograd's 36 for 9.
    EXPECT_LT(half.weight_bytes(), 0.7 * 4 * static_cast<double>(count(model.arch()).params));
  }
  EXPECT_THROW(set_inference_weights({}, Dtype::f16), ConfigError);
  EXPECT_THROW(set_inference_weights({DeviceKind::simt, 0}, Dtype::bf16), ConfigError);
}

TEST(InferenceSession, RefusesImagesOfAnotherShape) {
  InferenceSession net{Model(resolve("vgg11", {.width = 0.125}))};
  EXPECT_THROW(net.run(Tensor::zeros({2, 3, 32, 32})), ShapeError);
  EXPECT_THROW(net.step_ms(Tensor::zeros({2, 3, 32, 32}), 1), ShapeError);
}

}  // namespace
}  // namespace hac
