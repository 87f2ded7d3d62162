#include "models/arch/recognize.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kernels/core/error.h"
#include "models/arch/block_match.h"
#include "models/arch/fields.h"

namespace hac {
namespace {

bool is_block(const Layer& layer) {
  return std::visit([](const auto& l) { return l.role == Role::block; }, layer);
}

// "layer1" of "layer1.0".
std::string parent(const std::string& name) { return name.substr(0, name.rfind('.')); }

// Follows a graph from its input, a block or a layer at a time.
class Recognizer {
 public:
  Recognizer(const Graph& graph, const std::string& name, const std::vector<std::string>& labels)
      : graph_(graph), readers_(graph), labels_(labels) {
    arch_ = {.name = name, .channels = graph.input[1], .resolution = graph.input[2]};
  }

  Recognized operator()() {
    if (graph_.input[2] != graph_.input[3]) {
      throw ConfigError(fmt::format("input: expected as many rows as columns, got {} and {}",
                                    graph_.input[2], graph_.input[3]));
    }
    const int last = static_cast<int>(graph_.ops.size()) - 1;
    while (value_ != last) {
      if (!block()) layer();
    }
    finish_classifier();
    set_stages();
    validate(result_.arch = std::move(arch_));
    require_all_taken();
    return std::move(result_);
  }

 private:
  bool block() {
    const auto* before = arch_.layers.empty() ? nullptr : std::get_if<Conv>(&arch_.layers.back());
    const bool bias_before = before && before->bias && readers_.as<Conv2dSpec>(value_);
    std::optional<BlockMatch> match = match_block(readers_, value_, bias_before, furthest_);
    if (!match) return false;
    if (match->takes_bias) std::get<Conv>(arch_.layers.back()).bias = false;
    const std::string name = block_name(*match);
    for (const BlockMatch::Part& part : match->parts) {
      result_.origins[name + "." + part.suffix] = part.origin;
      result_.added_norms += part.origin.op < 0;
    }
    std::visit(
        [&](auto& l) {
          if constexpr (l.role == Role::block) l.name = name;
        },
        match->layer);
    arch_.layers.push_back(match->layer);
    value_ = match->end;
    return true;
  }

  void layer() {
    const int op = readers_.only(value_);
    if (op < 0) stuck(readers_.of(value_).empty() ? value_ : readers_.of(value_)[0]);
    std::visit([&](const auto& spec) { add(op, spec); }, graph_.ops[op].spec);
    value_ = op;
  }

  void add(int op, const Conv2dSpec& s) {
    if (s.r != s.s) no(op, fmt::format("a square kernel, got {}x{}", s.r, s.s));
    const std::string name = named(op, "features");
    if (s.groups > 1 && s.groups == s.c && s.k == s.c) {
      arch_.layers.push_back(DepthwiseConv{
          .name = name, .kernel = s.r, .stride = s.stride, .pad = s.pad, .bias = s.bias});
    } else {
      arch_.layers.push_back(Conv{.name = name,
                                  .out = s.k,
                                  .kernel = s.r,
                                  .stride = s.stride,
                                  .pad = s.pad,
                                  .groups = s.groups,
                                  .bias = s.bias});
    }
  }
  void add(int op, const BatchNormSpec&) {
    arch_.layers.push_back(BatchNorm{.name = named(op, "features")});
  }
  void add(int op, const ActivationSpec& s) {
    if (!has_kernels(s.activation)) no(op, "relu, relu6 or silu");
    auto* norm = arch_.layers.empty() ? nullptr : std::get_if<BatchNorm>(&arch_.layers.back());
    if (norm && norm->activation == Activation::none) {
      norm->activation = s.activation;
    } else {
      arch_.layers.push_back(Activate{.activation = s.activation});
    }
  }
  void add(int, const Pool2dSpec& s) {
    if (s.mode == PoolMode::global_avg) {
      arch_.layers.push_back(Pool{.kind = s.mode});
    } else {
      arch_.layers.push_back(
          Pool{.kind = s.mode, .kernel = s.kernel, .stride = s.stride, .pad = s.pad});
    }
  }
  void add(int, const FlattenSpec&) { arch_.layers.push_back(Flatten{}); }
  void add(int op, const LinearSpec& s) {
    arch_.layers.push_back(Linear{.name = named(op, "classifier"), .out = s.out, .bias = s.bias});
  }
  void add(int op, const auto&) { stuck(op); }

  [[noreturn]] void no(int op, const std::string& expected) const {
    throw ConfigError(fmt::format("{}: expected {}", labels_[op], expected));
  }

