#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "tests/cases/conv2d.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

// Winograd transforms lose more than a direct sum: 3e-6 of the norm.
constexpr double winograd = 3e-6;

OpCase make_case(const Conv2dSpec& s, bool stem = false) {
  OpCase c{.spec = s.str(), .seed = 17, .floor = winograd};
  const double taps = static_cast<double>(s.r * s.s);
  const double pixels = static_cast<double>(s.n * s.oh() * s.ow());
  c.terms = taps * static_cast<double>(s.c / s.groups);
  c.differences = s.in_shape().numel() < 4000;
  c.allocations = s.in_shape().numel() < 1000;
  c.input("x", s.in_shape(), taps * static_cast<double>(s.k / s.groups)).wants_grad = !stem;
  c.parameter("weight", s.weight_shape(), pixels);
  if (s.bias) c.parameter("bias", {s.k}, pixels);
  c.op = [s](const std::vector<Var>& in) {
    return ops::conv2d(in[0], in[1], s.bias ? in[2] : Var(),
                       {.stride = s.stride, .pad = s.pad, .groups = s.groups});
  };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::conv2d(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::conv2d_backward(s, in, dy);
  };
  return c;
}

HAC_PROVE_OP(Conv2d, cases::conv2d_odd());

TEST(Conv2d, AStemHasNoGradientOfItsInput) {
  const Conv2dSpec s{.n = 2, .c = 3, .h = 9, .w = 9, .k = 16, .bias = true};
  check_against_reference(make_case(s, true));
}

// A loader's images, padded already, and those that are padded here: the same bits.
TEST(Conv2d, ReadsPaddedImages) {
  const Device simt{DeviceKind::simt, 0};
  for (const std::int64_t channels : {1, 3, 7}) {
    const Conv2dSpec s{.dtype = Dtype::bf16, .n = 2, .c = channels, .h = 9, .w = 7, .k = 16};
    const Tensor images = random_tensor(s.in_shape(), 29, 0).to(simt).cast(s.dtype);
    const Tensor weights = random_tensor(s.weight_shape(), 29, 1).to(simt);
    const Tensor dy = random_tensor(s.out_shape(), 29, 2).to(simt).cast(s.dtype).to(Layout::nhwc);
    std::vector<float> outputs[2], gradients[2];
    for (const bool padded : {false, true}) {
      const Var x(images.to(padded ? Layout::blocked8 : Layout::nhwc)), w(weights, true, "weight");
      const Var y = ops::conv2d(x, w, Var(), {.pad = 1});
      backward(make_var("probe", Tensor::zeros({}, Dtype::f32, simt), {y},
                        [&](const Tensor&) { return std::vector<Tensor>{dy}; }));
      outputs[padded] = y.value().to_vector();
      gradients[padded] = w.grad().to_vector();
    }
    EXPECT_EQ(outputs[1], outputs[0]) << channels << " channels";
    EXPECT_EQ(gradients[1], gradients[0]) << channels << " channels";
  }
}

// Weights packed once, then bias, residual and activation fused: against the reference, and in
// place.
void check_inference(Conv2dSpec s, bool in_place) {
  s.pass = Pass::inference;
  // What the type can hold, but for the bias.
  const auto random = [&](const Shape& shape, std::uint64_t stream) {
    return random_tensor(shape, 23, stream).cast(s.dtype).cast(Dtype::f32);
  };
  const Tensor x = random(s.in_shape(), 0), w = random(s.weight_shape(), 1);
  const Tensor b = random_tensor({s.k}, 23, 2), residual = random(s.out_shape(), 3);
  Doubles expected = reference::conv2d(s, {doubles(x), doubles(w), doubles(b)});
  const Doubles added = doubles(residual);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += s.add ? added[i] : 0;
  const double hidden = activate_all(s.activation, expected);

  Context& context = Context::current();
  const Tensor own = in_own_layout(x.cast(s.dtype));
  const Tensor own_residual = in_own_layout(residual.cast(s.dtype)).clone();
  const Tensor y = in_place ? own_residual : Tensor::activation(s.out_shape(), s.dtype);
  const auto bytes = static_cast<std::int64_t>(conv2d_cpu.packed_bytes(context, s));
  const Tensor packed = Tensor::empty({bytes}, Dtype::u8);
  conv2d_cpu.pack(context, s, w.data(), s.bias ? b.data() : nullptr, packed.data());
  for (int round = 0; round < (in_place ? 1 : 2); ++round)
    conv2d_cpu.inference(context, s, own.data(), packed.data(),
                         s.add ? own_residual.data() : nullptr, y.data());
  const double terms = static_cast<double>(s.r * s.s * s.c / s.groups);
  expect_close(y, expected, hidden * tolerance(terms, std::max(winograd, rounding(s.dtype))),
               s.str() + (in_place ? " in place" : ""));
  expect_zero_padding(y, s.str());
}

