// Confusion, calibration and the worst images, against NumPy and PyTorch (eval_details_goldens.py),
// by hand, and the evaluation that they are collected in.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "data/sets/image_set.h"
#include "engine/autograd/ops.h"
#include "kernels/ops/predictions.h"
#include "models/train/eval_details.h"
#include "models/train/evaluate.h"
#include "models/zoo/arch_options.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

using Cell = std::array<std::int64_t, 3>;

// Of one pixel each, whose value is the image's number.
DatasetPtr labelled(const std::vector<std::int32_t>& labels, std::int64_t classes) {
  ImageSet set{.channels = 1, .resolution = 1, .labels = labels};
  for (std::size_t i = 0; i < labels.size(); ++i)
    set.pixels.push_back(static_cast<std::uint8_t>(i));
  for (std::int64_t c = 0; c < classes; ++c) set.classes.push_back("class " + std::to_string(c));
  return in_memory(set);
}

std::vector<Prediction> predictions_of(const Tensor& logits, const Tensor& labels,
                                       Device device = {}) {
  std::vector<Prediction> rows(labels.numel());
  const Tensor x = logits.to(device), truth = labels.to(device);
  const std::int64_t bytes = sizeof(Prediction);
  const Tensor first = Tensor::zeros({8}, Dtype::u8, device),
               written = Tensor::empty({labels.numel(), bytes}, Dtype::u8, device);
  predictions_kernels.run(&PredictionsKernels::write, device,
                          PredictionsSpec{x.dtype(), x.shape()[0], x.shape()[1]}, x.data(),
                          truth.data(), first.data(), written.data());
  std::memcpy(rows.data(), written.to(Device{}).data(), rows.size() * sizeof(Prediction));
  return rows;
}

// The goldens' logits and labels.
struct Known {
  static constexpr std::int64_t n = 200, classes = 6;
  Tensor logits = Tensor::empty({n, classes}), labels = Tensor::empty({n}, Dtype::i32);
  Known() {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t c = 0; c < classes; ++c) {
        logits.as<float>()[i * classes + c] = static_cast<float>(
            4 * std::sin(1 + 7.0 * static_cast<double>(i) + 3.0 * static_cast<double>(c * c)));
      }
      labels.as<std::int32_t>()[i] = static_cast<std::int32_t>((i * i + i / 7) % classes);
    }
  }
  std::vector<Prediction> predictions(Device device) const {
    return predictions_of(logits, labels, device);
  }
  DatasetPtr set() const {
    return labelled({labels.as<std::int32_t>(), labels.as<std::int32_t>() + n}, classes);
  }
};

TEST(EvalDetails, AreThoseOfNumPyAndPyTorch) {
  const Known known;
  for (const Device device : {Device{}, kSimt}) {
    const std::vector<Prediction> predictions = known.predictions(device);
    double loss = 0;
    for (const Prediction& p : predictions) loss += p.loss / Known::n;
    EXPECT_NEAR(loss, 4.124469485194659, 1e-12);
    const EvalDetails d = eval_details(*known.set(), predictions, 4);
    EXPECT_NEAR(d.ece, 0.4394364374256754, 1e-12);
    EXPECT_NEAR(d.brier, 1.1996796291312628, 1e-12);
    std::vector<std::int64_t> bins, worst, matrix(Known::classes * Known::classes);
    for (const ReliabilityBin& bin : d.reliability) bins.push_back(bin.images);
    EXPECT_EQ(bins,
              (std::vector<std::int64_t>{0, 0, 0, 0, 0, 18, 19, 30, 22, 23, 12, 26, 20, 25, 5}));
    for (const auto& [label, guess, images] : d.confusion) {
      EXPECT_GT(images, 0);
      matrix[label * Known::classes + guess] = images;
    }
    EXPECT_EQ(matrix,
              (std::vector<std::int64_t>{10, 10, 8, 9,  9, 1, 5, 6, 2, 6, 6, 4, 7, 7, 8, 7, 8, 0,
                                         3,  2,  2, 10, 8, 3, 6, 6, 6, 6, 6, 0, 5, 4, 4, 9, 6, 1}));
    EXPECT_EQ(d.confusion.size(), 34u) << "cells of no images";
    for (const WorstImage& image : d.worst) worst.push_back(image.index);
    EXPECT_EQ(worst, (std::vector<std::int64_t>{194, 159, 1, 89}));
    EXPECT_NEAR(d.worst[0].loss, 8.954833671413628, 1e-12);
  }
}

