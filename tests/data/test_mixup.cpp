// Mixup and CutMix: the kernels against double precision, and the draws against the distributions.

#include <random>

#include "data/loader/mixup.h"
#include "kernels/ops/mixup.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 11;

struct Case {
  std::int64_t n;
  Shape image;  // channels, height, width
  std::int64_t classes;
  float lambda;
};
const Case cases[] = {{1, {3, 4, 4}, 3, 0.7f},
                      {2, {3, 8, 8}, 2, 0.9f},
                      {5, {1, 5, 7}, 4, 0.6f},
                      {8, {3, 5, 3}, 10, 0.51f},
                      {33, {9, 3, 4}, 7, 1}};

Batch batch_of(const Case& c, Device device) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < c.n; ++i) {
    labels.push_back(static_cast<std::int32_t>(Philox{kSeed, 3}.below(i, c.classes)));
  }
  const Shape shape{c.n, c.image[0], c.image[1], c.image[2]};
  return {in_own_layout(random_tensor(shape, kSeed, 1).to(device)),
          Tensor::from(labels, {c.n}).to(device)};
}

Tensor lambda_on(Device device, float lambda) {
  return to_tensor({.inside = lambda, .target = lambda}).to(device);
}

// Written as the definition has it, on one-hot targets.
Doubles mixed(const Doubles& x, std::int64_t n, double lambda) {
  const std::int64_t size = std::ssize(x) / n;
  Doubles out(x.size());
  for (std::int64_t i = 0; i < std::ssize(x); ++i) {
    const std::int64_t partner = (n - 1 - i / size) * size + i % size;
    out[i] = lambda * x[i] + (1 - lambda) * x[partner];
  }
  return out;
}

TEST(Mixup, MatchesTheFormulaInDouble) {
  for (const Place& place : places()) {
    const At at(place);
    for (const Case& c : cases) {
      const std::string what = place.name + " n " + std::to_string(c.n);
      const Batch batch = batch_of(c, place.device);
      const Doubles images = doubles(batch.images);
      const Tensor labels = batch.labels.to(Device{});
      Doubles hot(c.n * c.classes);
      for (std::int64_t i = 0; i < c.n; ++i) {
        hot[i * c.classes + labels.as<std::int32_t>()[i]] = 1;
      }
      const Tensor soft = mixup(batch, c.classes, lambda_on(place.device, c.lambda));
      ASSERT_EQ(soft.shape(), (Shape{c.n, c.classes})) << what;
      expect_close(batch.images, mixed(images, c.n, c.lambda), 3e-7, what + " images");
      expect_close(soft, mixed(hot, c.n, c.lambda), 1e-7, what + " targets");
    }
  }
}

// 0.75 and 0.25 times a 16-bit number are exact in f32, and so is nearly every sum.
TEST(Mixup, RoundsOnceInSixteenBits) {
  for (const Place& place : places()) {
    const At at(place);
    for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
      if (place.device.kind == DeviceKind::cpu && dtype == Dtype::f16) continue;
      for (const std::int64_t elements : {7, 64}) {
        const Shape shape{5, elements};
        const Tensor x = random_tensor(shape, kSeed, 2).cast(dtype).to(place.device);
        const Doubles expected = mixed(doubles(x), 5, 0.75);
        const MixupSpec spec{.dtype = dtype, .n = 5, .elements = elements};
        mixup_kernels.run(&MixupKernels::images, place.device, spec,
                          lambda_on(place.device, 0.75f).data(), x.data());
        const std::vector<float> floats(expected.begin(), expected.end());
        EXPECT_EQ(x.to_vector(), Tensor::from(floats, shape).cast(dtype).to_vector())
            << place.name << " " << name_of(dtype);
      }
    }
  }
}

// Pixel by pixel: in the box the partner's, around it the own one.
TEST(CutMix, PairsChangePlacesInTheBox) {
  const Mixing box{.inside = 0, .target = 0.75f, .top = 1, .left = 2, .bottom = 4, .right = 3};
  for (const Place& place : places()) {
    const At at(place);
    for (const Case& c : cases) {
      const std::string what = place.name + " n " + std::to_string(c.n);
      const Batch batch = batch_of(c, place.device);
      const Doubles before = doubles(batch.images);
      const Tensor soft = mixup(batch, c.classes, to_tensor(box).to(place.device));
      const std::int64_t h = c.image[1], w = c.image[2], size = c.image[0] * h * w;
      Doubles expected = before;
      for (std::int64_t i = 0; i < std::ssize(before); ++i) {
        const std::int64_t y = i / w % h, x = i % w;
        if (y < 1 || y >= 4 || x != 2) continue;
        expected[i] = before[(c.n - 1 - i / size) * size + i % size];
      }
      EXPECT_EQ(doubles(batch.images), expected) << what;
      const Tensor labels = batch.labels.to(Device{});
      Doubles hot(c.n * c.classes);
      for (std::int64_t i = 0; i < c.n; ++i) {
        hot[i * c.classes + labels.as<std::int32_t>()[i]] = 1;
      }
      expect_close(soft, mixed(hot, c.n, 0.75), 1e-7, what + " targets");
    }
  }
}

