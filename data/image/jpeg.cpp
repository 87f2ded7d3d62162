#include "data/image/jpeg.h"

// jpeglib.h needs size_t and FILE.
#include <fmt/format.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "data/image/exif.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr int exif_marker = JPEG_APP0 + 1;
constexpr int max_scans = 500;  // hostile files repeat cheap scans; cameras write about ten

// libjpeg's warnings after which every pixel is as its encoder meant it. Left-over bytes are so
// only before the first scan: later they are what rows that lost step did not take.
bool is_harmless(const jpeg_decompress_struct& codec) {
  switch (codec.err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:  // Ss, Se, Ah, Al of a scan that has no use for them
      return true;
    case JWRN_EXTRANEOUS_DATA:
      return codec.input_scan_number == 0;
    default:
      return false;
  }
}

class Decoder {
 public:
  explicit Decoder(const std::string& where) : where_(where) {
    codec.err = jpeg_std_error(&error_.base);
    error_.base.error_exit = leave;
    error_.base.emit_message = [](j_common_ptr c, int level) {
      if (level < 0 && !is_harmless(*reinterpret_cast<j_decompress_ptr>(c))) leave(c);
    };
    progress_.progress_monitor = [](j_common_ptr c) {
      if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number <= max_scans) return;
      ERREXIT(c, JERR_BAD_PROGRESSION);
    };
  }
  ~Decoder() { jpeg_destroy_decompress(&codec); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Calls of libjpeg end with a longjmp to here: nothing in them may need a destructor.
  template <class Calls>
  void run(const Calls& calls) {
    if (setjmp(error_.jump)) {
      throw IoError(fmt::format("image '{}': corrupt JPEG: {}", where_, error_.message));
    }
    calls();
  }

  void open(std::string_view bytes) {
    run([&] {
      jpeg_create_decompress(&codec);
      codec.progress = &progress_;
      jpeg_save_markers(&codec, exif_marker, 0xFFFF);
      jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&codec, TRUE);
    });
  }

  jpeg_decompress_struct codec{};

 private:
  struct Error {
    jpeg_error_mgr base;
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
  };

  [[noreturn]] static void leave(j_common_ptr codec) {
    auto* error = reinterpret_cast<Error*>(codec->err);
    error->base.format_message(codec, error->message);
    std::longjmp(error->jump, 1);
  }

  const std::string& where_;
  Error error_{};
  jpeg_progress_mgr progress_{};
};

int orientation_of(const jpeg_decompress_struct& codec) {
  for (const jpeg_marker_struct* m = codec.marker_list; m; m = m->next) {
    const std::string_view body(reinterpret_cast<const char*>(m->data), m->data_length);
    if (m->marker == exif_marker && body.starts_with(exif_header)) return exif_orientation(body);
  }
  return 1;
}

// The smallest n/8 of full size with a shorter side of at least `shorter_side`.
unsigned choose_eighths(unsigned shorter, std::int64_t shorter_side) {
  unsigned n = 8;
  while (shorter_side > 0 && n > 1 && (shorter * (n - 1) + 7) / 8 >= shorter_side) --n;
  return n;
}

// The smallest of 8, 4, 2 and 1 eighths with a box of at least `side`: libjpeg-turbo has no vector
// instructions for the others, and each of 5 to 7 takes longer than the whole.
unsigned choose_part_eighths(const Box& box, std::int64_t side) {
  unsigned n = 8;
  while (n > 1 && std::min(box.height, box.width) * (n / 2) >= 8 * side) n /= 2;
  return n;
}

// CMYK as Adobe writes it and all browsers and Pillow read it, whatever the markers say: 255 is no
// ink. In place; rounded as Pillow does.
void cmyk_to_rgb(std::uint8_t* row, std::int64_t width) {
  for (std::int64_t x = 0; x < width; ++x) {
    const int black = row[4 * x + 3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - row[4 * x + c]) * black + 128;
      row[4 * x + c] =
          static_cast<std::uint8_t>(std::clamp(black - ((product >> 8) + product) / 256, 0, 255));
    }
  }
}

