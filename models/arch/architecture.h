#pragma once
// An Architecture is a plain value: what a network is, before any memory is spent on it. Input
// widths are inferred, never stored, so widening a layer is changing one integer.
//
//   Architecture -lower()-> Graph -Model-> parameters, training
//                             |--counters, latency table, deployment
//
// lower() (models/arch/graph.h) turns it into primitive operations with every shape known.

#include <string>
#include <variant>
#include <vector>

#include "kernels/core/activation.h"
#include "kernels/core/types.h"
#include "kernels/ops/pool2d.h"

namespace hac {

// What a layer is to depth scaling: a unit by itself, a unit with what stands around it (a
// depthwise convolution before, a batch norm and activation behind), or no unit.
enum class Role : std::uint8_t { block, conv, other };

// Every layer says what scaling must know of it, so that a new one is scalable at once:
//   role
//   own_widths(layer, visit)  visit(width, name of its convolution) for each width that it owns, in
//                             order of execution
//   out_width(in)             channels of the output, for an input of `in`
//   adds_input(in)            of a block: is an input of `in` channels added to the output, so that
//                             both widths must agree?
//   projects                  of a block: is its input projected where it cannot be added?
// `name` is the PyTorch prefix of the layer's parameters: "features.0", "layer2.0".
struct WithoutWidths {
  bool operator==(const WithoutWidths&) const = default;
  static constexpr Role role = Role::other;
  static void own_widths(auto&, auto&&) {}
  std::int64_t out_width(std::int64_t in) const { return in; }
};
struct Conv {
  std::string name;
  std::int64_t out = 64;
  std::int64_t kernel = 3, stride = 1, pad = 1, groups = 1;
  bool bias = false;
  bool operator==(const Conv&) const = default;
  static constexpr Role role = Role::conv;
  static void own_widths(auto& l, auto&& visit) { visit(l.out, l.name); }
  std::int64_t out_width(std::int64_t) const { return out; }
};
// A convolution of each channel alone: as many groups and outputs as the input has channels,
// however wide that is.
struct DepthwiseConv : WithoutWidths {
  std::string name;
  std::int64_t kernel = 3, stride = 1, pad = 1;
  bool bias = false;
  bool operator==(const DepthwiseConv&) const = default;
};
struct BatchNorm : WithoutWidths {
  std::string name;
  Activation activation = Activation::none;  // behind it
  bool operator==(const BatchNorm&) const = default;
};
struct Activate : WithoutWidths {
  Activation activation = Activation::relu;
  bool operator==(const Activate&) const = default;
};
struct Pool : WithoutWidths {
  PoolMode kind = PoolMode::max;
  std::int64_t kernel = 2, stride = 2, pad = 0;
  bool operator==(const Pool&) const = default;
};
struct Flatten : WithoutWidths {
  bool operator==(const Flatten&) const = default;
};
struct Dropout : WithoutWidths {
  float p = 0.5f;
  bool operator==(const Dropout&) const = default;
};
// out = 0: the number of classes.
struct Linear : WithoutWidths {
  std::string name;
  std::int64_t out = 0;
  bool bias = true;
  bool operator==(const Linear&) const = default;
};
// Pre-activation residual block (He et al. 2016, in the form of NeuralScale): BN-act-conv(mid,
// stride)-BN-act-conv(out) + shortcut. The shortcut is the raw input, or, where stride or width
// change, a 1x1 convolution without batch norm on the first activation.
// Parameters: bn1, conv1, bn2, conv2, shortcut.0.
struct PreactBlock {
  std::string name;
  std::int64_t mid = 64, out = 64, stride = 1;
  Activation activation = Activation::relu;
  bool operator==(const PreactBlock&) const = default;
  static constexpr Role role = Role::block;
  static constexpr bool projects = true;
  static void own_widths(auto& l, auto&& visit) {
    visit(l.mid, l.name + ".conv1");
    visit(l.out, l.name + ".conv2");
  }
  std::int64_t out_width(std::int64_t) const { return out; }
  bool adds_input(std::int64_t in) const { return stride == 1 && in == out; }
};
// Post-activation residual block (He et al. 2015): conv(mid, stride)-BN-act-conv(out)-BN +
// shortcut, act. The shortcut is the input or a 1x1 convolution with batch norm.
// Parameters: conv1, bn1, conv2, bn2, downsample.0, downsample.1.
struct BasicBlock {
  std::string name;
  std::int64_t mid = 64, out = 64, stride = 1;
  Activation activation = Activation::relu;
  bool operator==(const BasicBlock&) const = default;
  static constexpr Role role = Role::block;
  static constexpr bool projects = true;
  static void own_widths(auto& l, auto&& visit) {
    visit(l.mid, l.name + ".conv1");
    visit(l.out, l.name + ".conv2");
  }
  std::int64_t out_width(std::int64_t) const { return out; }
  bool adds_input(std::int64_t in) const { return stride == 1 && in == out; }
};

// Bottleneck block (He et al. 2015): 1x1 conv(reduced)-BN-act, 3x3 conv(mid, stride)-BN-act, 1x1
// conv(out)-BN + shortcut, act; shortcut as in BasicBlock. The stride is at the 3x3 convolution, as
// in torchvision.
// Parameters: conv1, bn1, conv2, bn2, conv3, bn3, downsample.0, downsample.1.
struct Bottleneck {
  std::string name;
  std::int64_t reduced = 64, mid = 64, out = 256, stride = 1;
  Activation activation = Activation::relu;
  bool operator==(const Bottleneck&) const = default;
  static constexpr Role role = Role::block;
  static constexpr bool projects = true;
  static void own_widths(auto& l, auto&& visit) {
    visit(l.reduced, l.name + ".conv1");
    visit(l.mid, l.name + ".conv2");
    visit(l.out, l.name + ".conv3");
  }
  std::int64_t out_width(std::int64_t) const { return out; }
  bool adds_input(std::int64_t in) const { return stride == 1 && in == out; }
};
// Inverted residual (MobileNetV2, Sandler et al. 2018): 1x1 conv(mid)-BN-act, depthwise
// conv(stride)-BN-act, 1x1 conv(out)-BN, without a shortcut; or, with out = 0, as wide as its
// input, which is added. Nothing projects, so a shortcut is there or is not, whatever the widths
// become, and the stream belongs to the block that begins it. With mid = 0 nothing is expanded.
// Parameters, of conv.: 0.0, 0.1 (expansion), 1.0, 1.1 (depthwise), 2, 3; without expansion 0.0,
// 0.1, 1, 2.
struct InvertedResidual {
  std::string name;
  std::int64_t mid = 0, out = 0;
  std::int64_t kernel = 3, stride = 1;
  Activation activation = Activation::relu6;
  bool operator==(const InvertedResidual&) const = default;
  static constexpr Role role = Role::block;
  static constexpr bool projects = false;
  static void own_widths(auto& l, auto&& visit) {
    if (l.mid > 0) visit(l.mid, l.name + ".conv.0.0");
    if (l.out > 0) visit(l.out, l.name + (l.mid > 0 ? ".conv.2" : ".conv.1"));
  }
  std::int64_t out_width(std::int64_t in) const { return out > 0 ? out : in; }
  bool adds_input(std::int64_t) const { return out == 0; }
};
constexpr std::int64_t squeezed(std::int64_t width, std::int64_t squeeze) {
  return width < squeeze ? 1 : width / squeeze;
}
// The same with squeeze-and-excitation behind the depthwise convolution, by way of squeezed(input
// channels, squeeze), and stochastic depth: an image's sum is left out with probability p
// (EfficientNet, Tan and Le 2019). Parameters, of block.: 0.0, 0.1 (expansion), 1.0, 1.1
// (depthwise), 2.fc1, 2.fc2, 3.0, 3.1; without expansion all but the first two one lower.
struct MBConv {
  std::string name;
  std::int64_t mid = 0, out = 0;
  std::int64_t kernel = 3, stride = 1, squeeze = 4;
  Activation activation = Activation::silu;
  float p = 0;
  bool operator==(const MBConv&) const = default;
  static constexpr Role role = Role::block;
  static constexpr bool projects = false;
  static void own_widths(auto& l, auto&& visit) {
    if (l.mid > 0) visit(l.mid, l.name + ".block.0.0");
    if (l.out > 0) visit(l.out, l.name + (l.mid > 0 ? ".block.3.0" : ".block.2.0"));
  }
  std::int64_t out_width(std::int64_t in) const { return out > 0 ? out : in; }
  bool adds_input(std::int64_t) const { return out == 0; }
};

using Layer = std::variant<Conv, DepthwiseConv, BatchNorm, Activate, Pool, Flatten, Dropout, Linear,
                           PreactBlock, BasicBlock, Bottleneck, InvertedResidual, MBConv>;

// Whether the last width that a layer owns is its output's; else the output is as wide as the
// input.
bool owns_output(const auto& layer) { return layer.out_width(0) > 0; }

struct Architecture {
  std::string name;
  std::int64_t channels = 3;
  std::int64_t resolution = 32;  // height = width of the input
  std::int64_t classes = 10;
  // Index one past the last layer of each stage: where depth scaling adds a unit (spec 1.3). A unit
  // is a block, or a convolution with what belongs to it (Role). Pooling lies between stages.
  std::vector<int> stage_ends;
  std::vector<Layer> layers;

