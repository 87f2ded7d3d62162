#include "models/arch/block_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace hac {
namespace {

// A block whose next operation is another one.
struct NoMatch {};

constexpr const char* one_activation = "the same activation behind each convolution of its block";

// Follows one kind of block through a graph. Throws NoMatch.
class Matcher {
 public:
  Matcher(const Readers& graph, int begin, Mismatch& furthest)
      : graph_(graph), begin_(begin), at_(begin), furthest_(furthest) {}

  BlockMatch preact(bool bias_before) {
    const bool folded = graph_.as<ActivationSpec>(graph_.only(begin_)) && bias_before;
    int norm = -1;
    if (!folded) {
      for (const int reader : graph_.of(begin_)) {
        if (graph_.as<BatchNormSpec>(reader)) at_ = norm = reader;
      }
      if (norm < 0) no(begin_, "a batch norm first");
    }
    match_.parts.push_back({"bn1", folded ? Origin{.shift = begin_} : Origin{.op = norm}});
    match_.takes_bias = folded;
    activate();
    const int active = at_;
    PreactBlock block;
    // Of the two that may read it, the one that a batch norm or activation follows.
    any_reader(active, [&](int first) {
      const Conv2dSpec& c = conv(first, 3, 0);
      block = {.mid = c.k, .stride = c.stride};
      part("conv1", "bn2", first);
      activate();
    });
    const int last = graph_.only(at_);
    const Conv2dSpec& c = conv(last, 3, 1);
    if (c.bias) no(last, "no bias before the sum of a pre-activation block");
    match_.parts.push_back({"conv2", {.op = last}});
    at_ = last;
    const int shortcut = sum();
    if (shortcut != begin_) {
      const Conv2dSpec& p = projection(shortcut, active, block.stride);
      if (p.bias) no(shortcut, "no bias in the projection of a pre-activation block");
      match_.parts.push_back({"shortcut.0", {.op = shortcut}});
    }
    block.out = c.k;
    return finish(block, shortcut != begin_);
  }

  BlockMatch basic() {
    BasicBlock block;
    any_reader(begin_, [&](int first) {
      const Conv2dSpec& c = conv(first, 3, 0);
      block = {.mid = c.k, .stride = c.stride};
      part("conv1", "bn1", first);
      activate();
      const int last = graph_.only(at_);
      block.out = conv(last, 3, 1).k;
      part("conv2", "bn2", last);
      post_activation(block.stride, block.out);
    });
    return finish(block);
  }

  BlockMatch bottleneck() {
    Bottleneck block;
    any_reader(begin_, [&](int first) {
      block = {.reduced = conv(first, 1, 1).k};
      part("conv1", "bn1", first);
      activate();
      const int middle = graph_.only(at_);
      const Conv2dSpec& c = conv(middle, 3, 0);
      block.mid = c.k;
      block.stride = c.stride;
      part("conv2", "bn2", middle);
      activate();
      const int last = graph_.only(at_);
      block.out = conv(last, 1, 1).k;
      part("conv3", "bn3", last);
      post_activation(block.stride, block.out);
    });
    return finish(block);
  }

  BlockMatch inverted_residual() {
    InvertedResidual block;
    any_reader(begin_, [&](int first) {
      const std::string at = filtered(block, first, "conv.");
      const int last = graph_.only(at_);
      block.out = conv(last, 1, 1).k;
      const int number = at[0] - '0';
      part("conv." + at, fmt::format("conv.{}", number + 1), last);
      linear_end(block);
    });
    return finish(block);
  }

  BlockMatch mbconv() {
    MBConv block;
    any_reader(begin_, [&](int first) {
      const std::string at = filtered(block, first, "block.");
      squeeze_and_excite("block." + at, block.squeeze);
      const int last = graph_.only(at_);
      block.out = conv(last, 1, 1).k;
      const std::string base = fmt::format("block.{}.", at[0] - '0' + 1);
      part(base + "0", base + "1", last);
      linear_end(block);
    });
    return finish(block);
  }

 private:
  [[noreturn]] void no(int op, const std::string& expected) {
    if (furthest_.op < 0 || steps_ > furthest_.steps) furthest_ = {op, steps_, expected};
    throw NoMatch();
  }