// Pixels of the image at the scale it is decoded at.
Box pixels_around(const Window& window, const jpeg_decompress_struct& codec) {
  const auto whole = [](double x) { return static_cast<std::int64_t>(x); };
  const std::int64_t top = whole(window.top), left = whole(window.left);
  const std::int64_t bottom = whole(std::ceil(window.top + window.height)),
                     right = whole(std::ceil(window.left + window.width));
  return {top, left, std::min<std::int64_t>(bottom, codec.output_height) - top,
          std::min<std::int64_t>(right, codec.output_width) - left};
}

// Has libjpeg decode the columns and rows around a box, and returns its first column among them.
// The upsampling of chroma looks at the neighbours of a pixel, so some more are asked for.
std::int64_t skip_to(const Box& box, jpeg_decompress_struct& codec) {
  constexpr std::int64_t margin = 8;
  const std::int64_t right =
      std::min<std::int64_t>(box.left + box.width + margin, codec.output_width);
  auto first = static_cast<JDIMENSION>(std::max<std::int64_t>(0, box.left - margin));
  auto columns = static_cast<JDIMENSION>(right) - first;
  if (columns < codec.output_width) jpeg_crop_scanline(&codec, &first, &columns);
  if (box.top > margin) jpeg_skip_scanlines(&codec, static_cast<JDIMENSION>(box.top - margin));
  return box.left - first;
}

bool is_cmyk(const jpeg_decompress_struct& codec) {
  return codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK;
}

void start(Decoder& decoder, unsigned eighths) {
  jpeg_decompress_struct& codec = decoder.codec;
  codec.out_color_space = is_cmyk(codec) ? JCS_CMYK : JCS_EXT_RGBX;
  codec.scale_num = eighths;
  codec.scale_denom = 8;
  decoder.run([&] { jpeg_start_decompress(&codec); });
}

// A box of what is being decoded; the rest of the file is read only where it reaches the end.
Sample read_box(Decoder& decoder, const Box& box) {
  jpeg_decompress_struct& codec = decoder.codec;
  UprightImage image(box.height, box.width, orientation_of(codec));
  const bool cmyk = is_cmyk(codec);
  std::vector<std::uint8_t> row(std::size_t{4} * codec.output_width);
  decoder.run([&] {
    const std::int64_t first = skip_to(box, codec);
    while (codec.output_scanline < box.top + box.height) {
      const std::int64_t y = codec.output_scanline - box.top;
      JSAMPROW rows[] = {row.data()};
      jpeg_read_scanlines(&codec, rows, 1);
      if (y < 0) continue;
      if (cmyk) cmyk_to_rgb(row.data(), codec.output_width);
      image.put_row(y, row.data() + 4 * first, 4);
    }
    if (codec.output_scanline == codec.output_height) jpeg_finish_decompress(&codec);
  });
  return image.take();
}

}  // namespace

Sample decode_jpeg(std::string_view bytes, const std::string& where, const DecodeOptions& options) {
  Decoder decoder(where);
  const jpeg_decompress_struct& codec = decoder.codec;
  decoder.open(bytes);
  check_pixels(codec.image_width, codec.image_height, options.max_pixels, where);
  start(decoder,
        choose_eighths(std::min(codec.image_width, codec.image_height), options.shorter_side));
  return read_box(decoder, {0, 0, codec.output_height, codec.output_width});
}

DecodedPart decode_jpeg_part(std::string_view bytes, const std::string& where,
                             const ChooseBox& choose, std::int64_t side) {
  Decoder decoder(where);
  const jpeg_decompress_struct& codec = decoder.codec;
  decoder.open(bytes);
  std::int64_t height = codec.image_height, width = codec.image_width;
  check_pixels(width, height, default_max_pixels, where);
  const int orientation = orientation_of(codec);
  if (is_transposed(orientation)) std::swap(height, width);
  const Box box = choose(height, width);
  const unsigned eighths = choose_part_eighths(box, side);
  start(decoder, eighths);

  Window stored = turned(window_of(box), static_cast<double>(height), static_cast<double>(width),
                         inverse_orientation(orientation));
  for (double* x : {&stored.top, &stored.left, &stored.height, &stored.width}) *x *= eighths / 8.0;
  const Box pixels = pixels_around(stored, codec);
  stored.top -= static_cast<double>(pixels.top);
  stored.left -= static_cast<double>(pixels.left);
  return {view_of(read_box(decoder, pixels)),
          turned(stored, static_cast<double>(pixels.height), static_cast<double>(pixels.width),
                 orientation)};
}

}  // namespace hac
