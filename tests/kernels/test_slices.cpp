// Operands that begin anywhere, as a slice of a batch does, and batches of no images: every op at
// every place.

#include <numeric>
#include <optional>

#include "data/loader/mixup.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/loss_scale.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/taylor.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

struct Op {
  const char* name;
  std::function<Var(const Var& x)> apply;
  bool backward = true;
};

// Of images (N, C, H, W) on a device; weights and targets are made for it.
std::vector<Op> ops_on(Device device, const Shape& shape) {
  const std::int64_t n = shape[0], c = shape[1];
  const auto there = [device](const Shape& s, std::uint64_t stream) {
    return random_tensor(s, 9, stream).to(device);
  };
  const Var weight(there({4, c, 3, 3}, 1).to(weight_layout(device)), true, "weight");
  const Var bias(there({4}, 2), true, "bias"), gamma(there({c}, 3), true, "gamma");
  const Var beta(there({c}, 4), true, "beta");
  const std::int64_t features = c * shape[2] * shape[3];
  const Var matrix(there({6, features}, 5), true, "matrix"), row(there({6}, 6), true, "row");
  std::vector<std::int32_t> labels(n);
  std::iota(labels.begin(), labels.end(), 0);
  for (std::int32_t& l : labels) l %= static_cast<std::int32_t>(c);
  const Tensor target = Tensor::from(labels, {n}).to(device);
  const auto norm = [=](bool training, bool add) {
    return [=](const Var& x) {
      const Tensor mean = Tensor::zeros({c}, Dtype::f32, device), var = there({c}, 7);
      var.copy_from(Tensor::from(std::vector<float>(c, 2.f), {c}));
      return ops::batch_norm(x, gamma, beta, mean, var, add ? x : Var(),
                             {.training = training, .activation = Activation::relu});
    };
  };
  return {
      {"relu", [](const Var& x) { return ops::relu(x); }},
      {"silu", [](const Var& x) { return ops::activate(x, Activation::silu); }},
      {"relu6", [](const Var& x) { return ops::activate(x, Activation::relu6); }},
      {"gate", [](const Var& x) { return ops::gate(x, ops::pool(x, PoolMode::global_avg)); }},
      {"add", [](const Var& x) { return ops::add(x, x); }},
      {"to bf16", [](const Var& x) { return ops::cast(ops::cast(x, Dtype::f32), Dtype::bf16); }},
      {"dropout", [](const Var& x) { return ops::dropout(x, {.seed = 3}); }},
      {"stochastic depth",
       [](const Var& x) { return ops::dropout(x, {.images = true, .seed = 3}); }},
      {"max pool",
       [](const Var& x) { return ops::pool(x, PoolMode::max, {.kernel = 3, .pad = 1}); }},
      {"average pool", [](const Var& x) { return ops::pool(x, PoolMode::avg); }},
      {"global average", [](const Var& x) { return ops::pool(x, PoolMode::global_avg); }},
      {"flatten", [](const Var& x) { return ops::flatten(x); }},
      {"batch norm", norm(true, false)},
      {"batch norm, add", norm(true, true)},
      {"batch norm, max pool",
       [=](const Var& x) {
         const Tensor mean = Tensor::zeros({c}, Dtype::f32, device), var = there({c}, 7);
         return ops::batch_norm_max_pool(x, gamma, beta, mean, var,
                                         {.activation = Activation::relu});
       }},
      {"batch norm, evaluated", norm(false, false), false},
      {"convolution", [=](const Var& x) { return ops::conv2d(x, weight, bias, {.pad = 1}); }},
      {"linear", [=](const Var& x) { return ops::linear(ops::flatten(x), matrix, row); }},
      {"softmax", [=](const Var& x) {
         return ops::softmax_cross_entropy(ops::flatten(ops::pool(x, PoolMode::global_avg)), target)
             .loss;
       }}};
}

