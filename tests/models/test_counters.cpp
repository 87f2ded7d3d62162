#include "models/arch/counters.h"

#include <nlohmann/json.hpp>

#include "models/arch/summary.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"
#include "tests/support/random_architecture.h"

namespace hac {
namespace {

using nlohmann::json;

TEST(Counters, TorchvisionFigures) {
  const Counters r18 = count(zoo("resnet18")), r34 = count(zoo("resnet34"));
  EXPECT_EQ(r18.params, 11689512);
  EXPECT_EQ(r18.macs, 1814073344);
  EXPECT_EQ(r18.ops_thop2021, 1819066368);
  EXPECT_EQ(r34.params, 21797672);
  EXPECT_EQ(r34.macs, 3663761408);
}

// Millions of operations at several resolutions, two digits, rounded or cut: convolutions of stride
// 2 round up, pooling rounds down.
TEST(Counters, SpatialRules) {
  const auto expect = [](const char* name, std::int64_t resolution, double millions) {
    const Counters counters = count(with_resolution(zoo(name), resolution));
    EXPECT_NEAR(static_cast<double>(counters.ops_thop2021) * 1e-6, millions, 0.01)
        << name << " at " << resolution;
  };
  constexpr std::pair<int, double> preact[] = {{224, 1735.22}, {225, 1969.54}, {232, 1988.30},
                                               {256, 2266.26}, {288, 2868.09}, {289, 3166.17},
                                               {299, 3253.32}, {300, 3253.32}, {304, 3277.40},
                                               {305, 3423.55}, {320, 3540.74}};
  constexpr std::pair<int, double> vgg[] = {{32, 153.22}, {33, 153.35}, {40, 228.79},
                                            {44, 254.27}, {48, 344.75}, {56, 453.89},
                                            {63, 494.31}, {64, 612.90}, {80, 957.64}};
  for (const auto& [resolution, millions] : preact) expect("preact_resnet18", resolution, millions);
  for (const auto& [resolution, millions] : vgg) expect("vgg11", resolution, millions);
}

// A second way to count, straight from the layers: sizes are walked by hand, nothing is shared with
// lower() or the specs.
struct Recount {
  static constexpr std::int64_t Counters::*figures[] = {
      &Counters::params,     &Counters::macs,        &Counters::ops_thop2021,
      &Counters::ops_fvcore, &Counters::ops_ptflops, &Counters::activations};
  std::int64_t c, h, classes;
  Counters sum;

