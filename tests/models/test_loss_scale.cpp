// f16 training without losing small gradients: the scale's rule, what a bad step leaves alone, and
// whole trainings against f32.

#include "kernels/ops/loss_scale.h"

#include "engine/io/safetensors.h"
#include "engine/optim/sgd.h"
#include "scaling/importance/importance.h"
#include "tests/support/op_test.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::uint64_t kSeed = 11;

// Where f16 is trained: simt, and the GPU where there is one.
std::vector<Device> f16_devices() {
  std::vector<Device> all;
  for (const Place& place : places()) {
    const bool again = std::find(all.begin(), all.end(), place.device) != all.end();
    if (place.dtype == Dtype::f16 && !again) all.push_back(place.device);
  }
  return all;
}

std::int32_t flag_of(const Tensor& counts) { return counts.to(Device{}).as<std::int32_t>()[0]; }

// torch.cuda.amp.GradScaler(init_scale=8, growth_interval=3), PyTorch 1.13, as its
// _amp_update_scale is documented: growth after three good steps in a row, backoff by half and the
// tracker at zero after a bad one.
TEST(LossScale, FollowsPyTorchsRule) {
  const LossScaleSpec spec{.interval = 3};
  const bool bad[] = {false, false, false, false, true,  false, false,
                      true,  true,  false, false, false, false};
  const float expected[] = {8, 8, 16, 16, 8, 8, 8, 4, 2, 2, 2, 4, 4};
  for (const Place& place : places()) {
    const At at(place);
    const Tensor scale = Tensor::from(std::vector<float>{8}, {}).to(place.device);
    const Tensor counts = Tensor::zeros({3}, Dtype::i32, place.device);
    std::int32_t skipped = 0;
    for (std::size_t step = 0; step < std::size(bad); ++step) {
      const Tensor grad =
          Tensor::from(std::vector<float>{1, bad[step] ? kInf : 2}, {2}).to(place.device);
      const GradSegment segment{grad.data(), 2};
      loss_scale_kernels.run(&LossScaleKernels::unscale, place.device, spec, scale.data(),
                             counts.data(), std::span<const GradSegment>(&segment, 1));
      EXPECT_EQ(flag_of(counts), bad[step]) << place.name << " step " << step;
      loss_scale_kernels.run(&LossScaleKernels::update, place.device, spec, scale.data(),
                             counts.data());
      skipped += bad[step];
      EXPECT_EQ(scale.item(), expected[step]) << place.name << " step " << step;
      EXPECT_EQ(flag_of(counts), 0) << place.name;
      EXPECT_EQ(counts.to(Device{}).as<std::int32_t>()[2], skipped) << place.name;
    }
  }
}

// A bad number at any place of any of 70 tensors (two launches) is found; the others are divided
// exactly.
TEST(LossScale, FindsOneBadNumberAnywhere) {
  for (const Place& place : places()) {
    const At at(place);
    std::vector<Tensor> grads;
    std::vector<GradSegment> segments;
    for (int i = 0; i < 70; ++i) {
      grads.push_back(random_tensor({i == 69 ? 5003 : 1 + i % 7}, kSeed, i).to(place.device));
      segments.push_back({grads.back().data(), grads.back().numel()});
    }
    const Tensor scale = Tensor::from(std::vector<float>{1024}, {}).to(place.device);
    struct Bad {
      int tensor = -1;
      std::int64_t at = 0;
      float value = 0;
    };
    for (const Bad bad : {Bad{}, Bad{0, 0, kNan}, Bad{69, 5002, kInf}, Bad{69, 4096, -kInf},
                          Bad{64, 0, kNan}, Bad{33, 2, kInf}}) {
      std::vector<std::vector<float>> before;
      for (int i = 0; i < 70; ++i) {
        before.push_back(random_normal(grads[i].numel(), kSeed, i));
        if (i == bad.tensor) before.back()[bad.at] = bad.value;
        grads[i].copy_from(Tensor::from(before.back(), grads[i].shape()));
      }
      const Tensor counts = Tensor::zeros({3}, Dtype::i32, place.device);
      loss_scale_kernels.run(&LossScaleKernels::unscale, place.device, LossScaleSpec{},
                             scale.data(), counts.data(), std::span<const GradSegment>(segments));
      EXPECT_EQ(flag_of(counts), bad.tensor >= 0) << place.name << " tensor " << bad.tensor;
      for (int i = 0; i < 70; ++i) {
        if (i == bad.tensor) continue;
        const std::vector<float> after = grads[i].to_vector();
        for (std::size_t k = 0; k < after.size(); ++k) {
          ASSERT_EQ(after[k], before[i][k] / 1024) << place.name << " tensor " << i << " at " << k;
        }
      }
    }
  }
}

