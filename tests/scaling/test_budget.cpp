// Budgets as people write them.

#include "scaling/methods/budget.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/error.h"

namespace hac {
namespace {

TEST(BudgetText, Parses) {
  EXPECT_EQ(parse_latency_limit("1.05x"), (Limit{1.05, true}));
  EXPECT_EQ(parse_latency_limit("3.2ms"), (Limit{3.2, false}));
  EXPECT_EQ(parse_params_limit("1.3x"), (Limit{1.3, true}));
  EXPECT_EQ(parse_params_limit("12.9M"), (Limit{12.9e6, false}));
  EXPECT_EQ(parse_params_limit("500k"), (Limit{500e3, false}));
  EXPECT_EQ(parse_params_limit("123456"), (Limit{123456, false}));
  EXPECT_EQ(parse_latency_limit(""), Limit{});
  for (const char* bad : {"x", "1.05", "3.2 ms", "ms", "-1x", "0ms", "1e400ms", "nanms", "infms",
                          "1.05xx", " 2x", "2M", "1,5x"}) {
    EXPECT_THROW(parse_latency_limit(bad), ConfigError) << bad;
  }
  for (const char* bad : {"M", "1.3X", "3ms", "-5", "0", "0x10", "12.9 M", "nan", "1e309"}) {
    EXPECT_THROW(parse_params_limit(bad), ConfigError) << bad;
  }
}

TEST(BudgetText, FactorsMultiplyTheBaseline) {
  const Budget b = resolve({1.05, true}, {1.3, true}, 2.0, 1001);
  EXPECT_DOUBLE_EQ(b.latency_ms, 2.1);
  EXPECT_EQ(b.params, 1301);  // 1301.3 parameters are 1301
  EXPECT_EQ(resolve({}, {}, 2.0, 1001), Budget{});
  EXPECT_TRUE(resolve({1, true}, {1, true}, 2.0, 1001).allows(2.0, 1001));
  EXPECT_THROW(resolve({0.9, true}, {}, 2.0, 1001), ConfigError);
  EXPECT_THROW(resolve({1.9, false}, {}, 2.0, 1001), ConfigError);
  EXPECT_THROW(resolve({}, {1000, false}, 2.0, 1001), ConfigError);
  // A latency model that predicts nothing.
  EXPECT_THROW(resolve({1.5, true}, {}, 0.0, 1001), ConfigError);
  EXPECT_THROW(resolve({}, {1.5, true}, NAN, 1001), ConfigError);
}

}  // namespace
}  // namespace hac
