#include <algorithm>

#include "models/arch/graph.h"

namespace hac {
namespace {

// Folds and fuses what follows each convolution.
class Fuser {
 public:
  explicit Fuser(const Graph& graph)
      : from_(graph), readers_(reader_counts(graph)), taken_(graph.ops.size(), false) {}

  Graph fuse() {
    struct Fused {
      Op op;
      int output;  // the operation of the first graph whose value this is
    };
    std::vector<Fused> fused;
    std::vector<int> same(from_.ops.size());  // the value that this one equals
    for (int i = 0; i < static_cast<int>(from_.ops.size()); ++i) {
      const Op& op = from_.ops[i];
      same[i] = i;
      if (std::holds_alternative<DropoutSpec>(op.spec) && !taken_[i]) {
        same[i] = op.inputs[0] < 0 ? -1 : same[op.inputs[0]];
      } else if (!taken_[i]) {
        Fused f{op, i};
        if (std::holds_alternative<Conv2dSpec>(op.spec)) absorb(f.op, f.output);
        fused.push_back(std::move(f));
      }
    }
    // It runs where its last operation stood: by then its residual is there.
    std::stable_sort(fused.begin(), fused.end(),
                     [](const Fused& a, const Fused& b) { return a.output < b.output; });
    Graph graph{.input = from_.input};
    std::vector<int> place(from_.ops.size(), -1);
    for (Fused& f : fused) {
      for (int& input : f.op.inputs) {
        if (input >= 0) input = same[input];
        if (input >= 0) input = place[input];
      }
      place[f.output] = static_cast<int>(graph.ops.size());
      graph.ops.push_back(std::move(f.op));
    }
    return graph;
  }

 private:
  // Nothing can be folded behind an add or an activation.
  void absorb(Op& op, int& output) {
    Conv2dSpec& conv = std::get<Conv2dSpec>(op.spec);
    conv.pass = Pass::inference;
    while (!conv.add && conv.activation == Activation::none) {
      const int at = only_reader(output);
      if (at < 0) return;
      const Op& next = from_.ops[at];
      if (const auto* bn = std::get_if<BatchNormSpec>(&next.spec)) {
        if (next.inputs[0] != output) return;  // it is the residual of that batch norm
        op.folded.push_back(next);
        conv.bias = true;
        conv.add = bn->add;
        conv.activation = bn->activation;
      } else if (const auto* add = std::get_if<AddSpec>(&next.spec)) {
        if (next.inputs[0] == next.inputs[1]) return;
        conv.add = true;
        conv.activation = add->activation;
      } else if (const auto* activation = std::get_if<ActivationSpec>(&next.spec)) {
        conv.activation = activation->activation;
      } else if (!std::holds_alternative<DropoutSpec>(next.spec)) {
        return;
      }
      if (conv.add) op.inputs.push_back(next.inputs[next.inputs[0] == output ? 1 : 0]);
      output = at;
      taken_[at] = true;
    }
  }

  // The one operation that reads value i and is still free; -1 if there is none.
  int only_reader(int i) const {
    if (readers_[i] != 1) return -1;
    for (int j = i + 1; j < static_cast<int>(from_.ops.size()); ++j) {
      for (const int input : from_.ops[j].inputs) {
        if (input == i) return taken_[j] ? -1 : j;
      }
    }
    return -1;
  }

  const Graph& from_;
  const std::vector<int> readers_;
  std::vector<bool> taken_;
};

}  // namespace

Graph fuse(const Graph& graph) { return Fuser(graph).fuse(); }

}  // namespace hac
