#include "data/image/png.h"

#include <fmt/format.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "data/image/exif.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

struct Header {
  std::int64_t width = 0, height = 0;
  int orientation = 1;
};

std::uint32_t integer(std::string_view bytes, std::size_t at) {
  return png_get_uint_32(reinterpret_cast<png_const_bytep>(bytes.data() + at));
}

// Walks all chunks: libpng would take eXIf no longer once the rows are read.
Header read_chunks(std::string_view bytes, const std::string& where) {
  const auto require = [&](bool ok, const char* what) {
    if (!ok) throw IoError(fmt::format("image '{}': corrupt PNG: {}", where, what));
  };
  constexpr std::size_t signature = 8, around = 12;  // length, type and checksum of a chunk
  Header header;
  for (std::size_t at = signature;;) {
    require(bytes.size() - at >= around, "it is cut: no end chunk");
    const std::size_t length = integer(bytes, at);
    require(bytes.size() - at - around >= length, "it is cut in a chunk");
    const std::string_view named = bytes.substr(at + 4, 4 + length), body = named.substr(4);
    const std::string_view type = named.substr(0, 4);
    const auto* data = reinterpret_cast<const Bytef*>(named.data());
    require(crc32_z(0, data, named.size()) == integer(bytes, at + 8 + length),
            "wrong checksum of a chunk");
    if (at == signature) {
      require(type == "IHDR" && length == 13, "its first chunk is no header");
      header.width = integer(body, 0);
      header.height = integer(body, 4);
    }
    if (type == "eXIf") header.orientation = exif_orientation(body);
    if (type == "IEND") return header;
    at += around + length;
  }
}

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& where) : where_(where), rest_(bytes) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, leave, warn);
    if (png) info = png_create_info_struct(png);
    if (!info) throw IoError(fmt::format("image '{}': libpng cannot start", where));
    png_set_read_fn(png, this, [](png_structp p, png_bytep out, std::size_t n) {
      auto& rest = static_cast<Reader*>(png_get_io_ptr(p))->rest_;
      if (rest.size() < n) png_error(p, "it is cut");
      std::memcpy(out, rest.data(), n);
      rest.remove_prefix(n);
    });
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Calls of libpng end with a longjmp to here: nothing in them may need a destructor.
  template <class Calls>
  void run(const Calls& calls) {
    if (setjmp(jump_)) throw IoError(fmt::format("image '{}': corrupt PNG: {}", where_, message_));
    calls();
  }

  png_structp png = nullptr;
  png_infop info = nullptr;

 private:
  [[noreturn]] static void leave(png_structp png, png_const_charp message) {
    auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
    std::snprintf(reader->message_, sizeof reader->message_, "%s", message);
    std::longjmp(reader->jump_, 1);
  }
  // A wrong checksum at the end of the rows is no more than a warning to libpng.
  static void warn(png_structp png, png_const_charp message) {
    if (std::strncmp(message, "IDAT", 4) == 0) leave(png, message);
  }

  const std::string& where_;
  std::string_view rest_;
  std::jmp_buf jump_{};
  char message_[200]{};
};

// What has no influence on the pixels is not even looked at: broken colour profiles are common.
void ask_for_rgb(png_structp png) {
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER,
                              reinterpret_cast<png_const_bytep>("tRNS"), 1);
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
}

}  // namespace

Sample decode_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels) {
  const Header header = read_chunks(bytes, where);
  check_pixels(header.width, header.height, max_pixels, where);
  Reader reader(bytes, where);
  const png_structp png = reader.png;
  int passes = 1;
  reader.run([&] {
    ask_for_rgb(png);
    png_read_info(png, reader.info);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.info);
  });

  UprightImage image(header.height, header.width, header.orientation);
  const std::int64_t stride = 3 * header.width;
  // An interlaced image comes in passes over all of its rows.
  std::vector<std::uint8_t> rows(passes > 1 ? header.height * stride : stride);
  reader.run([&] {
    if (png_get_rowbytes(png, reader.info) != static_cast<std::size_t>(stride)) {
      png_error(png, "its rows are no RGB");
    }
    for (int pass = 0; pass < passes; ++pass) {
      for (std::int64_t y = 0; y < header.height; ++y) {
        std::uint8_t* row = rows.data() + (passes > 1 ? y * stride : 0);
        png_read_row(png, row, nullptr);
        if (pass == passes - 1) image.put_row(y, row, 3);
      }
    }
    png_read_end(png, nullptr);
  });
  return image.take();
}

void check_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels) {
  const Header header = read_chunks(bytes, where);
  check_pixels(header.width, header.height, max_pixels, where);
}

}  // namespace hac
