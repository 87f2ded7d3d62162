#include "engine/io/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
#include <optional>
#include <set>
#include <tuple>

#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "kernels/core/half.h"

namespace hac {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

using json = nlohmann::json;

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // the limit of the reference implementation

// The element types that the format knows, with their bytes.
constexpr std::pair<std::string_view, std::uint64_t> element_bytes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
    {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};

constexpr const char* readable = "F32, F16, BF16, F64, I32, I64 or U8";

// How many bytes these elements take; nothing where only a later format knows. Zeros in the shape
// count as ones on the way: (2^31, 2^31, 2^31, 0) must not overflow.
std::optional<std::uint64_t> bytes_of(const std::string& dtype,
                                      const std::vector<std::uint64_t>& shape, bool& overflow) {
  std::uint64_t bytes = 0;
  for (const auto& [name, size] : element_bytes)
    if (name == dtype) bytes = size;
  const bool known = bytes > 0;
  bool empty = false;
  bytes = std::max<std::uint64_t>(bytes, 1);
  for (const std::uint64_t dim : shape) {
    overflow = __builtin_mul_overflow(bytes, std::max<std::uint64_t>(dim, 1), &bytes) || overflow;
    empty = empty || dim == 0;
  }
  if (!known) return std::nullopt;
  return empty ? 0 : bytes;
}

Shape as_shape(const std::vector<std::uint64_t>& dims) {
  return shape_of(std::vector<std::int64_t>(dims.begin(), dims.end()));
}

// A JSON object with the same key twice keeps the last one, silently; the format forbids it.
class HeaderChecks {
 public:
  // "" or what is wrong.
  std::string see(int depth, json::parse_event_t event, const json& parsed) {
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth > 2) return "header is nested too deep";
    if (opens && depth < 2) keys_[depth].clear();
    if (event != json::parse_event_t::key || depth > 2) return "";
    const auto& key = parsed.get_ref<const std::string&>();
    return keys_[depth - 1].insert(key).second ? "" : "header names '" + key + "' twice";
  }

 private:
  std::set<std::string> keys_[2];
};

}  // namespace

// The bytes of a file. `read` copies n of them, at and at + n within the size.
struct SafetensorsReader::Source {
  std::string name;
  std::uint64_t size = 0;
  std::function<void(std::uint64_t at, char* to, std::uint64_t n)> read;
  std::uint64_t data = 0;  // where the header ends

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> form, Args&&... args) const {
    throw IoError(
        fmt::format("safetensors '{}': {}", name, fmt::format(form, std::forward<Args>(args)...)));
  }

  json header();
  TensorInfo info(const std::string& tensor, const json& value) const;
  void check_ranges(const std::map<std::string, TensorInfo>& tensors) const;
  template <class From, class To>
  Tensor converted(const std::string& tensor, const TensorInfo& info, Dtype memory) const;
};

json SafetensorsReader::Source::header() {
  std::uint64_t length = 0;
  if (size < length_bytes)
    fail("expected a header length of 8 bytes, got a file of {} bytes", size);
  read(0, reinterpret_cast<char*>(&length), length_bytes);
  if (length > max_header || length > size - length_bytes)
    fail("header of {} bytes in a file of {} bytes (cut, or not a safetensors file)", length, size);
  data = length_bytes + length;
  std::string text(length, '\0');
  read(length_bytes, text.data(), length);
  // What a lenient parser would pass over: a byte order mark, an end at a NUL.
  if (!text.starts_with('{')) fail("header: expected a JSON object, which begins with '{{'");
  if (text.find('\0') != text.npos) fail("header holds a NUL byte, expected JSON padded by spaces");
  HeaderChecks checks;
  json result;
  try {
    result = json::parse(text, [&](int depth, json::parse_event_t event, json& parsed) {
      const std::string wrong = checks.see(depth, event, parsed);
      if (!wrong.empty()) fail("{}", wrong);
      return true;
    });
  } catch (const json::exception& error) {
    fail("header is not JSON: {}", error.what());
  }
  if (text[text.find_last_not_of(' ')] != '}') fail("header: expected to be padded by spaces only");
  return result;
}

