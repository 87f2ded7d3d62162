// recognize() undoes lower(): every network of the zoo and random ones, with names and without,
// each operation apart; and says where a graph is none of ours.

#include <gtest/gtest.h>

#include <algorithm>

#include "models/arch/recognize.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"
#include "tests/support/random_architecture.h"

namespace hac {
namespace {

// lower() with batch norms, sums and activations apart, and without dropout: as other programs
// write a graph.
Graph apart(const Architecture& arch) {
  const Graph lowered = lower(arch);
  Graph graph{.input = lowered.input};
  std::vector<int> value;  // of each lowered op
  const auto append = [&](std::string name, OpSpec spec, std::vector<int> inputs) {
    graph.ops.push_back({.name = std::move(name), .spec = std::move(spec), .inputs = inputs});
    return static_cast<int>(graph.ops.size()) - 1;
  };
  for (const Op& op : lowered.ops) {
    std::vector<int> inputs;
    for (const int i : op.inputs) inputs.push_back(i < 0 ? i : value[i]);
    if (std::holds_alternative<DropoutSpec>(op.spec)) {
      value.push_back(inputs[0]);
      continue;
    }
    const auto* norm = std::get_if<BatchNormSpec>(&op.spec);
    if (!norm) {
      value.push_back(append(op.name, op.spec, inputs));
      continue;
    }
    BatchNormSpec own = *norm;
    own.add = false;
    own.activation = Activation::none;
    int v = append(op.name, own, {inputs[0]});
    if (norm->add) v = append("", AddSpec{.shape = norm->shape()}, {inputs[1], v});
    if (norm->activation != Activation::none) {
      v = append("", ActivationSpec{.activation = norm->activation, .shape = norm->shape()}, {v});
    }
    value.push_back(v);
  }
  return graph;
}

std::vector<std::string> labels(const Graph& graph) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    labels.push_back("op " + std::to_string(i) + " " + graph.ops[i].name);
  }
  return labels;
}

Recognized recognized(const Graph& graph, const std::string& name = "net") {
  return recognize(graph, name, labels(graph));
}

Architecture without_dropout(Architecture arch) {
  std::erase_if(arch.layers, [](const Layer& l) { return std::holds_alternative<Dropout>(l); });
  for (Layer& layer : arch.layers) {
    if (auto* block = std::get_if<MBConv>(&layer)) block->p = 0;
  }
  return arch;
}

void forget_names(Graph& graph) {
  for (Op& op : graph.ops) op.name.clear();
}

// Every named operation of the found network has its parameters from the one of that name.
void expect_origins(const Recognized& found, const Graph& from) {
  std::size_t named = 0;
  for (const Op& op : lower(found.arch).ops) {
    if (op.name.empty()) continue;
    ++named;
    ASSERT_TRUE(found.origins.contains(op.name)) << op.name;
    const Origin origin = found.origins.at(op.name);
    ASSERT_GE(origin.op, 0) << op.name;
    EXPECT_EQ(from.ops[origin.op].name, op.name);
    EXPECT_EQ(origin.shift, -1) << op.name;
  }
  EXPECT_EQ(found.origins.size(), named);
}

TEST(Recognize, FindsEveryNetworkOfTheZoo) {
  for (const std::string& name : zoo_names()) {
    const Architecture arch = without_dropout(zoo(name));
    const Graph graph = apart(arch);
    const Recognized found = recognized(graph, name);
    EXPECT_EQ(to_json(found.arch), to_json(arch));
    EXPECT_EQ(found.added_norms, 0);
    expect_origins(found, graph);
  }
}

// Blocks by their operations alone, and depth that can be scaled in the same stages.
TEST(Recognize, NeedsNoNames) {
  for (const std::string& name : zoo_names()) {
    const Architecture arch = without_dropout(zoo(name));
    Graph graph = apart(arch);
    forget_names(graph);
    const Recognized found = recognized(graph);
    EXPECT_EQ(widths(found.arch), widths(arch)) << name;
    EXPECT_EQ(blocks(found.arch), blocks(arch)) << name;
    EXPECT_NO_THROW(scale_depth(found.arch, 1.5)) << name;
    Graph again = apart(found.arch);
    forget_names(again);
    ASSERT_EQ(again.ops.size(), graph.ops.size()) << name;
    for (std::size_t i = 0; i < graph.ops.size(); ++i) {
      EXPECT_EQ(again.ops[i].spec, graph.ops[i].spec) << name << " op " << i;
      EXPECT_EQ(again.ops[i].inputs, graph.ops[i].inputs) << name << " op " << i;
    }
  }
}

