#pragma once
// The vocabulary of every layer above: element types, devices, shapes and physical layouts.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace hac {

enum class Dtype : std::uint8_t { f32, bf16, f16, u8, i32 };

std::size_t size_of(Dtype dtype);  // bytes an element
std::string_view name_of(Dtype dtype);
Dtype parse_dtype(
    std::string_view name);  // "f32", "bf16", ...; throws ConfigError on anything else

enum class DeviceKind : std::uint8_t { cpu, cuda, simt };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  auto operator<=>(const Device&) const = default;
};

// "cpu", "cuda:0", "simt" (the first simulated device), "simt:1".
std::string to_string(Device device);
// Reads the same, and "cuda" for "cuda:0". Throws ConfigError on anything else.
Device parse_device(std::string_view text);

// Up to four dimensions in logical order: images are always (N, C, H, W), kernels (O, I, R, S).
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);  // throws ShapeError: > 4 dims or negative
  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t numel() const;
  std::string str() const;  // "(128, 64, 32, 32)"
  auto operator<=>(const Shape&) const = default;

 private:
  std::array<std::int64_t, 4> dims_{};
  int rank_ = 0;
};

// How a rank-4 tensor lies in memory. Lower ranks are always plain, and so are images on the CPU.
//   plain      (N, C, H, W)
//   blocked4   (N, ceil(C/4), H, W, 4)      oneDNN nChw4c, for NEON
//   blocked8   (N, ceil(C/8), H, W, 8)      oneDNN nChw8c, for AVX2; images for tensor cores
//   blocked16  (N, ceil(C/16), H, W, 16)    oneDNN nChw16c, for AVX-512
//   nhwc       (N, H, W, C)
// Channels that a block adds hold zero: kernels may read them, and must write them so.
enum class Layout : std::uint8_t { plain, blocked4, blocked8, blocked16, nhwc };

std::string_view name_of(Layout layout);

// Of activations: nhwc on cuda and simt; on the CPU plain for C <= 3 (the images) and for ranks
// below 4, else blocked by the vector width of the instruction set in use
// (isa.h).
Layout layout_of(Device device, const Shape& shape);
// Of a convolution's weights (K, C/groups, R, S) and their gradient: nhwc, that is (K, R, S,
// C/groups), on cuda and simt, plain on the CPU.
Layout weight_layout(Device device);

// Channels in a block: 1 for plain (N, C, H, W), 4, 8, 16, or C for nhwc. With b = block and
// C' = padded_channels, every layout is (N, C'/b, H, W, b).
std::int64_t block_of(Layout layout, std::int64_t channels);
std::int64_t padded_channels(Layout layout, std::int64_t channels);
std::int64_t storage_elements(Layout layout, const Shape& shape);

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
inline std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

// A kernel's untyped operand as what it holds; const stays const.
template <class T>
constexpr const T* as(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
constexpr T* as(void* p) {
  return static_cast<T*>(p);
}

}  // namespace hac
