// JPEG, PNG, EXIF and folders of them.

#include <array>
#include <cmath>
#include <sstream>

#include "data/datasets.h"
#include "data/decode.h"
#include "data/exif.h"
#include "data/transform.h"
#include "tests/data_fixtures.h"

namespace hac {
namespace {

using testing::error_of;
using testing::jpeg;
using testing::png;

using Colour = std::array<std::uint8_t, 3>;
constexpr std::array<Colour, 4> corners{
    {{230, 30, 30}, {30, 200, 40}, {40, 40, 220}, {240, 230, 60}}};

// Four quadrants: top left, top right, bottom left, bottom right.
Colour quadrant(int y, int x, int height, int width) {
  return corners[(y >= height / 2 ? 2 : 0) + (x >= width / 2 ? 1 : 0)];
}

std::vector<std::uint8_t> quadrants(int height, int width) {
  std::vector<std::uint8_t> packed;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const std::uint8_t v : quadrant(y, x, height, width)) packed.push_back(v);
    }
  }
  return packed;
}

void expect_colour(const Sample& s, std::int64_t y, std::int64_t x, const Colour& colour,
                   int tolerance) {
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(s.pixels[(c * s.height + y) * s.width + x], colour[c], tolerance)
        << "channel " << c << " at " << y << ", " << x;
  }
}

void expect_quadrants(const Sample& s, int tolerance) {
  for (const std::int64_t y : {s.height / 4, 3 * s.height / 4}) {
    for (const std::int64_t x : {s.width / 4, 3 * s.width / 4}) {
      const int corner = (y >= s.height / 2 ? 2 : 0) + (x >= s.width / 2 ? 1 : 0);
      expect_colour(s, y, x, corners[corner], tolerance);
    }
  }
}

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

std::string with_exif(const std::string& jpeg_bytes, int orientation, bool little) {
  const auto number = [&](unsigned value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
      out += static_cast<char>(value >> 8 * (little ? i : bytes - 1 - i));
    }
    return out;
  };
  // Two entries: ImageWidth (LONG) and Orientation (SHORT).
  const std::string tiff = std::string(little ? "II" : "MM") + number(42, 2) + number(8, 4) +
                           number(2, 2) + number(0x0100, 2) + number(4, 2) + number(1, 4) +
                           number(7, 4) + number(0x0112, 2) + number(3, 2) + number(1, 4) +
                           number(static_cast<unsigned>(orientation), 2) + number(0, 2) +
                           number(0, 4);
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  const auto length = static_cast<unsigned>(body.size() + 2);
  const std::string app1 =
      std::string("\xff\xe1") + static_cast<char>(length >> 8) + static_cast<char>(length) + body;
  return jpeg_bytes.substr(0, 2) + app1 + jpeg_bytes.substr(2);
}

// --- EXIF ---

TEST(Exif, AllEightOrientationsComeOutUpright) {
  const int h = 32, w = 48;
  for (int o = 1; o <= 8; ++o) {
    SCOPED_TRACE(::testing::Message() << "orientation " << o);
    const auto packed = stored(o, h, w, [&](int y, int x) { return quadrant(y, x, h, w); });
    const bool swap = o >= 5;
    const std::string bytes = jpeg(packed, swap ? h : w, swap ? w : h);
    for (const bool little : {false, true}) {
      const Sample s = decode_image(with_exif(bytes, o, little), "x.jpg");
      ASSERT_EQ(s.height, h);
      ASSERT_EQ(s.width, w);
      expect_quadrants(s, 12);
    }
  }
}

TEST(Exif, EveryPixelMoves) {
  const int h = 3, w = 5;
  Sample expected{3, h, w, std::vector<std::uint8_t>(3 * h * w), 4};
  for (std::size_t i = 0; i < expected.pixels.size(); ++i)
    expected.pixels[i] = static_cast<std::uint8_t>(i * 5);
  for (int o = 1; o <= 8; ++o) {
    const auto packed = stored(o, h, w, [&](int y, int x) {
      Colour colour;
      for (int c = 0; c < 3; ++c) colour[c] = expected.pixels[(c * h + y) * w + x];
      return colour;
    });
    Sample s{3, o >= 5 ? w : h, o >= 5 ? h : w, {}, 4};
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < h * w; ++i) s.pixels.push_back(packed[3 * i + c]);
    }
    const Sample out = upright(s, o);
    EXPECT_EQ(out.height, h);
    EXPECT_EQ(out.label, 4);
    EXPECT_EQ(out.pixels, expected.pixels) << "orientation " << o;
  }
}

