// Ranges and lists of values as options take them.

#include "engine/io/range.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

TEST(Range, FromToStepHasBothEnds) {
  const std::vector<double> widths = parse_range("0.5:2:0.125", "width");
  ASSERT_EQ(widths.size(), 13u);
  EXPECT_EQ(widths.front(), 0.5);
  EXPECT_EQ(widths.back(), 2);
  EXPECT_EQ(parse_range("0.1:0.5:0.1", "w").size(), 5u);  // although 0.1 is no binary fraction
  EXPECT_EQ(parse_range("1:2:0.4", "w").size(), 3u);      // 1, 1.4, 1.8
  EXPECT_EQ(parse_range("3:3:1", "w"), std::vector<double>{3});
  EXPECT_EQ(parse_whole_range("24:64:8", "r"), (std::vector<std::int64_t>{24, 32, 40, 48, 56, 64}));
}

TEST(Range, AListIsItsValues) {
  EXPECT_EQ(parse_range("2,1,1.5", "w"), (std::vector<double>{2, 1, 1.5}));
  EXPECT_EQ(parse_range("4", "w"), std::vector<double>{4});
  EXPECT_TRUE(parse_range("", "w").empty());
}

TEST(Range, AnythingElseIsTold) {
  for (const char* text : {"a",     "1:2", "1:2:0", "1:2:-1",  "-1:2:1",  "0:2:1", "1:2:x",
                           "1,,2",  "1,",  ":",     "1:2:3:4", "nan",     "inf",   "1:inf:1",
                           "1e999", " 1",  "1;2",   "2:1:1",   "1:1e9:1", "1,1"}) {
    EXPECT_ERROR(parse_range(text, "option '--width'"), ConfigError, "option '--width'", "expected",
                 text);
  }
  EXPECT_ERROR(parse_whole_range("1:2:0.5", "r"), ConfigError, "r", "whole");
  EXPECT_ERROR(parse_whole_range("3e6", "r"), ConfigError, "r", "whole");
}

}  // namespace
}  // namespace hac