TEST(LossScale, RefusesWhatIsNoPowerOfTwo) {
  for (const double bad : {-1., 0.5, 3., 1e30 + 1, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(LossScale(Device{}, bad), ConfigError) << bad;
    TrainConfig config;
    config.loss_scale = bad;
    EXPECT_THROW(validate(config), ConfigError) << bad;
  }
  EXPECT_FALSE(LossScale(Device{}).on());
  EXPECT_EQ(LossScale(Device{}).scale(), 1);
  EXPECT_TRUE(LossScale(Device{}, 1).on());
}

// ---- SGD: what it skips, and the 16-bit copies ----

TEST(Sgd, ASkippedStepChangesNothingButTheScale) {
  std::vector<Device> devices = f16_devices();
  devices.push_back({});
  for (const Device device : devices) {
    const Var w(random_tensor({37}, kSeed, 0).to(device), true, "w");
    Sgd sgd({{"w", w}}, {}, 64);
    const std::vector<float> before = w.value().to_vector();
    std::vector<float> g(37, 1);
    g[36] = kNan;
    w.set_grad(Tensor::from(g, {37}).to(device));
    sgd.step(0.1);
    EXPECT_EQ(w.value().to_vector(), before);
    for (const float v : sgd.state().at("momentum.w").to_vector()) EXPECT_EQ(v, 0);
    EXPECT_EQ(sgd.loss_scale().scale(), 32);
    EXPECT_EQ(sgd.loss_scale().skipped(), 1);
    w.set_grad(Tensor::from(std::vector<float>(37, 32), {37}).to(device));  // 1, scaled
    sgd.step(0.5);
    for (std::size_t i = 0; i < before.size(); ++i) {
      // Weight decay is 5e-4.
      EXPECT_NEAR(w.value().to_vector()[i], before[i] - 0.5 * (1 + 5e-4 * before[i]), 1e-6);
    }
  }
}

TEST(Sgd, RenewsTheCopiesThatParametersKeep) {
  for (const Place& place : places()) {
    if (place.dtype == Dtype::f32) continue;
    const Var with(random_tensor({5, 7}, kSeed, 0).to(place.device), true, "with");
    const Var without(random_tensor({9}, kSeed, 1).to(place.device), true, "without");
    with.keep_copy(place.dtype);
    Sgd sgd({{"with", with}, {"without", without}}, {});
    for (const Var& v : {with, without}) {
      v.set_grad(random_tensor(v.shape(), kSeed, 2).to(place.device));
    }
    const void* where = with.copy().data();
    sgd.step(0.1);
    EXPECT_EQ(with.copy().data(), where) << "captured work reads it there";
    EXPECT_FALSE(without.copy().defined());
    EXPECT_EQ(with.copy().to_vector(), with.value().cast(place.dtype).to_vector()) << place.name;
    EXPECT_EQ(with.value_as(place.dtype).data(), where);
  }
}

// ---- Whole trainings ----

void multiply(Model& model, const std::string& name, float factor) {
  std::map<std::string, Tensor> state = model.state();
  std::vector<float> values = state.at(name).to_vector();
  for (float& v : values) v *= factor;
  state.at(name) = Tensor::from(values, state.at(name).shape());
  model.load_state(state);
}

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float v : values) most = std::max(most, std::abs(double{v}));
  return most;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double{a[i]} - b[i]));
  return most;
}

// A loss of a millionth the usual size: its gradients are under the least number of f16.
class LossScaleOn : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, LossScaleOn, ::testing::ValuesIn(f16_devices()),
                         [](const auto& info) { return to_string(info.param).substr(0, 4); });

TEST_P(LossScaleOn, KeepsGradientsThatF16WouldLose) {
  const Device device = GetParam();
  const auto gradient = [&](Dtype dtype, double loss_scale) {
    Model model(tiny_net(), kSeed, device, dtype);
    Sgd sgd(model.parameters(), {}, loss_scale);
    const StepBatch batch = noise_batch(0);
    const auto [loss, probs] =
        ops::softmax_cross_entropy(model.forward(batch.images), batch.labels, 0);
    const float seed = sgd.loss_scale().seed().item() * 0x1p-20f;
    backward(loss, Tensor::from(std::span(&seed, 1), {}).to(device));
    sgd.unscale();
    return model.parameters()[0].var.grad().to_vector();
  };
  const std::vector<float> expected = gradient(Dtype::f32, 0);
  const double size = largest(expected);
  ASSERT_GT(size, 0);
  EXPECT_GT(largest_difference(gradient(Dtype::f16, 0), expected), 0.3 * size)
      << "the case loses nothing and shows nothing";
  // Five layers of f16 arithmetic.
  EXPECT_LT(largest_difference(gradient(Dtype::f16, 65536), expected), 0.02 * size);
  EXPECT_EQ(gradient(Dtype::f32, 65536), expected) << "a power of two changes no bit of f32";
}

