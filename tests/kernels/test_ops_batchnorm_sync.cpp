// Batch norm over the parts of several ranks, which are threads: against the whole batch in double
// precision. Images differ in mean from one to the next, so that no part is like another.

#include "engine/device/capture.h"
#include "engine/parallel/device_group.h"
#include "tests/support/op_test.h"
#include "tests/support/thread_group.h"

namespace hac {
namespace {

using Parts = std::vector<std::int64_t>;  // images of each rank

constexpr float kMomentum = 0.1f;

struct Operation {
  BatchNormSpec spec;  // of the whole batch
  bool pooled = false;
};

// Rows of images, as the whole batch holds them.
Tensor rows_of(const Tensor& whole, std::int64_t begin, std::int64_t end, const Place& place) {
  return in_own_layout(whole.slice(begin, end).clone().to(place.device).cast(place.dtype));
}

struct Problem {
  Operation op;
  Tensor x, gamma, beta, residual, dy, running_mean, running_var;  // plain f32 on the CPU

  Problem(const Operation& operation, Dtype dtype, float mean = 0.5f, float drift = 0.75f)
      : op(operation) {
    const BatchNormSpec& s = op.spec;
    const Shape out = op.pooled ? s.pooled_shape() : s.shape();
    x = random_tensor(s.shape(), 41, 0);
    const std::int64_t image = s.c * s.h * s.w;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      float& v = x.floats()[i];
      v = mean + v + drift * static_cast<float>(i / image);
    }
    gamma = random_tensor({s.c}, 41, 1);
    beta = random_tensor({s.c}, 41, 2);
    if (s.activation == Activation::relu6) {
      for (float& v : gamma.floats()) v *= 5;
    }
    if (s.add) residual = random_tensor(s.shape(), 41, 3);
    dy = random_tensor(out, 41, 4);
    running_mean = random_tensor({s.c}, 41, 5);
    running_var = random_tensor({s.c}, 41, 6);
    for (Tensor* t : {&x, &residual, &dy}) {
      if (t->defined()) *t = t->cast(dtype).cast(Dtype::f32);
    }
  }

