// PNG: every kind of pixel, and what is damaged.

#include "data/image/decode.h"
#include "tests/support/data_fixtures.h"

namespace hac {
namespace {

using namespace std::string_literals;
using testing::deflated;
using testing::png;
using testing::png_chunk;
using testing::png_of;

TEST(Png, GreyAlphaAnd16BitsBecomeRgb) {
  const Sample rgb =
      decode_image(png("\0\x01\x02\x03\x04\x05\x06\0\x07\x08\x09\x0a\x0b\x0c"s, 2, 2, 8, 2), "x");
  EXPECT_EQ(rgb.pixels, (std::vector<std::uint8_t>{1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12}));
  const Sample grey = decode_image(png("\0\x05\x06\x07"s, 3, 1, 8, 0), "x");
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{5, 6, 7, 5, 6, 7, 5, 6, 7}));
  EXPECT_EQ(grey.width, 3);
  const Sample alpha = decode_image(png("\0\x01\x02\x03\x00"s, 1, 1, 8, 6), "x");
  EXPECT_EQ(alpha.pixels, (std::vector<std::uint8_t>{1, 2, 3}));
  const Sample wide = decode_image(png("\0\x12\x34"s, 1, 1, 16, 0), "x");
  EXPECT_EQ(wide.pixels, (std::vector<std::uint8_t>{0x12, 0x12, 0x12}));
}

std::vector<std::uint8_t> red(const Sample& s) {
  return {s.pixels.begin(), s.pixels.begin() + s.height * s.width};
}

// What Pillow 13 shows after convert("RGB"); of 16 bits of grey it shows white above 255, and the
// high byte, as here, of 16 bits of colour.
TEST(Png, EveryKindOfPixelBecomesRgb) {
  using Bytes = std::vector<std::uint8_t>;
  const auto pixels = [](const std::string& bytes) { return decode_image(bytes, "x").pixels; };
  EXPECT_EQ(pixels(png("\0\x12\x34\xff\xff\0\x80"s, 1, 1, 16, 2)), (Bytes{18, 255, 0}));
  EXPECT_EQ(pixels(png("\0\x12\x34\xff\xff"s, 1, 1, 16, 4)), (Bytes{18, 18, 18}));
  EXPECT_EQ(pixels(png("\0\1\2\3\4\5\6\7\x08"s, 1, 1, 16, 6)), (Bytes{1, 3, 5}));
  EXPECT_EQ(pixels(png("\0\x05\x80"s, 1, 1, 8, 4)), (Bytes{5, 5, 5}));
  EXPECT_EQ(red(decode_image(png("\0\xa0"s, 3, 1, 1, 0), "x")), (Bytes{255, 0, 255}));
  EXPECT_EQ(red(decode_image(png("\0\x1b"s, 4, 1, 2, 0), "x")), (Bytes{0, 85, 170, 255}));
  EXPECT_EQ(red(decode_image(png("\0\x1f"s, 2, 1, 4, 0), "x")), (Bytes{17, 255}));
  const std::string palette = png_chunk("PLTE", "\x0a\x14\x1e\x28\x32\x3c"s);
  const std::string alpha = png_chunk("tRNS", "\0\x80"s);
  const Bytes two{10, 40, 20, 50, 30, 60};
  EXPECT_EQ(pixels(png("\0\0\1"s, 2, 1, 8, 3, palette)), two);
  EXPECT_EQ(pixels(png("\0\0\1"s, 2, 1, 8, 3, palette + alpha)), two);
  EXPECT_EQ(pixels(png("\0\x40"s, 2, 1, 1, 3, palette + alpha)), two);
  EXPECT_EQ(red(decode_image(png("\0\5\6"s, 2, 1, 8, 0, png_chunk("tRNS", "\0\5"s)), "x")),
            (Bytes{5, 6}));
}

