#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "kernels/core/error.h"
#include "models/arch/fields.h"
#include "models/arch/graph.h"

namespace hac {
namespace {

constexpr std::int64_t max_batch = std::int64_t{1} << 20;
// Above these, sums over a network would leave 64 bits.
constexpr double max_macs = 1e18, max_elements = 1e17;

constexpr int no_residual = -2;

// Walks the layers. A value is the index of the op that makes it, -1 is the network's input.
class Builder {
 public:
  Builder(const Architecture& arch, std::int64_t batch, Dtype dtype) : arch_(arch), dtype_(dtype) {
    graph_.input = {batch, arch.channels, arch.resolution, arch.resolution};
    for (const std::string& name : width_names(arch)) {
      widths_.emplace(name, static_cast<int>(widths_.size()));
    }
  }

  Graph build() {
    for (const Layer& layer : arch_.layers) {
      value_ = std::visit([&](const auto& l) { return add(l); }, layer);
    }
    return std::move(graph_);
  }

 private:
  int add(const Conv& l) { return conv(l, value_); }
  int add(const DepthwiseConv& l) {
    const std::int64_t c = image("depthwise_conv", l.name)[1];
    return conv({.name = l.name,
                 .out = c,
                 .kernel = l.kernel,
                 .stride = l.stride,
                 .pad = l.pad,
                 .groups = c,
                 .bias = l.bias},
                value_);
  }
  int add(const BatchNorm& l) { return norm(l.name, value_, l.activation); }

  int add(const Activate& l) {
    if (value_ >= 0) {
      auto* before = std::get_if<BatchNormSpec>(&graph_.ops[value_].spec);
      if (before && before->activation == Activation::none) {
        before->activation = l.activation;
        return value_;
      }
    }
    return append("", ActivationSpec{.activation = l.activation, .shape = shape(value_)}, {value_});
  }

  int add(const Pool& l) {
    const Shape in = image("pool", where());
    Pool2dSpec spec{.mode = l.kind, .n = in[0], .c = in[1], .h = in[2], .w = in[3]};
    if (l.kind != PoolMode::global_avg) {
      spec.kernel = l.kernel;
      spec.stride = l.stride;
      spec.pad = l.pad;
      check_window(fmt::format("{}pool '{}'", to_string(l.kind), where()), in, l.kernel, l.pad);
    }
    return append("", spec, {value_});
  }

  int add(const Flatten&) {
    return append("", FlattenSpec{.shape = image("flatten", where())}, {value_});
  }

  int add(const Dropout& l) {
    return append("", DropoutSpec{.shape = shape(value_), .p = l.p}, {value_});
  }

  int add(const Linear& l) {
    const Shape in = shape(value_);
    if (in.rank() != 2) {
      throw ConfigError(fmt::format(
          "linear '{}': expected a flattened input, got {} (hint: put a flatten before it)", l.name,
          in.str()));
    }
    const LinearSpec spec{
        .n = in[0], .in = in[1], .out = l.out == 0 ? arch_.classes : l.out, .bias = l.bias};
    return append(l.name, spec, {value_}, static_cast<double>(spec.n) * spec.in * spec.out);
  }

  // In both blocks the shortcut comes first, so that it is there when the last convolution, to
  // which inference fuses the sum, wants to add it.
  int add(const PreactBlock& b) {
    const int input = value_;
    const bool project = b.stride != 1 || b.out != image("preact_block", b.name)[1];
    const int active = norm(b.name + ".bn1", input, b.activation);
    const int shortcut =
        project ? projection(b.name + ".shortcut.0", b.out, b.stride, active) : input;
    int main = conv({.name = b.name + ".conv1", .out = b.mid, .stride = b.stride}, active);
    main = norm(b.name + ".bn2", main, b.activation);
    main = conv({.name = b.name + ".conv2", .out = b.out}, main);
    return append("", AddSpec{.shape = shape(main)}, {main, shortcut});
  }

  int add(const BasicBlock& b) {
    const int input = value_;
    int shortcut = input;
    if (b.stride != 1 || b.out != image("basic_block", b.name)[1]) {
      shortcut = projection(b.name + ".downsample.0", b.out, b.stride, input);
      shortcut = norm(b.name + ".downsample.1", shortcut, Activation::none);
    }
    int main = conv({.name = b.name + ".conv1", .out = b.mid, .stride = b.stride}, input);
    main = norm(b.name + ".bn1", main, b.activation);
    main = conv({.name = b.name + ".conv2", .out = b.out}, main);
    return norm(b.name + ".bn2", main, b.activation, shortcut);
  }

