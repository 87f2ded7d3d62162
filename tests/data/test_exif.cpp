// EXIF: images come out upright, and a broken tag harms none.

#include "data/image/decode.h"
#include "data/image/exif.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::Colour;
using testing::expect_quadrants;
using testing::jpeg;
using testing::quadrant;
using testing::quadrants;
using testing::segment;
using testing::with;

// Where the EXIF standard says row 0 and column 0 of the stored image are on the upright one.
struct Orientation {
  bool transposed, bottom, right;
};
constexpr std::array<Orientation, 9> orientations{
    {{},
     {false, false, false},  // top, left
     {false, false, true},   // top, right
     {false, true, true},    // bottom, right
     {false, true, false},   // bottom, left
     {true, false, false},   // row 0 left, column 0 top
     {true, false, true},    // right, top
     {true, true, true},     // right, bottom
     {true, true, false}}};  // left, bottom

// The stored packed pixels of an upright (height, width) image `at(y, x)`.
template <class At>
std::vector<std::uint8_t> stored(int orientation, int height, int width, At at) {
  const Orientation o = orientations[orientation];
  std::vector<std::uint8_t> packed;
  for (int r = 0; r < (o.transposed ? width : height); ++r) {
    for (int c = 0; c < (o.transposed ? height : width); ++c) {
      const int y = o.transposed ? c : r, x = o.transposed ? r : c;
      for (const std::uint8_t v : at(o.bottom ? height - 1 - y : y, o.right ? width - 1 - x : x)) {
        packed.push_back(v);
      }
    }
  }
  return packed;
}

// A TIFF block of two entries: ImageWidth (LONG) and Orientation, of a given type.
std::string tiff(int orientation, bool little, unsigned type = 3) {
  const auto number = [&](unsigned value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
      out += static_cast<char>(value >> 8 * (little ? i : bytes - 1 - i));
    }
    return out;
  };
  const int bytes = type == 1 ? 1 : type == 3 ? 2 : 4;
  return std::string(little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) +
         number(0x0100, 2) + number(4, 2) + number(1, 4) + number(7, 4) + number(0x0112, 2) +
         number(type, 2) + number(1, 4) + number(static_cast<unsigned>(orientation), bytes) +
         number(0, 4 - bytes) + number(0, 4);
}

std::string with_exif(const std::string& jpeg_bytes, const std::string& tiff_bytes) {
  return with(jpeg_bytes, segment(0xe1, std::string(exif_header) + tiff_bytes));
}

TEST(Exif, AllEightOrientationsComeOutUpright) {
  const int h = 32, w = 48;
  for (int o = 1; o <= 8; ++o) {
    SCOPED_TRACE(::testing::Message() << "orientation " << o);
    const auto packed = stored(o, h, w, [&](int y, int x) { return quadrant(y, x, h, w); });
    const bool swap = o >= 5;
    const std::string bytes = jpeg(packed, swap ? h : w, swap ? w : h);
    for (const bool little : {false, true}) {
      for (const unsigned type : {1, 3, 4}) {  // BYTE, SHORT, LONG
        const Sample s = decode_image(with_exif(bytes, tiff(o, little, type)), "x.jpg");
        ASSERT_EQ(s.height, h);
        ASSERT_EQ(s.width, w);
        expect_quadrants(s, 12);
      }
    }
  }
}

TEST(Exif, EveryPixelMoves) {
  const int h = 3, w = 5;
  Sample expected{3, h, w, std::vector<std::uint8_t>(3 * h * w)};
  for (std::size_t i = 0; i < expected.pixels.size(); ++i)
    expected.pixels[i] = static_cast<std::uint8_t>(i * 5);
  for (int o = 1; o <= 8; ++o) {
    const auto packed = stored(o, h, w, [&](int y, int x) {
      Colour colour;
      for (int c = 0; c < 3; ++c) colour[c] = expected.pixels[(c * h + y) * w + x];
      return colour;
    });
    const int rows = o >= 5 ? w : h, columns = o >= 5 ? h : w;
    UprightImage image(rows, columns, o);
    for (int y = 0; y < rows; ++y) image.put_row(y, packed.data() + y * 3 * columns, 3);
    const Sample out = image.take();
    EXPECT_EQ(out.height, h);
    EXPECT_EQ(out.width, w);
    EXPECT_EQ(out.pixels, expected.pixels) << "orientation " << o;
  }
}

TEST(Exif, BrokenTagsAreIgnored) {
  EXPECT_EQ(exif_orientation(""), 1);
  EXPECT_EQ(exif_orientation(tiff(6, true)), 6);
  EXPECT_EQ(exif_orientation(std::string(exif_header) + tiff(6, true)), 6);
  EXPECT_EQ(exif_orientation(tiff(9, true)), 1);
  EXPECT_EQ(exif_orientation(tiff(0, false)), 1);
  EXPECT_EQ(exif_orientation(tiff(0x10006, true, 4)), 1);  // no 6 in 16 bits of 32
  EXPECT_EQ(exif_orientation(tiff(6, true, 5)), 1);        // RATIONAL
  EXPECT_EQ(exif_orientation(tiff(6, true, 999)), 1);
  const std::string good = tiff(8, false);
  for (std::size_t n = 0; n <= good.size(); ++n)
    EXPECT_EQ(exif_orientation(good.substr(0, n)), n < 32 ? 1 : 8) << n;
  const std::string plain = jpeg(quadrants(16, 16), 16, 16);
  for (std::size_t i = 0; i < good.size(); ++i) {  // any one broken byte: any answer, but an answer
    for (const int flip : {1, 0x80, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      const int o = exif_orientation(bad);
      EXPECT_TRUE(o >= 1 && o <= 8);
      EXPECT_NO_THROW(decode_image(with_exif(plain, bad), "x"));
    }
  }
}

TEST(Exif, IsFoundBehindOtherSegments) {
  const std::string plain = jpeg(quadrants(16, 32), 32, 16);
  const std::string turned = with_exif(plain, tiff(6, false));
  EXPECT_EQ(decode_image(turned, "x").height, 32);
  const std::string xmp = segment(0xe1, "http://ns.adobe.com/xap/1.0/ and no EXIF");
  EXPECT_EQ(decode_image(with(turned, xmp), "x").height, 32);
  EXPECT_EQ(decode_image(with(turned, segment(0xfe, "a comment") + "junk"), "x").height, 32);
  EXPECT_EQ(decode_image(with(plain, xmp), "x").height, 16);
}

}  // namespace
}  // namespace hac