// y and the gradient of x; dy is a slice where x is one.
OpRun forward_and_backward(const Op& op, const Tensor& x, bool slice) {
  std::optional<NoGrad> off;
  if (!op.backward) off.emplace();
  const Var in(x, op.backward, "x");
  const Var y = op.apply(in);
  const Tensor& v = y.value();
  if (!op.backward) return {v, {}};
  Shape more = v.shape();
  if (more.rank() == 4) more = {more[0] + 1, more[1], more[2], more[3]};
  if (more.rank() == 2) more = {more[0] + 1, more[1]};
  Tensor dy = random_tensor(more, 11, 0).to(v.device()).cast(v.dtype()).to(v.layout());
  if (more != v.shape()) dy = dy.slice(1, more[0]);
  if (!slice) dy = dy.clone();
  backward_from(y, dy);
  return {v, {in.grad()}};
}

// Of the images of 3 channels each begins 300 (f32) or 150 bytes behind the one before; the number
// of elements of the whole slice is a multiple of a full vector all the same.
TEST(Slices, GiveTheBitsOfTheirCopies) {
  for (const Place& place : places()) {
    const At at(place);
    for (const Shape& whole : {Shape{5, 3, 5, 5}, Shape{9, 3, 5, 5}, Shape{5, 8, 3, 3},
                               Shape{9, 5, 4, 2}, Shape{3, 20, 1, 1}}) {
      const Tensor x = in_own_layout(random_tensor(whole, 5, 0).to(place.device).cast(place.dtype));
      const Tensor part = x.slice(1, whole[0]), copy = part.clone();
      for (const Op& op : ops_on(place.device, part.shape())) {
        // Windows of 2x2 do not fit into a map of one pixel.
        const std::string name = op.name;
        if (whole[2] == 1 && (name == "average pool" || name == "batch norm, max pool")) continue;
        const std::string where = place.name + " " + op.name + " of " + whole.str();
        OpRun got;
        try {
          got = forward_and_backward(op, part, true);
        } catch (const DeviceError& error) {
          // What a vendor's library cannot do is a clear error.
          const bool said = std::string(error.what()).find("aligned to 16") != std::string::npos;
          EXPECT_TRUE(place.device.kind == DeviceKind::cuda && said) << where << error.what();
          continue;
        }
        const OpRun expected = forward_and_backward(op, copy, false);
        EXPECT_EQ(got.y.to_vector(), expected.y.to_vector()) << where;
        if (!op.backward) continue;
        EXPECT_EQ(got.grads[0].to_vector(), expected.grads[0].to_vector()) << where << " gradient";
      }
    }
  }
}

// 1-D tensors that begin at any element: what the optimizer works on.
TEST(Slices, OfParametersAreUpdatedAsTheirCopies) {
  for (const Place& place : places()) {
    const At at(place);
    constexpr std::int64_t n = 4101;
    const auto fresh = [&](std::uint64_t stream) {
      return random_tensor({n + 1}, 2, stream).to(place.device);
    };
    const auto result = [&](bool slice) {
      std::vector<Tensor> t;
      for (std::uint64_t i = 0; i < 4; ++i) {
        const Tensor whole = fresh(i).slice(1, n + 1);
        t.push_back(slice ? whole : whole.clone());
      }
      const Tensor one = Tensor::from(std::vector<float>{0.5f}, {1}).to(place.device);
      const Tensor counts = Tensor::zeros({3}, Dtype::i32, place.device);
      const GradSegment grad{t[0].data(), n};
      loss_scale_kernels.run(&LossScaleKernels::unscale, place.device, LossScaleSpec{}, one.data(),
                             counts.data(), std::span(&grad, 1));
      const Tensor score = Tensor::zeros({8}, Dtype::u8, place.device);
      const TaylorSegment taylor{
          .w = t[1].data(), .dw = t[0].data(), .score = score.data(), .kernels = 1, .weights = n};
      taylor_kernels.run(&TaylorKernels::accumulate, place.device, TaylorSpec{}, nullptr,
                         std::span(&taylor, 1));
      const bool copies = place.dtype != Dtype::f32;
      const Tensor copy = copies ? t[3].cast(place.dtype) : Tensor();
      const SgdSegment segment{.grad = t[0].data(),
                               .weight = t[1].data(),
                               .velocity = t[2].data(),
                               .copy = copies ? copy.data() : nullptr,
                               .elements = n};
      sgd_kernels.run(&SgdKernels::step, place.device, SgdSpec{.copy = place.dtype}, one.data(),
                      nullptr, std::span(&segment, 1));
      std::vector<std::vector<float>> all;
      for (const Tensor& tensor : t) all.push_back(tensor.to_vector());
      if (copies) all.push_back(copy.to_vector());
      const Tensor host = score.to(Device{});
      all.emplace_back(host.as<float>(), host.as<float>() + 2);  // the bits of a double
      return all;
    };
    EXPECT_EQ(result(true), result(false)) << place.name;
  }
}