  void add(const Counters& c, std::int64_t times = 1) {
    for (const auto figure : figures) sum.*figure += times * c.*figure;
  }
  void conv(std::int64_t out, std::int64_t k, std::int64_t stride, bool bias) {
    std::int64_t size = 0;  // positions where the window, padded by k / 2, starts
    for (std::int64_t at = -(k / 2); at + k <= h + k / 2; at += stride) ++size;
    const std::int64_t elements = out * size * size;
    sum.params += out * c * k * k + (bias ? out : 0);
    sum.macs += elements * c * k * k;
    sum.ops_thop2021 += elements * c * k * k + (bias ? elements : 0);
    sum.ops_fvcore += elements * c * k * k;
    sum.ops_ptflops += elements * (c * k * k + bias);
    sum.activations += elements;
    c = out, h = size;
  }
  void norm() {
    sum.params += 2 * c;
    for (auto ops : {&Counters::ops_thop2021, &Counters::ops_fvcore, &Counters::ops_ptflops}) {
      sum.*ops += 2 * c * h * h;
    }
  }
  void activate(Activation a) {
    const bool counted = a == Activation::relu || a == Activation::relu6 || a == Activation::silu;
    sum.ops_ptflops += counted ? c * h * h : 0;
  }
  void operator()(const Conv& l) { conv(l.out, l.kernel, l.stride, l.bias); }
  void operator()(const DepthwiseConv& l) {  // c times a convolution from one channel to one
    const std::int64_t channels = std::exchange(c, 1);
    Recount one{*this};
    one.sum = {};
    one.conv(1, l.kernel, l.stride, l.bias);
    add(one.sum, channels);
    c = channels, h = one.h;
  }
  void operator()(const BatchNorm& l) {
    norm();
    activate(l.activation);
  }
  void operator()(const Activate& l) { activate(l.activation); }
  void operator()(const Dropout&) {}
  void operator()(const Flatten&) { c = c * h * h, h = 1; }
  void operator()(const Pool& l) {
    if (l.kind == PoolMode::global_avg) {
      sum.ops_thop2021 += c * (h * h + 1);
      sum.ops_fvcore += c * h * h;
    }
    sum.ops_ptflops += c * h * h;
    h = l.kind == PoolMode::global_avg ? 1 : h / 2;
  }
  void operator()(const Linear& l) {
    const std::int64_t out = l.out ? l.out : classes;
    sum.params += c * out + (l.bias ? out : 0);
    for (const auto figure : {&Counters::macs, &Counters::ops_thop2021, &Counters::ops_fvcore,
                              &Counters::ops_ptflops}) {
      sum.*figure += c * out;
    }
    sum.ops_ptflops += l.bias ? out : 0;
    c = out;
  }
  void operator()(const PreactBlock& b) {
    norm();
    activate(b.activation);
    shortcut(b.stride, b.out, false);
    conv(b.mid, 3, b.stride, false);
    norm();
    activate(b.activation);
    conv(b.out, 3, 1, false);
  }
  void operator()(const BasicBlock& b) {
    shortcut(b.stride, b.out, true);
    conv(b.mid, 3, b.stride, false);
    norm();
    activate(b.activation);
    conv(b.out, 3, 1, false);
    norm();
    activate(b.activation);
  }
  void operator()(const Bottleneck& b) {
    shortcut(b.stride, b.out, true);
    normed(b.reduced, 1, 1, b.activation);
    normed(b.mid, 3, b.stride, b.activation);
    normed(b.out, 1, 1, b.activation);
  }
  void operator()(const InvertedResidual& b) { inverted(b, 0); }
  void operator()(const MBConv& b) { inverted(b, std::max<std::int64_t>(1, c / b.squeeze)); }
  void normed(std::int64_t out, std::int64_t k, std::int64_t stride, Activation a) {
    conv(out, k, stride, false);
    norm();
    activate(a);
  }
  template <class B>
  void inverted(const B& b, std::int64_t squeezed) {
    const std::int64_t in = c;
    if (b.mid > 0) normed(b.mid, 1, 1, b.activation);
    (*this)(DepthwiseConv{.kernel = b.kernel, .stride = b.stride});
    (*this)(BatchNorm{.activation = b.activation});
    if (squeezed > 0) {
      Recount side{c, h, classes, {}};
      side(Pool{.kind = PoolMode::global_avg});
      side.conv(squeezed, 1, 1, true);
      side.activate(b.activation);
      side.conv(c, 1, 1, true);
      add(side.sum);
    }
    normed(b.out > 0 ? b.out : in, 1, 1, Activation::none);
  }
  void shortcut(std::int64_t stride, std::int64_t out, bool with_norm) {
    if (stride == 1 && out == c) return;
    Recount side{c, h, classes, {}};
    side.conv(out, 1, stride, false);
    if (with_norm) side.norm();
    add(side.sum);
  }
};

TEST(Counters, AgreeWithASecondCountOnRandomArchitectures) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    const Architecture arch = RandomArchitecture(seed)();
    Recount second{arch.channels, arch.resolution, arch.classes, {}};
    for (const Layer& layer : arch.layers) std::visit(second, layer);
    const Counters counters = count(arch);
    int i = 0;
    for (const auto figure : Recount::figures) {
      ASSERT_EQ(counters.*figure, second.sum.*figure) << "figure " << i++ << to_json(arch);
    }
  }
}

// docs/flop_count.md of fvcore prints 274,656 of its small network, 194,616 of them convolutions.
TEST(Counters, FvcorePrints) {
  const Activate relu;
  Architecture net{.name = "small", .channels = 1, .resolution = 32, .classes = 10};
  net.layers = {Conv{.name = "conv1", .out = 6, .pad = 0, .bias = true},
                relu,
                Pool{},
                Conv{.name = "conv2", .out = 16, .pad = 0, .bias = true},
                relu,
                Pool{},
                Flatten{},
                Linear{.name = "fc1", .out = 120},
                relu,
                Linear{.name = "fc2", .out = 84},
                relu,
                Linear{.name = "fc3"}};
  EXPECT_EQ(count(net).ops_fvcore, 274656);
  net.layers.resize(6);
  net.layers.insert(net.layers.end(), {Flatten{}, Linear{.name = "fc"}});
  EXPECT_EQ(count(net).ops_fvcore, 194616 + 16 * 36 * 10);
}

