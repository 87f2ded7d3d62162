// What an evaluation knows of an image, in every place and order, against double precision; scores
// that tie, are infinite or NaN; labels outside.

#include <cmath>
#include <limits>

#include "kernels/ops/predictions.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

constexpr std::uint64_t seed = 11;

using Scores = std::vector<float>;

// From the definition, with nothing taken off before the exponential: scores are small.
Prediction expected_of(const Scores& x, std::int32_t label) {
  Prediction p{.label = label};
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v));
  const auto share = [&](std::size_t j) { return std::exp(static_cast<double>(x[j])) / sum; };
  for (std::size_t j = 0; j < x.size(); ++j) {
    const bool own = static_cast<std::int32_t>(j) == label;
    if (x[j] > x[p.guess]) p.guess = static_cast<std::int32_t>(j);
    p.rank += x[j] > x[label] || (x[j] == x[label] && static_cast<std::int32_t>(j) < label);
    p.brier += (share(j) - own) * (share(j) - own);
  }
  p.confidence = share(p.guess);
  p.loss = -std::log(share(label));
  return p;
}

// In the place's type, behind `first` rows that stay as they are.
std::vector<Prediction> predictions_of(const Place& place, const Tensor& logits,
                                       const std::vector<std::int32_t>& labels,
                                       std::int64_t first = 0) {
  const At order(place);
  const std::int64_t n = logits.shape()[0], rows = first + n;
  const Tensor x = logits.cast(place.dtype).to(place.device),
               truth = Tensor::from(labels, {n}).to(place.device);
  const Tensor table = Tensor::zeros({rows, sizeof(Prediction)}, Dtype::u8).to(place.device);
  const Tensor at = Tensor::empty({sizeof first}, Dtype::u8);
  std::memcpy(at.data(), &first, sizeof first);
  const Tensor there = at.to(place.device);
  predictions_kernels.run(&PredictionsKernels::write, place.device,
                          PredictionsSpec{place.dtype, n, logits.shape()[1]}, x.data(),
                          truth.data(), there.data(), table.data());
  std::vector<Prediction> all(rows);
  std::memcpy(all.data(), table.to(Device{}).data(), all.size() * sizeof(Prediction));
  return all;
}

Scores row(const Tensor& logits, std::int64_t i) {
  const std::int64_t c = logits.shape()[1];
  return {logits.as<float>() + i * c, logits.as<float>() + (i + 1) * c};
}

TEST(Predictions, AreThoseOfDoublePrecision) {
  for (const Place& place : places()) {
    for (const auto& [n, c, first] :
         {std::array{1, 1, 0}, {3, 2, 4}, {37, 10, 1}, {9, 33, 0}, {200, 7, 250}, {5, 1000, 2}}) {
      const std::string what =
          fmt::format("{}, {} images, {} classes, seed {}", place.name, n, c, seed);
      Tensor logits = random_tensor({n, c}, seed, c);
      // Eighths, which every type holds and some of which tie.
      for (float& v : logits.floats()) v = std::round(16 * v) / 8;
      std::vector<std::int32_t> labels(n);
      for (int i = 0; i < n; ++i) labels[i] = i * 7 % c;
      const std::vector<Prediction> got = predictions_of(place, logits, labels, first);
      for (int i = 0; i < first; ++i) EXPECT_EQ(got[i].confidence, 0) << what << ", before";
      for (int i = 0; i < n; ++i) {
        const Prediction &p = got[first + i], e = expected_of(row(logits, i), labels[i]);
        EXPECT_EQ(std::tie(p.label, p.guess, p.rank), std::tie(e.label, e.guess, e.rank))
            << what << ", image " << i;
        EXPECT_NEAR(p.confidence, e.confidence, 1e-13) << what << ", image " << i;
        EXPECT_NEAR(p.loss, e.loss, 1e-12) << what << ", image " << i;
        EXPECT_NEAR(p.brier, e.brier, 1e-13) << what << ", image " << i;
      }
    }
  }
}

// A NaN never counts as a hit, wherever it stands, and no such image has a finite loss.
TEST(Predictions, WhatIsNotFiniteIsNoHit) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = INFINITY;
  const struct {
    Scores scores;
    std::int32_t label, rank, guess;
  } cases[] = {{{nan, 1, 2}, 2, 1, 2}, {{0, nan, 0}, 1, 3, 0},        {{nan, nan, nan}, 0, 3, 0},
               {{1, 2, inf}, 0, 2, 2}, {{-inf, -inf, -inf}, 1, 1, 0}, {{0, -inf, 0}, 1, 2, 0},
               {{1, 2, 3}, -1, 3, 2},  {{1, 2, 3}, 3, 3, 2}};
  for (const Place& place : places()) {
    for (const auto& [scores, label, rank, guess] : cases) {
      const Prediction p = predictions_of(place, Tensor::from(scores, {1, 3}), {label})[0];
      EXPECT_EQ(p.rank, rank) << place.name << ", label " << label;
      EXPECT_FALSE(std::isfinite(p.loss)) << place.name << ", label " << label;
      EXPECT_EQ(p.guess, guess) << place.name << ", label " << label;
    }
  }
}

}  // namespace
}  // namespace hac
