#include "data/decode.h"

#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <memory>

#include "data/exif.h"
#include "data/png.h"
#include "engine/file.h"
#include "kernels/error.h"

namespace hac {
namespace {

constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 28;

struct Close {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using Decompressor = std::unique_ptr<void, Close>;

// A warning leaves an image behind, but of what? Only junk between the last row and the end marker
// is harmless, and real photo collections have it.
void check(int status, tjhandle handle, const std::string& where) {
  if (status == 0) return;
  const std::string_view message = tjGetErrorStr2(handle);
  const bool harmless = tjGetErrorCode(handle) == TJERR_WARNING &&
                        message.find("extraneous bytes before marker 0xd9") != message.npos;
  if (!harmless) throw IoError(fmt::format("image '{}': corrupt JPEG: {}", where, message));
}

// The smallest size that libjpeg-turbo offers with a shorter side of at least `shorter_side`.
tjscalingfactor choose_scale(int width, int height, std::int64_t shorter_side) {
  tjscalingfactor best{1, 1};
  if (shorter_side <= 0) return best;
  int count = 0;
  const tjscalingfactor* factors = tjGetScalingFactors(&count);
  for (int i = 0; i < count; ++i) {
    const bool smaller = factors[i].num * best.denom < best.num * factors[i].denom;
    if (smaller && TJSCALED(std::min(width, height), factors[i]) >= shorter_side) best = factors[i];
  }
  return best;
}

Sample planar(const std::vector<std::uint8_t>& packed, std::int64_t height, std::int64_t width) {
  Sample sample{3, height, width, {}, 0};
  const std::int64_t plane = height * width;
  sample.pixels.resize(3 * plane);
  for (std::int64_t c = 0; c < 3; ++c) {
    std::uint8_t* out = sample.pixels.data() + c * plane;
    for (std::int64_t i = 0; i < plane; ++i) out[i] = packed[3 * i + c];
  }
  return sample;
}

// Adobe writes CMYK inverted, and so does nearly everyone; 255 is no ink.
std::vector<std::uint8_t> cmyk_to_rgb(const std::vector<std::uint8_t>& cmyk) {
  std::vector<std::uint8_t> rgb(cmyk.size() / 4 * 3);
  for (std::size_t i = 0; i < rgb.size() / 3; ++i) {
    const int black = cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      rgb[3 * i + c] = static_cast<std::uint8_t>((cmyk[4 * i + c] * black + 127) / 255);
    }
  }
  return rgb;
}

Sample decode_jpeg(std::string_view bytes, const std::string& where, const DecodeOptions& options) {
  const Decompressor decompressor(tjInitDecompress());
  tjhandle handle = decompressor.get();
  if (!handle) throw IoError(fmt::format("image '{}': libjpeg-turbo cannot start", where));
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, subsampling = 0, colours = 0;
  check(tjDecompressHeader3(handle, data, bytes.size(), &width, &height, &subsampling, &colours),
        handle, where);
  check_pixels(width, height, options.max_pixels, where);

  const tjscalingfactor scale = choose_scale(width, height, options.shorter_side);
  width = TJSCALED(width, scale);
  height = TJSCALED(height, scale);
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const int format = cmyk ? TJPF_CMYK : TJPF_RGB;
  std::vector<std::uint8_t> packed(std::size_t(tjPixelSize[format]) * width * height);
  check(tjDecompress2(handle, data, bytes.size(), packed.data(), width, 0, height, format,
                      TJFLAG_LIMITSCANS),
        handle, where);
  if (cmyk) packed = cmyk_to_rgb(packed);
  return upright(planar(packed, height, width), exif_orientation(bytes));
}

}  // namespace

void check_pixels(std::int64_t width, std::int64_t height, std::int64_t max_pixels,
                  const std::string& where) {
  if (width < 1 || height < 1 || width > max_pixels / height) {
    throw IoError(fmt::format("image '{}': expected 1 to {} pixels, got {}x{}", where, max_pixels,
                              width, height));
  }
}

Sample decode_image(std::string_view bytes, const std::string& where,
                    const DecodeOptions& options) {
  if (bytes.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, where, options);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) {
    const Png png = decode_png(bytes, where, options.max_pixels);
    return planar(png.rgb, png.height, png.width);
  }
  throw IoError(fmt::format("image '{}': expected a JPEG or PNG file, got neither ({} bytes)",
                            where, bytes.size()));
}

Sample read_image(const std::string& path, const DecodeOptions& options) {
  return decode_image(read_file(path, max_file_bytes), path, options);
}

}  // namespace hac
