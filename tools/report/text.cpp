#include "tools/report/text.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

namespace hac::report {
namespace {

// The first UTF-8 sequence, off the front of a text.
std::string_view take_glyph(std::string_view& utf8) {
  const auto lead = static_cast<unsigned char>(utf8[0]);
  const std::string_view glyph = utf8.substr(0, lead < 0x80   ? 1
                                                : lead < 0xe0 ? 2
                                                : lead < 0xf0 ? 3
                                                              : 4);
  utf8.remove_prefix(glyph.size());
  return glyph;
}

// Widths of DejaVu Sans, the widest of the usual sans-serif fonts.
double glyph_width(std::string_view glyph) {
  if (glyph.size() > 1) return glyph.size() > 2 ? 1.0 : 0.7;
  const char c = glyph[0];
  if (std::string_view("ijl.,:;|'!()[] /-ftr").find(c) != std::string_view::npos) return 0.42;
  if (std::string_view("mwMW@%").find(c) != std::string_view::npos) return 1.0;
  if (c >= 'A' && c <= 'Z') return 0.74;
  return std::string_view("=+<>~_#&").find(c) != std::string_view::npos ? 0.84 : 0.64;
}

}  // namespace

std::string escape(std::string_view text) {
  static const std::map<char, const char*> entities{
      {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    if (const auto entity = entities.find(c); entity != entities.end()) {
      out += entity->second;
    } else {
      control ? out += "\xef\xbf\xbd" : out += c;
    }
  }
  return out;
}

double text_width(std::string_view utf8, double font_size) {
  double width = 0;
  while (!utf8.empty()) width += glyph_width(take_glyph(utf8));
  return width * font_size;
}

std::string shorten(std::string_view utf8, double max_width, double font_size) {
  if (text_width(utf8, font_size) <= max_width) return std::string(utf8);
  const double room = max_width - text_width("…", font_size);
  double width = 0;
  std::string_view rest = utf8;
  std::size_t end = 0;
  while (!rest.empty()) {
    width += glyph_width(take_glyph(rest)) * font_size;
    if (width > room) break;
    end = utf8.size() - rest.size();
  }
  return std::string(utf8.substr(0, end)) + "…";
}

std::size_t text_columns(std::string_view utf8) {
  std::size_t columns = 0;
  for (const char c : utf8) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return columns;
}

std::string format_number(double value) {
  if (!known(value)) return "-";
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size < 1e-3 || size >= 1e7) return fmt::format("{:.2e}", value);
  // Round first, so that 9.996 counts as the four characters of 10.0 and not as 10.00.
  const double rounded = std::stod(fmt::format("{:.2e}", size));
  const int whole = static_cast<int>(std::floor(std::log10(rounded))) + 1;
  return fmt::format("{:.{}f}", value, std::max(0, 3 - whole));
}

std::string format_whole(double value) { return known(value) ? fmt::format("{:.6g}", value) : "-"; }

std::string format_count(double value) {
  if (!known(value)) return "-";
  const double size = std::fabs(value);
  if (size < 1e3) return fmt::format("{:.0f}", value);
  if (size < 999.5e3) return format_number(value / 1e3) + " k";
  if (size < 999.5e6) return format_number(value / 1e6) + " M";
  return format_number(value / 1e9) + " G";
}

std::string format_factor(double value) {
  return known(value) ? fmt::format("{:.{}f}x", value, value < 100 ? 2 : 0) : "-";
}

std::string format_percent(double fraction) {
  return known(fraction) ? fmt::format("{:.2f} %", 100 * fraction) : "-";
}

std::string format_fact(const FactValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return "-";
        else if constexpr (std::is_same_v<T, double>)
          return fmt::format("{:.6g}", v);
        else if constexpr (std::is_same_v<T, std::vector<FactValue>>) {
          std::string text;
          for (const FactValue& item : v) text += (text.empty() ? "" : ", ") + format_fact(item);
          return text;
        } else
          return fmt::format("{}", v);
      },
      static_cast<const FactValue::variant&>(value));
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string format_limit(const std::string& limit, const std::string& written) {
  return written.empty() ? limit : limit + " (" + written + ")";
}

}  // namespace hac::report