  int add(const Bottleneck& b) {
    const int input = value_;
    int shortcut = input;
    if (b.stride != 1 || b.out != image("bottleneck", b.name)[1]) {
      shortcut = projection(b.name + ".downsample.0", b.out, b.stride, input);
      shortcut = norm(b.name + ".downsample.1", shortcut, Activation::none);
    }
    int main = projection(b.name + ".conv1", b.reduced, 1, input);
    main = norm(b.name + ".bn1", main, b.activation);
    main = conv({.name = b.name + ".conv2", .out = b.mid, .stride = b.stride}, main);
    main = norm(b.name + ".bn2", main, b.activation);
    main = projection(b.name + ".conv3", b.out, 1, main);
    return norm(b.name + ".bn3", main, b.activation, shortcut);
  }

  int add(const InvertedResidual& b) {
    check_inverted("inverted_residual", b);
    const int input = value_;
    const std::string base = b.name + ".conv.";
    const int at = b.mid > 0 ? 2 : 1;
    int main = filtered(b, base);
    main = projection(fmt::format("{}{}", base, at), out_width(b, input), 1, main);
    return norm(fmt::format("{}{}", base, at + 1), main, Activation::none,
                b.out == 0 ? input : no_residual);
  }

  int add(const MBConv& b) {
    check_inverted("mbconv", b);
    const int input = value_;
    const std::string base = b.name + ".block.";
    const int at = b.mid > 0 ? 2 : 1;
    int main = filtered(b, base);
    main = squeeze_and_excite(fmt::format("{}{}", base, at), squeezed(shape(input)[1], b.squeeze),
                              b.activation, main);
    main = projection(fmt::format("{}{}.0", base, at + 1), out_width(b, input), 1, main);
    main = norm(fmt::format("{}{}.1", base, at + 1), main, Activation::none);
    if (b.out > 0) return main;
    if (b.p > 0)
      main = append("", DropoutSpec{.shape = shape(main), .p = b.p, .images = true}, {main});
    return append("", AddSpec{.shape = shape(main)}, {main, input});
  }

  template <class B>
  void check_inverted(const char* what, const B& b) const {
    image(what, b.name);
    if (b.out == 0 && b.stride != 1) {
      throw ConfigError(
          fmt::format("{} '{}': expected stride 1 where the input is added (out = 0), got {}", what,
                      b.name, b.stride));
    }
    if (b.kernel % 2 == 0) {
      throw ConfigError(
          fmt::format("{} '{}': expected an odd kernel, got {}", what, b.name, b.kernel));
    }
  }

  template <class B>
  std::int64_t out_width(const B& b, int input) const {
    return b.out_width(shape(input)[1]);
  }

  // The expansion, if any, and the depthwise convolution of an inverted residual.
  template <class B>
  int filtered(const B& b, const std::string& base) {
    int main = value_;
    if (b.mid > 0) {
      main = projection(base + "0.0", b.mid, 1, main);
      main = norm(base + "0.1", main, b.activation);
    }
    const std::string name = base + (b.mid > 0 ? "1." : "0.");
    const std::int64_t c = shape(main)[1];
    main = conv({.name = name + "0",
                 .out = c,
                 .kernel = b.kernel,
                 .stride = b.stride,
                 .pad = (b.kernel - 1) / 2,
                 .groups = c},
                main);
    return norm(name + "1", main, b.activation);
  }

  int squeeze_and_excite(const std::string& name, std::int64_t width, Activation activation,
                         int input) {
    const Shape in = shape(input);
    int gates = append(
        "",
        Pool2dSpec{.mode = PoolMode::global_avg, .n = in[0], .c = in[1], .h = in[2], .w = in[3]},
        {input});
    gates = conv({.name = name + ".fc1", .out = width, .kernel = 1, .pad = 0, .bias = true}, gates);
    gates = append("", ActivationSpec{.activation = activation, .shape = shape(gates)}, {gates});
    gates = conv({.name = name + ".fc2", .out = in[1], .kernel = 1, .pad = 0, .bias = true}, gates);
    return append("", GateSpec{.n = in[0], .c = in[1], .h = in[2], .w = in[3]}, {input, gates});
  }

  int projection(const std::string& name, std::int64_t out, std::int64_t stride, int input) {
    return conv({.name = name, .out = out, .kernel = 1, .stride = stride, .pad = 0}, input);
  }

