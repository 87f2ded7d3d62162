#pragma once
// The one-line text of a spec, written and read by one visit of its fields:
//
//   conv2d:f32,n1c64h32w32,k128r3s3,st1p1g1,bias,relu,inference
//
// A width that was taken out (0, as in the key of a latency table) is written *. A visit names each
// field with what stands before it, the comma included: text.width("c", s.c).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "kernels/core/types.h"

namespace hac {

class SpecWriter {
 public:
  void kind(std::string_view name) { text = std::string(name) + ":"; }
  template <class Enum>
  void kind(std::span<const std::string_view> names, Enum value) {
    kind(names[static_cast<std::size_t>(value)]);
  }
  void dtype(Dtype dtype);
  void field(std::string_view key, std::uint64_t value, std::uint64_t least = 1);
  void width(std::string_view key, std::int64_t value);
  void number(std::string_view key, float value);
  void flag(std::string_view word, bool value);
  // Nothing for the first, ",name" for another.
  template <class Enum>
  void choice(std::span<const std::string_view> names, Enum value) {
    word(names, static_cast<std::size_t>(value));
  }
  void shape(const Shape& shape);  // ",n1c64h32w32", ",n1i512"; the second dimension is a width

  std::string text;

 private:
  void word(std::span<const std::string_view> names, std::size_t index);
};

class SpecReader {
 public:
  explicit SpecReader(std::string_view text) : rest_(text) {}
  void kind(std::string_view name) { ok_ = ok_ && take(std::string(name) + ":"); }
  template <class Enum>
  void kind(std::span<const std::string_view> names, Enum& value) {
    value = static_cast<Enum>(kind_of(names));
  }
  void dtype(Dtype& dtype);
  template <class Integer>
  void field(std::string_view key, Integer& value, std::uint64_t least = 1) {
    constexpr std::uint64_t most = std::is_unsigned_v<Integer> ? ~std::uint64_t{0} : 1 << 20;
    value = static_cast<Integer>(integer(key, least, most));
  }
  void width(std::string_view key, std::int64_t& value);
  void number(std::string_view key, float& value);
  void flag(std::string_view word, bool& value);
  template <class Enum>
  void choice(std::span<const std::string_view> names, Enum& value) {
    value = static_cast<Enum>(word(names));
  }
  void shape(Shape& shape);

  bool done() const { return ok_ && rest_.empty(); }

 private:
  bool take(std::string_view word);
  std::size_t kind_of(std::span<const std::string_view> names);
  template <class T>
  bool read(T& value);
  std::uint64_t integer(std::string_view key, std::uint64_t least, std::uint64_t most = 1 << 20);
  std::size_t word(std::span<const std::string_view> names);

  std::string_view rest_;
  bool ok_ = true;
};

// The image that a spec reads: ",n1c64h32w32".
template <class Spec, class Text>
void visit_image(Spec& s, Text& text) {
  text.field(",n", s.n);
  text.width("c", s.c);
  text.field("h", s.h);
  text.field("w", s.w);
}

// visit(spec, text) calls text's members for every field, in order.
template <class Spec, class Visit>
std::string write_spec(const Spec& spec, Visit visit) {
  SpecWriter writer;
  visit(spec, writer);
  return writer.text;
}

template <class Spec, class Visit>
bool read_spec(Spec& spec, std::string_view text, Visit visit) {
  SpecReader reader(text);
  Spec read;
  visit(read, reader);
  if (!reader.done()) return false;
  spec = read;
  return true;
}

}  // namespace hac
