#pragma once
// Tables as comma-separated values (RFC 4180): the names of the columns in the first line, then a
// line a row. A cell with a comma or a quote stands in quotes, quotes in it are doubled.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

struct CsvRow {
  int line = 0;  // of the file, from 1
  std::vector<std::string> cells;
};
struct Csv {
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;  // each with a cell a column
};

// Empty lines and those that begin with # are passed over, spaces around cells dropped. Throws
// ConfigError naming `what` and the line: no columns, one twice or without a name, a row with too
// few or too many cells, a quote that does not end.
Csv parse_csv(std::string_view text, const std::string& what);

// With its line break; line breaks within cells become spaces.
std::string csv_line(std::span<const std::string> cells);
// A column for each field of the first row. What is unknown (NaN, infinite) is an empty cell.
std::string csv_of(std::span<const Fields> rows);

}  // namespace hac
