// Numbers that are not finite are found on every device, and an evaluation that meets them says
// where.

#include <cfloat>
#include <cmath>
#include <limits>

#include "data/sets/datasets.h"
#include "engine/tensor/finite.h"
#include "models/train/evaluate.h"
#include "tests/support/op_test.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                inf = std::numeric_limits<float>::infinity();

TEST(Finite, TheFirstThatIsNotIsFound) {
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    const At order(place);
    const auto found = [&](std::vector<std::vector<float>> values) {
      std::vector<Tensor> tensors;
      for (const auto& v : values) {
        tensors.push_back(Tensor::from(v, {std::ssize(v)}).to(place.device));
      }
      return first_not_finite(tensors);
    };
    // Squares of the largest are beyond a float.
    const std::vector<float> large(5000, FLT_MAX), small{0, -1, FLT_MIN};
    std::vector<float> broken = large;
    broken.back() = nan;
    EXPECT_EQ(found({}), std::nullopt) << place.name;
    EXPECT_EQ(found({large, small}), std::nullopt) << place.name;
    EXPECT_EQ(found({small, broken, {inf}}), 1u) << place.name;
    EXPECT_EQ(found({large, small, {0, -inf}}), 2u) << place.name;
  }
}

TEST(Finite, AnEvaluationNamesTheParameterAndTheStatistic) {
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    const At order(place);
    const DataSplit data = open_data(tiny_config(8, 4).data);
    for (const char* name : {"conv2.weight", "bn1.running_mean"}) {
      Model model(tiny_net(), 1, place.device);
      const Tensor given = model.state().at(name);
      std::vector<float> values = given.to_vector();
      values.back() = nan;
      const Tensor broken = Tensor::from(values, given.shape());
      for (const Parameter& p : model.parameters()) {
        if (p.name == name) p.var.value().copy_from(broken);
      }
      for (const Buffer& b : model.buffers()) {
        if (b.name == name) b.tensor.copy_from(broken);
      }
      EXPECT_CONTAINS(message_of<Error>([&] { evaluate(model, data.test, {.batch = 7}); }),
                      "not finite in evaluation", name);
    }
  }
}

}  // namespace
}  // namespace hac
