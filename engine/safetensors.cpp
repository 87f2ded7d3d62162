#include "engine/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "engine/file.h"
#include "kernels/error.h"

namespace hac {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

using json = nlohmann::json;

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // the limit of the reference implementation

struct FileDtype {
  std::string_view name;
  std::uint64_t size;
  Dtype memory;  // what it becomes
};

constexpr FileDtype file_dtypes[] = {{"F32", 4, Dtype::f32},
                                     {"I32", 4, Dtype::i32},
                                     {"U8", 1, Dtype::u8},
                                     {"F64", 8, Dtype::f32},
                                     {"I64", 8, Dtype::i32}};

// A tensor as the header describes it; [begin, end) counts from the end of the header.
struct Entry {
  std::string name;
  FileDtype dtype;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

// The bytes of a file. `read` copies n of them, at and at + n within the size.
struct Source {
  std::uint64_t size;
  std::function<void(std::uint64_t at, char* to, std::uint64_t n)> read;
};

// Says which file, and which tensor of it, is wrong. Nothing is allocated for a tensor before the
// whole header is known to fit the size of the file.
class Reader {
 public:
  Reader(Source source, const std::string& file) : source_(std::move(source)), file_(file) {}
  TensorFile read() const;

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> form, Args&&... args) const {
    throw IoError(
        fmt::format("safetensors '{}': {}", file_, fmt::format(form, std::forward<Args>(args)...)));
  }

  json header(std::uint64_t length) const;
  Entry entry(const std::string& name, const json& value) const;
  FileDtype dtype(const std::string& name, const json& value) const;
  Shape shape(const std::string& name, const json& value) const;
  void check_ranges(std::vector<Entry>& entries, std::uint64_t data_bytes) const;
  Tensor tensor(const Entry& e, std::uint64_t at) const;
  template <class From, class To>
  Tensor narrowed(const Entry& e, const char* data) const;

  Source source_;
  const std::string& file_;
};

json Reader::header(std::uint64_t length) const {
  std::set<std::string> names;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth > 2) fail("header is nested too deep");
    // A JSON object with the same key twice keeps the last one, silently.
    if (event == json::parse_event_t::key && depth == 1 &&
        !names.insert(parsed.get<std::string>()).second)
      fail("header names '{}' twice", parsed.get<std::string>());
    return true;
  };
  std::string text(length, '\0');
  source_.read(length_bytes, text.data(), length);
  json result;
  try {
    result = json::parse(text, check);
  } catch (const json::exception& error) {
    fail("header is not JSON: {}", error.what());
  }
  if (!result.is_object()) fail("header: expected a JSON object, got {}", result.type_name());
  return result;
}

FileDtype Reader::dtype(const std::string& name, const json& value) const {
  const std::string text = value.is_string() ? value.get<std::string>() : value.type_name();
  for (const FileDtype& known : file_dtypes)
    if (known.name == text) return known;
  fail("tensor '{}': expected dtype F32, I32, U8, F64 or I64, got {}", name, text);
}

Shape Reader::shape(const std::string& name, const json& value) const {
  if (!value.is_array() || value.size() > 4)
    fail("tensor '{}': expected a shape of at most 4 dims", name);
  std::int64_t dims[4] = {}, elements = 1;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool fits = value[i].is_number_unsigned() &&
                      value[i].get<std::uint64_t>() <= std::numeric_limits<std::int32_t>::max();
    if (!fits) fail("tensor '{}': dim {} of the shape is not a size", name, i);
    dims[i] = value[i].get<std::int64_t>();
    // Zeros count as ones here: (2^31, 2^31, 2^31, 0) must not overflow on its way to 0.
    if (__builtin_mul_overflow(elements, std::max<std::int64_t>(dims[i], 1), &elements))
      fail("tensor '{}': shape overflows", name);
  }
  switch (value.size()) {
    case 0:
      return {};
    case 1:
      return {dims[0]};
    case 2:
      return {dims[0], dims[1]};
    case 3:
      return {dims[0], dims[1], dims[2]};
    default:
      return {dims[0], dims[1], dims[2], dims[3]};
  }
}

Entry Reader::entry(const std::string& name, const json& value) const {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets"))
    fail("tensor '{}': expected dtype, shape and data_offsets", name);
  Entry e{name, dtype(name, value["dtype"]), shape(name, value["shape"])};
  const json& range = value["data_offsets"];
  if (!range.is_array() || range.size() != 2 || !range[0].is_number_unsigned() ||
      !range[1].is_number_unsigned())
    fail("tensor '{}': data_offsets: expected two offsets", name);
  e.begin = range[0].get<std::uint64_t>();
  e.end = range[1].get<std::uint64_t>();
  std::uint64_t expected = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(e.shape.numel()), e.dtype.size, &expected))
    fail("tensor '{}': shape overflows", name);
  if (e.end < e.begin || e.end - e.begin != expected)
    fail("tensor '{}': {} {} needs {} bytes, data_offsets are [{}, {})", name, e.dtype.name,
         e.shape.str(), expected, e.begin, e.end);
  return e;
}

// The format wants the data covered exactly: nothing shared, nothing left out.
void Reader::check_ranges(std::vector<Entry>& entries, std::uint64_t data_bytes) const {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    if (e.end > data_bytes)
      fail("tensor '{}': ends at byte {}, the data has {} (is the file cut?)", e.name, e.end,
           data_bytes);
    if (e.begin < at) fail("tensor '{}': overlaps the one before it", e.name);
    if (e.begin > at) fail("tensor '{}': {} unused bytes before it", e.name, e.begin - at);
    at = e.end;
  }
  if (at != data_bytes) fail("{} unused bytes at the end", data_bytes - at);
}