TEST(Exif, BrokenTagsAreIgnored) {
  const std::string plain = jpeg(quadrants(16, 16), 16, 16);
  EXPECT_EQ(exif_orientation(plain), 1);
  EXPECT_EQ(exif_orientation(with_exif(plain, 6, true)), 6);
  EXPECT_EQ(exif_orientation(with_exif(plain, 9, true)), 1);
  EXPECT_EQ(exif_orientation(with_exif(plain, 0, false)), 1);
  const std::string good = with_exif(plain, 8, false);
  for (std::size_t n = 0; n < 70; ++n)
    EXPECT_EQ(exif_orientation(good.substr(0, n)), n < 50 ? 1 : 8) << n;
  for (std::size_t i = 0; i < 60; ++i) {  // any one broken byte: any answer, but an answer
    for (const int flip : {1, 0x80, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      const int o = exif_orientation(bad);
      EXPECT_TRUE(o >= 1 && o <= 8);
    }
  }
}

// --- JPEG ---

TEST(Jpeg, DecodesEverySubsamplingAndOddSizes) {
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420}) {
    for (const int progressive : {0, TJFLAG_PROGRESSIVE}) {
      const Sample s = decode_image(
          jpeg(quadrants(45, 61), 61, 45, TJPF_RGB, subsampling, progressive), "x.jpg");
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
  const Sample s = decode_image(jpeg(grey, 24, 16, TJPF_GRAY, TJSAMP_GRAY), "x.jpg");
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
    expect_colour(decode_image(jpeg(packed, 16, 16, TJPF_CMYK), "x.jpg"), 8, 8, colour, 6);
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
  const Sample full = fit(decode_image(bytes, "x"), 3, 64);
  const Sample scaled = fit(decode_image(bytes, "x", {.shorter_side = 64}), 3, 64);
  double difference = 0;
  for (std::size_t i = 0; i < full.pixels.size(); ++i) {
    difference += std::abs(full.pixels[i] - scaled.pixels[i]);
  }
  EXPECT_LT(difference / static_cast<double>(full.pixels.size()), 1.0);
}

TEST(Jpeg, CutFilesAreErrors) {
  const std::string bytes = jpeg(quadrants(64, 64), 64, 64);
  for (std::size_t n = 0; n < bytes.size(); n += 1 + n / 40) {
    const std::string message =
        error_of<IoError>([&] { decode_image(bytes.substr(0, n), "cut.jpg"); });
    EXPECT_CONTAINS(message, "'cut.jpg'");
  }
  EXPECT_THROW(decode_image(bytes.substr(0, bytes.size() - 1), "x"), IoError);
  const TempFolder folder;
  folder.write("half.jpg", bytes.substr(0, bytes.size() / 2));
  EXPECT_CONTAINS(error_of<IoError>([&] { read_image(folder.file("half.jpg")); }),
                  folder.file("half.jpg"));
  EXPECT_THROW(read_image(folder.file("absent.jpg")), IoError);
}

TEST(Jpeg, JunkAtTheEndIsHarmlessButCorruptionIsNot) {
  const std::string bytes = jpeg(quadrants(64, 64), 64, 64);
  expect_quadrants(decode_image(bytes + "junk", "x"), 12);
  const std::string before_end =
      bytes.substr(0, bytes.size() - 2) + "junk" + bytes.substr(bytes.size() - 2);
  expect_quadrants(decode_image(before_end, "x"), 12);
  // A hole in the compressed rows: a restart marker that does not belong there.
  std::string hole = bytes;
  hole.replace(bytes.size() - 120, 2, "\xff\xd5");
  EXPECT_THROW(decode_image(hole, "x"), IoError);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {  // either an image of sane size or an error
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
  EXPECT_CONTAINS(error_of<IoError>([&] { decode_image(bytes, "big.jpg", {.max_pixels = 4095}); }),
                  "'big.jpg': expected 1 to 4095 pixels, got 64x64");
  const std::size_t frame = bytes.find("\xff\xc0");  // 16 bits of height and width follow
  ASSERT_NE(frame, bytes.npos);
  bytes.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_CONTAINS(error_of<IoError>([&] { decode_image(bytes, "bomb.jpg"); }), "got 65500x65500");
  EXPECT_CONTAINS(
      error_of<IoError>([&] { decode_image(png("", 1 << 20, 1 << 20, 8, 2), "bomb.png"); }),
      "bomb.png");
  // A small picture around 64 MB of zeros.
  const std::string bomb = png(std::string(64 << 20, '\0'), 4, 4, 8, 2);
  EXPECT_LT(bomb.size(), 100000u);
  EXPECT_CONTAINS(error_of<IoError>([&] { decode_image(bomb, "b.png", {.max_pixels = 100}); }),
                  "b.png");
}

TEST(Image, OnlyJpegAndPng) {
  EXPECT_CONTAINS(error_of<IoError>([] { decode_image("", "empty.jpg"); }), "'empty.jpg'");
  EXPECT_CONTAINS(error_of<IoError>([] { decode_image("GIF89a.....", "a.gif"); }),
                  "expected a JPEG or PNG file");
}

// --- PNG ---

TEST(Png, GreyAlphaAnd16BitsBecomeRgb) {
  using namespace std::string_literals;
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
  }
  EXPECT_CONTAINS(error_of<IoError>([&] { decode_image(bytes.substr(0, 60), "half.png"); }),
                  "'half.png': corrupt PNG");
}

// --- Folders ---

void write_folder(const TempFolder& folder) {
  const std::string picture = jpeg(quadrants(30, 40), 40, 30);
  folder.write("train/zebra/b.JPG", picture);
  folder.write("train/zebra/a.jpeg", picture);
  folder.write("train/ant/c.Png", png(std::string("\0\x01\x02\x03", 4), 1, 1, 8, 2));
  folder.write("train/ant/notes.txt", "no image");
  folder.write("train/ant/.hidden.jpg", "no image");
  folder.write("train/.cache/x.jpg", "no image");
  folder.write("train/README", "no class");
  folder.write("val/ant/a.jpg",
               png(std::string("\0\x05\x06\x07", 4), 1, 1, 8, 2));  // a PNG by another name
  folder.write("val/zebra/a.jpg", picture);
}

DataSplit open_folder(const TempFolder& folder, std::int64_t resolution = 16) {
  return open_data({.name = "imagefolder:" + folder.path(), .resolution = resolution});
}

TEST(ImageFolder, ListsSortedClassesAndImages) {
  const TempFolder folder;
  write_folder(folder);
  const DataSplit data = open_folder(folder);
  EXPECT_EQ(data.train->classes(), (std::vector<std::string>{"ant", "zebra"}));
  ASSERT_EQ(data.train->size(), 3);
  ASSERT_EQ(data.test->size(), 2);
  EXPECT_EQ(data.train->label(0), 0);
  EXPECT_EQ(data.train->label(1), 1);
  EXPECT_EQ(data.train->channels(), 3);
  EXPECT_EQ(data.train->resolution(), 16);
  const Sample s = data.train->get(2);
  EXPECT_EQ(s.label, 1);
  ASSERT_EQ(s.pixels.size(), 3u * 16 * 16);
  expect_quadrants(s, 12);
  EXPECT_EQ(data.test->get(0).pixels[0], 5);
  EXPECT_EQ(open_data({.name = "imagefolder", .dir = folder.path()}).train->resolution(), 224);
  EXPECT_NEAR(data.train->normalization().mean[0], 0.485, 1e-6);
}

TEST(ImageFolder, ACorruptImageNamesItsPath) {
  const TempFolder folder;
  write_folder(folder);
  folder.write("train/ant/d.jpg", jpeg(quadrants(64, 64), 64, 64).substr(0, 500));
  const DataSplit data = open_folder(folder);
  EXPECT_NO_THROW(data.train->get(0));
  EXPECT_CONTAINS(error_of<IoError>([&] { data.train->get(1); }), folder.file("train/ant/d.jpg"));
}

TEST(ImageFolder, RejectsBadFolders) {
  EXPECT_THROW(open_data({.name = "imagefolder"}), ConfigError);
  EXPECT_THROW(open_data({.name = "imagefolder:"}), ConfigError);
  const TempFolder folder;
  EXPECT_CONTAINS(error_of<IoError>([&] { open_folder(folder); }), folder.file("train"));
  std::filesystem::create_directories(folder.file("train"));
  EXPECT_CONTAINS(error_of<IoError>([&] { open_folder(folder); }),
                  "a folder for each class, got none");
  write_folder(folder);
  EXPECT_THROW(open_folder(folder, -1), ConfigError);
  folder.write("val/dog/a.jpg", "");
  EXPECT_CONTAINS(error_of<IoError>([&] { open_folder(folder); }),
                  "got 3 with 'dog' only in one of them");
  std::filesystem::remove_all(folder.file("val/dog"));
  std::filesystem::remove(folder.file("val/ant/a.jpg"));
  EXPECT_CONTAINS(error_of<IoError>([&] { open_folder(folder); }), folder.file("val/ant"));
  std::filesystem::remove_all(folder.file("val"));
  EXPECT_CONTAINS(error_of<IoError>([&] { open_folder(folder); }), folder.file("val"));
}

TEST(ImageFolder, RealPhotographsDecode) {
  const char* dir = std::getenv("HAC_DATA_DIR");
  const std::filesystem::path root = std::filesystem::path(dir ? dir : "") / "imagenet-sample-200";
  if (!dir || !std::filesystem::exists(root / "index.tsv")) {
    GTEST_SKIP() << "no imagenet-sample-200 in HAC_DATA_DIR";
  }
  std::ifstream index(root / "index.tsv");
  std::string line;
  std::getline(index, line);
  int images = 0, turned = 0;
  while (std::getline(index, line)) {
    std::istringstream fields(line);
    std::vector<std::string> row;
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
    const Sample s = read_image((root / row[3]).string());
    const bool swap = std::stoi(row[8].empty() ? "1" : row[8]) >= 5;
    EXPECT_EQ(swap ? s.height : s.width, std::stoll(row[4])) << row[3];
    EXPECT_EQ(swap ? s.width : s.height, std::stoll(row[5])) << row[3];
    ++images;
    turned += swap;
  }
  EXPECT_GE(images, 190);
  RecordProperty("turned", turned);
}

}  // namespace
}  // namespace hac
