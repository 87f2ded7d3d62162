// Pictures of images as data URIs: read back by the project's own decoder and by hand.

#include "data/image/png_encode.h"
#include "data/image/thumbnail.h"
#include "engine/io/base64.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::noise_image;

// Of RFC 4648, section 10.
TEST(Base64, IsThatOfTheStandard) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
}

// The bytes of a data URI of this type.
std::string bytes_of(const std::string& uri, const std::string& type) {
  const std::string head = "data:" + type + ";base64,";
  EXPECT_TRUE(uri.starts_with(head)) << uri.substr(0, 40);
  std::string bytes;
  std::uint32_t bits = 0, held = 0;
  for (const char c : uri.substr(head.size())) {
    if (c == '=') break;
    const int digit = c >= 'a'   ? c - 'a' + 26
                      : c >= 'A' ? c - 'A'
                      : c >= '0' ? c - '0' + 52
                      : c == '+' ? 62
                                 : 63;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 255);
  }
  return bytes;
}

TEST(Png, WhatIsWrittenIsRead) {
  for (const std::int64_t channels : {1, 3}) {
    const Sample image = noise_image(channels, 7, 5);
    const Sample got = decode_image(encode_png(image), "x");
    EXPECT_EQ(got.height, 7);
    EXPECT_EQ(got.width, 5);
    for (std::int64_t c = 0; c < 3; ++c) {  // grey is read as RGB
      const auto* plane = image.pixels.data() + (channels == 3 ? c : 0) * 35;
      EXPECT_TRUE(std::equal(plane, plane + 35, got.pixels.begin() + c * 35)) << c;
    }
  }
  EXPECT_ERROR(encode_png(noise_image(2, 3, 3)), ShapeError, "(2, 3, 3)");
}

TEST(Thumbnail, OfASmallImageHasItsPixels) {
  const Sample image = noise_image(3, 28, 32);
  EXPECT_EQ(decode_image(bytes_of(thumbnail(image, 32), "image/png"), "x").pixels, image.pixels);
}

TEST(Thumbnail, OfALargeImageIsSmallWholeAndUpright) {
  for (const auto& [height, width] : {std::pair{300, 200}, {97, 640}, {1000, 96}}) {
    const std::string file = testing::jpeg(testing::quadrants(height, width), width, height);
    const std::string uri = thumbnail(EncodedImage{.bytes = file, .path = "x"}, 96);
    EXPECT_LT(uri.size(), 8000u);
    const Sample got = decode_image(bytes_of(uri, "image/jpeg"), "x");
    EXPECT_EQ(std::max(got.height, got.width), 96);
    EXPECT_NEAR(96.0 * std::min(height, width) / std::max(height, width),
                static_cast<double>(std::min(got.height, got.width)), 1.0);
    EXPECT_EQ(got.height > got.width, height > width);
    testing::expect_quadrants(got, 25);
  }
}

}  // namespace
}  // namespace hac