  std::vector<Doubles> inputs() const {
    std::vector<Doubles> in{doubles(x), doubles(gamma), doubles(beta)};
    if (op.spec.add) in.push_back(doubles(residual));
    return in;
  }
};

struct Result {
  Tensor y, dx, dgamma, dbeta, dresidual, running_mean, running_var;
};

// Images [begin, end), together with the others of the group.
Result run_part(const Problem& p, std::int64_t begin, std::int64_t end, DeviceGroup* group,
                const Place& place) {
  const BatchNormSpec& s = p.op.spec;
  const Var x(rows_of(p.x, begin, end, place), true, "x");
  const Var gamma(p.gamma.clone().to(place.device), true, "gamma");
  const Var beta(p.beta.clone().to(place.device), true, "beta");
  const Var residual =
      s.add ? Var(rows_of(p.residual, begin, end, place), true, "residual") : Var();
  const Tensor mean = p.running_mean.clone().to(place.device);
  const Tensor var = p.running_var.clone().to(place.device);
  const ops::BatchNormOptions options{
      .activation = s.activation, .momentum = kMomentum, .eps = s.eps, .group = group};
  const Var y = p.op.pooled ? ops::batch_norm_max_pool(x, gamma, beta, mean, var, options)
                            : ops::batch_norm(x, gamma, beta, mean, var, residual, options);
  backward_from(
      y, p.dy.slice(begin, end).clone().to(place.device).cast(place.dtype).to(y.value().layout()));
  return {y.value(), x.grad(), gamma.grad(), beta.grad(), s.add ? residual.grad() : Tensor(),
          mean,      var};
}

std::vector<Result> run_parts(const Problem& p, const Parts& parts, const Place& place) {
  std::vector<Result> all(parts.size());
  ThreadGroup(static_cast<int>(parts.size())).run([&](Group& threads) {
    set_num_threads(1);
    const std::unique_ptr<DeviceGroup> group = through_host(threads);
    std::int64_t begin = 0;
    for (int r = 0; r < threads.rank(); ++r) begin += parts[r];
    all[threads.rank()] = run_part(p, begin, begin + parts[threads.rank()], group.get(), place);
  });
  return all;
}

// Of all ranks one behind the other, and of sums added up.
Tensor joined(const std::vector<Result>& all, Tensor Result::*which, const Shape& shape) {
  std::vector<float> values;
  for (const Result& r : all) {
    const std::vector<float> own = (r.*which).to_vector();
    values.insert(values.end(), own.begin(), own.end());
  }
  return Tensor::from(values, shape);
}

Tensor added(const std::vector<Result>& all, Tensor Result::*which) {
  Doubles sums(all[0].dgamma.numel());
  for (const Result& r : all) {
    const std::vector<float> own = (r.*which).to_vector();
    for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += own[c];
  }
  return Tensor::from(std::vector<float>(sums.begin(), sums.end()), {std::ssize(sums)});
}

struct Expected {
  Doubles y, running_mean, running_var;
  std::vector<Doubles> gradients;
};

Expected expected_of(const Problem& p) {
  const BatchNormSpec& s = p.op.spec;
  const std::vector<Doubles> in = p.inputs();
  const Pool2dSpec pool{.n = s.n, .c = s.c, .h = s.h, .w = s.w};
  Expected e{.y = reference::batch_norm(s, in)};
  Doubles dy = doubles(p.dy);
  if (p.op.pooled) {
    dy = reference::pool2d_backward(pool, {e.y}, dy)[0];
    e.y = reference::pool2d(pool, {e.y});
  }
  e.gradients = reference::batch_norm_backward(s, in, dy);
  const reference::Statistics batch = reference::batch_statistics(s, in[0]);
  const double m = static_cast<double>(s.n * s.h * s.w);
  for (std::int64_t c = 0; c < s.c; ++c) {
    e.running_mean.push_back(0.9 * p.running_mean.floats()[c] + 0.1 * batch.mean[c]);
    e.running_var.push_back(0.9 * p.running_var.floats()[c] + 0.1 * batch.var[c] * m / (m - 1));
  }
  return e;
}

std::string describe(const Problem& p, const Parts& parts, const Place& place) {
  std::string text = p.op.spec.str() + (p.op.pooled ? " pooled" : "") + " seed 41 in";
  for (const std::int64_t n : parts) text += " " + std::to_string(n);
  return text + " on " + place.name;
}

void expect_whole_batch(const Problem& p, const Parts& parts, const Place& place, double exact) {
  const At at(place);
  const BatchNormSpec& s = p.op.spec;
  const std::vector<Result> all = run_parts(p, parts, place);
  const Expected e = expected_of(p);
  const std::string what = describe(p, parts, place);
  // dx is rounded once more than others, and as a part's own it may be larger.
  const double rounded = std::max(exact, rounding(place.dtype));
  expect_close(joined(all, &Result::y, p.dy.shape()), e.y, rounded, what + " y");
  expect_close(joined(all, &Result::dx, s.shape()), e.gradients[0],
               std::max(exact, 2 * rounding(place.dtype)), what + " dx");
  expect_close(added(all, &Result::dgamma), e.gradients[1], exact, what + " dgamma");
  expect_close(added(all, &Result::dbeta), e.gradients[2], exact, what + " dbeta");
  if (s.add) {
    expect_close(joined(all, &Result::dresidual, s.shape()), e.gradients[3], rounded,
                 what + " dresidual");
  }
  expect_close(all[0].running_mean, e.running_mean, 1e-6, what + " running mean");
  expect_close(all[0].running_var, e.running_var, exact, what + " running variance");
  for (const Result& r : all) {
    EXPECT_EQ(r.running_mean.to_vector(), all[0].running_mean.to_vector()) << what;
    EXPECT_EQ(r.running_var.to_vector(), all[0].running_var.to_vector()) << what;
    if (place.device.kind != DeviceKind::cpu) continue;
    expect_zero_padding(r.y, what + " y");
    expect_zero_padding(r.dx, what + " dx");
    expect_zero_padding(r.dgamma, what + " dgamma");
    expect_zero_padding(r.running_var, what + " running variance");
  }
}

std::vector<Operation> operations() {
  constexpr std::int64_t shapes[][3] = {{5, 5, 3}, {17, 4, 4}, {33, 2, 3}, {64, 1, 1}};
  std::vector<Operation> all;
  for (const auto& [c, h, w] : shapes) {
    const BatchNormSpec s{.n = 9, .c = c, .h = h, .w = w};
    for (const auto& [add, activation] : {std::pair(false, Activation::none),
                                          {false, Activation::relu},
                                          {false, Activation::relu6},
                                          {false, Activation::silu},
                                          {true, Activation::none},
                                          {true, Activation::relu}}) {
      all.push_back({s});
      all.back().spec.add = add;
      all.back().spec.activation = activation;
    }
  }
  BatchNormSpec even{.n = 9, .c = 17, .h = 4, .w = 6, .activation = Activation::relu};
  all.push_back({even, true});
  return all;
}

// A part of one image of one pixel has no variance of its own.
TEST(BatchNormSync, IsTheBatchNormOfTheWholeBatch) {
  for (const Place& place : places()) {
    for (const Operation& op : operations()) {
      // In 16 bits two pixels may become one number, and another of them the maximum.
      if (op.pooled && place.dtype != Dtype::f32) continue;
      const Problem p(op, place.dtype);
      for (const Parts& parts : {Parts{7, 2}, Parts{1, 5, 3}, Parts{2, 1, 1, 5}}) {
        expect_whole_batch(p, parts, place, 1e-5);
      }
    }
  }
}

// The rounding of an f32 mean near 1000 is 3e-5 of a channel's spread, twice with that of a part.
TEST(BatchNormSync, KeepsItsDigitsFarFromZero) {
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    for (const std::int64_t c : {3, 17}) {
      const Problem p({{.n = 8, .c = c, .h = 9, .w = 9}}, place.dtype, 1000, 0.1f);
      expect_whole_batch(p, {5, 3}, place, 2 * 1000 * 0x1p-24);
      expect_whole_batch(p, {1, 4, 1, 2}, place, 2 * 1000 * 0x1p-24);
    }
  }
}