TrainConfig f16_config() {
  TrainConfig config = tiny_config(12, 4);
  config.epochs = 6;
  config.loss_scale = 0x1p26;
  config.seed = kSeed;
  return config;
}

// From a scale that is far too large: the first steps are left out, the others learn. Eager and
// captured alike, and importance counts only the steps that were used.
TEST_P(LossScaleOn, ATrainingFindsItsScale) {
  const Device device = GetParam();
  const DataSplit data = open_data(f16_config().data);
  std::vector<Numbers> ends;
  for (const LaunchMode mode : {LaunchMode::eager, LaunchMode::graph}) {
    const TempFolder folder;
    TrainConfig config = f16_config();
    config.launch = mode;
    config.out = folder.file("run");
    Model model(tiny_net(), kSeed, device, Dtype::f16);
    ImportanceObserver observer(100);  // every step
    const TrainResult result = train(model, data, config, &observer);
    ASSERT_EQ(result.steps, 18);
    const TensorFile last = load_safetensors(folder.file("run/last.safetensors"));
    const std::int32_t* counts = last.tensors.at("loss_scale.counts").as<std::int32_t>();
    const std::int32_t skipped = counts[2];
    EXPECT_GE(skipped, 3) << "the scale was not too large";
    EXPECT_LE(skipped, 12) << "nothing was learned";
    EXPECT_EQ(last.tensors.at("loss_scale.scale").item(),
              static_cast<float>(std::ldexp(1., 26 - skipped)));
    EXPECT_EQ(observer.observed(), result.steps - skipped);
    for (const LayerImportance& layer : observer.result(model)) {
      for (const double score : layer.kernels) EXPECT_TRUE(std::isfinite(score)) << layer.layer;
    }
    ends.push_back(numbers_of(model));
    for (const auto& [name, values] : ends.back()) {
      for (const float v : values) ASSERT_TRUE(std::isfinite(v)) << name;
    }
  }
  EXPECT_EQ(ends[0], ends[1]);
  Model fresh(tiny_net(), kSeed, device, Dtype::f16);
  EXPECT_NE(numbers_of(fresh).at("conv1.weight"), ends[0].at("conv1.weight"));
}

TEST_P(LossScaleOn, ResumesBitForBit) {
  const Device device = GetParam();
  const DataSplit data = open_data(f16_config().data);
  Model whole(tiny_net(), kSeed, device, Dtype::f16);
  TrainConfig config = f16_config();
  train(whole, data, config);
  for (const std::int64_t stop : {2, 11}) {
    const TempFolder folder;
    config.out = folder.file("run");
    config.max_steps = stop;
    Model first(tiny_net(), kSeed, device, Dtype::f16);
    train(first, data, config);
    config.max_steps = -1;
    config.resume = true;
    Model second(tiny_net(), kSeed + 7, device, Dtype::f16);
    train(second, data, config);
    EXPECT_EQ(numbers_of(second), numbers_of(whole)) << "stopped at " << stop;
    config.resume = false;
  }
}

TEST(LossScale, RefusesAStateThatIsNone) {
  const LossScale scale(Device{}, 8);
  const auto state = [](float value, std::int32_t bad, std::int32_t good, std::int32_t skipped) {
    const std::vector<std::int32_t> counts{bad, good, skipped};
    return std::map<std::string, Tensor>{
        {"loss_scale.scale", Tensor::from(std::span(&value, 1), {})},
        {"loss_scale.counts", Tensor::from(counts, {3})}};
  };
  EXPECT_THROW(scale.load_state({}), IoError);
  for (const float value : {0.f, -2.f, 3.f, kInf, kNan}) {
    EXPECT_THROW(scale.load_state(state(value, 0, 0, 0)), IoError) << value;
  }
  EXPECT_THROW(scale.load_state(state(4, 1, 0, 0)), IoError);
  EXPECT_THROW(scale.load_state(state(4, 0, -1, 0)), IoError);
  EXPECT_THROW(scale.load_state(state(4, 0, 0, -1)), IoError);
  EXPECT_EQ(scale.scale(), 8) << "a refused state changed it";
  scale.load_state(state(0.25f, 0, 7, 2));
  EXPECT_EQ(scale.scale(), 0.25);
  EXPECT_EQ(scale.skipped(), 2);
}

// Activations that vanish before batch norm make gradients that no scale can mend.
TEST_P(LossScaleOn, SaysSoWhenNoScaleIsSmallEnough) {
  const Device device = GetParam();
  const DataSplit data = open_data(f16_config().data);
  Model model(tiny_net(), kSeed, device, Dtype::f16);
  multiply(model, "conv2.weight", 1e-6f);
  multiply(model, "bn2.weight", 1e3f);
  multiply(model, "fc.weight", 1e4f);
  TrainConfig config = f16_config();
  config.loss_scale = 1;
  EXPECT_ERROR(train(model, data, config), Error, "loss scale", "bf16");
}

}  // namespace
}  // namespace hac
