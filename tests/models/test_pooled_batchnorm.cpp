// A training step runs a batch norm and the max pool behind it as one: against the same network run
// an operation at a time.

#include "engine/autograd/ops.h"
#include "models/zoo/arch_options.h"
#include "tests/support/places.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

// The model's forward pass, each operation alone.
Var one_by_one(const Model& model, const Tensor& images) {
  std::map<std::string, Var> parameters;
  for (const Parameter& p : model.parameters()) parameters[p.name] = p.var;
  const std::map<std::string, Tensor> state = model.state();
  Var x(images.cast(model.dtype()));
  for (const Op& op : model.graph().ops) {
    const Var weight = parameters[op.name + ".weight"], bias = parameters[op.name + ".bias"];
    if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
      x = ops::conv2d(x, weight, bias,
                      {.stride = conv->stride, .pad = conv->pad, .normalized = true});
    } else if (const auto* norm = std::get_if<BatchNormSpec>(&op.spec)) {
      x = ops::batch_norm(x, weight, bias, state.at(op.name + ".running_mean"),
                          state.at(op.name + ".running_var"), {},
                          {.activation = norm->activation, .eps = norm->eps});
    } else if (const auto* pool = std::get_if<Pool2dSpec>(&op.spec)) {
      x = ops::pool(x, pool->mode);
    } else if (std::holds_alternative<FlattenSpec>(op.spec)) {
      x = ops::flatten(x);
    } else {
      x = ops::linear(x, weight, bias);
    }
  }
  return ops::cast(x, Dtype::f32);
}

struct Step {
  float loss;
  std::size_t peak;
};

template <class Forward>
Step step(Model& model, const StepBatch& batch, Forward forward) {
  model.zero_grad();
  const std::size_t before = memory_stats(model.device()).in_use;
  reset_peak_memory(model.device());
  const Var loss = ops::softmax_cross_entropy(forward(), batch.target).loss;
  backward(loss);
  return {loss.value().item(), memory_stats(model.device()).peak - before};
}

void expect_close(const Tensor& a, const Tensor& b, double relative, const std::string& what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  const std::vector<float> x = a.to_vector(), y = b.to_vector();
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(double{y[i]}));
    difference = std::max(difference, std::abs(double{x[i]} - y[i]));
  }
  EXPECT_LE(difference, relative * largest) << what;
  // Of a bias in front of a batch norm it is zero.
  EXPECT_TRUE(largest > 0 || what.ends_with(".bias")) << what;
}

// VGG11 in an eighth of its width: whole and half blocks of channels.
TEST(PooledBatchNorm, AStepOfVggHasTheNumbersOfItsOperationsInLessMemory) {
  for (const Place& place : places()) {
    if (place.device.kind != DeviceKind::cpu) continue;
    const Architecture arch = resolve("vgg11", {.width = 0.125, .classes = 4});
    Model fused(arch, 3, place.device, place.dtype), apart(arch, 3, place.device, place.dtype);
    const StepBatch batch = noise_batch(1, 8, 32);
    const Step one = step(fused, batch, [&] { return fused.forward(batch.images); });
    const Step two = step(apart, batch, [&] { return one_by_one(apart, batch.images); });
    EXPECT_EQ(one.loss, two.loss) << place.name;
    const double allowed = place.dtype == Dtype::f32 ? 2e-5 : 0.05;
    const std::vector<Parameter> a = fused.parameters(), b = apart.parameters();
    for (std::size_t i = 0; i < a.size(); ++i) {
      expect_close(a[i].var.grad(), b[i].var.grad(), allowed, place.name + " " + a[i].name);
    }
    for (const Buffer& buffer : fused.buffers()) {
      EXPECT_EQ(buffer.tensor.to_vector(), apart.state().at(buffer.name).to_vector())
          << place.name << " " << buffer.name;
    }
    EXPECT_LT(one.peak, two.peak) << place.name;
  }
}

TEST(PooledBatchNorm, TheGraphSaysWhichArePooledAlone) {
  const auto pooled = [](std::vector<Layer> layers, std::int64_t resolution = 8) {
    layers.insert(layers.begin(), Conv{.name = "conv", .out = 8});
    layers.push_back(Pool{.kind = PoolMode::global_avg});
    layers.push_back(Flatten{});
    layers.push_back(Linear{.name = "fc"});
    const Graph graph = lower({.name = "net",
                               .channels = 3,
                               .resolution = resolution,
                               .classes = 4,
                               .layers = std::move(layers)});
    return pooled_alone(graph, reader_counts(graph), 1);
  };
  const BatchNorm norm{.name = "norm", .activation = Activation::relu};
  EXPECT_TRUE(pooled({norm, Pool{}}));
  EXPECT_TRUE(
      pooled({BatchNorm{.name = "norm"}, Activate{.activation = Activation::relu}, Pool{}}));
  EXPECT_FALSE(pooled({norm, Pool{}}, 9)) << "windows leave a row over";
  EXPECT_FALSE(pooled({norm, Pool{.kind = PoolMode::avg}}));
  EXPECT_FALSE(pooled({norm, Pool{.kernel = 3}}));
  EXPECT_FALSE(pooled({norm, Pool{.stride = 1}}));
  EXPECT_FALSE(pooled({norm, Pool{.kernel = 2, .pad = 1}}));
  EXPECT_FALSE(pooled({norm}));
  EXPECT_FALSE(pooled({norm, Conv{.name = "other", .out = 8}, Pool{}}));
  EXPECT_FALSE(pooled({Pool{}, norm, Pool{}})) << "op 1 is a pool";
}

}  // namespace
}  // namespace hac
