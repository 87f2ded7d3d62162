// Resize against PyTorch, fit, augmentation and normalisation against naive references.

#include <cmath>
#include <map>
#include <tuple>

#include "data/image/resize.h"
#include "data/loader/input_transform.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::fit;
using testing::noise_image;

struct Golden {
  std::array<int, 4> sizes;   // height and width in, and out
  double mix;                 // sum over outputs of y_k * ((29 k) mod 17 - 8)
  std::vector<float> values;  // all outputs, or nine spread evenly over more than 40
};

// Printed by tests/data/data_goldens.py with PyTorch 1.13.
const std::vector<Golden> goldens{
    {{7, 5, 3, 2},
     -1.69228,
     {0.009610f, -0.143442f, 0.160642f, -0.017487f, -0.155519f, -0.052792f}},
    {{5, 7, 8, 3}, 1.50673, {-0.145714f, 0.014118f,  0.284286f,  -0.215089f, -0.006985f,
                             0.214911f,  -0.278125f, -0.022279f, 0.097768f,  -0.016518f,
                             0.096103f,  -0.181696f, 0.064732f,  0.177353f,  -0.325893f,
                             -0.034375f, 0.221471f,  -0.334821f, -0.052321f, 0.065074f,
                             -0.181429f, -0.058571f, -0.060000f, -0.061429f}},
    {{3, 4, 3, 4},
     5.20000,
     {-0.780000f, -0.040000f, 0.700000f, -0.580000f, 0.160000f, 0.900000f, -0.380000f, 0.360000f,
      -0.920000f, -0.180000f, 0.560000f, -0.720000f}},
    {{4, 3, 5, 7}, 6.08857, {-0.780000f, -0.674286f, -0.357143f, -0.040000f, 0.277143f,  0.594286f,
                             0.700000f,  -0.640000f, -0.534286f, -0.217143f, 0.100000f,  0.417143f,
                             0.734286f,  0.840000f,  -0.480000f, -0.374286f, -0.057143f, 0.260000f,
                             0.144286f,  0.028571f,  -0.010000f, -0.320000f, -0.214286f, 0.102857f,
                             0.420000f,  -0.128571f, -0.677143f, -0.860000f, -0.180000f, -0.074286f,
                             0.242857f,  0.560000f,  0.011428f,  -0.537143f, -0.720000f}},
    {{6, 1, 1, 2}, -0.24000, {0.060000f, 0.060000f}},
    {{32, 32, 40, 40},
     563.50183,
     {-0.780000f, 0.224000f, 0.004000f, -0.216000f, -0.436000f, -0.453999f, -0.673999f, 0.924000f,
      0.760000f}},
    {{32, 32, 24, 24},
     1.36810,
     {-0.301800f, 0.214909f, -0.005091f, -0.225091f, -0.059455f, -0.150909f, -0.370909f, 0.474182f,
      0.281800f}},
    {{33, 31, 8, 61},
     9.34984,
     {-0.054706f, -0.074706f, 0.123382f, -0.031029f, -0.184615f, 0.048352f, 0.105074f, -0.227574f,
      -0.111176f}},
    {{224, 224, 37, 255},
     1.88948,
     {-0.406700f, 0.034972f, 0.175596f, -0.234244f, 0.111903f, -0.046810f, -0.235462f, 0.022536f,
      0.524526f}},
    {{31, 31, 1, 1}, 0.00173, {-0.000217f}},
    {{2, 2, 64, 64},
     8.53836,
     {-0.780000f, -0.040000f, -0.040000f, -0.166563f, -0.301563f, -0.436563f, -0.571563f,
      -0.580000f, -0.580000f}},
};

std::vector<float> ramp(std::int64_t n) {
  std::vector<float> x(n);
  for (std::int64_t i = 0; i < n; ++i) x[i] = static_cast<float>((i * 37 + 11) % 101) / 50 - 1;
  return x;
}

