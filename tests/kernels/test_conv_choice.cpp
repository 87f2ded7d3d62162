// Which algorithm a convolution on the CPU takes: by rules, by what is allowed, and measured.

#include <thread>

#include "engine/device/plan_options.h"
#include "kernels/ops/conv2d_cpu.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

using cpu::ConvAlgorithm;

constexpr std::uint64_t seed = 29;

TEST(ConvChoice, ExactIsWithoutWinograd) {
  Context& ctx = Context::current();
  const auto named = [&](Pass pass) {
    const Conv2dSpec s{.n = 8, .c = 64, .h = 32, .w = 32, .k = 64, .pass = pass};
    return conv2d_cpu.implementation(ctx, s).name;
  };
  for (const Pass pass :
       {Pass::forward, Pass::inference, Pass::backward_data, Pass::backward_weights}) {
    EXPECT_CONTAINS(named(pass), "winograd");
    set_convolutions({}, Convolutions::exact);
    EXPECT_LACKS(named(pass), "wino");
    set_convolutions({}, Convolutions::fast);
  }
}

// One convolution for each reason that the rules have, which both instruction sets agree on.
TEST(ConvChoice, TheRulesChooseBySizeAndByWhatIsAllowed) {
  using enum ConvAlgorithm;
  const auto chosen = [](std::int64_t n, std::int64_t channels, std::int64_t size,
                         Pass pass = Pass::inference, std::int64_t stride = 1) {
    return cpu::choose(Context::current().library(), {.n = n,
                                                      .c = channels,
                                                      .h = size,
                                                      .w = size,
                                                      .k = channels,
                                                      .stride = stride,
                                                      .pass = pass});
  };
  EXPECT_EQ(chosen(1, 256, 14), winograd4);
  EXPECT_FALSE(cpu::is_winograd(chosen(1, 16, 8)));  // few products
  EXPECT_EQ(chosen(1, 512, 7), winograd2);           // weights that stream
  EXPECT_EQ(chosen(8, 512, 7), winograd4);
  EXPECT_EQ(chosen(1, 128, 4), winograd2);
  EXPECT_EQ(chosen(1, 512, 4), taps);
  EXPECT_EQ(chosen(1, 512, 2), taps);
  EXPECT_EQ(chosen(1, 512, 8, Pass::inference, 2), taps);  // Winograd has no stride
  EXPECT_EQ(chosen(128, 256, 2, Pass::forward), taps);
  EXPECT_EQ(chosen(128, 256, 2, Pass::backward_weights), winograd2);
  EXPECT_EQ(chosen(128, 256, 8, Pass::backward_data), winograd4);
  set_inference_weights({}, Dtype::bf16);
  EXPECT_EQ(chosen(1, 512, 4), taps_bf16);
  EXPECT_EQ(chosen(1, 256, 8), winograd2_bf16);
  EXPECT_EQ(chosen(1, 256, 14), winograd4);  // nothing streams
  set_convolutions({}, Convolutions::exact);
  EXPECT_EQ(chosen(1, 256, 8), taps_bf16);
  set_inference_weights({}, Dtype::f32);
  EXPECT_EQ(chosen(1, 512, 7), taps);
  EXPECT_FALSE(cpu::is_winograd(chosen(1, 256, 14)));
  set_convolutions({}, Convolutions::fast);
}

