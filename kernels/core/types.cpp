#include "kernels/core/types.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "kernels/core/error.h"
#include "kernels/core/isa.h"

namespace hac {

std::size_t size_of(Dtype dtype) {
  constexpr std::size_t bytes[] = {4, 2, 2, 1, 4};
  return bytes[static_cast<int>(dtype)];
}

std::string_view name_of(Dtype dtype) {
  constexpr std::string_view names[] = {"f32", "bf16", "f16", "u8", "i32"};
  return names[static_cast<int>(dtype)];
}

Dtype parse_dtype(std::string_view name) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::u8, Dtype::i32}) {
    if (name == name_of(dtype)) return dtype;
  }
  throw ConfigError(fmt::format("dtype '{}': expected f32, bf16 or f16", name));
}

std::string_view name_of(Layout layout) {
  constexpr std::string_view names[] = {"plain", "blocked4", "blocked8", "blocked16", "nhwc"};
  return names[static_cast<int>(layout)];
}

std::string to_string(Device device) {
  if (device.kind == DeviceKind::cpu) return "cpu";
  if (device.kind == DeviceKind::cuda) return fmt::format("cuda:{}", device.index);
  return device.index == 0 ? "simt" : fmt::format("simt:{}", device.index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {};
  for (const auto& [kind, prefix] : {std::pair(DeviceKind::cuda, std::string_view("cuda:")),
                                     std::pair(DeviceKind::simt, std::string_view("simt:"))}) {
    if (text == prefix.substr(0, 4)) return {kind, 0};
    if (!text.starts_with(prefix)) continue;
    Device device{kind, 0};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, device.index);
    if (error == std::errc() && stop == end && device.index >= 0) return device;
  }
  throw ConfigError(fmt::format("device '{}': expected cpu, simt or cuda:N", text));
}

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  if (dims.size() > 4) throw ShapeError(fmt::format("shape: at most 4 dims, got {}", dims.size()));
  for (const std::int64_t d : dims) {
    if (d < 0) throw ShapeError(fmt::format("shape: dim {} is {}, expected >= 0", rank_, d));
    dims_[rank_++] = d;
  }
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= dims_[i];
  return n;
}

std::string Shape::str() const {
  return fmt::format("({})", fmt::join(dims_.begin(), dims_.begin() + rank_, ", "));
}

Layout layout_of(Device device, const Shape& shape) {
  if (shape.rank() != 4) return Layout::plain;
  if (device.kind != DeviceKind::cpu) return Layout::nhwc;
  if (shape[1] <= 3) return Layout::plain;
  const int lanes = cpu::vector_lanes();
  return lanes == 16 ? Layout::blocked16 : lanes == 8 ? Layout::blocked8 : Layout::blocked4;
}

Layout weight_layout(Device device) {
  return device.kind == DeviceKind::cpu ? Layout::plain : Layout::nhwc;
}

std::int64_t block_of(Layout layout, std::int64_t channels) {
  constexpr std::int64_t blocks[] = {1, 4, 8, 16};
  return layout == Layout::nhwc ? channels : blocks[static_cast<int>(layout)];
}

std::int64_t padded_channels(Layout layout, std::int64_t channels) {
  return round_up(channels, std::max<std::int64_t>(1, block_of(layout, channels)));
}

std::int64_t storage_elements(Layout layout, const Shape& shape) {
  if (shape.rank() != 4) return shape.numel();
  return shape[0] * padded_channels(layout, shape[1]) * shape[2] * shape[3];
}

}  // namespace hac