// The table in the README of ptflops, G: torchvision's networks at 224 pixels.
TEST(Counters, PtflopsPrints) {
  const auto giga = [](const Architecture& arch) {
    return static_cast<double>(count(arch).ops_ptflops) * 1e-9;
  };
  EXPECT_NEAR(giga(zoo("resnet18")), 1.82, 0.005);
  EXPECT_NEAR(giga(zoo("resnet34")), 3.68, 0.005);
  constexpr std::pair<const char*, double> printed[] = {
      {"vgg11", 7.64}, {"vgg13", 11.36}, {"vgg16", 15.53}, {"vgg19", 19.70}};
  for (const auto& [name, expected] : printed) {
    Architecture net = with_classes(with_resolution(zoo(name), 224), 1000);
    net.layers.pop_back();
    for (const char* hidden : {"classifier.0", "classifier.3"}) {
      net.layers.push_back(Linear{.name = hidden, .out = 4096});
      net.layers.push_back(Activate{});
    }
    net.layers.push_back(Linear{.name = "classifier.6"});
    EXPECT_NEAR(giga(net), expected, 0.006) << name;
  }
}

// By hand: 4x4 from 2 channels, 3 filters; bias, batch norm, relu, both poolings, one linear layer.
TEST(Counters, RulesOfATinyNet) {
  Architecture net{.name = "tiny", .channels = 2, .resolution = 4, .classes = 5};
  net.layers = {Conv{.name = "c", .out = 3, .bias = true},
                BatchNorm{.name = "b", .activation = Activation::relu},
                Pool{},
                Pool{.kind = PoolMode::global_avg},
                Flatten{},
                Linear{.name = "fc"}};
  const Counters c = count(net);
  constexpr std::int64_t macs = 16 * 3 * 2 * 9 + 3 * 5, norm = 2 * 3 * 16;
  EXPECT_EQ(c.macs, macs);
  EXPECT_EQ(c.ops_thop2021, macs + 48 + norm + 3 * (4 + 1));
  EXPECT_EQ(c.ops_fvcore, macs + norm + 12);
  EXPECT_EQ(c.ops_ptflops, macs + 48 + norm + 48 + (48 + 12) + 5);
}

TEST(Counters, GroupsDivideWeightsAndMacs) {
  Architecture arch{.name = "grouped", .channels = 8, .resolution = 5, .classes = 2};
  arch.layers = {Conv{.name = "c", .out = 12, .groups = 4}, Flatten{}, Linear{.name = "fc"}};
  const Counters counters = count(arch);
  EXPECT_EQ(counters.params, 12 * 2 * 9 + 2 * 12 * 25 + 2);
  EXPECT_EQ(counters.macs, 25 * 12 * 2 * 9 + 2 * 12 * 25);
}

TEST(Counters, ABatchMultipliesWorkAndNotWeights) {
  for (const char* name : {"vgg11", "preact_resnet18", "resnet20"}) {
    const Counters one = count(zoo(name)), three = count(lower(zoo(name), 3));
    EXPECT_EQ(three.params, one.params);
    EXPECT_EQ(three.weight_bytes, one.weight_bytes);
    for (const auto figure : {&Counters::macs, &Counters::ops_thop2021, &Counters::activations,
                              &Counters::activation_bytes, &Counters::peak_activation_bytes}) {
      EXPECT_EQ(three.*figure, 3 * one.*figure) << name;
    }
  }
}

// By hand, elements: input 2*16, conv 4*16, batch norm 4*16, max pool 4*4, flatten 16, linear 3.
TEST(Counters, BytesOfAPlainNet) {
  Architecture arch{.name = "hand", .channels = 2, .resolution = 4, .classes = 3};
  arch.layers = {Conv{.name = "c", .out = 4},
                 BatchNorm{.name = "b", .activation = Activation::relu},
                 Pool{},
                 Dropout{},
                 Flatten{},
                 Linear{.name = "fc"}};
  const Counters counters = count(arch);
  EXPECT_EQ(counters.weight_bytes, 4 * (4 * 2 * 9 + 4 * 4 + 3 * 16 + 3));
  EXPECT_EQ(counters.activation_bytes, 4 * ((32 + 64) + (64 + 64) + (64 + 16) + (16 + 3)));
  EXPECT_EQ(counters.peak_activation_bytes, 4 * (64 + 64)) << "batch norm reads one, writes one";
  arch.channels = 40;
  EXPECT_EQ(count(arch).peak_activation_bytes, 4 * (40 * 16 + 64)) << "the input counts";
}