TEST(ConvChoice, DepthwiseConvolutionsAreOwnButWhereOneDnnIsFaster) {
  using enum ConvAlgorithm;
  cpu::Library& library = Context::current().library();
  const auto spec = [](std::int64_t size, std::int64_t kernel, Pass pass) {
    return Conv2dSpec{.n = 16,
                      .c = 32,
                      .h = size,
                      .w = size,
                      .k = 32,
                      .r = kernel,
                      .s = kernel,
                      .pad = kernel / 2,
                      .groups = 32,
                      .pass = pass};
  };
  for (const std::int64_t kernel : {3, 5}) {
    for (const Pass pass : {Pass::forward, Pass::inference, Pass::backward_data}) {
      EXPECT_EQ(cpu::choose(library, spec(14, kernel, pass)), depthwise);
    }
    // oneDNN 2.6 has this gradient of 3x3 alone, for other processors none.
    const Conv2dSpec small = spec(14, kernel, Pass::backward_weights);
    EXPECT_EQ(cpu::choose(library, small), cpu::onednn_plan(library, small) ? direct : depthwise);
  }
  EXPECT_EQ(cpu::choose(library, spec(56, 3, Pass::backward_weights)), depthwise);
  Conv2dSpec strided = spec(112, 3, Pass::inference);  // over more than caches hold
  strided.stride = 2;
  EXPECT_EQ(cpu::choose(library, strided), cpu::onednn_plan(library, strided) ? direct : depthwise);
  strided.n = 1;
  EXPECT_EQ(cpu::choose(library, strided), depthwise);
  for (const Place& place : places()) {
    if (place.device.kind != DeviceKind::cpu) continue;
    Conv2dSpec s = spec(14, 5, Pass::backward_weights);
    s.dtype = place.dtype;
    EXPECT_NE(cpu::choose(library, s), product);
  }
  Conv2dSpec added = spec(14, 3, Pass::inference);
  added.add = true;
  EXPECT_NE(cpu::choose(library, added), depthwise);
}

// What was packed is computed as it was packed, whatever would be chosen by then.
TEST(ConvChoice, PackedWeightsKeepTheirAlgorithm) {
  Context& ctx = Context::current();
  const Conv2dSpec s{.n = 1, .c = 64, .h = 16, .w = 16, .k = 64, .pass = Pass::inference};
  const Tensor x = random_tensor(s.in_shape(), seed, 0),
               w = random_tensor(s.weight_shape(), seed, 1);
  const Tensor packed =
      Tensor::empty({static_cast<std::int64_t>(conv2d_cpu.packed_bytes(ctx, s))}, Dtype::u8);
  conv2d_cpu.pack(ctx, s, w.data(), nullptr, packed.data());
  const Tensor first = Tensor::activation(s.out_shape()), second = first.clone();
  conv2d_cpu.inference(ctx, s, in_own_layout(x).data(), packed.data(), nullptr, first.data());
  set_convolutions({}, Convolutions::exact);
  conv2d_cpu.inference(ctx, s, in_own_layout(x).data(), packed.data(), nullptr, second.data());
  set_convolutions({}, Convolutions::fast);
  EXPECT_EQ(doubles(first), doubles(second));
}

// By the clock, then from the file; by a thread of its own, whose context no other test sees.
void check_remembering() {
  Context& ctx = Context::current();
  std::string text;
  const PlanFile file{.name = "plans.txt",
                      .read = [&] { return text; },
                      .write = [&](const std::string& now) { text = now; }};
  Conv2dSpec s{.n = 2, .c = 32, .h = 8, .w = 8, .k = 32, .pass = Pass::forward};
  cpu::autotune(ctx.library(), file);
  const ConvAlgorithm chosen = cpu::measured_choice(ctx, s);
  TunedPlans plans = parse_tuned_plans(text, "plans.txt");
  ASSERT_EQ(plans.size(), 1u);
  EXPECT_EQ(plans.begin()->second.engine, static_cast<std::int64_t>(chosen));
  EXPECT_EQ(plans.begin()->first.spec, s.str());
  // What older convolutions took is measured again.
  EXPECT_CONTAINS(plans.begin()->first.library, std::string(cpu::own_convolutions));
  for (const ConvAlgorithm other : {ConvAlgorithm::product, ConvAlgorithm::winograd2}) {
    plans.begin()->second.engine = static_cast<std::int64_t>(other);
    text = to_text(plans);
    cpu::autotune(ctx.library(), file);
    EXPECT_EQ(cpu::measured_choice(ctx, s), other);
  }
  // Of an algorithm that there is not: measured again.
  plans.begin()->second.engine = 99;
  text = to_text(plans);
  cpu::autotune(ctx.library(), file);
  cpu::measured_choice(ctx, s);
  EXPECT_NE(parse_tuned_plans(text, "plans.txt").begin()->second.engine, 99);
}

TEST(ConvChoice, AMeasuredChoiceIsRemembered) { std::thread(check_remembering).join(); }

}  // namespace
}  // namespace hac
