// What a device makes of staged images: the bytes of the CPU's transforms, bit for bit, and those
// of formulas in double precision.

#include <algorithm>
#include <cmath>
#include <random>

#include "data/loader/device_transform.h"
#include "data/loader/staging.h"
#include "tests/support/image_fixtures.h"
#include "tests/support/places.h"

namespace hac {
namespace {

using testing::noise_image;

// On the CPU there is Loader; bytes have no dtype.
std::vector<Place> devices() {
  std::vector<Place> all = places();
  std::erase_if(all, [](const Place& p) {
    return p.device.kind == DeviceKind::cpu || p.dtype != Dtype::f32;
  });
  return all;
}

struct Made {
  std::vector<std::uint8_t> squares;
  std::vector<std::int32_t> labels;
};

template <class T>
std::vector<T> on_host(const Tensor& t) {
  const Tensor host = t.to(Device{});
  return {host.as<T>(), host.as<T>() + host.numel()};
}

// Labels are places, threefold. The device's memory ends where what was staged does.
Made make(const std::vector<View>& views, const Preprocessing& p, Device device) {
  const auto n = static_cast<std::int64_t>(views.size());
  const Tensor host = Tensor::empty({most_staged_bytes(n, p)}, Dtype::u8);
  StagedBatch batch(host.data(), n, 0, p);
  for (const View& view : views) batch.add(view, 3 * static_cast<std::int32_t>(&view - &views[0]));
  EXPECT_LE(batch.others().end, host.numel());
  const Tensor staged = host.slice(0, batch.others().end).to(device);
  const DevicePosition position(device);
  position.set(0);
  const Tensor squares =
      Tensor::empty({n, p.channels, p.resolution, p.resolution}, Dtype::u8, device);
  const Tensor erased = Tensor::empty({n, most_erased, sizeof(ErasedBox)}, Dtype::u8, device);
  const Tensor labels = Tensor::empty({n}, Dtype::i32, device);
  augment_kernels.run(&AugmentKernels::squares, device,
                      AugmentSpec{.n = n, .channels = p.channels, .native = p.resolution},
                      staged.data(), position.data(), squares.data(), erased.data(), labels.data());
  return {on_host<std::uint8_t>(squares), on_host<std::int32_t>(labels)};
}

class Any {
 public:
  explicit Any(int seed) : random_(seed) {}
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(random_()) % n; }
  double uniform(double low, double high) {
    return std::uniform_real_distribution<>(low, high)(random_);
  }

  // Of whatever a pipeline leaves pending.
  View view(std::int64_t channels, std::int64_t side) {
    const Sample image = noise_image(channels, 1 + below(60), 1 + below(60));
    const std::int64_t border = below(2) * below((side + 1) / 2), inner = side - 2 * border;
    View view = below(2) ? cropped(image, inner) : shrunk(image, inner);
    if (border > 0) view.window(-border, -border, side, side);
    if (below(2)) view.window(below(9) - 4, below(9) - 4, side, side);
    if (below(2)) view.mirror();
    for (std::int64_t steps = below(7); steps > 0; --steps) adjust(view);
    return view;
  }

 private:
  View cropped(const Sample& image, std::int64_t side) {
    const auto span = [this](std::int64_t n, double& begin, double& length) {
      begin = below(2) ? static_cast<double>(below(n)) : uniform(0, 0.9 * static_cast<double>(n));
      length = uniform(0.05, 1) * (static_cast<double>(n) - begin);
    };
    Window w;
    span(image.height, w.top, w.height);
    span(image.width, w.left, w.width);
    return {view_of(image), w, side, side};
  }
  View shrunk(const Sample& image, std::int64_t side) {
    View view(image);
    view.resize(side + below(9), side + below(9));
    view.window(below(view.height() - side + 1), below(view.width() - side + 1), side, side);
    return view;
  }
  void adjust(View& view) {
    const auto what = static_cast<Adjustment>(below(4));
    view.adjust(what, what == Adjustment::hue ? uniform(-0.5, 0.5) : uniform(0, 2.5));
  }

