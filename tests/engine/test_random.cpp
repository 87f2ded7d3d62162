#include <gtest/gtest.h>

#include <map>

#include "engine/tensor/random.h"
#include "kernels/core/random.h"
#include "models/model.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"

namespace hac {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known-answer vectors of Random123 (kat_vectors, philox4x32 10).
TEST(Random, PhiloxMatchesTheKnownAnswers) {
  EXPECT_EQ((Philox{0, 0}.block(0)), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint64_t ones = ~std::uint64_t{0};
  EXPECT_EQ((Philox{ones, ones}.block(ones)),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ((Philox{0x299f31d0a4093822, 0x0370734413198a2e}.block(0x85a308d3243f6a88)),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, BitsAreTheWordsOfTheBlocksInOrder) {
  const Philox random{7, 9};
  for (std::uint64_t i = 0; i < 64; ++i) EXPECT_EQ(random.bits(i), random.block(i / 4)[i % 4]);
}

TEST(Random, SeedAndStreamBothChangeTheNumbers) {
  EXPECT_NE((Philox{1, 0}.block(0)), (Philox{2, 0}.block(0)));
  EXPECT_NE((Philox{1, 0}.block(0)), (Philox{1, 1}.block(0)));
}

// The mean of n uniforms has a standard deviation of 1 / sqrt(12 n); five of them is the tolerance.
TEST(Random, UniformHasItsRangeAndMoments) {
  const Philox random{42, 3};
  constexpr int n = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const float u = random.uniform(i);
    ASSERT_GE(u, 0.f);
    ASSERT_LT(u, 1.f);
    sum += u;
    squares += double{u} * u;
  }
  EXPECT_NEAR(sum / n, 0.5, 5 / std::sqrt(12. * n));
  EXPECT_NEAR(squares / n, 1. / 3, 5 * std::sqrt(4. / 45 / n));
}

TEST(Random, BelowIsUniformAndInRange) {
  const Philox random{5, 0};
  constexpr int n = 70000, k = 7;
  int counts[k] = {};
  for (int i = 0; i < n; ++i) {
    const std::uint32_t v = random.below(i, k);
    ASSERT_LT(v, static_cast<std::uint32_t>(k));
    ++counts[v];
  }
  const double p = 1. / k, deviation = std::sqrt(n * p * (1 - p));
  for (const int count : counts) EXPECT_NEAR(count, n * p, 5 * deviation);
  EXPECT_EQ(random.below(3, 1), 0u);
}

TEST(Random, NormalHasItsMoments) {
  const Philox random{11, 0};
  constexpr int n = 50000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < n; ++i) {
    const double v = random.normal(i);
    ASSERT_TRUE(std::isfinite(v));
    sum += v;
    squares += v * v;
    fourth += v * v * v * v;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(1. * n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2. / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96. / n));
}

// All that a training draws with its one seed. Streams that count have 2^56 numbers each; the names
// of parameters are hashed, and could by chance lie among them.
TEST(Streams, OfATrainingNeverMeet) {
  std::map<std::uint64_t, std::string> streams;
  const auto add = [&](std::uint64_t number, const std::string& what) {
    const auto [it, fresh] = streams.emplace(number, what);
    EXPECT_TRUE(fresh || it->second == what) << what << " has the stream of " << it->second;
  };
  constexpr std::int64_t most = std::int64_t{1} << 40;  // epochs and steps
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1000}, most}) {
    add(streams::order(count), "order " + std::to_string(count));
    add(streams::augmentation(count), "augmentation " + std::to_string(count));
    add(streams::mixup(count), "mixup " + std::to_string(count));
  }
  std::map<std::uint64_t, std::string> hashed{{streams::holdout, "the holdout"}};
  for (const std::string& name : zoo_names()) {
    for (const Parameter& p : Model(resolve(name, {.width = 0.125}), 0).parameters()) {
      hashed[streams::parameter(p.name)] = "parameter " + p.name;
      add(streams::parameter(p.name), "parameter " + p.name);
    }
  }
  add(streams::holdout, "the holdout");
  EXPECT_GT(hashed.size(), 100u);
  for (const auto& [number, what] : hashed) {
    EXPECT_FALSE(number >> 56 <= 3 && (number << 8 >> 8) <= static_cast<std::uint64_t>(most))
        << what << " is among the streams that count";
  }
}

// Earlier trainings are resumed, and earlier results compared, by these.
TEST(Streams, HaveTheNumbersThatTheyAlwaysHad) {
  EXPECT_EQ(streams::order(5), 0x0100000000000005u);
  EXPECT_EQ(streams::augmentation(5), 0x0200000000000005u);
  EXPECT_EQ(streams::mixup(5), 0x0300000000000005u);
  EXPECT_EQ(streams::parameter(""), 0xcbf29ce484222325u);
  EXPECT_EQ(streams::parameter("a"), 0xaf63dc4c8601ec8cu);  // FNV's own test vector
  EXPECT_EQ(streams::holdout, streams::parameter("validation"));
  EXPECT_EQ(streams::dropout(5), 5u);
  EXPECT_EQ(streams::synthetic(true), 1u);
  EXPECT_EQ(streams::sampled_widths(5), 5u);
  EXPECT_EQ(streams::energy_phase, 0u);
}

}  // namespace
}  // namespace hac
