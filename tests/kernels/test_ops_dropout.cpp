#include "tests/cases/elementwise.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

// kept or not, drawn at the logical index or at the image's; scaled by 1 / (1 - p).
Doubles mask_of(const DropoutSpec& s) {
  Doubles mask(s.shape.numel());
  const Philox random{s.seed, s.offset};
  for (std::size_t i = 0; i < mask.size(); ++i)
    mask[i] = random.uniform(s.images ? i / (mask.size() / s.shape[0]) : i) >= s.p
                  ? 1 / (1 - double{s.p})
                  : 0;
  return mask;
}

OpCase make_case(const DropoutSpec& s) {
  OpCase c{.spec = s.str(), .seed = 71, .any_threads = true};
  c.input("x", s.shape);
  c.op = [s](const std::vector<Var>& in) {
    return ops::dropout(in[0], {.p = s.p, .images = s.images, .seed = s.seed, .step = s.offset});
  };
  const auto masked = [mask = mask_of(s)](const Doubles& v) {
    Doubles result = v;
    for (std::size_t i = 0; i < v.size(); ++i) result[i] *= mask[i];
    return result;
  };
  c.forward = [masked](const std::vector<Doubles>& in) { return masked(in[0]); };
  c.backward = [masked](const std::vector<Doubles>&, const Doubles& dy) {
    return std::vector<Doubles>{masked(dy)};
  };
  return c;
}

// Own layout and plain give the same mask: the reference knows only the logical index.
HAC_PROVE_OP(Dropout, cases::dropout_odd());

TEST(Dropout, DropsTheShareItWasAskedFor) {
  constexpr std::int64_t n = 100000;
  const Tensor ones = Tensor::empty({n});
  for (float& v : ones.floats()) v = 1;
  for (const float p : {0.1f, 0.5f, 0.9f}) {
    const Tensor y = ops::dropout(Var(ones), {.p = p}).value();
    const auto zeros = std::count(y.floats().begin(), y.floats().end(), 0.f);
    EXPECT_NEAR(zeros, n * p, 5 * std::sqrt(n * p * (1 - p)));
  }
}

TEST(Dropout, StepAndSeedChangeTheMask) {
  const Var x(random_tensor({1000}, 1, 0));
  const auto y = [&](std::uint64_t seed, std::uint64_t step) {
    return ops::dropout(x, {.p = 0.5f, .seed = seed, .step = step}).value().to_vector();
  };
  EXPECT_EQ(y(1, 1), y(1, 1));
  EXPECT_NE(y(1, 1), y(1, 2));
  EXPECT_NE(y(1, 1), y(2, 1));
}

TEST(Dropout, RefusesAShareOutOfRange) {
  for (const float p : {-0.1f, 1.f, std::nanf("")})
    EXPECT_THROW(ops::dropout(Var(Tensor::zeros({2})), {.p = p}), ConfigError);
}

}  // namespace
}  // namespace hac
