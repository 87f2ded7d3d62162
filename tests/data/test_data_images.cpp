// JPEG, and what all images have in common.

#include <cmath>
#include <csetjmp>

#include "data/image/decode.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::Colour;
using testing::expect_colour;
using testing::expect_quadrants;
using testing::jpeg;
using testing::png;
using testing::quadrants;
using testing::segment;
using testing::with;

// Without the JFIF segment, which comes first and outweighs Adobe's.
std::string without_jfif(const std::string& jpeg_bytes) {
  return jpeg_bytes.substr(0, 2) + jpeg_bytes.substr(20);
}

// --- JPEG ---

TEST(Jpeg, DecodesEverySubsamplingAndOddSizes) {
  for (const auto& [h, v] : {std::pair(1, 1), std::pair(2, 1), std::pair(2, 2)}) {
    for (const bool progressive : {false, true}) {
      const Sample s = decode_image(
          jpeg(quadrants(45, 61), 61, 45, {.h = h, .v = v, .progressive = progressive}), "x.jpg");
      ASSERT_EQ(s.channels, 3);
      ASSERT_EQ(s.height, 45);
      ASSERT_EQ(s.width, 61);
      expect_quadrants(s, 12);
    }
  }
}

TEST(Jpeg, GreyBecomesRgb) {
  std::vector<std::uint8_t> grey(24 * 16);
  for (std::size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<std::uint8_t>(i % 24 * 10);
  const Sample s = decode_image(jpeg(grey, 24, 16, {.colour = JCS_GRAYSCALE}), "x.jpg");
  ASSERT_EQ(s.channels, 3);
  for (int i = 0; i < 24 * 16; ++i) {
    EXPECT_NEAR(s.pixels[i], grey[i], 4);
    EXPECT_EQ(s.pixels[i], s.pixels[384 + i]);
    EXPECT_EQ(s.pixels[i], s.pixels[768 + i]);
  }
}

TEST(Jpeg, CmykBecomesRgb) {
  // Adobe's inverted ink: no ink is 255. Red is no cyan, full magenta and yellow.
  const std::vector<std::pair<std::array<std::uint8_t, 4>, Colour>> inks{
      {{255, 0, 0, 255}, {255, 0, 0}},
      {{255, 255, 255, 255}, {255, 255, 255}},
      {{255, 255, 255, 0}, {0, 0, 0}},
      {{200, 100, 50, 128}, {100, 50, 25}}};
  for (const auto& [ink, colour] : inks) {
    std::vector<std::uint8_t> packed;
    for (int i = 0; i < 16 * 16; ++i) packed.insert(packed.end(), ink.begin(), ink.end());
    for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
      std::string bytes = jpeg(packed, 16, 16, {.colour = JCS_CMYK, .stored = stored});
      const Sample s = decode_image(bytes, "x.jpg");
      expect_colour(s, 8, 8, colour, 6);
      // Without Adobe's segment (16 bytes at the front), or with a transform that it does not know
      // (then libjpeg takes it for YCCK), Pillow and browsers show the same.
      if (stored == JCS_CMYK) {
        EXPECT_EQ(decode_image(bytes.substr(0, 2) + bytes.substr(18), "x").pixels, s.pixels);
      } else {
        bytes[17] = 1;
        EXPECT_EQ(decode_image(bytes, "x").pixels, s.pixels);
      }
    }
  }
}

TEST(Jpeg, ScaledDecodingKeepsTheShorterSide) {
  const std::string bytes = jpeg(quadrants(300, 400), 400, 300);
  const auto height = [&](std::int64_t shorter) {
    const Sample s = decode_image(bytes, "x.jpg", {.shorter_side = shorter});
    expect_quadrants(s, 14);
    return s.height;
  };
  EXPECT_EQ(height(0), 300);
  EXPECT_EQ(height(300), 300);
  EXPECT_EQ(height(301), 300);  // never enlarged
  EXPECT_EQ(height(151), 188);  // 5/8
  EXPECT_EQ(height(150), 150);
  EXPECT_EQ(height(39), 75);
  EXPECT_EQ(height(38), 38);
  EXPECT_EQ(height(1), 38);
}