TEST(Resize, GivesTheNumbersOfPyTorch) {
  for (const Golden& g : goldens) {
    const auto [h, w, out_h, out_w] = g.sizes;
    SCOPED_TRACE(::testing::Message() << h << "x" << w << " to " << out_h << "x" << out_w);
    const std::vector<float> x = ramp(h * w);
    std::vector<float> y(out_h * out_w), scratch;
    resize_plane(x.data(), resize_axis(h, out_h), resize_axis(w, out_w), y.data(), scratch);
    const auto n = std::ssize(y);
    double mix = 0, weight = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      mix += y[k] * static_cast<double>((k * 29) % 17 - 8);
      weight += 8;
    }
    EXPECT_NEAR(mix, g.mix, 1e-6 * weight + 1e-5);
    for (std::int64_t p = 0; p < std::ssize(g.values); ++p) {
      const std::int64_t k = n <= 40 ? p : p * (n - 1) / 8;
      EXPECT_NEAR(y[k], g.values[p], 1e-5) << "output " << k;
    }
  }
}

TEST(Resize, ReadsBytesAsItReadsFloats) {
  std::vector<std::uint8_t> bytes(11 * 9);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 41);
  const std::vector<float> floats(bytes.begin(), bytes.end());
  for (const int out : {3, 25}) {
    std::vector<float> a(out * out), b(out * out), scratch;
    const ResizeAxis v = resize_axis(11, out), h = resize_axis(9, out);
    resize_plane(bytes.data(), v, h, a.data(), scratch);
    resize_plane(floats.data(), v, h, b.data(), scratch);
    EXPECT_EQ(a, b);
  }
}

TEST(Resize, WindowIsAPartOfTheWhole) {
  for (const auto& [in, out] :
       std::vector<std::pair<int, int>>{{17, 6}, {6, 17}, {100, 1}, {1, 9}}) {
    const ResizeAxis whole = resize_axis(in, out);
    for (int first = 0; first < out; ++first) {
      const ResizeAxis part = window_axis(in, 0, static_cast<double>(in), out, first, 1);
      double sum = 0;
      for (int t = 0; t < part.taps; ++t) sum += part.weight[t];
      EXPECT_NEAR(sum, 1, 1e-6);
      ASSERT_GE(part.start[0], 0);
      ASSERT_LE(part.start[0] + part.taps, in);
      for (int t = 0; t < whole.taps; ++t) {
        const std::int64_t at = whole.start[first] + t - part.start[0];
        const float expected = at >= 0 && at < part.taps ? part.weight[at] : 0.0f;
        EXPECT_EQ(whole.weight[t * out + first], expected);
      }
    }
  }
}

// Resize the whole image in double, then crop as Python's round(), which rounds halves to even.
double fit_reference(const Sample& s, int c, int res, int y, int x) {
  const auto axis = [&](std::int64_t in, int at) {
    const std::int64_t out = res * in / std::min(s.height, s.width), margin = out - res;
    const std::int64_t first =
        margin % 2 == 0 ? margin / 2 : margin / 4 * 2 + (margin % 4 == 3 ? 2 : 0);
    const double scale = double(in) / double(out), support = std::max(1.0, scale);
    std::map<std::int64_t, double> weights;
    double total = 0;
    for (std::int64_t j = 0; j < in; ++j) {
      const double w = 1 - std::abs(j + 0.5 - scale * (first + at + 0.5)) / support;
      if (w > 0) total += weights[j] = w;
    }
    for (auto& [j, w] : weights) w /= total;
    return weights;
  };
  double sum = 0;
  for (const auto& [j, wy] : axis(s.height, y)) {
    for (const auto& [i, wx] : axis(s.width, x)) {
      sum += wy * wx * s.pixels[(c * s.height + j) * s.width + i];
    }
  }
  return sum;
}

TEST(Evaluation, ResizesTheShorterSideAndCropsTheCentre) {
  // Margins of 0, 1, 2, 3 and 5 pixels, shrinking and growing, both ways round.
  for (const auto& [h, w, res] : std::vector<std::tuple<int, int, int>>{
           {10, 10, 4}, {10, 13, 4}, {10, 15, 4}, {18, 10, 4}, {10, 23, 4}, {5, 4, 9}, {3, 7, 8}}) {
    const Sample s = noise_image(3, h, w), out = fit(s, 3, res);
    ASSERT_EQ(out.height, res);
    ASSERT_EQ(out.width, res);
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < res; ++y) {
        for (int x = 0; x < res; ++x) {
          ASSERT_NEAR(out.pixels[(c * res + y) * res + x], fit_reference(s, c, res, y, x), 0.5001)
              << h << "x" << w << " to " << res << " at " << c << ", " << y << ", " << x;
        }
      }
    }
  }
}

