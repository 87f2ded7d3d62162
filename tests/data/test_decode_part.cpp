// The part of an image that a random resized crop takes, against decoding all of it first.

#include <fmt/format.h>

#include <cmath>
#include <random>

#include "data/image/decode.h"
#include "data/image/exif.h"
#include "data/image/resize.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::jpeg;
using testing::JpegForm;

// Waves, a ramp and some noise, each channel its own.
std::vector<std::uint8_t> picture(int height, int width, int channels) {
  std::vector<std::uint8_t> packed;
  std::mt19937 random(5);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double wave = std::sin(x * 0.11 + c) * std::cos(y * 0.07 - c);
        const double ramp = 60.0 * x / width + 40.0 * y / height;
        packed.push_back(static_cast<std::uint8_t>(60 + ramp + 50 * wave + random() % 5));
      }
    }
  }
  return packed;
}

std::string exif_of(int orientation) {
  std::string tiff("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18);
  tiff += static_cast<char>(orientation);
  std::string exif(exif_header);
  return exif.append(tiff).append(7, '\0');
}

std::string turned_jpeg(int height, int width, int orientation, const JpegForm& form = {}) {
  const int channels = form.colour == JCS_CMYK ? 4 : form.colour == JCS_GRAYSCALE ? 1 : 3;
  return testing::with(jpeg(picture(height, width, channels), width, height, form),
                       testing::segment(0xE1, exif_of(orientation)));
}

Box random_box(std::int64_t height, std::int64_t width, std::mt19937& random) {
  const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random()) % n; };
  const std::int64_t h = 1 + below(height), w = 1 + below(width);
  return {below(height - h + 1), below(width - w + 1), h, w};
}

DecodedPart part_of(const std::string& bytes, const Box& box, std::int64_t side) {
  return decode_part(
      EncodedImage{bytes, "x.jpg"}, [&](auto, auto) { return box; }, side);
}

Sample cut_out(const Sample& s, const Box& b) {
  View view(s);
  view.window(b.top, b.left, b.height, b.width);
  return view.render(s.channels);
}

void expect_the_whole_image_bit_for_bit(const std::string& bytes, const std::string& what) {
  std::mt19937 random(11);
  const Sample whole = decode_image(bytes, "x.jpg");
  for (int i = 0; i < 12; ++i) {
    const Box box = random_box(whole.height, whole.width, random);
    const DecodedPart part = part_of(bytes, box, 4096);
    const auto whole_pixels = [](double x) { return x == std::floor(x); };
    ASSERT_TRUE(whole_pixels(part.window.top) && whole_pixels(part.window.left)) << what;
    const Sample sample{3,
                        part.image.height,
                        part.image.width,
                        {part.image.pixels.begin(), part.image.pixels.end()}};
    const Box found{static_cast<std::int64_t>(part.window.top),
                    static_cast<std::int64_t>(part.window.left),
                    static_cast<std::int64_t>(part.window.height),
                    static_cast<std::int64_t>(part.window.width)};
    ASSERT_EQ(cut_out(sample, found).pixels, cut_out(whole, box).pixels)
        << what << ", box " << box.top << " " << box.left << " " << box.height << " " << box.width;
  }
}

TEST(DecodePart, AtFullSizeHasThePixelsOfTheWholeImage) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const auto& [h, v] :
         {std::pair(1, 1), std::pair(2, 1), std::pair(1, 2), std::pair(2, 2)}) {
      for (const bool progressive : {false, true}) {
        expect_the_whole_image_bit_for_bit(
            turned_jpeg(131, 157, orientation,
                        {.h = h, .v = v, .progressive = progressive, .restart = 3u * (h - 1)}),
            fmt::format("orientation {}, {}x{}, progressive {}", orientation, h, v, progressive));
      }
    }
  }
  expect_the_whole_image_bit_for_bit(turned_jpeg(90, 61, 6, {.colour = JCS_GRAYSCALE}), "grey");
  expect_the_whole_image_bit_for_bit(
      turned_jpeg(61, 90, 8, {.colour = JCS_CMYK, .stored = JCS_YCCK, .h = 2, .v = 2}), "YCCK");
}