TEST(Jpeg, ScaledDecodingHardlyChangesTheResult) {
  std::vector<std::uint8_t> packed;
  for (int y = 0; y < 300; ++y) {
    for (int x = 0; x < 400; ++x) {
      const double v = std::sin(x * 0.07) * std::cos(y * 0.05);
      for (int c = 0; c < 3; ++c)
        packed.push_back(static_cast<std::uint8_t>(128 + 100 * v - 20 * c));
    }
  }
  const std::string bytes = jpeg(packed, 400, 300);
  const Preprocessing p{.resolution = 64};
  const Sample full = preprocess(decode_image(bytes, "x"), p);
  const Sample scaled = preprocess(decode_image(bytes, "x", {.shorter_side = 64}), p);
  double difference = 0;
  for (std::size_t i = 0; i < full.pixels.size(); ++i) {
    difference += std::abs(full.pixels[i] - scaled.pixels[i]);
  }
  EXPECT_LT(difference / static_cast<double>(full.pixels.size()), 1.0);
}

TEST(Jpeg, CutFilesAreErrors) {
  const std::string bytes = jpeg(quadrants(64, 64), 64, 64);
  for (std::size_t n = 0; n < bytes.size(); n += 1 + n / 40) {
    EXPECT_ERROR(decode_image(bytes.substr(0, n), "cut.jpg"), IoError, "'cut.jpg'");
    EXPECT_THROW(check_image(bytes.substr(0, n), "x"), IoError) << n;
  }
  EXPECT_THROW(decode_image(bytes.substr(0, bytes.size() - 1), "x"), IoError);
  EXPECT_THROW(check_image(bytes.substr(0, bytes.size() - 1), "x"), IoError);
  const TempFolder folder;
  folder.write("half.jpg", bytes.substr(0, bytes.size() / 2));
  EXPECT_ERROR(read_image(folder.file("half.jpg")), IoError, folder.file("half.jpg"));
  EXPECT_THROW(read_image(folder.file("absent.jpg")), IoError);
}

// Each decoder may mend these without harm to a pixel, and libjpeg warns of each.
TEST(Jpeg, OddMarkersAreHarmless) {
  const std::string bytes = jpeg(quadrants(48, 64), 64, 48);
  const Sample expected = decode_image(bytes, "x");
  const auto at = [&](const char* marker) { return bytes.find(marker); };
  const auto patched = [&](std::size_t where, const std::string& what, std::size_t replaced) {
    return bytes.substr(0, where) + what + bytes.substr(where + replaced);
  };
  const std::size_t scan = at("\xff\xda");  // length 12, 3 components, their tables, Ss, Se, AhAl
  const std::string adobe = segment(0xee, std::string("Adobe\0\x64\0\0\0\0\x02", 12));
  const std::vector<std::pair<const char*, std::string>> cases{
      {"Se = 0", patched(scan + 12, std::string(1, '\0'), 1)},
      {"Ss = 1", patched(scan + 11, "\x01", 1)},
      {"Ah and Al", patched(scan + 13, "\x11", 1)},
      {"JFIF 2.01", patched(11, "\x02", 1)},
      {"Adobe transform 2 of 3 components", with(without_jfif(bytes), adobe)},
      {"junk before the tables", patched(at("\xff\xc4"), "junk", 0)},
      {"junk before the scan", patched(scan, std::string("\0j\xff\0unk", 7), 0)},
      {"fill bytes", patched(at("\xff\xc0"), "\xff\xff\xff", 0)},
      {"junk behind the end", bytes + "junk"},
  };
  for (const auto& [what, changed] : cases) {
    SCOPED_TRACE(what);
    EXPECT_EQ(decode_image(changed, "x").pixels, expected.pixels);
    EXPECT_NO_THROW(check_image(changed, "x"));
  }
}

