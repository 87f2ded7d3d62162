// Every algorithm of a convolution on the CPU, whichever would be chosen: against the reference,
// and how exact it is on the layers of the zoo.

#include <map>
#include <set>

#include "kernels/core/half.h"
#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_product_cpu.h"
#include "models/arch/graph.h"
#include "models/zoo/zoo.h"
#include "tests/cases/conv2d.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

using cpu::ConvAlgorithm;
using cpu::ConvPlan;

constexpr std::uint64_t seed = 29;

Conv2dSpec depthwise(Shape x, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {.n = x[0],
          .c = x[1],
          .h = x[2],
          .w = x[3],
          .k = x[1],
          .r = kernel,
          .s = kernel,
          .stride = stride,
          .pad = pad,
          .groups = x[1]};
}

// For either kernel and stride: maps smaller than a kernel, of one tile or strip and of several, of
// rows that fill none; rows for many threads, parts of a sum that begin inside an image; and two
// whose outputs pass by the caches.
std::vector<Conv2dSpec> depthwise_specs() {
  std::vector<Conv2dSpec> all;
  for (const std::int64_t kernel : {3, 5}) {
    for (const std::int64_t stride : {1, 2}) {
      for (const Shape& x :
           {Shape{1, 16, 1, 2}, Shape{2, 20, 2, 4}, Shape{2, 17, 7, 6}, Shape{1, 40, 14, 22},
            Shape{3, 24, 13, 12}, Shape{2, 32, 11, 8}, Shape{2, 33, 9, 18}, Shape{5, 40, 27, 30}}) {
        all.push_back(depthwise(x, kernel, stride, kernel / 2));
        all.back().bias = all.size() % 2 == 0;
      }
    }
    for (const std::int64_t width : {1, 3, 5, 7, 9, 15, 35}) {
      all.push_back(depthwise({2, 17, width, width}, kernel, 1, kernel / 2));
      all.push_back(depthwise({2, 17, width, width}, kernel, 2, kernel / 2));
    }
  }
  all.push_back(depthwise({3, 130, 53, 52}, 3, 1, 1));
  all.push_back(depthwise({3, 130, 106, 54}, 3, 2, 1));
  return all;
}

// The odd cases; one whose images the product takes in parts, and maps and channels that Winograd
// takes in several parts: two by threads of their own, then two together, by either form.
std::vector<Conv2dSpec> specs() {
  std::vector<Conv2dSpec> all = cases::conv2d_odd();
  all.push_back({.n = 5, .c = 128, .h = 32, .w = 32, .k = 1, .bias = true});
  all.push_back({.n = 3, .c = 16, .h = 66, .w = 65, .k = 16, .pad = 0});
  all.push_back({.n = 4, .c = 150, .h = 15, .w = 15, .k = 40, .pad = 2});
  all.push_back({.n = 2, .c = 320, .h = 32, .w = 32, .k = 16});
  all.push_back({.n = 2, .c = 700, .h = 15, .w = 15, .k = 20});
  for (const Conv2dSpec& s : depthwise_specs()) all.push_back(s);
  return all;
}

// The plan of each algorithm that has one.
template <class Run>
void for_each_plan(Conv2dSpec s, Pass pass, Run run) {
  s.pass = pass;
  for (std::size_t i = 0; i < cpu::conv_algorithm_names().size(); ++i) {
    const auto plan =
        cpu::make_plan(Context::current().library(), s, static_cast<ConvAlgorithm>(i));
    if (plan) run(*plan, s.str() + " by " + std::string(cpu::conv_algorithm_names()[i]));
  }
}

// Of the largest element.
double floor_of(const ConvPlan& plan) {
  if (plan.algorithm == ConvAlgorithm::winograd4) return 2e-5;
  if (plan.algorithm == ConvAlgorithm::winograd2_bf16) return 4e-3;  // of rounding to 8 bits
  return plan.algorithm == ConvAlgorithm::winograd2 ? 3e-6 : 1e-6;
}