double mean_difference(const Sample& a, const Sample& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

Sample resized_box(const Sample& whole, const Box& box, std::int64_t side) {
  return View(view_of(whole), window_of(box), side, side).render(3);
}

// Boxes whose borders fall between the pixels of the smaller image, at each scale. Half a pixel of
// it further, the ramp and the waves would differ by more.
TEST(DecodePart, ScaledDownIsTheWholeImageResized) {
  constexpr std::int64_t side = 24;
  for (const int orientation : {1, 3, 6, 8}) {
    const std::string bytes = turned_jpeg(437, 390, orientation, {.h = 2, .v = 2});
    const Sample whole = decode_image(bytes, "x.jpg");
    for (const auto& [box, eighths] :
         {std::pair(Box{33, 21, 60, 55}, 4), std::pair(Box{7, 150, 131, 140}, 2),
          std::pair(Box{101, 93, 241, 203}, 1), std::pair(Box{30, 11, 40, 300}, 8)}) {
      const DecodedPart part = part_of(bytes, box, side);
      EXPECT_EQ(part.window.height, static_cast<double>(box.height) * eighths / 8);
      EXPECT_LT(part.image.height, part.window.height + 2);
      EXPECT_LT(part.image.width, part.window.width + 2);
      const Sample small = View(part.image, part.window, side, side).render(3);
      const Sample right = resized_box(whole, box, side);
      EXPECT_LT(mean_difference(small, right), 1.3) << orientation << ", " << eighths << "/8";
      Box further = box;
      further.left += eighths == 8 ? 1 : 4 / eighths;
      EXPECT_GT(mean_difference(small, resized_box(whole, further, side)),
                1.2 * mean_difference(small, right))
          << orientation << ", " << eighths << "/8";
    }
  }
}

// The same random numbers, and at 8/8 the same bits, as transforms on an image in memory.
TEST(DecodePart, ACropOfAFileIsTheCropOfItsPixels) {
  const std::string bytes = turned_jpeg(120, 150, 6, {.h = 2, .v = 2});
  const Sample whole = decode_image(bytes, "x.jpg");
  const Pipeline pipeline{RandomResizedCrop{.size = 100}, RandomHorizontalFlip{}};
  for (int i = 0; i < 40; ++i) {
    Draws draws(3, 1, i);
    View view(whole);
    RandomResizedCrop{.size = 100}(view, draws);
    RandomHorizontalFlip{}(view, draws);
    const Sample expected = view.render(3);
    EXPECT_EQ(apply(pipeline, EncodedImage{bytes, "x"}, {3, 1, i}).render(3).pixels,
              expected.pixels)
        << i;
    EXPECT_EQ(apply(pipeline, whole, {3, 1, i}).render(3).pixels, expected.pixels) << i;
    EXPECT_EQ(apply(pipeline, view_of(whole), {3, 1, i}).render(3).pixels, expected.pixels) << i;
  }
}

// What a crop does not need may be damaged: folders are checked, whole, when they are opened.
TEST(DecodePart, DamageInWhatItReadsIsAnError) {
  std::string bytes = turned_jpeg(400, 300, 1);
  const auto decode_rows = [&](std::int64_t top, std::int64_t height) {
    part_of(bytes, {top, 0, height, 300}, 4096);
  };
  const std::string good = bytes;
  bytes.replace(bytes.size() / 2, 2, "\xff\xd5");
  EXPECT_NO_THROW(decode_rows(0, 40));
  EXPECT_ERROR(decode_rows(150, 200), IoError, "image 'x.jpg': corrupt JPEG");
  EXPECT_ERROR(decode_rows(340, 20), IoError,
               "image 'x.jpg': corrupt JPEG");  // among what it skips
  EXPECT_ERROR(check_image(bytes, "x.jpg"), IoError, "corrupt JPEG");
  bytes = good.substr(0, good.size() / 2);
  EXPECT_NO_THROW(decode_rows(0, 40));
  EXPECT_ERROR(decode_rows(380, 20), IoError, "corrupt JPEG");
  bytes = good.substr(0, good.size() - 2);  // no end marker
  EXPECT_ERROR(decode_rows(380, 20), IoError, "corrupt JPEG");
  EXPECT_ERROR(check_image(bytes, "x.jpg"), IoError, "corrupt JPEG");
}

TEST(DecodePart, OfNothingIsAnError) {
  const auto choose = [](std::int64_t h, std::int64_t w) { return Box{0, 0, h, w}; };
  EXPECT_THROW(decode_part(Sample{3, 0, 4, {}}, choose, 8), ShapeError);
  EXPECT_THROW(decode_part(Sample{3, 2, 2, {1, 2}}, choose, 8), ShapeError);
  EXPECT_ERROR(decode_part(EncodedImage{"GIF8", "x.gif", "look"}, choose, 8), IoError, "got a GIF",
               "(hint: look)");
}

// In double precision, by the formula in resize.h, of pixels at begin to begin + length.
std::vector<double> reference(const std::vector<float>& x, double begin, double length, int out) {
  std::vector<double> y;
  const double s = length / out, support = std::max(s, 1.0);
  for (int i = 0; i < out; ++i) {
    double sum = 0, total = 0;
    for (int j = 0; j < std::ssize(x); ++j) {
      if (j + 1 <= begin || j >= begin + length) continue;
      const double w = std::max(0.0, 1 - std::abs(j + 0.5 - begin - s * (i + 0.5)) / support);
      sum += w * x[j];
      total += w;
    }
    y.push_back(sum / total);
  }
  return y;
}

TEST(Resize, TakesAWindowWhoseBordersLieBetweenPixels) {
  std::mt19937 random(7);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<>(low, high)(random);
  };
  for (int round = 0; round < 300; ++round) {
    const int n = 1 + static_cast<int>(random() % 40), out = 1 + static_cast<int>(random() % 30);
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(uniform(-1, 1));
    const double begin = uniform(0, n) * 0.9, length = uniform(0.05, 1) * (n - begin);
    const ResizeAxis axis = window_axis(n, begin, length, out, 0, out), one = resize_axis(1, 1);
    const std::vector<double> expected = reference(x, begin, length, out);
    std::vector<float> across(out), down(out), scratch;
    resize_plane(x.data(), one, axis, across.data(), scratch);
    resize_plane(x.data(), axis, one, down.data(), scratch);
    for (int i = 0; i < out; ++i) {
      ASSERT_NEAR(across[i], expected[i], 1e-5) << n << ", " << begin << " + " << length;
      ASSERT_NEAR(down[i], expected[i], 1e-5) << n << ", " << begin << " + " << length;
    }
  }
}

}  // namespace
}  // namespace hac