TEST(Jpeg, DamagedRowsAreErrors) {
  const std::string bytes = jpeg(quadrants(64, 64), 64, 64, {.restart = 4});
  EXPECT_NO_THROW(decode_image(bytes, "x"));
  const std::size_t third = bytes.find("\xff\xd2");
  ASSERT_NE(third, bytes.npos);
  const auto error = [&](const std::string& changed) {
    return error_of<IoError>([&] { decode_image(changed, "bad.jpg"); });
  };
  std::string swapped = bytes;
  swapped[third + 1] = '\xd4';
  EXPECT_CONTAINS(error(swapped), "'bad.jpg': corrupt JPEG");
  // An interval lost, or with more in it than its blocks take.
  EXPECT_CONTAINS(error(bytes.substr(0, third) + bytes.substr(bytes.find("\xff\xd3"))), "corrupt");
  EXPECT_CONTAINS(error(bytes.substr(0, third) + "much more" + bytes.substr(third)), "extraneous");
  EXPECT_CONTAINS(error(bytes.substr(0, third) + "\xff\xd9"), "instead of RST2");
  // Rows that lost step leave bytes over: nothing tells these from others.
  EXPECT_CONTAINS(error(bytes.substr(0, bytes.size() - 2) + "junk\xff\xd9"), "extraneous");
}

TEST(Jpeg, ScansAreBounded) {
  const auto scans = [](int refinements) {
    std::vector<jpeg_scan_info> list{{3, {0, 1, 2}, 0, 0, 0, 0}};
    for (int component = 0; component < 3; ++component) {
      for (int k = 1; k < 64; ++k) {
        list.push_back({1, {component}, k, k, 0, refinements});
        for (int low = refinements; low > 0; --low) {
          list.push_back({1, {component}, k, k, low, low - 1});
        }
      }
    }
    return list;
  };
  const auto picture = quadrants(16, 16);
  expect_quadrants(decode_image(jpeg(picture, 16, 16, {.scans = scans(0)}), "x"), 12);  // 190
  EXPECT_CONTAINS(error_of<IoError>([&] {
                    decode_image(jpeg(picture, 16, 16, {.scans = scans(2)}), "scans.jpg");  // 568
                  }),
                  "'scans.jpg': corrupt JPEG");
}

// What libjpeg alone says; its warnings of these files are about rows only.
bool reads_without_warning(const std::string& bytes) {
  struct Error {
    jpeg_error_mgr base;
    std::jmp_buf jump;
  } error;
  jpeg_decompress_struct codec{};
  codec.err = jpeg_std_error(&error.base);
  error.base.output_message = [](j_common_ptr) {};
  error.base.error_exit = [](j_common_ptr c) {
    std::longjmp(reinterpret_cast<Error*>(c->err)->jump, 1);
  };
  const bool left = setjmp(error.jump) != 0;
  if (!left) {
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&codec, TRUE);
    jpeg_read_coefficients(&codec);
    jpeg_finish_decompress(&codec);
  }
  const bool silent = !left && error.base.num_warnings == 0;
  jpeg_destroy_decompress(&codec);
  return silent;
}

// The places of all bytes of all scans.
std::vector<std::size_t> row_bytes(const std::string& jpeg_bytes) {
  std::vector<std::size_t> places;
  for (std::size_t scan = jpeg_bytes.find("\xff\xda"); scan != jpeg_bytes.npos;
       scan = jpeg_bytes.find("\xff\xda", scan + 2)) {
    const auto next = [&](std::size_t i) { return static_cast<std::uint8_t>(jpeg_bytes[i + 1]); };
    for (std::size_t i = scan + 2 + next(scan + 2);; ++i) {
      if (jpeg_bytes[i] == '\xff' && next(i) != 0 && (next(i) & 0xf8) != 0xd0) break;
      places.push_back(i);
    }
  }
  return places;
}