  // Tries to go on with each reader of a value, in order.
  void any_reader(int value, const std::function<void(int)>& go_on) {
    const BlockMatch before = match_;
    const Activation activation = activation_;
    const int at = at_, steps = steps_;
    for (const int reader : graph_.of(value)) {
      try {
        return go_on(reader);
      } catch (const NoMatch&) {
        match_ = before;
        activation_ = activation;
        at_ = at;
        steps_ = steps;
      }
    }
    throw NoMatch();
  }

  // A square convolution of all channels, padded so that stride 1 keeps the size. stride 0: any.
  const Conv2dSpec& conv(int op, std::int64_t kernel, std::int64_t stride, bool depthwise = false) {
    const auto* c = graph_.as<Conv2dSpec>(op);
    const std::string wanted =
        fmt::format("a {}{} convolution", kernel == 0 ? "" : fmt::format("{0}x{0}", kernel),
                    depthwise ? " depthwise" : "");
    if (!c) no(std::max(op, at_), wanted);
    const bool sized = kernel == 0 ? c->r % 2 == 1 : c->r == kernel;
    if (c->r != c->s || !sized || c->pad != (c->r - 1) / 2) no(op, wanted + ", padded to its size");
    if (depthwise ? c->groups != c->c || c->k != c->c : c->groups != 1) {
      no(op, fmt::format("{}, got {} groups of {} channels", wanted, c->groups, c->c));
    }
    if (stride > 0 && c->stride != stride) no(op, fmt::format("stride {}", stride));
    return *c;
  }

  // A convolution and the batch norm behind it, which may have been folded into it.
  void part(const std::string& conv_suffix, const std::string& norm_suffix, int conv) {
    const bool bias = graph_.as<Conv2dSpec>(conv)->bias;
    const int next = graph_.only(conv), norm = graph_.as<BatchNormSpec>(next) ? next : -1;
    match_.parts.push_back({conv_suffix, {.op = conv}});
    match_.parts.push_back({norm_suffix, {.op = norm, .shift = bias ? conv : -1}});
    at_ = norm < 0 ? conv : norm;
    ++steps_;
  }

  void activate() {
    const int next = graph_.only(at_);
    const auto* a = graph_.as<ActivationSpec>(next);
    if (!a) no(std::max(next, at_), "an activation behind it");
    if (activation_ == Activation::none) activation_ = a->activation;
    if (a->activation != activation_) no(next, one_activation);
    at_ = next;
    ++steps_;
  }

  // The sum that reads the path's value; returns the other value that it reads.
  int sum() {
    const int next = graph_.only(at_);
    if (!graph_.as<AddSpec>(next)) no(std::max(next, at_), "the sum that ends a residual block");
    const std::vector<int>& inputs = graph_.graph().ops[next].inputs;
    const int other = inputs[inputs[0] == at_ ? 1 : 0];
    at_ = next;
    ++steps_;
    return other;
  }

  const Conv2dSpec& projection(int op, int input, std::int64_t stride) {
    const Conv2dSpec& c = conv(op, 1, stride);
    if (graph_.graph().ops[op].inputs[0] != input) no(at_, "a shortcut from the block's input");
    return c;
  }

  void post_activation(std::int64_t stride, std::int64_t out) {
    const int shortcut = sum(), added = at_;
    if (shortcut != begin_) {
      const bool norm = graph_.as<BatchNormSpec>(shortcut) != nullptr;
      const int op = norm ? graph_.graph().ops[shortcut].inputs[0] : shortcut;
      projection(op, begin_, stride);
      part("downsample.0", "downsample.1", op);
      require_projection(stride, out);
    }
    at_ = added;
    activate();
  }

  void require_projection(std::int64_t stride, std::int64_t out) {
    if (stride == 1 && out == graph_.width(begin_)) {
      no(at_, "no projection where the sum could take the input itself");
    }
  }