  [[noreturn]] void stuck(int op) const {
    std::string why;
    if (furthest_.op >= 0) {
      why = fmt::format("; the nearest block ends at {}: expected {}", labels_[furthest_.op],
                        furthest_.why);
    }
    if (op < 0) throw ConfigError("input: expected one layer or block that reads it" + why);
    throw ConfigError(fmt::format(
        "{}: it continues no layer or block that this program has (pre-activation, basic, "
        "bottleneck, inverted residual, MBConv){}",
        labels_[op], why));
  }

  // The op's own name if it has one that no layer has yet, else one of this kind.
  std::string named(int op, const char* kind) {
    const std::string name = free_name(graph_.ops[op].name, kind);
    result_.origins[name] = {.op = op};
    return name;
  }

  std::string free_name(const std::string& own, const char* kind) {
    if (!own.empty() && names_.insert(own).second) return own;
    std::string name;
    do {
      name = fmt::format("{}.{}", kind, number_++);
    } while (!names_.insert(name).second);
    return name;
  }

  // What the names of its parameters have in common, if they are called as this kind's are.
  std::string block_name(const BlockMatch& match) {
    std::string base;
    for (const BlockMatch::Part& part : match.parts) {
      if (part.origin.op < 0) continue;
      const std::string& own = graph_.ops[part.origin.op].name;
      const std::string end = "." + part.suffix;
      const bool fits = own.size() > end.size() && own.ends_with(end);
      const std::string found = fits ? own.substr(0, own.size() - end.size()) : "";
      if (found.empty() || (!base.empty() && base != found)) return free_name("", "blocks");
      base = found;
    }
    return free_name(base, "blocks");
  }

  void finish_classifier() {
    auto* last = arch_.layers.empty() ? nullptr : std::get_if<Linear>(&arch_.layers.back());
    if (!last) {
      throw ConfigError(
          fmt::format("{}: expected a linear layer at the end (hint: leave a softmax out)",
                      labels_.empty() ? "graph" : labels_.back()));
    }
    arch_.classes = last->out;
    last->out = 0;
  }

  // Of blocks: where the name's parent changes, or, of those that project nothing, the width; of
  // convolutions: where something shrinks the map.
  void set_stages() {
    const std::vector<Layer>& layers = arch_.layers;
    const bool blocks = std::any_of(layers.begin(), layers.end(), is_block);
    int end = 0;  // one past the last unit so far
    bool closed = true;
    const auto close = [&] {
      if (!closed) arch_.stage_ends.push_back(end);
      closed = true;
    };
    for (int i = 0; i < static_cast<int>(layers.size()); ++i) {
      if (blocks ? is_block(layers[i]) : std::holds_alternative<Conv>(layers[i])) {
        if (!closed && begins_stage(i, end)) close();
        end = i + 1;
        if (!blocks && std::holds_alternative<BatchNorm>(layers[end])) ++end;
        if (!blocks && std::holds_alternative<Activate>(layers[end])) ++end;
        closed = false;
      } else if (std::holds_alternative<Pool>(layers[i])) {
        close();
      }
    }
    close();
  }

  // Layer i, whose unit would follow one that ends at `end`.
  bool begins_stage(int i, int end) const {
    const Layer& layer = arch_.layers[i];
    if (const auto* conv = std::get_if<Conv>(&layer)) return conv->stride > 1;
    if (end != i) return true;
    return std::visit(
        [&](const auto& l) {
          if constexpr (requires { l.projects; }) {
            if constexpr (!l.projects) return l.out > 0;
            const std::string before = name_of(arch_.layers[end - 1]);
            return parent(l.name) != parent(before) ||
                   (l.name.starts_with("blocks.") && l.stride > 1);
          }
          return true;
        },
        layer);
  }

  // What reads a value inside a block belongs to it, or it would be left over.
  void require_all_taken() const {
    std::size_t operations = 0;
    for (const Op& op : lower(result_.arch).ops) {
      ++operations;
      const auto* norm = std::get_if<BatchNormSpec>(&op.spec);
      if (norm) operations += norm->add + (norm->activation != Activation::none);
    }
    operations -= static_cast<std::size_t>(result_.added_norms);
    if (operations == graph_.ops.size()) return;
    throw ConfigError(fmt::format(
        "graph: {} of its {} operations belong to no layer or block that this program has",
        graph_.ops.size() - operations, graph_.ops.size()));
  }

  const Graph& graph_;
  const Readers readers_;
  const std::vector<std::string>& labels_;
  Architecture arch_;
  Recognized result_;
  int value_ = -1;
  Mismatch furthest_;
  std::set<std::string> names_;
  int number_ = 0;
};

}  // namespace

Recognized recognize(const Graph& graph, const std::string& name,
                     const std::vector<std::string>& labels) {
  return Recognizer(graph, name, labels)();
}

}  // namespace hac