TEST(Counters, DropoutAndFlattenPassTheirValueOn) {
  Architecture arch{.name = "hand", .channels = 4, .resolution = 5, .classes = 3};
  arch.layers = {Dropout{}, Flatten{}, Linear{.name = "fc"}};
  EXPECT_EQ(count(arch).peak_activation_bytes, 4 * (4 * 25 + 3));
}

// The raw input of an identity block lives until the sum: x, bn1, conv1 | x, conv1, bn2 | ...
TEST(Counters, PeakOfAResidualBlock) {
  Architecture arch{.name = "hand", .channels = 8, .resolution = 4, .classes = 3};
  arch.layers = {PreactBlock{.name = "block", .mid = 24, .out = 8},
                 Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}};
  // bn2 is the widest moment: x (8) beside conv1's and bn2's 24 channels.
  EXPECT_EQ(count(arch).peak_activation_bytes, 4 * 16 * (8 + 24 + 24));
  std::get<PreactBlock>(arch.layers[0]).mid = 2;
  // Now it is the sum: x, conv2 and the result.
  EXPECT_EQ(count(arch).peak_activation_bytes, 4 * 16 * (8 + 8 + 8));
  arch.layers[0] = BasicBlock{.name = "block", .mid = 2, .out = 16, .stride = 1};
  // Projected: x, downsample.0 and .1 come first; bn2 holds conv2, the shortcut and the result.
  EXPECT_EQ(count(arch).peak_activation_bytes, 4 * 16 * (16 + 16 + 16));
}

// The batch norm at the input of a pre-activation block follows a sum and stays; the inner one
// folds.
TEST(Fuse, PreactivationNormsDoNotFold) {
  std::size_t folded = 0, standing = 0;
  for (const Op& op : fuse(lower(zoo("preact_resnet18"))).ops) {
    folded += op.folded.size();
    standing += op.spec.kind() == "batchnorm";
  }
  EXPECT_EQ(folded, 9u);  // eight bn2, and the first block's bn1 right behind the stem
  EXPECT_EQ(standing, 8u);
}

TEST(Summary, LayersAddUpToTheTotals) {
  for (const std::string& name : zoo_names()) {
    SCOPED_TRACE(name);
    const Summary summary = summarize(zoo(name));
    EXPECT_EQ(summary.total, count(zoo(name)));
    std::int64_t params = 0, macs = 0;
    for (const Op& op : summary.graph.ops) {
      params += op.spec.cost().params;
      macs += op.spec.cost().macs;
    }
    EXPECT_EQ(params, summary.total.params);
    EXPECT_EQ(macs, summary.total.macs);
  }
}

TEST(Summary, HoldsWhatProgramsAndPeopleRead) {
  const Summary summary = summarize(zoo("vgg11"));
  const json parsed = json::parse(to_json(summary)), first = parsed["layers"][0];
  const json expected = {{"params", 9231114},
                         {"macs", 152769536},
                         {"ops_thop2021", 153224192},
                         {"activations", 151552},
                         {"weight_bytes", 4 * (9231114 + 2 * 2752)},  // and running statistics
                         {"peak_activation_bytes", 524288}};
  for (const auto& [key, value] : expected.items()) EXPECT_EQ(parsed[key], value) << key;
  EXPECT_GT(parsed["activation_bytes"], 0);
  const json layer = {{"name", "features.0"},
                      {"kind", "conv2d"},
                      {"spec", "conv2d:f32,n1c3h32w32,k64r3s3,st1p1g1,bias"},
                      {"output", {1, 64, 32, 32}},
                      {"params", 1792},
                      {"macs", 1769472}};
  for (const auto& [key, value] : layer.items()) EXPECT_EQ(first[key], value) << key;
  EXPECT_CONTAINS(to_text(summary), "features.0 (conv2d)", "9,231,114", "152,769,536");
  EXPECT_LACKS(to_text(summary), "fvcore");
}

TEST(Summary, AllCountsStandSideBySide) {
  const Summary summary = summarize(zoo("resnet18"));
  const json some = json::parse(to_json(summary)),
             all = json::parse(to_json(summary, CountShown::all));
  EXPECT_FALSE(some.contains("ops_fvcore"));
  for (const CountingRule& rule : counting_rules) {
    EXPECT_EQ(all[rule.key], summary.total.*rule.value) << rule.key;
  }
  EXPECT_CONTAINS(to_text(summary, CountShown::all), "THOP 2021", "fvcore", "ptflops",
                  "1,814,073,344");
}

}  // namespace
}  // namespace hac
