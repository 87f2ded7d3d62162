#pragma once
// A network of a few hundred weights on images of 16 pixels: a step under simt takes milliseconds.

#include <cstring>
#include <map>
#include <numeric>

#include "engine/tensor/random.h"
#include "models/train/captured_step.h"
#include "models/train/train.h"
#include "tests/support/messages.h"

namespace hac {

constexpr Device kSimt{DeviceKind::simt, 0};

inline Architecture tiny_net() {
  return {.name = "tiny",
          .channels = 3,
          .resolution = 16,
          .classes = 4,
          .layers = {Conv{.name = "conv1", .out = 8},
                     BatchNorm{.name = "bn1", .activation = Activation::relu}, Pool{},
                     Conv{.name = "conv2", .out = 8},
                     BatchNorm{.name = "bn2", .activation = Activation::relu},
                     Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}}};
}

inline TrainConfig tiny_config(std::int64_t train_images, std::int64_t batch) {
  TrainConfig config{.data = {.name = "synthetic",
                              .limit_train = train_images,
                              .limit_test = 20,
                              .resolution = 16,
                              .classes = 4},
                     .epochs = 2,
                     .batch = batch};
  config.schedule = {.kind = ScheduleKind::constant, .lr = 0.05};
  config.seed = 3;
  config.quiet = true;
  return config;
}

// Of noise, by its number; labels of four classes.
inline StepBatch noise_batch(int index, std::int64_t n = 4, std::int64_t size = 16) {
  const Tensor images = Tensor::empty({n, 3, size, size});
  fill_normal(images, 5, "images" + std::to_string(index), 1);
  std::vector<std::int32_t> labels(n);
  std::iota(labels.begin(), labels.end(), index);
  for (std::int32_t& label : labels) label %= 4;
  const Tensor there = Tensor::from(labels, {n});
  return {images, there, there};
}

// Weights and statistics by name.
using Numbers = std::map<std::string, std::vector<float>>;

inline Numbers numbers_of(const Model& model) {
  Numbers all;
  for (const auto& [name, tensor] : model.state()) all[name] = tensor.to_vector();
  return all;
}

inline void expect_same_bits(const Numbers& a, const Numbers& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, values] : a) {
    const std::vector<float>& others = b.at(name);
    ASSERT_EQ(values.size(), others.size()) << name;
    EXPECT_EQ(std::memcmp(values.data(), others.data(), values.size() * sizeof(float)), 0) << name;
  }
}
inline void expect_same_bits(const Model& a, const Model& b) {
  expect_same_bits(numbers_of(a), numbers_of(b));
}

}  // namespace hac
