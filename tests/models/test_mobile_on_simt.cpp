// The networks of small devices as a whole by a GPU's kernels: depthwise convolutions, gates, SiLU
// and ReLU6, stochastic depth. Loss and gradients of one step are the CPU's.

#include <cmath>

#include "engine/autograd/ops.h"
#include "models/zoo/arch_options.h"
#include "tests/support/op_test.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

struct Step {
  double loss = 0;
  Numbers gradients;
};

Step step_on(const Architecture& arch, const Place& place) {
  const At order(place);
  Model model(arch, 3, place.device, place.dtype);
  const StepBatch batch = noise_batch(0, 6, arch.resolution);
  model.set_step(1);
  const Var loss = ops::softmax_cross_entropy(model.logits(batch.images), batch.labels).loss;
  backward(loss);
  Step done{.loss = loss.value().item()};
  for (const Parameter& p : model.parameters()) {
    done.gradients[p.name] = p.var.grad().to_vector();
  }
  return done;
}

double norm(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += double{x} * x;
  return std::sqrt(sum);
}

class MobileOnSimt : public testing::TestWithParam<const char*> {};

TEST_P(MobileOnSimt, TakesTheStepOfTheCpu) {
  const Architecture arch = resolve(GetParam(), {.width = 0.125, .resolution = 64, .classes = 4});
  const Step expected = step_on(arch, {"cpu", {}});
  int compared = 0;
  for (const Place& place : places()) {
    if (place.device.kind == DeviceKind::cpu || place.dtype != Dtype::f32) continue;
    const Step got = step_on(arch, place);
    EXPECT_NEAR(got.loss, expected.loss, 1e-5) << place.name;
    // Beside the largest, as rounding is: some are zero but for it.
    double largest = 0;
    for (const auto& [name, g] : expected.gradients) largest = std::max(largest, norm(g));
    for (const auto& [name, g] : expected.gradients) {
      std::vector<float> difference = got.gradients.at(name);
      ASSERT_EQ(difference.size(), g.size()) << name;
      for (std::size_t i = 0; i < g.size(); ++i) difference[i] -= g[i];
      EXPECT_LE(norm(difference), 1e-3 * norm(g) + 1e-5 * largest) << name << " on " << place.name;
    }
    ++compared;
  }
  EXPECT_GE(compared, 3);
}

INSTANTIATE_TEST_SUITE_P(Zoo, MobileOnSimt, testing::Values("mobilenet_v2", "efficientnet_b0"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace hac
