// libFuzzer: a table of times from hostile bytes. Only ConfigError may come out, every row has a
// cell a column, and what is written is read as the same.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/csv.h"
#include "kernels/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hac;
  try {
    const Csv csv = parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const CsvRow& row : csv.rows) {
      if (row.cells.size() != csv.columns.size()) __builtin_trap();
      const Csv again =
          parse_csv("a,b\n" + csv_line(std::vector<std::string>{row.cells[0], "b"}), "again");
      if (again.rows.size() == 1 && again.rows[0].cells[1] != "b") __builtin_trap();
    }
  } catch (const ConfigError&) {
  }
  return 0;
}