  std::mt19937 random_;
};

TEST(Squares, AreTheBytesOfTheCpu) {
  for (const Place& place : devices()) {
    const At at(place);
    for (const std::int64_t channels : {1, 3}) {
      for (const std::int64_t side : {1, 5, 16, 33}) {
        const Preprocessing p{.channels = channels, .resolution = side};
        Any any(7);
        std::vector<View> views;
        for (int i = 0; i < 24; ++i) views.push_back(any.view(channels, side));
        const Made made = make(views, p, place.device);
        for (std::size_t i = 0; i < views.size(); ++i) {
          const std::vector<std::uint8_t> expected = View(views[i]).render(channels).pixels;
          ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                                 made.squares.begin() + i * expected.size()))
              << place.name << ": image " << i << " of " << channels << " channels, side " << side
              << ", seed 7";
          ASSERT_EQ(made.labels[i], 3 * i);
        }
      }
    }
  }
}

double weight(std::int64_t j, double begin, double length, std::int64_t i, std::int64_t out) {
  if (static_cast<double>(j) + 1 <= begin || static_cast<double>(j) >= begin + length) return 0;
  const double s = length / static_cast<double>(out);
  const double distance = static_cast<double>(j) + 0.5 - begin - s * (static_cast<double>(i) + 0.5);
  return std::max(0.0, 1 - std::abs(distance) / std::max(s, 1.0));
}

// Pixel (y, x) of a window resized to (side, side), mirrored.
double reference(const Sample& s, std::int64_t c, const Window& w, std::int64_t side,
                 std::int64_t y, std::int64_t x) {
  double sum = 0, total = 0;
  for (std::int64_t row = 0; row < s.height; ++row) {
    const double across = weight(row, w.top, w.height, y, side);
    for (std::int64_t column = 0; across > 0 && column < s.width; ++column) {
      const double one = across * weight(column, w.left, w.width, side - 1 - x, side);
      sum += one * s.pixels[(c * s.height + row) * s.width + column];
      total += one;
    }
  }
  return sum / total;
}

TEST(Squares, AreResizedAsInDoublePrecision) {
  constexpr std::int64_t side = 13;
  const Sample image = noise_image(3, 41, 37);
  const Window windows[] = {{0, 0, 41, 37}, {3, 7, 30, 20}, {10.25, 1.5, 5.75, 35.5}, {8, 8, 3, 4}};
  std::vector<View> views;
  for (const Window& w : windows) {
    views.push_back({view_of(image), w, side, side});
    views.back().mirror();
  }
  for (const Place& place : devices()) {
    const At at(place);
    const Made made = make(views, {.resolution = side}, place.device);
    auto got = made.squares.begin();
    for (const Window& w : windows) {
      for (std::int64_t i = 0; i < 3 * side * side; ++i, ++got) {
        const double exact =
            reference(image, i / (side * side), w, side, i / side % side, i % side);
        ASSERT_NEAR(*got, exact, 0.5 + 1e-3)
            << place.name << ": window at " << w.top << ", pixel " << i;
      }
    }
  }
}

double luma_of(const std::uint8_t* p, std::int64_t plane) {
  return std::floor(0.2989 * p[0] + 0.587 * p[plane] + 0.114 * p[2 * plane]);
}

TEST(Squares, HaveTheirColoursAdjustedAsInDoublePrecision) {
  constexpr std::int64_t side = 9, plane = side * side;
  const Sample image = noise_image(3, side, side);
  double mean = 0;
  for (std::int64_t i = 0; i < plane; ++i) mean += luma_of(&image.pixels[i], plane) / plane;
  const std::pair<Adjustment, double> steps[] = {
      {Adjustment::brightness, 0.4}, {Adjustment::brightness, 1.7}, {Adjustment::contrast, 0.3},
      {Adjustment::contrast, 1.9},   {Adjustment::saturation, 0},   {Adjustment::saturation, 2.2}};
  std::vector<View> views;
  for (const auto& [what, factor] : steps) views.emplace_back(image).adjust(what, factor);
  for (const Place& place : devices()) {
    const At at(place);
    const Made made = make(views, {.resolution = side}, place.device);
    auto got = made.squares.begin();
    for (const auto& [what, factor] : steps) {
      for (std::int64_t i = 0; i < 3 * plane; ++i, ++got) {
        const double other = what == Adjustment::brightness ? 0
                             : what == Adjustment::contrast
                                 ? mean
                                 : luma_of(&image.pixels[i % plane], plane);
        const double exact = std::clamp(factor * image.pixels[i] + (1 - factor) * other, 0., 255.);
        ASSERT_TRUE(*got > exact - 1.001 && *got < exact + 0.001)
            << place.name << ": adjustment " << static_cast<int>(what) << " by " << factor << ": "
            << int{*got} << ", exactly " << exact;
      }
    }
  }
}

}  // namespace
}  // namespace hac