TEST(BatchNormSync, OfOneRankHasTheBitsOfNone) {
  for (const Place& place : places()) {
    const At at(place);
    for (const Operation& op : operations()) {
      const Problem p(op, place.dtype);
      set_num_threads(1);
      const Result none = run_part(p, 0, op.spec.n, nullptr, place);
      set_num_threads(0);
      const Result one = run_parts(p, {op.spec.n}, place)[0];
      for (const auto which : {&Result::y, &Result::dx, &Result::dgamma, &Result::dbeta,
                               &Result::dresidual, &Result::running_mean, &Result::running_var}) {
        if (!(none.*which).defined()) continue;
        EXPECT_EQ((one.*which).to_vector(), (none.*which).to_vector())
            << describe(p, {op.spec.n}, place);
      }
    }
  }
}

TEST(BatchNormSync, EvaluatesAlone) {
  const Problem p({{.n = 2, .c = 5, .h = 3, .w = 3}}, Dtype::f32);
  class Refuses : public DeviceGroup {
    int rank() const override { return 0; }
    int size() const override { return 2; }
    void exchange_rows(Context&, const float*, float*, std::size_t) override {
      throw Error("exchanged");
    }
    void collect_rows(Context&, const float*, float*, std::size_t) override {
      throw Error("collected");
    }
    bool on_device() const override { return false; }
  } group;
  const auto call = [&](bool training) {
    const NoGrad off;
    return ops::batch_norm(Var(p.x), Var(p.gamma), Var(p.beta), p.running_mean, p.running_var, {},
                           {.training = training, .group = &group});
  };
  EXPECT_THROW(call(true), Error);
  EXPECT_NO_THROW(call(false));
}

// The rank's own part twice.
class Mirror : public DeviceGroup {
 public:
  int rank() const override { return 1; }
  int size() const override { return 2; }
  bool on_device() const override { return true; }
  void exchange_rows(Context&, const float*, float*, std::size_t) override { FAIL(); }
  void collect_rows(Context& ctx, const float* out, float* in, std::size_t n) override {
    for (int r = 0; r < 2; ++r) ctx.runtime().copy(ctx, in + r * n, out, n * sizeof(float));
  }
};

// Nothing goes through the host: simt records what a GPU would, and refuses what it would.
TEST(BatchNormSync, MayBeRecorded) {
  const Device device{DeviceKind::simt, 0};
  const BatchNormSpec s{
      .n = 4, .c = 17, .h = 3, .w = 5, .add = true, .activation = Activation::relu};
  const Problem p({s}, Dtype::f32);
  const auto there = [&](const Tensor& t) { return in_own_layout(t.clone().to(device)); };
  const Var x(there(p.x), true), residual(there(p.residual), true);
  const Var gamma(p.gamma.to(device), true), beta(p.beta.to(device), true);
  const Tensor dy = there(p.dy), seed = Tensor::zeros({}, Dtype::f32, device);
  const Tensor mean = p.running_mean.to(device), var = p.running_var.to(device);
  Mirror group;
  Result last;
  const auto work = [&] {
    last = {};
    for (const Var& v : {x, residual, gamma, beta}) v.set_grad({});
    const Var y = ops::batch_norm(x, gamma, beta, mean, var, residual,
                                  {.activation = s.activation, .eps = s.eps, .group = &group});
    backward(make_var("probe", seed, {y}, [dy](const Tensor&) { return std::vector<Tensor>{dy}; }),
             seed);
    last = {y.value(), x.grad(), gamma.grad(), beta.grad(), residual.grad(), mean, var};
  };
  work();
  const std::vector<float> y = last.y.to_vector(), dx = last.dx.to_vector(),
                           once = last.running_var.to_vector();
  // Twice the batch has its mean and variance, and half of its share in each sum.
  const Expected whole = expected_of(p);
  expect_close(last.y, whole.y, 1e-5, "y of the batch twice");
  expect_close(last.dx, whole.gradients[0], 1e-5, "dx of the batch twice");
  expect_close(last.dgamma, whole.gradients[1], 1e-5, "dgamma of the batch");

  Capture capture(device);
  capture.warm_up(work);
  capture.record(work);
  mean.copy_from(p.running_mean.to(device));
  var.copy_from(p.running_var.to(device));
  capture.replay();
  EXPECT_EQ(last.y.to_vector(), y);
  EXPECT_EQ(last.dx.to_vector(), dx);
  EXPECT_EQ(last.running_var.to_vector(), once);
}

}  // namespace
}  // namespace hac
