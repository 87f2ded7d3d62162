#include "tests/cases/batchnorm.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

Tensor shifted(const Tensor& t, float shift, float scale) {
  for (std::int64_t i = 0; i < t.numel(); ++i) t.as<float>()[i] = shift + scale * t.as<float>()[i];
  return t;
}

struct Running {
  Tensor mean, var;
};

Running running(std::int64_t c, Device device = {}) {
  return {shifted(random_tensor({c}, 5, 0), 0.5f, 0.1f).to(device),
          shifted(random_tensor({c}, 5, 1), 2, 0.2f).to(device)};
}

OpCase make_case(const BatchNormSpec& s, float mean = 0.5f, float deviation = 2) {
  OpCase c{.spec = s.str(), .seed = 31, .floor = 4e-6};
  const double m = static_cast<double>(s.n * s.h * s.w);
  shifted(c.input("x", s.shape()).value, mean, deviation);
  c.parameter("gamma", {s.c}, m);
  if (s.activation == Activation::relu6) shifted(c.inputs.back().value, 0, 5);  // beyond 6 too
  c.parameter("beta", {s.c}, m);
  if (s.add) c.input("residual", s.shape());
  c.op = [s](const std::vector<Var>& in) {
    const Running r = running(s.c, in[0].device());
    return ops::batch_norm(in[0], in[1], in[2], r.mean, r.var, s.add ? in[3] : Var(),
                           {.activation = s.activation, .eps = s.eps});
  };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::batch_norm(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::batch_norm_backward(s, in, dy);
  };
  return c;
}

HAC_PROVE_OP(BatchNorm, cases::batchnorm_odd());

// E[x^2] - E[x]^2 would lose 100^2 eps and more of the variance. What remains is the rounding of
// the mean, a sum of 324 floats: some sqrt(324) eps of 100 deviations.
TEST(BatchNorm, KeepsItsDigitsFarFromZero) {
  for (const std::int64_t c : {3, 17}) {
    OpCase far = make_case({.n = 4, .c = c, .h = 9, .w = 9}, 100, 1);
    far.floor = 100 * 18 * 0x1p-24;
    check_against_reference(far);
  }
}

TEST(BatchNorm, AConstantChannelStaysFinite) {
  const BatchNormSpec s{.n = 2, .c = 17, .h = 3, .w = 3};
  OpCase c = make_case(s, 1, 0);
  const OpRun got = run(c, true);
  for (const Tensor& grad : got.grads) EXPECT_TRUE(all_finite(grad));
  // x = mean, so y = beta.
  const std::vector<float> y = got.y.to_vector();
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_NEAR(y[i], c.inputs[2].value.floats()[i / 9 % 17], 1e-6);
}

// As PyTorch: running = 0.9 * running + 0.1 * batch, with the unbiased variance.
TEST(BatchNorm, UpdatesRunningStatistics) {
  for (const std::int64_t c : {3, 17}) {
    const BatchNormSpec s{.n = 2, .c = c, .h = 5, .w = 3};
    const OpCase test = make_case(s);
    const Running before = running(c), after = running(c);
    const auto& in = test.inputs;
    ops::batch_norm(Var(in[0].value), Var(in[1].value), Var(in[2].value), after.mean, after.var,
                    Var(), {.momentum = 0.1f});
    const reference::Statistics batch = reference::batch_statistics(s, doubles(in[0].value));
    Doubles mean(c), var(c);
    for (std::int64_t i = 0; i < c; ++i) {
      mean[i] = 0.9 * before.mean.floats()[i] + 0.1 * batch.mean[i];
      var[i] = 0.9 * before.var.floats()[i] + 0.1 * batch.var[i] * 30 / 29;
    }
    expect_close(after.mean, mean, 1e-6, "running mean");
    expect_close(after.var, var, 1e-6, "running variance");
    expect_zero_padding(after.mean, "running mean");
    expect_zero_padding(after.var, "running variance");
  }
}

TEST(BatchNorm, EvaluationUsesRunningStatistics) {
  for (const BatchNormSpec& s : cases::batchnorm_odd()) {
    const OpCase c = make_case(s);
    const Running r = running(s.c);
    const Tensor mean = r.mean.clone(), var = r.var.clone();
    const Doubles expected =
        reference::normalized(s, reference_inputs(c), {doubles(mean), doubles(var)});
    const NoGrad off;
    for (const bool own : {true, false}) {
      const Var y = ops::batch_norm(Var(given(c.inputs[0], own)), Var(c.inputs[1].value),
                                    Var(c.inputs[2].value), r.mean, r.var,
                                    s.add ? Var(given(c.inputs[3], own)) : Var(),
                                    {.training = false, .activation = s.activation, .eps = s.eps});
      expect_close(y.value(), expected, c.floor, c.spec + " evaluation");
      expect_zero_padding(y.value(), c.spec + " evaluation");
    }
    expect_same_bits(r.mean, mean, c.spec + ": evaluation changed the running mean");
    expect_same_bits(r.var, var, c.spec + ": evaluation changed the running variance");
  }
}

// The gradient that nobody else holds makes room for dx, one that is held stays as it is.
TEST(BatchNorm, WritesOverAGradientOfItsOwn) {
  for (const Place& place : places()) {
    const At at(place);
    for (const BatchNormSpec& s : cases::batchnorm_odd()) {
      const OpCase c = rounded(make_case(s), place.dtype);
      std::vector<Var> held, alone;
      for (const OpInput& in : c.inputs) {
        held.emplace_back(given(in, true, place), true, in.name);
        alone.emplace_back(given(in, true, place), true, in.name);
      }
      const Var y = c.op(held), again = c.op(alone);
      const Tensor dy = gradient_for(c, y.value()), kept = dy.clone();
      backward_from(y, dy);
      expect_same_bits(dy, kept, c.spec + ": dy was held");
      const void* memory = nullptr;
      backward(make_var("probe", Tensor::zeros({}, Dtype::f32, dy.device()), {again},
                        [&](const Tensor&) {
                          const Tensor own = kept.clone();
                          memory = own.data();
                          return std::vector<Tensor>{own};
                        }));
      EXPECT_EQ(alone[0].grad().data(), memory) << c.spec << " on " << place.name;
      for (std::size_t i = 0; i < held.size(); ++i) {
        expect_same_bits(alone[i].grad(), held[i].grad(),
                         c.spec + " gradient of " + c.inputs[i].name);
      }
    }
  }
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  const auto call = [](const Shape& x, std::int64_t c, const Shape& residual = {}) {
    const Running r = running(c);
    return ops::batch_norm(Var(Tensor::zeros(x)), Var(Tensor::zeros({c})), Var(Tensor::zeros({c})),
                           r.mean, r.var, residual.rank() ? Var(Tensor::zeros(residual)) : Var(),
                           {});
  };
  EXPECT_NO_THROW(call({2, 4, 3, 3}, 4, {2, 4, 3, 3}));
  EXPECT_THROW(call({2, 4, 3, 3}, 5), ShapeError);
  EXPECT_THROW(call({2, 4}, 4), ShapeError);
  EXPECT_THROW(call({2, 4, 3, 3}, 4, {2, 4, 3, 1}), ShapeError);
  EXPECT_THROW(call({1, 4, 1, 1}, 4), ShapeError) << "one value a channel has no variance";
}

}  // namespace
}  // namespace hac