TEST(Evaluation, TopKIsTheRankOfTheLabel) {
  const Known known;
  for (const Device device : {Device{}, kSimt}) {
    const Tensor logits = known.logits.to(device);
    const auto [loss, probs] = ops::softmax_cross_entropy(Var(logits), known.labels);
    for (const int k : {1, 3, 5}) {
      std::int64_t expected = 0;
      for (std::int64_t i = 0; i < Known::n; ++i) {
        const float* row = known.logits.as<float>() + i * Known::classes;
        const float own = row[known.labels.as<std::int32_t>()[i]];
        expected += std::count_if(row, row + Known::classes, [&](float x) { return x > own; }) < k;
      }
      EXPECT_EQ(count_in_top(probs, known.labels, k), expected) << "top " << k;
      std::int64_t hits = 0;
      for (const Prediction& p : known.predictions(device)) hits += p.rank < k;
      EXPECT_EQ(hits, expected) << "top " << k;
    }
  }
}

// ln of a softmax that is zero in f32 is no infinite loss; a confident hit has none at all.
TEST(EvalDetails, LossesAreAsExactAsTheLogits) {
  const Tensor logits = Tensor::from(std::array{0.f, 2000.f, 0.f, 0.f}, {2, 2}),
               labels = Tensor::from(std::array{0, 1}, {2});
  const std::vector<Prediction> p = predictions_of(logits, labels);
  EXPECT_EQ(p[0].loss, 2000);
  EXPECT_EQ(p[0].guess, 1);
  EXPECT_EQ(p[0].confidence, 1);
  EXPECT_EQ(p[0].brier, 2);
  EXPECT_EQ(p[1].guess, 0) << "of equals the lower, as top-1 has it";
  EXPECT_DOUBLE_EQ(p[1].loss, std::log(2.0));
  EXPECT_DOUBLE_EQ(p[1].brier, 0.5);
  EXPECT_EQ(predictions_of(logits.cast(Dtype::bf16), labels, kSimt)[0].loss, 2000);
}

// By hand: 1/15 and 14/15 belong to the bins below them, 1 to the last; |0.5 - 13/15| etc.
TEST(EvalDetails, BinsEndWithTheirUpperBound) {
  const DatasetPtr set = labelled({0, 0, 1, 1}, 2);
  const std::vector<Prediction> predictions{
      {.label = 0, .guess = 0, .confidence = 14.0 / 15, .loss = 1, .brier = 0},
      {.label = 0, .guess = 1, .confidence = 13.5 / 15, .loss = 2, .brier = 1},
      {.label = 1, .guess = 1, .confidence = 1, .loss = 2, .brier = 0},
      {.label = 1, .guess = 0, .confidence = 1.0 / 15, .loss = 0, .brier = 1}};
  const EvalDetails d = eval_details(*set, predictions, 3);
  EXPECT_EQ(d.reliability[0].images, 1);
  EXPECT_EQ(d.reliability[13].images, 2);
  EXPECT_EQ(d.reliability[14].images, 1);
  EXPECT_NEAR(d.reliability[13].confidence, 13.75 / 15, 1e-15);
  EXPECT_EQ(d.reliability[13].accuracy, 0.5);
  EXPECT_NEAR(d.ece, 0.25 * (1.0 / 15) + 0.5 * (13.75 / 15 - 0.5) + 0, 1e-15);
  EXPECT_EQ(d.brier, 0.5);
  ASSERT_EQ(d.worst.size(), 3u);
  EXPECT_EQ(d.worst[0].index, 1) << "of equal losses the first";
  EXPECT_EQ(d.worst[1].index, 2);
}