TEST(Slices, OfABatchAreMixedAsTheirCopies) {
  for (const Place& place : places()) {
    const At at(place);
    const Tensor x = random_tensor({5, 3, 5, 5}, 5, 0).to(place.device).cast(place.dtype);
    const Tensor part = x.slice(1, 5), copy = part.clone();
    const Tensor share = to_tensor({.inside = 0.3f}).to(place.device);
    for (const Tensor& t : {part, copy}) {
      const MixupSpec spec{.dtype = place.dtype, .n = 4, .elements = 75};
      mixup_kernels.run(&MixupKernels::images, place.device, spec, share.data(), t.data());
    }
    EXPECT_EQ(part.to_vector(), copy.to_vector()) << place.name;
  }
}

// ---- No images ----

void expect_return_or_shape_error(const std::string& where, const std::function<void()>& work) {
  try {
    work();
  } catch (const ShapeError&) {
  } catch (const std::exception& error) {
    ADD_FAILURE() << where << ": " << error.what();
  }
}

TEST(EmptyBatch, EveryOpReturnsOrThrowsAShapeError) {
  for (const Place& place : places()) {
    const At at(place);
    for (const Shape& none : {Shape{0, 3, 5, 5}, Shape{0, 8, 4, 4}}) {
      for (const Op& op : ops_on(place.device, none)) {
        expect_return_or_shape_error(place.name + " " + op.name, [&] {
          const Tensor x = Tensor::activation(none, place.dtype, place.device);
          const OpRun run = forward_and_backward(op, x, true);
          EXPECT_EQ(run.y.numel(), 0) << place.name << " " << op.name;
        });
      }
    }
  }
}

TEST(EmptyBatch, IsAShapeErrorThatNamesTheSpec) {
  for (const Device device : {Device{}, Device{DeviceKind::simt, 0}}) {
    const LinearSpec spec{.n = 0, .in = 4, .out = 4};
    EXPECT_EQ(error_of<ShapeError>([&] {
                linear_kernels.run(&LinearKernels::forward, device, spec, nullptr, nullptr, nullptr,
                                   nullptr);
              }),
              spec.str() + ": expected at least one image, got none");
  }
}