TEST(Recognize, FindsRandomNetworks) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Architecture arch = RandomArchitecture(seed)();
    const Graph graph = apart(arch);
    const Recognized found = recognized(graph);
    const Graph again = apart(found.arch);
    ASSERT_EQ(again.ops.size(), graph.ops.size()) << "seed " << seed << "\n" << to_json(arch);
    for (std::size_t i = 0; i < graph.ops.size(); ++i) {
      ASSERT_EQ(again.ops[i].name, graph.ops[i].name) << "seed " << seed;
      ASSERT_EQ(again.ops[i].spec, graph.ops[i].spec) << "seed " << seed;
      ASSERT_EQ(again.ops[i].inputs, graph.ops[i].inputs) << "seed " << seed;
    }
    expect_origins(found, graph);
  }
}

// What fuse() leaves of a residual network: no batch norm, a bias in each convolution.
TEST(Recognize, GivesBlocksWithoutBatchNormsSomeThatOnlyShift) {
  Graph graph = apart(zoo("resnet20"));
  std::vector<int> place(graph.ops.size());
  Graph folded{.input = graph.input};
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    Op op = graph.ops[i];
    for (int& input : op.inputs) input = input < 0 ? input : place[input];
    if (std::holds_alternative<BatchNormSpec>(op.spec)) {
      place[i] = op.inputs[0];
      continue;
    }
    if (auto* conv = std::get_if<Conv2dSpec>(&op.spec)) conv->bias = true;
    place[i] = static_cast<int>(folded.ops.size());
    folded.ops.push_back(op);
  }
  const Recognized found = recognized(folded);
  EXPECT_EQ(found.added_norms, 20);  // 9 blocks, 2 projections; the stem keeps its bias
  EXPECT_EQ(blocks(found.arch), blocks(zoo("resnet20")));
  EXPECT_TRUE(std::get<Conv>(found.arch.layers[0]).bias);
  const Graph lowered = lower(found.arch);
  for (const Op& op : lowered.ops) {
    if (!std::holds_alternative<BatchNormSpec>(op.spec)) continue;
    const Origin origin = found.origins.at(op.name);
    EXPECT_EQ(origin.op, -1) << op.name;
    ASSERT_GE(origin.shift, 0) << op.name;
    const Op& conv = lowered.ops[op.inputs[0]];
    EXPECT_EQ(found.origins.at(conv.name).op, origin.shift) << op.name;
  }
}

TEST(Recognize, NamesWhereAGraphIsNoneOfOurs) {
  const auto changed = [](const char* network, const char* op, auto change) {
    Graph graph = apart(zoo(network));
    for (Op& o : graph.ops) {
      if (o.name == op) change(graph, o);
    }
    return graph;
  };
  const auto grouped = changed("resnet18", "layer2.0.conv2",
                               [](Graph&, Op& op) { std::get<Conv2dSpec>(op.spec).groups = 32; });
  EXPECT_ERROR(recognized(grouped), ConfigError, "layer2.0.conv2", "a 3x3 convolution",
               "32 groups");
  const auto strided = changed("resnet18", "layer3.1.conv2",
                               [](Graph&, Op& op) { std::get<Conv2dSpec>(op.spec).stride = 2; });
  EXPECT_ERROR(recognized(strided), ConfigError, "layer3.1.conv2", "stride 1");
  // The second block's sum takes what an earlier one made.
  Graph skipping = apart(zoo("resnet20"));
  int sums = 0;
  for (Op& op : skipping.ops) {
    if (std::holds_alternative<AddSpec>(op.spec) && ++sums == 2) op.inputs[0] = 2;
  }
  EXPECT_ERROR(recognized(skipping), ConfigError, "no layer or block");
  // Another reader inside a block, where more than one is expected and where not.
  Graph read_inside = apart(zoo("resnet20"));
  read_inside.ops.insert(read_inside.ops.end() - 1, read_inside.ops[5]);
  EXPECT_ERROR(recognized(read_inside), ConfigError, "no layer or block");
  Graph gated = apart(zoo("efficientnet_b0"));
  const auto gate = std::find_if(gated.ops.begin(), gated.ops.end(), [](const Op& op) {
    return std::holds_alternative<GateSpec>(op.spec);
  });
  const Op extra{.spec = ActivationSpec{.shape = gate->spec.in_shape()},
                 .inputs = {gate->inputs[0]}};
  gated.ops.insert(gated.ops.end() - 1, extra);
  EXPECT_ERROR(recognized(gated), ConfigError, "1 of its", "belong to no layer or block");

  Graph headless = apart(zoo("vgg11"));
  headless.ops.pop_back();
  EXPECT_ERROR(recognized(headless), ConfigError, "expected a linear layer at the end");
  Graph wide = apart(zoo("vgg11"));
  wide.input = {1, 3, 32, 48};
  EXPECT_ERROR(recognized(wide), ConfigError, "as many rows as columns", "32 and 48");
}

}  // namespace
}  // namespace hac