  // The expansion, if any, and the depthwise convolution; returns the number of what follows.
  template <class Block>
  std::string filtered(Block& block, int first, const std::string& base) {
    int depthwise = first;
    const auto* c = graph_.as<Conv2dSpec>(first);
    const bool expands = c && c->groups == 1 && c->r == 1;
    if (expands) {
      block.mid = conv(first, 1, 1).k;
      part(base + "0.0", base + "0.1", first);
      activate();
      depthwise = graph_.only(at_);
    }
    const Conv2dSpec& d = conv(depthwise, 0, 0, true);
    block.kernel = d.r;
    block.stride = d.stride;
    const std::string number = expands ? "1" : "0";
    part(base + number + ".0", base + number + ".1", depthwise);
    activate();
    return expands ? "2" : "1";
  }

  void squeeze_and_excite(const std::string& base, std::int64_t& squeeze) {
    const int filtered = at_;
    int pool = -1, gate = -1;
    for (const int reader : graph_.of(filtered)) {
      const auto* p = graph_.as<Pool2dSpec>(reader);
      if (p && p->mode == PoolMode::global_avg) pool = reader;
      if (graph_.as<GateSpec>(reader)) gate = reader;
    }
    if (pool < 0 || gate < 0) no(at_, "squeeze-and-excitation behind it");
    at_ = pool;
    const int fc1 = graph_.only(pool);
    const std::int64_t width = conv(fc1, 1, 1).k, in = graph_.width(begin_);
    match_.parts.push_back({base + ".fc1", {.op = fc1}});
    at_ = fc1;
    activate();
    const int fc2 = graph_.only(at_);
    conv(fc2, 1, 1);
    match_.parts.push_back({base + ".fc2", {.op = fc2}});
    if (graph_.only(fc2) != gate) no(fc2, "a gate behind it");
    at_ = gate;
    squeeze = 4;
    for (std::int64_t s = 1; squeezed(in, squeeze) != width && s <= in; ++s) squeeze = s;
    if (squeezed(in, squeeze) != width) {
      no(fc1, fmt::format("a whole part of the block's {} input channels, got {}", in, width));
    }
  }

  // The sum where the input is added. Without one or squeeze-and-excitation, what an activation
  // ends is rather convolutions in a row.
  template <class Block>
  void linear_end(Block& block) {
    const int next = graph_.only(at_);
    if (graph_.as<AddSpec>(next)) {
      if (sum() != begin_) no(at_, "the block's input, not projected, in the sum");
      block.out = 0;
      if (block.stride != 1) no(at_, "stride 1 where the input is added");
    } else if (std::is_same_v<Block, InvertedResidual> && graph_.as<ActivationSpec>(next)) {
      no(next, "no activation behind the last convolution of an inverted residual");
    } else if (graph_.of(begin_).size() != 1) {
      no(std::max(next, at_), "the sum that ends a residual block");
    }
  }

  template <class Block>
  BlockMatch finish(Block block) {
    block.activation = activation_;
    match_.layer = block;
    match_.end = at_;
    return std::move(match_);
  }
  BlockMatch finish(PreactBlock block, bool projects) {
    if (projects) require_projection(block.stride, block.out);
    return finish(block);
  }

  const Readers& graph_;
  const int begin_;
  int at_;  // the value that the path has come to
  Mismatch& furthest_;
  int steps_ = 0;  // operations of the block so far
  Activation activation_ = Activation::none;
  BlockMatch match_;
};

}  // namespace

Readers::Readers(const Graph& graph) : graph_(graph), readers_(graph.ops.size() + 1) {
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    for (const int input : graph.ops[i].inputs) {
      readers_[input + 1].push_back(static_cast<int>(i));
    }
  }
}

std::int64_t Readers::width(int value) const {
  return value < 0 ? graph_.input[1] : graph_.ops[value].out()[1];
}

std::optional<BlockMatch> match_block(const Readers& graph, int value, bool bias_before,
                                      Mismatch& furthest) {
  using Try = std::function<BlockMatch(Matcher)>;
  for (const Try& go :
       {Try([&](Matcher m) { return m.preact(bias_before); }),
        Try([](Matcher m) { return m.basic(); }), Try([](Matcher m) { return m.bottleneck(); }),
        Try([](Matcher m) { return m.mbconv(); }),
        Try([](Matcher m) { return m.inverted_residual(); })}) {
    try {
      return go(Matcher(graph, value, furthest));
    } catch (const NoMatch&) {
    }
  }
  return std::nullopt;
}

}  // namespace hac
