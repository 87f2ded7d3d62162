#include "tests/cases/softmax_xent.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

constexpr std::uint64_t seed = 61;

Tensor target_for(const SoftmaxXentSpec& s) {
  if (!s.soft) {
    std::vector<std::int32_t> labels(s.n);
    for (std::int64_t i = 0; i < s.n; ++i)
      labels[i] = static_cast<std::int32_t>(Philox{seed, 9}.below(i, s.classes));
    labels[0] = 0;
    labels[s.n - 1] = static_cast<std::int32_t>(s.classes - 1);
    return Tensor::from(labels, {s.n});
  }
  const Tensor t = random_tensor({s.n, s.classes}, seed, 9);
  for (float& v : t.floats()) v = std::abs(v) / static_cast<float>(s.classes);
  return t;
}

// The target as probabilities before smoothing.
Doubles probabilities(const SoftmaxXentSpec& s, const Tensor& target) {
  if (s.soft) return doubles(target);
  Doubles t(s.n * s.classes);
  for (std::int64_t i = 0; i < s.n; ++i) t[i * s.classes + target.as<std::int32_t>()[i]] = 1;
  return t;
}

OpCase make_case(const SoftmaxXentSpec& s) {
  OpCase c{
      .spec = s.str(), .seed = seed, .terms = static_cast<double>(s.classes), .any_threads = true};
  const Tensor target = target_for(s);
  const Doubles t = probabilities(s, target);
  c.input("logits", {s.n, s.classes}, c.terms);
  c.op = [s, target](const std::vector<Var>& in) {
    return ops::softmax_cross_entropy(in[0], target, s.smoothing).loss;
  };
  c.forward = [s, t](const std::vector<Doubles>& in) {
    return reference::softmax_xent(s, in[0], t);
  };
  c.backward = [s, t](const std::vector<Doubles>& in, const Doubles& dy) {
    return std::vector<Doubles>{reference::softmax_xent_backward(s, in[0], t, dy[0])};
  };
  return c;
}

HAC_PROVE_OP(SoftmaxXent, cases::softmax_xent_odd());

TEST(SoftmaxXent, ProbabilitiesAreTheSoftmax) {
  const SoftmaxXentSpec s{.n = 7, .classes = 10};
  const OpCase c = make_case(s);
  const ops::XentResult got = ops::softmax_cross_entropy(Var(c.inputs[0].value), target_for(s), 0);
  expect_close(got.probs, reference::softmax(s, doubles(c.inputs[0].value)), 1e-6, "softmax");
}

// torch.nn.functional.cross_entropy(logits, labels, label_smoothing=s), PyTorch 1.13.
TEST(SoftmaxXent, MatchesPyTorch) {
  const Var logits(Tensor::from(std::vector<float>{1, 2, 3, -1, 0.5, 0}, {2, 3}));
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{2, 0}, {2});
  EXPECT_NEAR(ops::softmax_cross_entropy(logits, labels).loss.value().item(), 1.25586828, 5e-7);
  EXPECT_NEAR(ops::softmax_cross_entropy(logits, labels, 0.1f).loss.value().item(), 1.26420162,
              5e-7);
  const Tensor soft = Tensor::from(std::vector<float>{0.2f, 0.3f, 0.5f, 0.9f, 0.1f, 0}, {2, 3});
  EXPECT_NEAR(ops::softmax_cross_entropy(logits, soft).loss.value().item(), 1.53086828, 5e-7);
}

TEST(SoftmaxXent, LargeLogitsDoNotOverflow) {
  const Var logits(Tensor::from(std::vector<float>{1e4f, -1e4f, 3e38f, 0}, {2, 2}), true);
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, 0}, {2});
  const Var loss = ops::softmax_cross_entropy(logits, labels).loss;
  EXPECT_EQ(loss.value().item(), 0);
  backward(loss);
  EXPECT_TRUE(all_finite(logits.grad()));
}

TEST(SoftmaxXent, ANotFiniteLogitIsSeenInTheLoss) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    const Var logits(Tensor::from(std::vector<float>{0, bad, 1}, {1, 3}));
    const Tensor label = Tensor::from(std::vector<std::int32_t>{0}, {1});
    EXPECT_FALSE(std::isfinite(ops::softmax_cross_entropy(logits, label).loss.value().item()));
  }
}

TEST(SoftmaxXent, RefusesLabelsOutOfRange) {
  const Var logits(Tensor::zeros({2, 3}));
  for (const std::int32_t bad : {-1, 3, 1 << 30}) {
    const Tensor labels = Tensor::from(std::vector<std::int32_t>{0, bad}, {2});
    EXPECT_ERROR(ops::softmax_cross_entropy(logits, labels), ShapeError, std::to_string(bad));
  }
  EXPECT_THROW(ops::softmax_cross_entropy(logits, Tensor::zeros({3}, Dtype::i32)), ShapeError);
  EXPECT_THROW(ops::softmax_cross_entropy(logits, Tensor::zeros({2, 4})), ShapeError);
  EXPECT_THROW(ops::softmax_cross_entropy(logits, Tensor::zeros({2}, Dtype::u8)), ShapeError);
}

}  // namespace
}  // namespace hac