TensorInfo SafetensorsReader::Source::info(const std::string& tensor, const json& value) const {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value["dtype"].is_string() || !value.contains("shape") || !value.contains("data_offsets"))
    fail("tensor '{}': expected dtype, shape and data_offsets", tensor);
  TensorInfo t{.dtype = value["dtype"]};
  const json &shape = value["shape"], &range = value["data_offsets"];
  if (!shape.is_array()) fail("tensor '{}': expected a shape, a list of sizes", tensor);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].is_number_unsigned())
      fail("tensor '{}': dim {} of the shape is not a size", tensor, i);
    t.shape.push_back(shape[i]);
  }
  if (!range.is_array() || range.size() != 2 || !range[0].is_number_unsigned() ||
      !range[1].is_number_unsigned())
    fail("tensor '{}': data_offsets: expected two offsets", tensor);
  t.begin = range[0];
  t.end = range[1];
  bool overflow = false;
  const std::optional<std::uint64_t> expected = bytes_of(t.dtype, t.shape, overflow);
  if (overflow) fail("tensor '{}': shape overflows", tensor);
  if (t.end < t.begin || (expected && t.end - t.begin != *expected))
    fail("tensor '{}': {} needs {} bytes, data_offsets are [{}, {})", tensor, t.str(),
         expected.value_or(0), t.begin, t.end);
  return t;
}

// The format wants the data covered exactly: nothing shared, nothing left out.
void SafetensorsReader::Source::check_ranges(
    const std::map<std::string, TensorInfo>& tensors) const {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string_view>> ranges;
  for (const auto& [name, t] : tensors) ranges.emplace_back(t.begin, t.end, name);
  std::sort(ranges.begin(), ranges.end());
  const std::uint64_t bytes = size - data;
  std::uint64_t at = 0;
  for (const auto& [begin, end, tensor] : ranges) {
    if (end > bytes)
      fail("tensor '{}': ends at byte {}, the data has {} (is the file cut?)", tensor, end, bytes);
    if (begin < at) fail("tensor '{}': overlaps the one before it", tensor);
    if (begin > at) fail("tensor '{}': {} unused bytes before it", tensor, begin - at);
    at = end;
  }
  if (at != bytes) fail("{} unused bytes at the end", bytes - at);
}

template <class From, class To>
Tensor SafetensorsReader::Source::converted(const std::string& tensor, const TensorInfo& info,
                                            Dtype memory) const {
  const Tensor result = Tensor::empty(as_shape(info.shape), memory);
  std::vector<From> values(static_cast<std::size_t>(result.numel()));
  read(data + info.begin, reinterpret_cast<char*>(values.data()), info.end - info.begin);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_arithmetic_v<From>) {
      const From limit = static_cast<From>(std::numeric_limits<To>::max());
      const From lowest = static_cast<From>(std::numeric_limits<To>::lowest());
      bool fits = values[i] >= lowest && values[i] <= limit;
      if constexpr (std::is_floating_point_v<From>) fits = fits || !std::isfinite(values[i]);
      if (!fits)
        fail("tensor '{}': {} value {} at {} does not fit into {}", tensor, info.dtype, values[i],
             i, name_of(memory));
      result.as<To>()[i] = static_cast<To>(values[i]);
    } else {
      result.as<To>()[i] = to_float(values[i]);
    }
  }
  return result;
}

std::string TensorInfo::str() const {
  return fmt::format("{} ({})", dtype, fmt::join(shape, ", "));
}

SafetensorsReader::SafetensorsReader(Source opened)
    : source_(std::make_unique<Source>(std::move(opened))) {
  const json described = source_->header();
  for (const auto& [name, value] : described.items()) {
    if (name != "__metadata__") {
      tensors_.emplace(name, source_->info(name, value));
      continue;
    }
    if (!value.is_object()) source_->fail("__metadata__: expected an object of strings");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) source_->fail("__metadata__ '{}': expected a string", key);
      metadata_.emplace(key, text.get<std::string>());
    }
  }
  source_->check_ranges(tensors_);
}

SafetensorsReader::SafetensorsReader(const std::string& path) : SafetensorsReader(open(path)) {}