  int conv(const Conv& l, int input) {
    value_ = input;
    const Shape in = image("conv", l.name);
    if (in[1] % l.groups != 0 || l.out % l.groups != 0) {
      throw ConfigError(
          fmt::format("conv '{}': expected groups that divide {} input and {} output channels, "
                      "got {}",
                      l.name, in[1], l.out, l.groups));
    }
    check_window(fmt::format("conv '{}'", l.name), in, l.kernel, l.pad);
    const Conv2dSpec spec{.n = in[0],
                          .c = in[1],
                          .h = in[2],
                          .w = in[3],
                          .k = l.out,
                          .r = l.kernel,
                          .s = l.kernel,
                          .stride = l.stride,
                          .pad = l.pad,
                          .groups = l.groups,
                          .bias = l.bias};
    const double macs = static_cast<double>(spec.n) * spec.oh() * spec.ow() * spec.k *
                        (spec.c / spec.groups) * spec.r * spec.s;
    return append(l.name, spec, {input}, macs);
  }

  int norm(const std::string& name, int input, Activation activation, int residual = no_residual) {
    value_ = input;
    const Shape in = image("batchnorm", name);
    const bool adds = residual != no_residual;
    BatchNormSpec spec{
        .n = in[0], .c = in[1], .h = in[2], .w = in[3], .add = adds, .activation = activation};
    const bool fused = spec.available();
    if (!fused) spec.activation = Activation::none;
    value_ = append(name, spec, adds ? std::vector{input, residual} : std::vector{input});
    return fused ? value_
                 : append("", ActivationSpec{.activation = activation, .shape = in}, {value_});
  }

  int append(std::string name, OpSpec spec, std::vector<int> inputs, double macs = 0) {
    std::visit([&](auto& s) { s.dtype = dtype_; }, spec);
    const Shape out = spec.out_shape();
    double elements = 1;
    for (int i = 0; i < out.rank(); ++i) elements *= static_cast<double>(out[i]);
    elements_ += elements;
    macs_ += macs;
    if (macs_ > max_macs || elements_ > max_elements) {
      throw ConfigError(fmt::format(
          "architecture '{}': expected at most {:g} multiply-accumulates and {:g} activation "
          "elements, got {:g} and {:g} up to '{}'",
          arch_.name, max_macs, max_elements, macs_, elements_, name));
    }
    if (!name.empty() && !names_.insert(name).second) {
      throw ConfigError(
          fmt::format("architecture '{}': expected every layer name once, got '{}' "
                      "twice",
                      arch_.name, name));
    }
    const auto width = widths_.find(name);
    graph_.ops.push_back({.name = std::move(name),
                          .spec = std::move(spec),
                          .inputs = std::move(inputs),
                          .width_index = width == widths_.end() ? -1 : width->second});
    return static_cast<int>(graph_.ops.size()) - 1;
  }

  Shape shape(int value) const { return value < 0 ? graph_.input : graph_.ops[value].out(); }

  // Where a layer without a name stands.
  std::string where() const {
    for (int i = value_; i >= 0; --i) {
      if (!graph_.ops[i].name.empty()) return "after " + graph_.ops[i].name;
    }
    return "input";
  }

  Shape image(const char* what, const std::string& name) const {
    const Shape in = shape(value_);
    if (in.rank() == 4) return in;
    throw ConfigError(
        fmt::format("{} '{}': expected an input of rank 4, got {} (hint: it stands "
                    "behind a flatten)",
                    what, name, in.str()));
  }

  // A pad of a whole window would make outputs of padding alone.
  void check_window(const std::string& where, const Shape& in, std::int64_t kernel,
                    std::int64_t pad) const {
    if (pad >= kernel) {
      throw ConfigError(
          fmt::format("{}: expected a pad below the kernel {}, got {}", where, kernel, pad));
    }
    const std::int64_t least = std::max<std::int64_t>(1, kernel - 2 * pad);
    if (in[2] >= least && in[3] >= least) return;
    throw ConfigError(
        fmt::format("{}: expected an input of at least {}x{}, got {}x{} (hint: "
                    "resolution {} is too small for '{}')",
                    where, least, least, in[2], in[3], arch_.resolution, arch_.name));
  }

  const Architecture& arch_;
  Dtype dtype_;
  Graph graph_;
  int value_ = -1;                               // what the next layer reads
  std::unordered_map<std::string, int> widths_;  // index of each, by the name of its convolution
  double macs_ = 0, elements_ = 0;
  std::unordered_set<std::string> names_;
};

}  // namespace

Graph lower(const Architecture& arch, std::int64_t batch, Dtype dtype) {
  check_fields(arch);
  if (batch < 1 || batch > max_batch) {
    throw ConfigError(fmt::format("architecture '{}': expected a batch from 1 to {}, got {}",
                                  arch.name, max_batch, batch));
  }
  return Builder(arch, batch, dtype).build();
}

}  // namespace hac