template <class From, class To>
Tensor Reader::narrowed(const Entry& e, const char* data) const {
  const Tensor result = Tensor::empty(e.shape, e.dtype.memory);
  for (std::int64_t i = 0; i < e.shape.numel(); ++i) {
    From value;
    std::memcpy(&value, data + i * sizeof(From), sizeof(From));
    const From limit = static_cast<From>(std::numeric_limits<To>::max());
    const From lowest = static_cast<From>(std::numeric_limits<To>::lowest());
    bool fits = value >= lowest && value <= limit;
    if constexpr (std::is_floating_point_v<From>) fits = fits || !std::isfinite(value);
    if (!fits)
      fail("tensor '{}': {} value {} at {} does not fit into {}", e.name, e.dtype.name, value, i,
           name_of(e.dtype.memory));
    result.as<To>()[i] = static_cast<To>(value);
  }
  return result;
}

Tensor Reader::tensor(const Entry& e, std::uint64_t at) const {
  const std::uint64_t n = e.end - e.begin;
  if (e.dtype.size == 8) {
    std::string wide(n, '\0');
    source_.read(at, wide.data(), n);
    return e.dtype.name == "F64" ? narrowed<double, float>(e, wide.data())
                                 : narrowed<std::int64_t, std::int32_t>(e, wide.data());
  }
  const Tensor result = Tensor::empty(e.shape, e.dtype.memory);
  if (n > 0) source_.read(at, static_cast<char*>(result.data()), n);
  return result;
}

TensorFile Reader::read() const {
  std::uint64_t length = 0;
  if (source_.size < length_bytes)
    fail("expected a header length of 8 bytes, got a file of {} bytes", source_.size);
  source_.read(0, reinterpret_cast<char*>(&length), length_bytes);
  if (length > max_header || length > source_.size - length_bytes)
    fail("header of {} bytes in a file of {} bytes (cut, or not a safetensors file)", length,
         source_.size);
  TensorFile result;
  std::vector<Entry> entries;
  const json described = header(length);
  for (const auto& [name, value] : described.items()) {
    if (name != "__metadata__") {
      entries.push_back(entry(name, value));
      continue;
    }
    if (!value.is_object()) fail("__metadata__: expected an object, got {}", value.type_name());
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("__metadata__ '{}': expected a string", key);
      result.metadata.emplace(key, text.get<std::string>());
    }
  }
  const std::uint64_t data = length_bytes + length;
  check_ranges(entries, source_.size - data);
  for (const Entry& e : entries) result.tensors.emplace(e.name, tensor(e, data + e.begin));
  return result;
}

std::string_view file_name_of(Dtype dtype, const std::string& path, const std::string& tensor) {
  if (dtype == Dtype::f32) return "F32";
  if (dtype == Dtype::i32) return "I32";
  if (dtype == Dtype::u8) return "U8";
  throw IoError(fmt::format("safetensors '{}': tensor '{}': expected f32, i32 or u8, got {}", path,
                            tensor, name_of(dtype)));
}

}  // namespace

void save_safetensors(const std::string& path, const TensorFile& file) {
  // Wide elements first keeps every tensor aligned to its element.
  std::vector<std::pair<std::string, Tensor>> ordered;
  for (const auto& [name, tensor] : file.tensors) ordered.emplace_back(name, tensor.plain());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return size_of(a.second.dtype()) > size_of(b.second.dtype());
  });

  json header = json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : ordered) {
    json dims = json::array();
    for (int i = 0; i < tensor.shape().rank(); ++i) dims.push_back(tensor.shape()[i]);
    const std::uint64_t begin = end;
    end += tensor.bytes();
    header[name] = {{"dtype", file_name_of(tensor.dtype(), path, name)},
                    {"shape", std::move(dims)},
                    {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    throw IoError(
        fmt::format("safetensors '{}': a name or value is not UTF-8: {}", path, error.what()));
  }
  text.resize(round_up(static_cast<std::int64_t>(text.size()), length_bytes), ' ');
  if (text.size() > max_header)
    throw IoError(fmt::format("safetensors '{}': header of {} bytes, expected at most {}", path,
                              text.size(), max_header));

  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), length_bytes);
  bytes.reserve(length_bytes + length + end);
  bytes += text;
  for (const auto& [name, tensor] : ordered)
    bytes.append(static_cast<const char*>(tensor.to(Device{}).data()), tensor.bytes());
  write_file_atomically(path, bytes);
}

TensorFile load_safetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (!file || error) {
    throw IoError(fmt::format("file '{}': cannot be opened: {}", path,
                              error ? error.message() : std::strerror(errno)));
  }
  const auto read = [&](std::uint64_t at, char* to, std::uint64_t n) {
    file.seekg(static_cast<std::streamoff>(at));
    if (!file.read(to, static_cast<std::streamsize>(n))) {
      throw IoError(fmt::format("file '{}': cannot be read at byte {}", path, at));
    }
  };
  return Reader({size, read}, path).read();
}

TensorFile parse_safetensors(const char* bytes, std::size_t size, const std::string& name) {
  const auto read = [bytes](std::uint64_t at, char* to, std::uint64_t n) {
    std::memcpy(to, bytes + at, n);
  };
  return Reader({size, read}, name).read();
}

}  // namespace hac