TEST(EvalDetails, ClassesAreRowsAndColumnsOfTheMatrix) {
  EvalDetails d;
  d.classes = {"a", "b", "c", "d"};
  d.confusion = {{0, 0, 5}, {0, 2, 3}, {0, 3, 3}, {1, 1, 2}, {2, 0, 7}, {2, 1, 1}, {2, 2, 4}};
  const std::vector<ClassResult> rows = by_class(d);
  EXPECT_EQ(rows[0].images, 11);
  EXPECT_EQ(rows[0].correct, 5);
  EXPECT_EQ(rows[0].guesses, 12);
  EXPECT_EQ(rows[0].mistaken_for, 2) << "of equals the first";
  EXPECT_EQ(rows[0].mistakes, 3);
  EXPECT_EQ(rows[1].mistaken_for, -1);
  EXPECT_EQ(rows[3].images, 0);
  EXPECT_EQ(rows[3].guesses, 3);
  EXPECT_EQ(most_confused(d, 3), (std::vector<Cell>{{2, 0, 7}, {0, 2, 3}, {0, 3, 3}}));
  EXPECT_EQ(most_confused(d, 9).size(), 4u);
}

TEST(EvalDetails, WhatDoesNotFitIsAnError) {
  const std::vector<Prediction> two(2);
  EXPECT_ERROR(eval_details(*labelled({0, 1, 1}, 2), two), ShapeError, "3 images", "got 2");
  EvalDetails d = eval_details(*labelled({0, 1}, 2), two);
  EXPECT_NO_THROW(validate(d, "x"));
  EvalDetails bad = d;
  bad.confusion.push_back({0, 2, 1});
  EXPECT_ERROR(validate(bad, "f.json"), ConfigError, "f.json", "2 classes", "got number 2");
  bad = d;
  bad.worst[0].label = -1;
  EXPECT_ERROR(validate(bad, "x"), ConfigError, "number -1");
  bad = d;
  bad.confusion[0][2] = 0;
  EXPECT_ERROR(validate(bad, "x"), ConfigError, "0 images");
  bad = d;
  bad.reliability.pop_back();
  EXPECT_ERROR(validate(bad, "x"), ConfigError, "15 bins", "got 14");
}

// One pass gives both; whatever the batches and the device, and with an average of the weights.
TEST(EvalDetails, AnEvaluationHasThemOfEachImageInOrder) {
  const TrainConfig config = tiny_config(24, 8);
  const DataSplit data = open_data(config.data);
  for (const Device device : {Device{}, kSimt}) {
    Model model(tiny_net(), 3, device);
    const TrainResult trained = train(model, data, config);
    const EvalResult r = evaluate(model, data.test, {.batch = 7});
    ASSERT_EQ(std::ssize(*r.predictions), data.test->size());
    double loss = 0, right = 0;
    for (std::int64_t i = 0; i < data.test->size(); ++i) {
      const Prediction &p = (*r.predictions)[i], &at_end = (*trained.test.predictions)[i];
      EXPECT_EQ(p.label, data.test->label(i)) << i;
      EXPECT_NEAR(at_end.loss, p.loss, 1e-5) << "of the training's own evaluation, image " << i;
      loss += p.loss / 20;
      right += p.guess == p.label;
    }
    EXPECT_DOUBLE_EQ(loss, r.loss);
    EXPECT_EQ(right / 20, r.top1);
  }
}

// Both evaluations are of the same set; the one that counts gives the details.
TEST(EvalDetails, AreOfTheWeightsThatCount) {
  TrainConfig config = tiny_config(24, 8);
  config.ema = 0.9;
  const DataSplit data = open_data(config.data);
  for (const WeightSelection weights : {WeightSelection::plain, WeightSelection::average}) {
    config.select_weights = weights;
    Model model(tiny_net(), 3);
    const TrainResult r = train(model, data, config);
    double loss = 0;
    for (const Prediction& p : *r.test.predictions) loss += p.loss / 20;
    EXPECT_DOUBLE_EQ(loss, r.test.loss) << to_string(weights);
    EXPECT_NE(r.plain.loss, r.average.loss);
  }
}

}  // namespace
}  // namespace hac