TEST(Png, InterlacedImagesAreTheSame) {
  // Adam7 of 3x3: passes 1, 4, 5, 6 and 7 have pixels; pass 4 takes (0, 2), 5 (2, 0) and (2, 2), 6
  // (0, 1) and (2, 1), 7 row 1.
  const std::string rows = "\0\x0a\0\x0c\0\x1e\x20\0\x0b\0\x1f\0\x14\x15\x16"s;
  const Sample s = decode_image(png_of(deflated(rows), 3, 3, 8, 0, "", true), "x");
  EXPECT_EQ(red(s), (std::vector<std::uint8_t>{10, 11, 12, 20, 21, 22, 30, 31, 32}));
}

TEST(Png, ExifTurns) {
  const std::string tag = "\x01\x12\0\x03\0\0\0\1\0\6\0\0"s;  // orientation 6, SHORT
  std::string tiff = "MM\0*\0\0\0\x08\0\1"s;
  tiff.append(tag).append(4, '\0');
  const std::vector<std::string> bodies{tiff, std::string("Exif\0\0", 6).append(tiff)};
  for (const std::string& body : bodies) {
    const Sample s = decode_image(png("\0\1\2"s, 2, 1, 8, 0, png_chunk("eXIf", body)), "x");
    EXPECT_EQ(s.height, 2);
    EXPECT_EQ(red(s), (std::vector<std::uint8_t>{1, 2}));
  }
  // Behind the rows, where it may also be.
  std::string late = png("\0\1\2"s, 2, 1, 8, 0);
  late.insert(late.size() - 12, png_chunk("eXIf", tiff));
  EXPECT_EQ(decode_image(late, "x").height, 2);
}

TEST(Png, WrongChecksumsAreErrors) {
  std::string rows;
  for (int y = 0; y < 8; ++y) rows += std::string(1, '\0') + "pixels of grey";
  const std::string stored = deflated(rows);
  const std::string bytes = png_of(stored, 14, 8, 8, 0, png_chunk("tEXt", "a comment"));
  EXPECT_NO_THROW(decode_image(bytes, "x"));
  const std::string adler =
      stored.substr(0, stored.size() - 1) + static_cast<char>(stored.back() ^ 1);
  EXPECT_ERROR(decode_image(png_of(adler, 14, 8, 8, 0), "a.png"), IoError,
               "'a.png': corrupt PNG: IDAT: incorrect data check");
  for (std::size_t i = 0; i < bytes.size(); ++i) {  // no byte may change
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_THROW(decode_image(bad, "x"), IoError) << i;
    EXPECT_THROW(check_image(bad, "x"), IoError) << i;
  }
}

TEST(Png, WhatHasNoPixelsIsNotJudged) {
  const std::string odd = png_chunk("iCCP", "no profile") + png_chunk("gAMA", "") +
                          png_chunk("PLTE", "\1\2\3") + png_chunk("tRNS", std::string(300, 'x'));
  EXPECT_EQ(red(decode_image(png("\0\5\6"s, 2, 1, 8, 0, odd), "x")),
            (std::vector<std::uint8_t>{5, 6}));
  EXPECT_THROW(decode_image(png("\0\5\6"s, 2, 1, 8, 0, png_chunk("CgBI", "")), "x"), IoError);
}

TEST(Png, CutAndCorruptFilesAreErrors) {
  std::string rows;
  for (int y = 0; y < 16; ++y) {
    rows += '\0';
    for (int x = 0; x < 48; ++x) rows += static_cast<char>(x * y + x * 7);
  }
  const std::string bytes = png(rows, 16, 16, 8, 2);
  EXPECT_NO_THROW(decode_image(bytes, "x"));
  for (std::size_t n = 0; n + 12 < bytes.size(); ++n) {  // the last 12 are the empty end chunk
    EXPECT_THROW(decode_image(bytes.substr(0, n), "x"), IoError) << n;
    EXPECT_THROW(check_image(bytes.substr(0, n), "x"), IoError) << n;
  }
  EXPECT_ERROR(decode_image(bytes.substr(0, 60), "half.png"), IoError, "'half.png': corrupt PNG");
}

}  // namespace
}  // namespace hac