SafetensorsReader::SafetensorsReader(std::string_view bytes, const std::string& name)
    : SafetensorsReader(
          {.name = name, .size = bytes.size(), .read = [bytes](auto at, char* to, auto n) {
             std::memcpy(to, bytes.data() + at, n);
           }}) {}

SafetensorsReader::~SafetensorsReader() = default;

SafetensorsReader::Source SafetensorsReader::open(const std::string& path) {
  const auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (!*file || error) {
    throw IoError(fmt::format("file '{}': cannot be opened: {}", path,
                              error ? error.message() : std::strerror(errno)));
  }
  return {.name = path, .size = size, .read = [file, path](auto at, char* to, auto n) {
            file->seekg(static_cast<std::streamoff>(at));
            if (!file->read(to, static_cast<std::streamsize>(n))) {
              throw IoError(fmt::format("file '{}': cannot be read at byte {}", path, at));
            }
          }};
}

Tensor SafetensorsReader::read(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) source_->fail("tensor '{}': it is not there", name);
  const TensorInfo& t = it->second;
  if (t.shape.size() > 4)
    source_->fail("tensor '{}': expected at most 4 dims, got {}", name, t.str());
  for (const std::uint64_t dim : t.shape) {
    if (dim > std::numeric_limits<std::int32_t>::max())
      source_->fail("tensor '{}': expected dims of at most 2^31 - 1, got {}", name, t.str());
  }
  const auto plain = [&](Dtype dtype) {
    const Tensor result = Tensor::empty(as_shape(t.shape), dtype);
    if (t.end > t.begin) {
      source_->read(source_->data + t.begin, static_cast<char*>(result.data()), t.end - t.begin);
    }
    return result;
  };
  if (t.dtype == "F32") return plain(Dtype::f32);
  if (t.dtype == "I32") return plain(Dtype::i32);
  if (t.dtype == "U8") return plain(Dtype::u8);
  if (t.dtype == "F16") return source_->converted<f16, float>(name, t, Dtype::f32);
  if (t.dtype == "BF16") return source_->converted<bf16, float>(name, t, Dtype::f32);
  if (t.dtype == "F64") return source_->converted<double, float>(name, t, Dtype::f32);
  if (t.dtype == "I64") return source_->converted<std::int64_t, std::int32_t>(name, t, Dtype::i32);
  source_->fail("tensor '{}': expected dtype {}, got {}", name, readable, t.str());
}

namespace {

TensorFile read_all(const SafetensorsReader& reader) {
  TensorFile file{.metadata = reader.metadata()};
  for (const auto& [name, info] : reader.tensors()) file.tensors.emplace(name, reader.read(name));
  return file;
}

std::string_view file_name_of(Dtype dtype, const std::string& path, const std::string& tensor) {
  if (dtype == Dtype::f32) return "F32";
  if (dtype == Dtype::i32) return "I32";
  if (dtype == Dtype::u8) return "U8";
  throw IoError(fmt::format("safetensors '{}': tensor '{}': expected f32, i32 or u8, got {}", path,
                            tensor, name_of(dtype)));
}

}  // namespace

SafetensorsLayout lay_out(const TensorFile& file, const std::string& path) {
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
  SafetensorsLayout layout;
  layout.head.assign(reinterpret_cast<const char*>(&length), length_bytes) += text;
  layout.bytes = layout.head.size();
  for (auto& [name, tensor] : ordered) {
    const std::uint64_t begin = layout.bytes;
    layout.bytes += tensor.bytes();
    layout.tensors.push_back({begin, std::move(tensor)});
  }
  return layout;
}

void save_safetensors(const std::string& path, const TensorFile& file) {
  const SafetensorsLayout layout = lay_out(file, path);
  std::string bytes;
  bytes.reserve(layout.bytes);
  bytes += layout.head;
  for (const auto& [begin, tensor] : layout.tensors)
    bytes.append(static_cast<const char*>(tensor.to(Device{}).data()), tensor.bytes());
  write_file_atomically(path, bytes);
}

TensorFile load_safetensors(const std::string& path) { return read_all(SafetensorsReader(path)); }

TensorFile parse_safetensors(std::string_view bytes, const std::string& name) {
  return read_all(SafetensorsReader(bytes, name));
}

}  // namespace hac