// By own loops: not oneDNN's, nor its products.
bool is_own(ConvAlgorithm a) { return a != ConvAlgorithm::direct && a != ConvAlgorithm::product; }

struct Memory {
  explicit Memory(const ConvPlan& p)
      : packed(Tensor::empty({static_cast<std::int64_t>(p.packed_bytes)}, Dtype::u8)),
        scratch(Tensor::empty({static_cast<std::int64_t>(p.scratch_bytes + 64)}, Dtype::u8)) {}
  Tensor packed, scratch;
};

Tensor convolve(ConvPlan& plan, const Tensor& x, const Tensor& w, const float* bias, Tensor y) {
  const Memory m(plan);
  plan.pack(w.as<float>(), m.packed.data(), m.scratch.data());
  plan.convolve(in_own_layout(x).data(), m.packed.data(), bias, y.data(), m.scratch.data());
  return y;
}

Tensor rounded(const Tensor& w) {
  const Tensor r = w.clone();
  for (std::int64_t i = 0; i < r.numel(); ++i) {
    r.as<float>()[i] = to_float(from_float<bf16>(r.as<float>()[i]));
  }
  return r;
}

// F(2x2, 3x3) with its transformed weights rounded to bf16: Lavin and Gray (2015), equation 7.
Doubles filtered_by_bf16(const Conv2dSpec& s, const Doubles& x, const Tensor& w,
                         const Doubles& bias) {
  constexpr double bt[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
  constexpr double g[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
  constexpr double at[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
  const auto u_at = [&](std::int64_t k, std::int64_t c, int a, int b) {
    double u = 0;
    for (int q = 0; q < 9; ++q) {
      u += g[a][q / 3] * g[b][q % 3] * w.as<float>()[(k * s.c + c) * 9 + q];
    }
    return static_cast<double>(to_float(from_float<bf16>(static_cast<float>(u))));
  };
  std::vector<double> u;
  for (std::int64_t i = 0; i < s.k * s.c * 16; ++i) {
    u.push_back(u_at(i / 16 / s.c, i / 16 % s.c, i / 4 % 4, i % 4));
  }
  Doubles y;
  for (std::int64_t at_y = 0; at_y < s.n * s.k * s.oh() * s.ow(); ++at_y) {
    const std::int64_t column = at_y % s.ow(), row = at_y / s.ow() % s.oh();
    const std::int64_t image = at_y / s.ow() / s.oh(), k = image % s.k, n = image / s.k;
    double sum = s.bias ? bias[k] : 0;
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (int t = 0; t < 16; ++t) {
        double v = 0;
        for (int d = 0; d < 16; ++d) {
          const double weight = bt[t / 4][d / 4] * bt[t % 4][d % 4];
          const std::int64_t h = row / 2 * 2 + d / 4 - s.pad, e = column / 2 * 2 + d % 4 - s.pad;
          if (weight == 0 || h < 0 || h >= s.h || e < 0 || e >= s.w) continue;
          v += weight * x[((n * s.c + c) * s.h + h) * s.w + e];
        }
        sum += at[row % 2][t / 4] * at[column % 2][t % 4] * u[(k * s.c + c) * 16 + t] * v;
      }
    }
    y.push_back(sum);
  }
  return y;
}

TEST(ConvAlgorithms, WeightsFilteredInBf16AreWhatIsMultiplied) {
  int compared = 0;
  for (const Conv2dSpec& s : cases::conv2d_odd()) {
    // Numbers of eight bits: their transform is exact in f32, so that both round the same.
    const Tensor x = random_tensor(s.in_shape(), seed, 0),
                 w = rounded(random_tensor(s.weight_shape(), seed, 1)),
                 bias = random_tensor({s.k}, seed, 2);
    for_each_plan(s, Pass::inference, [&](ConvPlan& plan, const std::string& what) {
      if (plan.algorithm != ConvAlgorithm::winograd2_bf16) return;
      const Tensor y = convolve(plan, x, w, s.bias ? bias.as<float>() : nullptr,
                                Tensor::activation(s.out_shape()));
      const Doubles expected = filtered_by_bf16(s, doubles(x), w, doubles(bias));
      expect_close(y, expected, tolerance(9. * static_cast<double>(s.c), 3e-6), what);
      ++compared;
    });
  }
  EXPECT_GE(compared, 3);
}

TEST(ConvAlgorithms, TheProductTakesALargeBatchInParts) {
  EXPECT_LT(cpu::product_sizes({.n = 5, .c = 128, .h = 32, .w = 32, .k = 1}).images, 5);
}

TEST(ConvAlgorithms, DepthwiseIsWhatHasAPlanOfItsOwn) {
  const auto plans = [](const Conv2dSpec& s) {
    int found = 0;
    for (const Pass pass :
         {Pass::forward, Pass::inference, Pass::backward_data, Pass::backward_weights}) {
      for_each_plan(s, pass, [&](const ConvPlan& plan, const std::string&) {
        found += plan.algorithm == ConvAlgorithm::depthwise;
      });
    }
    return found;
  };
  for (const Conv2dSpec& s : depthwise_specs()) {
    EXPECT_EQ(plans(s), s.stride == 1 || s.w % 2 == 0 ? 4 : 3) << s.str();
  }
  const Conv2dSpec other[] = {depthwise({2, 32, 9, 9}, 7, 1, 3),
                              depthwise({2, 32, 9, 9}, 3, 3, 1),
                              depthwise({2, 32, 9, 9}, 3, 1, 0),
                              {.c = 32, .h = 9, .w = 9, .k = 64, .groups = 32},
                              {.c = 32, .h = 9, .w = 9, .k = 32, .groups = 2},
                              {.c = 32, .h = 9, .w = 9, .k = 32}};
  for (const Conv2dSpec& s : other) EXPECT_EQ(plans(s), 0) << s.str();
}

TEST(ConvAlgorithms, ForwardMatchesTheReferenceWithSumAndActivation) {
  for (Conv2dSpec s : specs()) {
    const Tensor x = random_tensor(s.in_shape(), seed, 0),
                 w = random_tensor(s.weight_shape(), seed, 1);
    const Tensor bias = random_tensor({s.k}, seed, 2),
                 residual = random_tensor(s.out_shape(), seed, 3);
    const Doubles added = doubles(residual);
    const Doubles plain = reference::conv2d(s, {doubles(x), doubles(w), doubles(bias)});
    const Doubles by_bf16 = reference::conv2d(s, {doubles(x), doubles(rounded(w)), doubles(bias)});
    for (const auto& [add, activation] : {std::pair(false, Activation::none),
                                          {false, Activation::relu},
                                          {true, Activation::none},
                                          {true, Activation::relu6},
                                          {true, Activation::silu}}) {
      s.add = add;
      s.activation = activation;
      const auto compare = [&](ConvPlan& plan, const std::string& what) {
        Doubles expected = plan.algorithm == ConvAlgorithm::taps_bf16 ? by_bf16 : plain;
        for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += s.add ? added[i] : 0;
        const double hidden = activate_all(s.activation, expected);
        const Tensor y = convolve(plan, x, w, s.bias ? bias.as<float>() : nullptr,
                                  in_own_layout(residual).clone());
        const auto terms = static_cast<double>(s.r * s.s * s.c / s.groups);
        expect_close(y, expected, hidden * tolerance(terms, floor_of(plan)), what);
        expect_zero_padding(y, what);
      };
      for_each_plan(s, Pass::inference, compare);
      if (!s.add && s.activation == Activation::none) for_each_plan(s, Pass::forward, compare);
    }
  }
}

// By few threads and by more than a layer has parts for.
TEST(ConvAlgorithms, AnyNumberOfThreadsComputesTheSameBits) {
  for (const Conv2dSpec& s : specs()) {
    const Tensor x = random_tensor(s.in_shape(), seed, 0),
                 w = random_tensor(s.weight_shape(), seed, 1),
                 dy = random_tensor(s.out_shape(), seed, 4);
    std::map<std::string, Tensor> first;
    for (const int threads : {1, 2, 3, 7}) {
      set_num_threads(threads);
      for_each_plan(s, Pass::inference, [&](ConvPlan& plan, const std::string& what) {
        if (!is_own(plan.algorithm)) return;
        const Tensor y = convolve(plan, x, w, nullptr, Tensor::activation(s.out_shape()));
        expect_same_bits(first.try_emplace(what, y).first->second, y, what);
      });
      for_each_plan(s, Pass::backward_data, [&](ConvPlan& plan, const std::string& what) {
        if (!is_own(plan.algorithm)) return;
        const Tensor dx = convolve(plan, dy, w, nullptr, Tensor::activation(s.in_shape()));
        expect_same_bits(first.try_emplace(what, dx).first->second, dx, what);
      });
      for_each_plan(s, Pass::backward_weights, [&](ConvPlan& plan, const std::string& what) {
        if (!is_own(plan.algorithm)) return;
        const Memory m(plan);
        const Tensor dw = Tensor::zeros(s.weight_shape());
        plan.gradient(in_own_layout(x).data(), in_own_layout(dy).data(), m.packed.data(),
                      dw.as<float>(), nullptr, m.scratch.data());
        expect_same_bits(first.try_emplace(what, dw).first->second, dw, what);
      });
      set_num_threads(0);
    }
  }
}

TEST(ConvAlgorithms, BackwardMatchesTheReference) {
  for (const Conv2dSpec& s : specs()) {
    const Tensor x = random_tensor(s.in_shape(), seed, 0),
                 w = random_tensor(s.weight_shape(), seed, 1);
    const Tensor bias = random_tensor({s.k}, seed, 2), dy = random_tensor(s.out_shape(), seed, 4);
    std::vector<Doubles> inputs{doubles(x), doubles(w)};
    if (s.bias) inputs.push_back(doubles(bias));
    const std::vector<Doubles> expected = reference::conv2d_backward(s, inputs, doubles(dy));
    const auto taps = static_cast<double>(s.r * s.s * s.k / s.groups);
    const auto pixels = static_cast<double>(s.n * s.oh() * s.ow());
    Conv2dSpec data = s;
    data.bias = false;
    for_each_plan(data, Pass::backward_data, [&](ConvPlan& plan, const std::string& what) {
      const Tensor dx = convolve(plan, dy, w, nullptr, in_own_layout(x).clone());
      expect_close(dx, expected[0], tolerance(taps, floor_of(plan)), what);
      expect_zero_padding(dx, what);
    });
    for_each_plan(s, Pass::backward_weights, [&](ConvPlan& plan, const std::string& what) {
      const Memory m(plan);
      const Tensor dw = w.clone(), db = bias.clone();
      plan.gradient(in_own_layout(x).data(), in_own_layout(dy).data(), m.packed.data(),
                    dw.as<float>(), s.bias ? db.as<float>() : nullptr, m.scratch.data());
      expect_close(dw, expected[1], tolerance(pixels, floor_of(plan)), what);
      if (s.bias) expect_close(db, expected[2], tolerance(pixels, floor_of(plan)), what);
    });
  }
}

// F(4x4, 3x3): 36 products for 16 outputs; F(2x2, 3x3): 16 for 4. Tiles at the edge count whole.
TEST(ConvAlgorithms, MultiplicationsAreFewerByWinogradAndWithoutPadding) {
  const auto done = [](const Conv2dSpec& s, ConvAlgorithm a) {
    return cpu::make_plan(Context::current().library(), s, a)->implementation.multiplications;
  };
  const Conv2dSpec spec{.n = 2, .c = 16, .h = 8, .w = 8, .k = 32};
  const std::int64_t pairs = 16 * 32, macs = 2 * 8 * 8 * pairs * 9;
  EXPECT_EQ(done(spec, ConvAlgorithm::product), macs);
  // Of 24 products along an axis, the first and the last are with padding.
  cpu::Library& library = Context::current().library();
  if (const auto direct = cpu::make_plan(library, spec, ConvAlgorithm::direct)) {  // not on ARM
    EXPECT_EQ(direct->implementation.multiplications, 2 * 22 * 22 * pairs);
  }
  EXPECT_EQ(done(spec, ConvAlgorithm::taps), 2 * 22 * 22 * pairs);
  EXPECT_EQ(done(spec, ConvAlgorithm::winograd4), macs / 4);
  EXPECT_EQ(done(spec, ConvAlgorithm::winograd2), macs * 4 / 9);
  const Conv2dSpec odd{.n = 1, .c = 16, .h = 5, .w = 5, .k = 16};
  EXPECT_EQ(done(odd, ConvAlgorithm::winograd4), 4 * 36 * 16 * 16);
  const Conv2dSpec strided{.c = 4, .h = 4, .w = 4, .k = 8, .stride = 2, .groups = 2};
  EXPECT_EQ(strided.macs_inside(), 5 * 5 * 8 * 2);
  const Conv2dSpec plain{.c = 4, .h = 6, .w = 6, .k = 8, .pad = 0};
  EXPECT_EQ(plain.macs_inside(), plain.cost().macs);
}

// The 3x3 layers with stride 1 of the zoo, each once.
std::set<Conv2dSpec> zoo_layers() {
  std::set<Conv2dSpec> layers;
  for (const char* name : {"vgg11", "resnet18", "preact_resnet18", "resnet20"}) {
    for (const Op& op : lower(zoo(name), 1).ops) {
      const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
      if (conv && conv->r == 3 && conv->stride == 1) layers.insert(*conv);
    }
  }
  return layers;
}

// y at some outputs in double, of images behind a ReLU and weights as networks begin with.
TEST(ConvAlgorithms, AreAsExactAsPromisedOnTheLayersOfTheZoo) {
  constexpr int samples = 300;
  const std::set<Conv2dSpec> layers = zoo_layers();
  EXPECT_GE(layers.size(), 15u);
  for (Conv2dSpec s : layers) {
    s.bias = false;
    const Tensor x = random_tensor(s.in_shape(), seed, 0),
                 w = random_tensor(s.weight_shape(), seed, 1);
    for (std::int64_t i = 0; i < x.numel(); ++i) x.as<float>()[i] = std::max(0.f, x.as<float>()[i]);
    const auto exact = [&](std::int64_t k, std::int64_t i, std::int64_t j) {
      double sum = 0;
      for (std::int64_t c = 0; c < s.c; ++c)
        for (std::int64_t u = std::max<std::int64_t>(0, 1 - i); u < std::min(s.r, s.h + 1 - i); ++u)
          for (std::int64_t v = std::max<std::int64_t>(0, 1 - j); v < std::min(s.s, s.w + 1 - j);
               ++v)
            sum += static_cast<double>(x.as<float>()[(c * s.h + i + u - 1) * s.w + j + v - 1]) *
                   w.as<float>()[(k * s.c + c) * 9 + u * 3 + v];
      return sum;
    };
    for_each_plan(s, Pass::inference, [&](ConvPlan& plan, const std::string& what) {
      if (cpu::has_bf16_weights(plan.algorithm)) return;
      const Tensor y =
          convolve(plan, x, w, nullptr, Tensor::activation(s.out_shape())).to(Layout::plain);
      double largest = 0, worst = 0;
      for (std::int64_t i = 0; i < y.numel(); ++i) {
        largest = std::max<double>(largest, std::abs(y.as<float>()[i]));
      }
      for (int n = 0; n < samples; ++n) {
        const std::int64_t at = n * (y.numel() - 1) / (samples - 1), hw = s.h * s.w;
        const double error = y.as<float>()[at] - exact(at / hw, at % hw / s.w, at % s.w);
        worst = std::max(worst, std::abs(error));
      }
      const double bound = is_winograd(plan.algorithm)
                               ? floor_of(plan)
                               : tolerance(static_cast<double>(9 * s.c), floor_of(plan));
      EXPECT_LE(worst, bound * largest) << what << ", seed " << seed;
    });
  }
}

}  // namespace
}  // namespace hac
