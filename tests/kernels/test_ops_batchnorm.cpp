#include <fmt/format.h>

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

// What the readers of y, and those of x that come before the batch norm, give for its gradient.
struct Met {
  std::vector<Tensor> of_y, of_x;

  Met(const OpCase& c, const Tensor& y, const Tensor& x, int readers, int others) {
    std::uint64_t stream = 1000;
    const auto give = [&](const Tensor& like) {
      return random_tensor(like.shape(), c.seed, stream++)
          .to(like.device())
          .cast(like.dtype())
          .to(like.layout());
    };
    for (int i = 0; i < readers; ++i) of_y.push_back(give(y));
    for (int i = 0; i < others; ++i) of_x.push_back(give(x));
  }
  std::vector<Tensor> all() const {
    std::vector<Tensor> both = of_y;
    both.insert(both.end(), of_x.begin(), of_x.end());
    return both;
  }
  static Doubles sum(const std::vector<Tensor>& tensors, Doubles of) {
    for (const Tensor& t : tensors) {
      const Doubles values = doubles(t);
      for (std::size_t i = 0; i < of.size(); ++i) of[i] += values[i];
    }
    return of;
  }
};

struct MeetingRun {
  std::vector<Var> inputs;
  Met met;
};

// own(tensor): what the tape gets of it.
template <class Own>
MeetingRun run_meeting(const OpCase& c, const Place& place, bool own_layout, int readers,
                       int others, Own own) {
  std::vector<Var> inputs;
  for (const OpInput& in : c.inputs) {
    inputs.emplace_back(given(in, own_layout, place), true, in.name);
  }
  const Var y = c.op(inputs), x = inputs[0];
  const Met met(c, y.value(), x.value(), readers, others);
  std::vector<Var> read(readers, y);
  read.insert(read.end(), others, x);
  backward(make_var("probe", Tensor::zeros({}, Dtype::f32, place.device), read, [&](const Tensor&) {
    std::vector<Tensor> gradients = met.all();
    for (Tensor& g : gradients) g = own(g);
    return gradients;
  }));
  return {inputs, met};
}

void check_meeting(const OpCase& c, const BatchNormSpec& s, const Place& place, bool own_layout,
                   int readers, int others) {
  const std::string where = fmt::format("{} on {}{}: {} gradients of y, {} of x", c.spec,
                                        place.name, own_layout ? "" : " plain", readers, others);
  std::vector<Tensor> before;
  const MeetingRun held = run_meeting(c, place, own_layout, readers, others, [&](const Tensor& g) {
    before.push_back(g.clone());
    return g;
  });
  const std::vector<Tensor> after = held.met.all();
  for (std::size_t i = 0; i < after.size(); ++i) {
    expect_same_bits(after[i], before[i], where + ": a gradient that was held");
  }
  const Doubles dy = Met::sum(held.met.of_y, Doubles(s.shape().numel()));
  std::vector<Doubles> expected = reference::batch_norm_backward(s, reference_inputs(c), dy);
  expected[0] = Met::sum(held.met.of_x, expected[0]);
  // Where sums are kernels of their own, each rounds once more.
  const double roundings = 4 + readers - 1 + others;
  const double floor = std::max(c.floor, rounding(place.dtype) * roundings / 4);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const OpInput& in = c.inputs[i];
    EXPECT_EQ(held.inputs[i].grad().layout(), held.inputs[i].value().layout()) << where << in.name;
    expect_close(held.inputs[i].grad(), expected[i], tolerance(in.terms, floor),
                 where + ", gradient of " + in.name);
  }
  if (readers != 2 || !own_layout) return;
  const MeetingRun alone =
      run_meeting(c, place, own_layout, readers, others, [](const Tensor& g) { return g.clone(); });
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expect_same_bits(alone.inputs[i].grad(), held.inputs[i].grad(),
                     where + ", over gradients of its own: gradient of " + c.inputs[i].name);
  }
}

TEST(BatchNorm, AddsGradientsThatMeet) {
  for (const Place& place : places()) {
    const At at(place);
    for (const BatchNormSpec& s : cases::batchnorm_meeting()) {
      const bool large = s.n * s.h * s.w > 1000;
      if (large && (place.device.kind == DeviceKind::cpu || place.dtype != Dtype::f32 ||
                    place.order != simt::Order::forward)) {
        continue;
      }
      const OpCase c = rounded(make_case(s), place.dtype);
      check_meeting(c, s, place, true, 2, 1);
      if (large) continue;
      check_meeting(c, s, place, true, 2, 0);
      check_meeting(c, s, place, true, 1, 1);
      check_meeting(c, s, place, false, 3, 2);
    }
  }
}

// With the first held by another the second gradient makes room for dx.
TEST(BatchNorm, WritesOverASecondGradientOfItsOwn) {
  const Place simt{"simt", {DeviceKind::simt, 0}};
  const BatchNormSpec s{.n = 2, .c = 4, .h = 3, .w = 3};
  const void* second = nullptr;
  int gradient = 0;
  const MeetingRun run = run_meeting(make_case(s), simt, true, 2, 0, [&](const Tensor& g) {
    if (gradient++ == 0) return g;
    const Tensor own = g.clone();
    second = own.data();
    return own;
  });
  EXPECT_EQ(run.inputs[0].grad().data(), second);
}

// Vectors are loaded only where every operand begins at one.
TEST(BatchNorm, AddsWhatBeginsAtAnyElement) {
  const BatchNormSpec s{.n = 2, .c = 16, .h = 3, .w = 3};
  const std::int64_t elements = s.shape().numel();
  for (const Place& place : places()) {
    if (!batchnorm_kernels.of(place.device).backward_adding || place.dtype != Dtype::f32) continue;
    const At at(place);
    const auto dx = [&](int second, int addend) {  // the elements at which they begin
      const auto from = [&](std::uint64_t stream, int begin, std::int64_t n) {
        Tensor whole = random_tensor({n}, 3, stream).to(place.device);
        const Tensor out = Tensor::zeros({n + begin}, Dtype::f32, place.device);
        out.slice(begin, n + begin).copy_from(whole);
        return out.slice(begin, n + begin);
      };
      const Tensor x = from(0, 0, elements), dy = from(1, 0, elements),
                   dy2 = from(2, second, elements), other = from(3, addend, elements);
      const Tensor gamma = from(4, 0, s.c), beta = from(5, 0, s.c), mean = from(6, 0, s.c);
      const Tensor var = Tensor::from(std::vector<float>(s.c, 1.5f), {s.c}).to(place.device);
      const Tensor out = Tensor::zeros({elements}, Dtype::f32, place.device), dgamma = out.clone(),
                   dbeta = out.clone();
      batchnorm_kernels.run(&BatchNormKernels::backward_adding, place.device, s, x.data(), nullptr,
                            gamma.data(), beta.data(), mean.data(), var.data(), dy.data(),
                            out.data(), dgamma.data(), dbeta.data(), nullptr, dy2.data(),
                            other.data());
      return out;
    };
    const Doubles expected = doubles(dx(0, 0));
    expect_close(dx(1, 0), expected, 1e-6, place.name + ": the second gradient");
    expect_close(dx(0, 1), expected, 1e-6, place.name + ": the addend");
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