// Written from the paper's own code (clovaai/CutMix-PyTorch, train.py, rand_bbox), with another
// generator, for alpha = 1: l is uniform.
TEST(CutMix, BoxesAreDistributedAsDefined) {
  constexpr int draws = 20000, h = 32, w = 50;
  std::mt19937_64 generator(3);
  const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(generator); };
  double own = 0, theirs = 0, squares = 0, rows = 0, columns = 0;
  for (int step = 0; step < draws; ++step) {
    const Mixing m = cutmix_box(1, kSeed, step, h, w);
    ASSERT_TRUE(0 <= m.top && m.top <= m.bottom && m.bottom <= h);
    ASSERT_TRUE(0 <= m.left && m.left <= m.right && m.right <= w);
    const double area = double(m.bottom - m.top) * (m.right - m.left) / (h * w);
    ASSERT_NEAR(m.target, 1 - area, 1e-6);
    ASSERT_EQ(m.inside, 0);
    own += area;
    rows += m.top + m.bottom;
    columns += m.left + m.right;
    const double side = std::sqrt(1 - std::uniform_real_distribution<double>(0, 1)(generator));
    const auto cut = [&](int n) {
      const int length = static_cast<int>(side * n), centre = below(n);
      return std::clamp(centre + length / 2, 0, n) - std::clamp(centre - length / 2, 0, n);
    };
    const double other = double(cut(h)) * cut(w) / (h * w);
    theirs += other;
    squares += other * other;
  }
  const double mean = theirs / draws, deviation = std::sqrt(squares / draws - mean * mean);
  EXPECT_NEAR(own / draws, mean, 4 * deviation * std::sqrt(2. / draws)) << "seed " << kSeed;
  EXPECT_NEAR(rows / draws, h - 1, 1.2);
  EXPECT_NEAR(columns / draws, w - 1, 1.8);
}

TEST(CutMix, OneOfBothIsDrawnAStepAsOften) {
  int boxes = 0;
  for (int step = 0; step < 10000; ++step) {
    const Mixing m = draw_mixing(0.3, 1, 5, step, 8, 8);
    const bool box = m.inside == 0;
    boxes += box;
    ASSERT_EQ(draw_mixing(0.3, 0, 5, step, 8, 8).inside, mixup_lambda(0.3, 5, step));
    ASSERT_EQ(draw_mixing(0, 1, 5, step, 8, 8).inside, 0);
    ASSERT_EQ(m.target, draw_mixing(box ? 0 : 0.3, box ? 1 : 0, 5, step, 8, 8).target);
  }
  EXPECT_NEAR(boxes, 5000, 4.5 * 50);
}

// (lambda - 1/2)^2 does not know lambda from 1 - lambda; its mean is the variance of the Beta
// distribution, 1 / (4 (2 alpha + 1)).
TEST(Mixup, LambdaIsDrawnFromBeta) {
  constexpr int draws = 20000;
  for (const double alpha : {0.05, 0.2, 1.0, 4.0, 50.0}) {
    double sum = 0, squares = 0;
    for (int step = 0; step < draws; ++step) {
      const double lambda = mixup_lambda(alpha, kSeed, step);
      ASSERT_GE(lambda, 0.5);
      ASSERT_LE(lambda, 1.0);
      const double v = (lambda - 0.5) * (lambda - 0.5);
      sum += v;
      squares += v * v;
    }
    const double mean = sum / draws, deviation = std::sqrt(squares / draws - mean * mean);
    EXPECT_NEAR(mean, 1 / (4 * (2 * alpha + 1)), 4 * deviation / std::sqrt(draws))
        << "alpha " << alpha << " seed " << kSeed;
  }
}

// Beta(1, 1) is uniform (Kolmogorov and Smirnov, p < 1e-4 beyond).
TEST(Mixup, LambdaOfAlphaOneIsUniform) {
  constexpr int draws = 20000;
  std::vector<double> lambda;
  for (int step = 0; step < draws; ++step) lambda.push_back(mixup_lambda(1, kSeed, step));
  std::sort(lambda.begin(), lambda.end());
  double off = 0;
  for (int i = 0; i < draws; ++i) {
    off = std::max(off, std::abs(2 * lambda[i] - 1 - (i + 0.5) / draws));
  }
  EXPECT_LT(off, 2.23 / std::sqrt(draws)) << "seed " << kSeed;
}

TEST(Mixup, LambdaIsAFunctionOfSeedAndStep) {
  EXPECT_EQ(mixup_lambda(0.2, 1, 2), mixup_lambda(0.2, 1, 2));
  EXPECT_NE(mixup_lambda(0.2, 1, 2), mixup_lambda(0.2, 1, 3));
  EXPECT_NE(mixup_lambda(0.2, 1, 2), mixup_lambda(0.2, 2, 2));
  EXPECT_EQ(mixup_lambda(1e-9, 1, 2), 1);  // its variates are far below the smallest double
}

}  // namespace
}  // namespace hac
