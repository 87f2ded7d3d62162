#include "engine/io/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

// Throws where a quote does not end.
std::vector<std::string> cells_of(std::string_view line, const std::string& where) {
  std::vector<std::string> cells;
  std::string cell;
  bool quoted = false, was_quoted = false;
  const auto finish = [&] {
    cells.push_back(was_quoted ? cell : trimmed(cell));
    cell.clear();
    was_quoted = false;
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && line.substr(i + 1).starts_with('"')) {
      cell += line[++i];
    } else if (c == '"' && (quoted || trimmed(cell).empty())) {
      quoted = !quoted;
      if (quoted) cell.clear();
      was_quoted = true;
    } else if (c == ',' && !quoted) {
      finish();
    } else if (quoted || !was_quoted) {
      cell += c;
    }
  }
  if (quoted) throw ConfigError(fmt::format("{}: expected a quote at the end of a cell", where));
  finish();
  return cells;
}

void check_columns(const std::vector<std::string>& columns, const std::string& where) {
  for (const std::string& name : columns) {
    if (!name.empty() && std::ranges::count(columns, name) == 1) continue;
    throw ConfigError(fmt::format("{}: expected the names of the columns, each once, got '{}'",
                                  where, one_line(name.substr(0, 60))));
  }
}

std::string cell_of(const Field& field) {
  double* const* number = std::get_if<double*>(&field.value.at);
  return number && !std::isfinite(**number) ? "" : text_of(field);
}

}  // namespace

Csv parse_csv(std::string_view text, const std::string& what) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // as spreadsheets begin a file
  Csv csv;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = fmt::format("{} line {}", what, number);
    std::vector<std::string> cells = cells_of(line, where);
    if (csv.columns.empty()) {
      check_columns(cells, where);
      csv.columns = std::move(cells);
    } else if (cells.size() == csv.columns.size()) {
      csv.rows.push_back({number, std::move(cells)});
    } else {
      throw ConfigError(fmt::format("{}: expected {} cells ({}), got {}", where, csv.columns.size(),
                                    fmt::join(csv.columns, ", "), cells.size()));
    }
  }
  if (csv.columns.empty()) {
    throw ConfigError(fmt::format("{}: expected a line of column names, got none", what));
  }
  return csv;
}

std::string csv_line(std::span<const std::string> cells) {
  std::string line;
  for (const std::string& raw : cells) {
    std::string cell = one_line(raw);
    if (cell.find_first_of(",\"") != std::string::npos || cell.starts_with('#')) {
      std::string quoted = "\"";
      for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
      cell = quoted + '"';
    }
    line += (&raw == cells.data() ? "" : ",") + cell;
  }
  return line + "\n";
}

std::string csv_of(std::span<const Fields> rows) {
  std::string text;
  for (const Fields& row : rows) {
    std::vector<std::string> names, cells;
    for (const Field& field : row) {
      names.push_back(field.key);
      cells.push_back(cell_of(field));
    }
    if (text.empty()) text = csv_line(names);
    text += csv_line(cells);
  }
  return text;
}

}  // namespace hac