// Also those that no forward pass leads to.
TEST(EmptyBatch, EveryKernelReturnsOrThrowsAShapeError) {
  for (const Place& place : places()) {
    const At at(place);
    const Device device = place.device;
    const Tensor memory = Tensor::zeros({4096}, Dtype::f32, device);
    void* const p = memory.data();
    const auto run = [&](const char* name, const auto& kernels, auto entry, const auto& spec,
                         auto... args) {
      if (!(kernels.of(device).*entry)) return;  // not available there
      expect_return_or_shape_error(place.name + " " + name,
                                   [&] { kernels.run(entry, device, spec, args...); });
    };
    const Dtype dtype = place.dtype;
    const Conv2dSpec conv{.dtype = dtype, .n = 0, .c = 4, .h = 4, .w = 4, .k = 4};
    run("forward", conv2d_kernels, &Conv2dKernels::forward, conv, p, p, p, p);
    run("dx", conv2d_kernels, &Conv2dKernels::backward_data, conv, p, p, p);
    run("dw", conv2d_kernels, &Conv2dKernels::backward_weights, conv, p, p, p, p);
    run("inference", conv2d_kernels, &Conv2dKernels::inference, conv, p, p, p, p);
    const BatchNormSpec norm{.dtype = dtype, .n = 0, .c = 4, .h = 4, .w = 4, .add = true};
    run("statistics", batchnorm_kernels, &BatchNormKernels::statistics, norm, p, p, p, p);
    run("normalised", batchnorm_kernels, &BatchNormKernels::forward_train, norm, p, p, p, p, p,
        BatchNormStatistics{p, p, p, p});
    run("evaluated", batchnorm_kernels, &BatchNormKernels::forward_eval, norm, p, p, p, p, p, p, p);
    run("norm's gradients", batchnorm_kernels, &BatchNormKernels::backward, norm, p, p, p, p, p, p,
        p, p, p, p, p);
    const BatchNormSpec tiled{.dtype = dtype, .n = 0, .c = 4, .h = 4, .w = 4};
    run("pooled norm", batchnorm_pool_kernels, &BatchNormPoolKernels::forward_train, tiled, p, p, p,
        p, p, BatchNormStatistics{p, p, p, p});
    run("pooled norm's gradients", batchnorm_pool_kernels, &BatchNormPoolKernels::backward, tiled,
        p, p, p, p, p, p, p, p, p, p);
    for (const PoolMode mode : {PoolMode::max, PoolMode::avg, PoolMode::global_avg}) {
      const Pool2dSpec pool{.dtype = dtype, .mode = mode, .n = 0, .c = 4, .h = 4, .w = 4};
      run("pool", pool2d_kernels, &Pool2dKernels::forward, pool, p, p, p);
      run("pool's gradient", pool2d_kernels, &Pool2dKernels::backward, pool, p, p, p);
    }
    const LinearSpec linear{.dtype = dtype, .n = 0, .in = 4, .out = 4};
    run("linear", linear_kernels, &LinearKernels::forward, linear, p, p, p, p);
    run("linear dx", linear_kernels, &LinearKernels::backward_data, linear, p, p, p);
    run("linear dw", linear_kernels, &LinearKernels::backward_weights, linear, p, p, p, p);
    for (const bool soft : {false, true}) {
      const SoftmaxXentSpec xent{.dtype = dtype, .n = 0, .classes = 4, .soft = soft};
      run("softmax", softmax_xent_kernels, &SoftmaxXentKernels::forward, xent, p, p, p, p);
      run("softmax's gradient", softmax_xent_kernels, &SoftmaxXentKernels::backward, xent, p, p, p,
          p);
    }
    const ActivationSpec relu{.dtype = dtype, .shape = {0}};
    run("relu", activation_kernels, &ActivationKernels::forward, relu, p, p);
    run("relu's gradient", activation_kernels, &ActivationKernels::backward, relu, p, p, p);
    run("add", add_kernels, &AddKernels::forward, AddSpec{.dtype = dtype, .shape = {0}}, p, p, p);
    run("dropout", dropout_kernels, &DropoutKernels::apply,
        DropoutSpec{.dtype = dtype, .shape = {0, 4, 2, 2}}, static_cast<const void*>(nullptr), p,
        p);
    run("cast", cast_kernels, &CastKernels::apply, CastSpec{.to = Dtype::bf16}, p, p);
    run("reorder", reorder_kernels, &ReorderKernels::apply,
        ReorderSpec{.shape = {0, 4, 2, 2}, .to = layout_of(device, {1, 4, 2, 2})}, p, p);
    const MixupSpec mix{.dtype = dtype, .n = 0, .elements = 16};
    run("mixup", mixup_kernels, &MixupKernels::images, mix, p, p);
    run("mixup's targets", mixup_kernels, &MixupKernels::targets, mix, p, p, p);
    const AugmentSpec augment{.dtype = dtype, .n = 0};
    run("augment", augment_kernels, &AugmentKernels::images, augment, ImageSource{p, p, p},
        ResizeTable{}, p);
    run("labels", augment_kernels, &AugmentKernels::labels, augment, p, p, p, p);
    const SgdSegment nothing{.grad = p, .weight = p, .velocity = p};
    run("sgd", sgd_kernels, &SgdKernels::step, SgdSpec{}, p, static_cast<const void*>(nullptr),
        std::span(&nothing, 1));
    const GradSegment no_gradient{p, 0};
    run("unscale", loss_scale_kernels, &LossScaleKernels::unscale, LossScaleSpec{}, p, p,
        std::span(&no_gradient, 1));
  }
}

}  // namespace
}  // namespace hac
