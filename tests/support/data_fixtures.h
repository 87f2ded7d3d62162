#pragma once
// What the data tests make their files with: small encoders.

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
// jpeglib.h needs stdio.h before it.
#include <jpeglib.h>

#include "data/sets/image_set.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac::testing {

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string gzip(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

struct JpegForm {
  J_COLOR_SPACE colour = JCS_RGB;      // of the packed pixels: JCS_GRAYSCALE, JCS_RGB, JCS_CMYK
  J_COLOR_SPACE stored = JCS_UNKNOWN;  // in the file; unknown = libjpeg's choice
  int h = 1, v = 1;                    // subsampling of the chroma planes
  bool progressive = false;
  unsigned restart = 0;  // blocks between restart markers
  std::vector<jpeg_scan_info> scans;
};

inline std::string jpeg(const std::vector<std::uint8_t>& packed, int width, int height,
                        const JpegForm& form = {}) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&c, &buffer, &size);
  c.image_width = static_cast<JDIMENSION>(width);
  c.image_height = static_cast<JDIMENSION>(height);
  c.in_color_space = form.colour;
  c.input_components = form.colour == JCS_GRAYSCALE ? 1 : form.colour == JCS_CMYK ? 4 : 3;
  jpeg_set_defaults(&c);
  if (form.stored != JCS_UNKNOWN) jpeg_set_colorspace(&c, form.stored);
  jpeg_set_quality(&c, 95, TRUE);
  c.comp_info[0].h_samp_factor = form.h;
  c.comp_info[0].v_samp_factor = form.v;
  c.restart_interval = form.restart;
  if (form.progressive) jpeg_simple_progression(&c);
  if (!form.scans.empty()) {
    c.scan_info = form.scans.data();
    c.num_scans = static_cast<int>(form.scans.size());
  }
  jpeg_start_compress(&c, TRUE);
  const std::size_t stride = packed.size() / c.image_height;
  while (c.next_scanline < c.image_height) {
    auto* row = const_cast<JSAMPROW>(packed.data() + c.next_scanline * stride);
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  std::string bytes(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

inline std::string png_chunk(const std::string& type, const std::string& body) {
  const std::string data = type + body;
  const auto* bytes = reinterpret_cast<const Bytef*>(data.data());
  const auto crc = static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(data.size())));
  return big_endian(static_cast<std::uint32_t>(body.size())) + data + big_endian(crc);
}

inline std::string deflated(const std::string& bytes) {
  std::string packed(compressBound(bytes.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  packed.resize(size);
  return packed;
}

// Around what is compressed already; `before` holds the chunks between header and rows.
inline std::string png_of(const std::string& compressed, std::uint32_t width, std::uint32_t height,
                          int depth, int colour, const std::string& before = "",
                          bool interlaced = false) {
  const std::string header = big_endian(width) + big_endian(height) + static_cast<char>(depth) +
                             static_cast<char>(colour) + std::string(2, '\0') +
                             static_cast<char>(interlaced);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + before + png_chunk("IDAT", compressed) +
         png_chunk("IEND", "");
}

// `rows` holds a filter byte (0) before each row; colour is PNG's: 0 grey, 2 RGB, 3 palette, 4 grey
// and alpha, 6 RGBA.
inline std::string png(const std::string& rows, std::uint32_t width, std::uint32_t height,
                       int depth, int colour, const std::string& before = "") {
  return png_of(deflated(rows), width, height, depth, colour, before);
}

// Of one pixel each, which is the image's number.
inline DatasetPtr numbered_images(const std::vector<std::int32_t>& labels,
                                  const std::vector<std::string>& classes) {
  ImageSet set{.channels = 1, .resolution = 1, .labels = labels, .classes = classes};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(i));
  }
  return in_memory(set);
}

}  // namespace hac::testing
