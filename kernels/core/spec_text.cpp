#include "kernels/core/spec_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hac {
namespace {

// What stands before each dimension.
std::span<const std::string_view> dimension_keys(int rank) {
  static constexpr std::string_view image[] = {",n", "c", "h", "w"}, other[] = {",n", "i", "j"};
  if (rank == 4) return image;
  return {other, static_cast<std::size_t>(rank)};
}

}  // namespace

void SpecWriter::dtype(Dtype dtype) { text += name_of(dtype); }

void SpecWriter::field(std::string_view key, std::uint64_t value, std::uint64_t) {
  text += fmt::format("{}{}", key, value);
}

void SpecWriter::width(std::string_view key, std::int64_t value) {
  text += value == 0 ? fmt::format("{}*", key) : fmt::format("{}{}", key, value);
}

void SpecWriter::number(std::string_view key, float value) {
  text += fmt::format("{}{}", key, value);
}

void SpecWriter::flag(std::string_view word, bool value) {
  if (value) text += word;
}

void SpecWriter::word(std::span<const std::string_view> names, std::size_t index) {
  if (index > 0) text += fmt::format(",{}", names[index]);
}

void SpecWriter::shape(const Shape& shape) {
  const auto keys = dimension_keys(shape.rank());
  for (int i = 0; i < shape.rank(); ++i) {
    i == 1 ? width(keys[i], shape[i]) : field(keys[i], static_cast<std::uint64_t>(shape[i]));
  }
}

bool SpecReader::take(std::string_view word) {
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

std::size_t SpecReader::kind_of(std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (take(fmt::format("{}:", names[i]))) return i;
  }
  ok_ = false;
  return 0;
}

void SpecReader::dtype(Dtype& dtype) {
  for (const Dtype known : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    if (!take(name_of(known))) continue;
    dtype = known;
    return;
  }
  ok_ = false;
}

template <class T>
bool SpecReader::read(T& value) {
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc()) return false;
  rest_.remove_prefix(end - rest_.data());
  return true;
}

std::uint64_t SpecReader::integer(std::string_view key, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = least;
  ok_ = ok_ && take(key) && read(value) && value >= least && value <= most;
  return ok_ ? value : least;
}

void SpecReader::width(std::string_view key, std::int64_t& value) {
  const std::string erased = fmt::format("{}*", key);
  value = take(erased) ? 0 : static_cast<std::int64_t>(integer(key, 1));
}

void SpecReader::number(std::string_view key, float& value) {
  ok_ = ok_ && take(key) && read(value);
}

void SpecReader::flag(std::string_view word, bool& value) { value = take(word); }

std::size_t SpecReader::word(std::span<const std::string_view> names) {
  const std::string_view next = rest_.starts_with(',') ? rest_.substr(1) : std::string_view();
  const auto found = std::find(names.begin() + 1, names.end(), next.substr(0, next.find(',')));
  if (found == names.end() || next.empty()) return 0;
  rest_.remove_prefix(1 + found->size());
  return found - names.begin();
}

void SpecReader::shape(Shape& shape) {
  const auto dimension = [&](std::string_view key) {
    return static_cast<std::int64_t>(integer(key, 1));
  };
  const std::int64_t n = dimension(",n");
  std::int64_t c = 0;
  if (rest_.starts_with('c')) {
    width("c", c);
    const std::int64_t h = dimension("h");
    shape = Shape{n, c, h, dimension("w")};
  } else if (rest_.starts_with('i')) {
    width("i", c);
    shape = Shape{n, c};
  } else {
    shape = Shape{n};
  }
}

}  // namespace hac