TEST(Conv2d, InferenceFusesSumAndActivation) {
  for (const Place& place : places_of_the_cpu()) {
    for (Conv2dSpec s : cases::conv2d_odd()) {
      s.dtype = place.dtype;
      for (const Activation a :
           {Activation::none, Activation::relu, Activation::relu6, Activation::silu}) {
        if (place.dtype != Dtype::f32 && a != Activation::silu) continue;
        s.activation = a;
        for (const bool add : {false, true}) {
          s.add = add;
          check_inference(s, false);
          if (add) check_inference(s, true);
        }
      }
    }
  }
}

// Whatever a network can be made of: channels of grey images to wide layers, maps down to one
// pixel, kernels as large as a stem's, strides, and groups of every kind.
std::vector<Conv2dSpec> conv2d_grid() {
  std::vector<Conv2dSpec> specs = cases::conv2d_odd();
  for (const std::int64_t n : {1, 64}) {
    for (const Conv2dSpec& s : cases::conv2d_zoo(n)) specs.push_back(s);
    for (const std::int64_t c : {1, 2, 3, 4, 17, 64}) {
      for (const std::int64_t k : {1, 3, 16, 100}) {
        for (const std::int64_t size : {1, 2, 3, 4, 7, 32}) {
          for (const std::int64_t kernel : {1, 3, 5, 7}) {
            for (const std::int64_t stride : {1, 2}) {
              specs.push_back(cases::square(n, c, k, size, kernel, stride));
            }
          }
        }
      }
    }
    for (const std::int64_t c : {8, 20, 32, 100}) {
      for (const std::int64_t groups : {std::int64_t{2}, std::int64_t{4}, c}) {
        for (const std::int64_t size : {1, 4, 14}) {
          specs.push_back({.n = n, .c = c, .h = size, .w = size, .k = c, .groups = groups});
        }
      }
    }
  }
  return specs;
}

// oneDNN's reference implementations are hundreds of times slower and say so in their name; its
// product of plain tensors works image by image.
TEST(Conv2d, NetworksNeverMeetAReferenceImplementation) {
  Context& context = Context::current();
  for (const Place& place : places_of_the_cpu()) {
    for (Conv2dSpec s : conv2d_grid()) {
      s.dtype = place.dtype;
      for (const Pass pass :
           {Pass::forward, Pass::inference, Pass::backward_data, Pass::backward_weights}) {
        s.pass = pass;
        const std::string name = conv2d_cpu.implementation(context, s).name;
        EXPECT_TRUE(name.find("jit") == 0 || name.find("brg") == 0 || name.find("product") == 0 ||
                    name.find("winograd") == 0 || name.find("taps") == 0 ||
                    name.find("depthwise") == 0)
            << s.str() << ": " << name;
      }
    }
  }
}

// The product is for what the library cannot do, not for the layers that make up a network.
TEST(Conv2d, LayersOfTheZooUseTheLibrarysCode) {
  if (cpu::vector_lanes() == 4) GTEST_SKIP() << "oneDNN has only reference code for NEON";
  if (this_machine().onednn.starts_with("none")) GTEST_SKIP() << "built without oneDNN";
  Context& context = Context::current();
  for (const Place& place : places_of_the_cpu())
    for (const std::int64_t batch : {1, 128}) {
      for (Conv2dSpec s : cases::conv2d_zoo(batch)) {
        s.dtype = place.dtype;
        for (const Pass pass :
             {Pass::forward, Pass::inference, Pass::backward_data, Pass::backward_weights}) {
          if (pass == Pass::backward_data && s.c <= 3) continue;
          // oneDNN 2.6 has no weight gradient of small maps and stems for AVX2.
          if (pass == Pass::backward_weights && cpu::vector_lanes() == 8) continue;
          s.pass = pass;
          const std::string name = conv2d_cpu.implementation(context, s).name;
          EXPECT_LACKS(name, "product") << s.str();
        }
      }
    }
}

TEST(Conv2d, RefusesShapesThatDoNotFit) {
  const auto var = [](const Shape& shape, const char* name = "") {
    return Var(Tensor::zeros(shape), true, name);
  };
  const Var x = var({1, 8, 5, 5});
  EXPECT_ERROR(ops::conv2d(x, var({4, 7, 3, 3}, "layer2.0.conv1.weight"), Var(), {}), ShapeError,
               "layer2.0.conv1");
  EXPECT_THROW(ops::conv2d(x, var({4, 8, 7, 7}), Var(), {}), ShapeError);  // larger than the input
  EXPECT_THROW(ops::conv2d(x, var({4, 8, 3, 3}), var({5}), {}), ShapeError);
  EXPECT_THROW(ops::conv2d(x, var({4, 8, 3, 3}), Var(), {.stride = 0}), ShapeError);
  EXPECT_THROW(ops::conv2d(x, var({4, 8, 3, 3}), Var(), {.pad = -1}), ShapeError);
  EXPECT_THROW(ops::conv2d(x, var({4, 4, 3, 3}), Var(), {.groups = 3}), ShapeError);
  EXPECT_THROW(ops::conv2d(x, var({4, 8, 3, 3}), Var(), {.groups = 0}), ShapeError);
  EXPECT_THROW(ops::conv2d(var({8, 5, 5}), var({4, 8, 3, 3}), Var(), {}), ShapeError);
}

}  // namespace
}  // namespace hac