TEST(Evaluation, ConvertsChannels) {
  const Sample grey = noise_image(1, 4, 4), rgb = fit(grey, 3, 4);
  for (int i = 0; i < 48; ++i) EXPECT_EQ(rgb.pixels[i], grey.pixels[i % 16]);
  const Sample colour = noise_image(3, 5, 5), luma = fit(colour, 1, 5);
  for (int i = 0; i < 25; ++i) {
    const double expected =
        0.299 * colour.pixels[i] + 0.587 * colour.pixels[25 + i] + 0.114 * colour.pixels[50 + i];
    EXPECT_NEAR(luma.pixels[i], expected, 0.51);
  }
  EXPECT_EQ(fit(colour, 3, 5).pixels, colour.pixels);
  EXPECT_THROW(fit(noise_image(2, 4, 4), 3, 4), ShapeError);
  EXPECT_THROW(fit(Sample{}, 3, 4), ShapeError);
  EXPECT_THROW(fit(grey, 1, 0), ConfigError);
}

// A shift and a flip (tests/data/test_transforms.cpp).
View moved(const Sample& s, int dy, int dx, bool mirror) {
  View view(s);
  view.window(dy, dx, s.height, s.width);
  if (mirror) view.mirror();
  return view;
}

std::vector<float> normalised(const Sample& s, const Normalization& norm) {
  std::vector<float> out;
  const std::int64_t plane = s.height * s.width;
  for (std::int64_t i = 0; i < std::ssize(s.pixels); ++i) {
    const double mean = norm.mean[i / plane], std = norm.std[i / plane];
    out.push_back(static_cast<float>((s.pixels[i] / 255.0 - mean) / std));
  }
  return out;
}

const Normalization statistics{{0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}};

Preprocessing native(std::int64_t channels, std::int64_t resolution) {
  return {.channels = channels, .resolution = resolution, .normalization = statistics};
}

TEST(InputTransform, NormalisesWhatTheViewShows) {
  for (const int n : {1, 3, 8, 33}) {
    for (const int channels : {1, 3}) {
      const InputTransform transform(native(channels, n), n);
      InputTransform::Scratch scratch;
      for (int k = 0; k < 9 * 9 * 2; ++k) {
        const View view = moved(noise_image(channels, n, n), k / 2 % 9 - 4, k / 18 - 4, k % 2 == 1);
        std::vector<float> out(channels * n * n, NAN);
        transform(view, out.data(), scratch);
        const std::vector<float> expected = normalised(View(view).render(channels), statistics);
        for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 1e-6) << k;
      }
    }
  }
}

TEST(InputTransform, ResizesAfterTheAugmentation) {
  const Sample s = noise_image(3, 32, 32);
  const std::vector<float> before = normalised(moved(s, -3, 2, true).render(3), statistics);
  for (const int out : {24, 40}) {
    const InputTransform transform(native(3, 32), out);
    InputTransform::Scratch scratch;
    std::vector<float> got(3 * out * out), expected(3 * out * out), rows;
    transform(moved(s, -3, 2, true), got.data(), scratch);
    const ResizeAxis axis = resize_axis(32, out);
    for (int c = 0; c < 3; ++c) {
      resize_plane(before.data() + c * 1024, axis, axis, expected.data() + c * out * out, rows);
    }
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-6) << i;
  }
}

TEST(InputTransform, RejectsAnotherSize) {
  const InputTransform transform(native(3, 8), 8);
  InputTransform::Scratch scratch;
  std::vector<float> out(3 * 64);
  EXPECT_THROW(transform(View(noise_image(3, 8, 9)), out.data(), scratch), ShapeError);
  EXPECT_THROW(transform(View(noise_image(2, 8, 8)), out.data(), scratch), ShapeError);
  EXPECT_THROW(InputTransform(native(3, 8), 0), ConfigError);
  EXPECT_THROW(InputTransform(native(4, 8), 8), ConfigError);
}

}  // namespace
}  // namespace hac