  bool operator==(const Architecture&) const = default;
};

// Throws ConfigError naming the layer: unknown or duplicate names, non-positive widths, a channel
// count that groups do not divide, an input too small for its strides, no linear layer at the end.
void validate(const Architecture& arch);

std::string to_json(const Architecture& arch);
// Throws ConfigError (unknown keys and types are errors) after bounding every number.
Architecture architecture_from_json(const std::string& text);
Architecture load_architecture(const std::string& path);  // IoError, ConfigError
void save_architecture(const Architecture& arch, const std::string& path);

// The scalable widths in order of execution, those that layers own (8 for VGG11, 17 for ResNet18).
// Projections and depthwise convolutions follow their ends; the classifier is not one.
std::vector<std::int64_t> widths(const Architecture& arch);
// Name of the convolution that each width belongs to ("features.0", "layer1.0.conv1").
std::vector<std::string> width_names(const Architecture& arch);
Architecture with_widths(const Architecture& arch, const std::vector<std::int64_t>& widths);
// Groups of width indices that a residual stream ties together, when tied scaling is asked for;
// each index appears once, alone where it is free.
std::vector<std::vector<int>> residual_groups(const Architecture& arch);
// Blocks of stride 1 that project, since their input and output differ in width.
std::vector<std::string> untied_blocks(const Architecture& arch);

std::vector<std::int64_t> blocks(const Architecture& arch);  // units a stage
// Adds or removes stride-1 units at the ends of stages; new names follow PyTorch's numbering.
Architecture with_blocks(const Architecture& arch, const std::vector<std::int64_t>& blocks);
Architecture with_resolution(const Architecture& arch, std::int64_t resolution);
Architecture with_classes(const Architecture& arch, std::int64_t classes);
Architecture with_channels(const Architecture& arch, std::int64_t channels);

// Nearest multiple of q, halves up, at least q.
std::int64_t round_to(double value, std::int64_t q);
// w * C rounded to q for every width; the stem too unless scale_stem is false (spec 1.1).
Architecture scale_width(const Architecture& arch, double w, std::int64_t q = 8,
                         bool scale_stem = true);
// N' = round(d * sum of units) by largest remainder, ties to the later stage (spec 1.3).
Architecture scale_depth(const Architecture& arch, double d);
// round_to(r * R0, q).
Architecture scale_resolution(const Architecture& arch, double r, std::int64_t q = 4);

}  // namespace hac
