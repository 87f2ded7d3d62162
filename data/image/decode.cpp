#include "data/image/decode.h"

#include <fmt/format.h>

#include <utility>

#include "data/image/jpeg.h"
#include "data/image/png.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 30;

enum class Kind { jpeg, png };

// By the first bytes, since names lie. Throws IoError, with the name of other kinds.
Kind kind_of(std::string_view bytes, const std::string& where) {
  if (bytes.starts_with("\xff\xd8\xff")) return Kind::jpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return Kind::png;
  const auto name = [&]() -> std::string {
    if (bytes.starts_with("GIF8")) return "a GIF";
    if (bytes.starts_with("BM")) return "a BMP";
    if (bytes.starts_with("RIFF") && bytes.find("WEBP") == 8) return "a WebP";
    if (bytes.starts_with("II*") || bytes.starts_with(std::string_view("MM\0*", 4)))
      return "a TIFF";
    if (bytes.empty()) return "an empty file";
    return fmt::format("neither ({} bytes)", bytes.size());
  };
  throw IoError(fmt::format("image '{}': expected a JPEG or PNG file, got {}", where, name()));
}

}  // namespace

void check_pixels(std::int64_t width, std::int64_t height, std::int64_t max_pixels,
                  const std::string& where) {
  if (width < 1 || height < 1 || width > max_pixels / height) {
    throw IoError(fmt::format("image '{}': expected 1 to {} pixels, got {}x{}", where, max_pixels,
                              width, height));
  }
}

namespace {

// With the file's hint.
template <class Decode>
auto decoded(const EncodedImage& file, Decode decode) {
  try {
    return decode();
  } catch (const IoError& error) {
    throw IoError(file.hint.empty() ? error.what() : with_hint(error.what(), file.hint));
  }
}

}  // namespace

Sample decode(StoredImage image, const DecodeOptions& options) {
  if (auto* sample = std::get_if<Sample>(&image)) return std::move(*sample);
  if (const auto* v = std::get_if<SampleView>(&image)) {
    return {v->channels, v->height, v->width, {v->pixels.begin(), v->pixels.end()}};
  }
  const auto& file = std::get<EncodedImage>(image);
  return decoded(file, [&] { return decode_image(file.bytes, file.path, options); });
}

DecodedPart decode_part(StoredImage image, const ChooseBox& choose, std::int64_t side) {
  const auto part_of = [&](SampleView whole) {
    check_shape(whole);
    const Box box = choose(whole.height, whole.width);
    return DecodedPart{std::move(whole), window_of(box)};
  };
  if (auto* sample = std::get_if<Sample>(&image)) return part_of(view_of(std::move(*sample)));
  if (auto* view = std::get_if<SampleView>(&image)) return part_of(std::move(*view));
  const auto& file = std::get<EncodedImage>(image);
  return decoded(file, [&] {
    if (kind_of(file.bytes, file.path) == Kind::png) {
      return part_of(view_of(decode_png(file.bytes, file.path, default_max_pixels)));
    }
    return decode_jpeg_part(file.bytes, file.path, choose, side);
  });
}

Sample decode_image(std::string_view bytes, const std::string& where,
                    const DecodeOptions& options) {
  return kind_of(bytes, where) == Kind::jpeg ? decode_jpeg(bytes, where, options)
                                             : decode_png(bytes, where, options.max_pixels);
}

void check_image(std::string_view bytes, const std::string& where, std::int64_t max_pixels) {
  if (kind_of(bytes, where) == Kind::png) return check_png(bytes, where, max_pixels);
  decode_jpeg(bytes, where, {.shorter_side = 1, .max_pixels = max_pixels});
}

EncodedImage read_image_file(const std::string& path) {
  return {.bytes = read_file(path, max_file_bytes), .path = path};
}

Sample read_image(const std::string& path, const DecodeOptions& options) {
  return decode(read_image_file(path), options);
}

void check_image_file(const std::string& path) { check_image(read_image_file(path).bytes, path); }

}  // namespace hac