TEST(Jpeg, EveryFlippedBitThatLibjpegWarnsOfIsAnError) {
  std::vector<std::uint8_t> noise(3 * 40 * 40);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<std::uint8_t>(128 + (i * i * 7919 >> 5) % 64);
  }
  for (const testing::JpegForm& form : {testing::JpegForm{}, testing::JpegForm{.progressive = true},
                                        testing::JpegForm{.restart = 2}}) {
    const std::string bytes = jpeg(noise, 40, 40, form);
    ASSERT_TRUE(reads_without_warning(bytes));
    EXPECT_NO_THROW(decode_image(bytes, "x"));
    EXPECT_NO_THROW(check_image(bytes, "x"));
    int bit = 0, silent = 0, warned = 0, left_over = 0;
    for (const std::size_t place : row_bytes(bytes)) {
      std::string flipped = bytes;
      flipped[place] = static_cast<char>(flipped[place] ^ 1 << bit++ % 8);
      SCOPED_TRACE(::testing::Message() << "byte " << place);
      if (reads_without_warning(flipped)) {
        EXPECT_NO_THROW(decode_image(flipped, "x"));
        EXPECT_NO_THROW(check_image(flipped, "x"));
        ++silent;
      } else {
        const std::string message = error_of<IoError>([&] { decode_image(flipped, "x"); });
        EXPECT_EQ(error_of<IoError>([&] { check_image(flipped, "x"); }), message);
        left_over += message.find("extraneous") != message.npos;
        ++warned;
      }
    }
    EXPECT_GT(silent, 100);
    EXPECT_GT(warned, 100);
    EXPECT_GT(left_over, 50);
  }
}

TEST(Jpeg, AnyChangedByteIsAnImageOrAnError) {
  const std::string bytes = jpeg(quadrants(64, 64), 64, 64);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0xff);
    try {
      const Sample s = decode_image(bad, "x", {.max_pixels = 1 << 20});
      EXPECT_EQ(std::ssize(s.pixels), 3 * s.height * s.width);
    } catch (const IoError&) {
    }
  }
}

TEST(Image, SizeIsBounded) {
  std::string bytes = jpeg(quadrants(64, 64), 64, 64);
  EXPECT_NO_THROW(decode_image(bytes, "x", {.max_pixels = 4096}));
  EXPECT_ERROR(decode_image(bytes, "big.jpg", {.max_pixels = 4095}), IoError,
               "'big.jpg': expected 1 to 4095 pixels, got 64x64");
  const std::size_t frame = bytes.find("\xff\xc0");  // 16 bits of height and width follow
  ASSERT_NE(frame, bytes.npos);
  bytes.replace(frame + 5, 4, "\x32\xc8\x32\xc8");  // 169 megapixels
  EXPECT_ERROR(check_image(bytes, "large.jpg"), IoError, "corrupt JPEG");
  bytes.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_ERROR(decode_image(bytes, "bomb.jpg"), IoError,
               "expected 1 to 180000000 pixels, got 65500x65500");
  EXPECT_ERROR(check_image(bytes, "bomb.jpg"), IoError, "got 65500x65500");
  EXPECT_CONTAINS(
      error_of<IoError>([&] { decode_image(png("", 1 << 20, 1 << 20, 8, 2), "bomb.png"); }),
      "bomb.png");
  // A small picture around 64 MB of zeros.
  const std::string bomb = png(std::string(64 << 20, '\0'), 4, 4, 8, 2);
  EXPECT_LT(bomb.size(), 100000u);
  EXPECT_ERROR(decode_image(bomb, "b.png", {.max_pixels = 100}), IoError, "b.png");
}

TEST(Image, OnlyJpegAndPng) {
  EXPECT_ERROR(decode_image("", "empty.jpg"), IoError, "'empty.jpg'");
  EXPECT_ERROR(decode_image("GIF89a.....", "a.gif"), IoError,
               "expected a JPEG or PNG file, got a GIF");
  const std::string webp = std::string("RIFF\x1a\0\0\0WEBPVP8L", 16);
  EXPECT_ERROR(check_image(webp, "a.jpg"), IoError, "got a WebP");
  EXPECT_ERROR(decode_image("RIFF", "a.jpg"), IoError, "neither (4 bytes)");
  EXPECT_ERROR(decode_image("<html>", "a.jpg"), IoError, "got neither (6 bytes)");
}

}  // namespace
}  // namespace hac
