// Comma-separated values: what is written reads back, what is damaged is told by its line.

#include <limits>

#include "engine/io/csv.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using Cells = std::vector<std::string>;

TEST(Csv, ReadsWhatSpreadsheetsWrite) {
  const Csv csv = parse_csv(
      "\xEF\xBB\xBF# a remark\r\nnetwork , ms\r\n\r\na.json, 1.5\r\n"
      "\"b, \"\"c\"\".json\",2",
      "times.csv");
  EXPECT_EQ(csv.columns, (Cells{"network", "ms"}));
  ASSERT_EQ(csv.rows.size(), 2u);
  EXPECT_EQ(csv.rows[0].line, 4);
  EXPECT_EQ(csv.rows[0].cells, (Cells{"a.json", "1.5"}));
  EXPECT_EQ(csv.rows[1].cells, (Cells{"b, \"c\".json", "2"}));
}

TEST(Csv, SaysWhichLineIsWrong) {
  EXPECT_ERROR(parse_csv("", "t.csv"), ConfigError, "t.csv", "column names");
  EXPECT_ERROR(parse_csv("# only remarks\n", "t.csv"), ConfigError, "t.csv", "column names");
  EXPECT_ERROR(parse_csv("a,a\n", "t.csv"), ConfigError, "t.csv line 1", "each once", "'a'");
  EXPECT_ERROR(parse_csv("a,\n", "t.csv"), ConfigError, "t.csv line 1", "''");
  EXPECT_ERROR(parse_csv("a,b\n1,2\n1\n", "t.csv"), ConfigError, "t.csv line 3", "2 cells (a, b)");
  EXPECT_ERROR(parse_csv("a,b\n1,2,3\n", "t.csv"), ConfigError, "line 2", "got 3");
  EXPECT_ERROR(parse_csv("a\n\"x\n", "t.csv"), ConfigError, "line 2", "a quote");
}

TEST(Csv, WrittenCellsReadBack) {
  const Cells words{"plain", "a, b", "\"quoted\" word", "", "# no remark"};
  const Csv csv = parse_csv("a,b,c,d,e\n" + csv_line(words), "t.csv");
  ASSERT_EQ(csv.rows.size(), 1u);
  EXPECT_EQ(csv.rows[0].cells, words);
  EXPECT_EQ(csv_line(Cells{"two\nlines"}), "two lines\n");
}

TEST(Csv, FieldsAreColumns) {
  struct Row {
    std::string name;
    double ms = 0;
    int runs = 0;
    Fields fields() { return Fields().add("name", name).add("ms", ms).add("runs", runs); }
  };
  const std::vector<Row> rows{{"a", 0.1, 3}, {"b", std::numeric_limits<double>::quiet_NaN(), 4}};
  const std::vector<Fields> fields{fields_of(rows[0]), fields_of(rows[1])};
  EXPECT_EQ(csv_of(fields), "name,ms,runs\na,0.1,3\nb,,4\n");
}

}  // namespace
}  // namespace hac
