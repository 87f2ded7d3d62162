// The product that stands in where oneDNN has reference code alone, on every case of every
// instruction set: what is chosen elsewhere does not matter here.

#include "kernels/ops/conv2d_product_cpu.h"

#include "tests/cases/conv2d.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

constexpr std::uint64_t seed = 29;

// The zoo's odd cases, and one whose images do not fit into one part.
std::vector<Conv2dSpec> specs() {
  std::vector<Conv2dSpec> all = cases::conv2d_odd();
  all.push_back({.n = 5, .c = 128, .h = 32, .w = 32, .k = 1, .bias = true});
  return all;
}

struct Buffers {
  explicit Buffers(const Conv2dSpec& s)
      : work(cpu::product_sizes(s).bytes() / sizeof(float)), packed(s.weight_shape().numel()) {}
  std::vector<float> work, packed;
};

TEST(ConvProduct, TakesALargeBatchInParts) {
  EXPECT_LT(cpu::product_sizes(specs().back()).images, 5);
}

TEST(ConvProduct, ForwardMatchesTheReferenceWithSumAndActivation) {
  for (Conv2dSpec s : specs()) {
    Buffers b(s);
    const Tensor x = random_tensor(s.in_shape(), seed, 0);
    const Tensor w = random_tensor(s.weight_shape(), seed, 1), bias = random_tensor({s.k}, seed, 2);
    const Tensor residual = random_tensor(s.out_shape(), seed, 3);
    const Doubles added = doubles(residual);
    std::vector<Doubles> inputs{doubles(x), doubles(w)};
    if (s.bias) inputs.push_back(doubles(bias));
    const Doubles plain = reference::conv2d(s, inputs);
    cpu::product_pack(s, w.as<float>(), b.packed.data());
    for (const auto& [add, activation] : {std::pair(false, Activation::none),
                                          {false, Activation::relu},
                                          {true, Activation::none},
                                          {true, Activation::relu},
                                          {true, Activation::silu}}) {
      s.add = add;
      s.activation = activation;
      Doubles expected = plain;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        expected[i] = reference::activate(activation, expected[i] + (add ? added[i] : 0));
      }
      const Tensor y = in_own_layout(residual).clone();
      cpu::product_forward(s, in_own_layout(x).as<float>(), b.packed.data(),
                           s.bias ? bias.as<float>() : nullptr, y.as<float>(), b.work.data());
      const auto terms = static_cast<double>(s.r * s.s * s.c / s.groups);
      expect_close(y, expected, tolerance(terms, 1e-6), s.str());
      expect_zero_padding(y, s.str());
    }
  }
}

TEST(ConvProduct, BackwardMatchesTheReference) {
  for (const Conv2dSpec& s : specs()) {
    Buffers b(s);
    const Tensor x = random_tensor(s.in_shape(), seed, 0);
    const Tensor w = random_tensor(s.weight_shape(), seed, 1), bias = random_tensor({s.k}, seed, 2);
    const Tensor dy = random_tensor(s.out_shape(), seed, 4);
    std::vector<Doubles> inputs{doubles(x), doubles(w)};
    if (s.bias) inputs.push_back(doubles(bias));
    const std::vector<Doubles> expected = reference::conv2d_backward(s, inputs, doubles(dy));
    const Tensor own_dy = in_own_layout(dy);

    cpu::product_pack(s, w.as<float>(), b.packed.data());
    const Tensor dx = Tensor::activation(s.in_shape());
    cpu::product_backward_data(s, own_dy.as<float>(), b.packed.data(), dx.as<float>(),
                               b.work.data());
    const auto taps = static_cast<double>(s.r * s.s * s.k / s.groups);
    expect_close(dx, expected[0], tolerance(taps, 1e-6), s.str() + " dx");
    expect_zero_padding(dx, s.str());

    const Tensor dw = Tensor::zeros(s.weight_shape()), db = Tensor::zeros({s.k});
    cpu::product_backward_weights(s, in_own_layout(x).as<float>(), own_dy.as<float>(),
                                  b.packed.data(), s.bias ? db.as<float>() : nullptr,
                                  b.work.data());
    cpu::product_unpack(s, b.packed.data(), dw.as<float>());
    const auto pixels = static_cast<double>(s.n * s.oh() * s.ow());
    expect_close(dw, expected[1], tolerance(pixels, 1e-6), s.str() + " dw");
    if (s.bias) expect_close(db, expected[2], tolerance(pixels, 1e-6), s.str() + " db");
  }
}

}  // namespace
}  // namespace hac
