// ONNX files by ONNX's own schema, checker and shape inference; there and back in the same bits;
// the forms in which other programs write the same network; and what is wrong with a file, by name.
// OpenCV and PyTorch compute the numbers: onnx_opencv.py, onnx_pytorch.py.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <cstring>
#include <set>

#include "kernels/core/error.h"
#include "models/deploy/inference_session.h"
#include "models/deploy/onnx.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"
#include "tests/support/onnx_file.h"
#include "tests/support/random_architecture.h"
#include "tests/support/scattered.h"

namespace hac {
namespace {

Architecture small(const std::string& name) {
  return resolve(name, {.width = 0.125, .resolution = 32, .classes = 7});
}

Architecture odd(Architecture arch) {
  std::vector<std::int64_t> w = widths(arch);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] += static_cast<std::int64_t>(i % 3);
  return with_widths(arch, w);
}

Model scattered(const Architecture& arch, std::uint64_t seed = 1) {
  Model model(arch, seed);
  scatter_batch_norms(model, seed);
  model.eval();
  return model;
}

TrainedOn some_data(std::int64_t channels, std::int64_t classes) {
  TrainedOn data{
      .data = "imagefolder:/photos",
      .preprocessing = {.channels = channels,
                        .resolution = 40,
                        .border = 2,
                        .crop_pct = 0.875,
                        .normalization = {.mean = {0.1f, 0.2f, 0.3f}, .std = {0.25f, 0.5f, 1}}}};
  for (std::int64_t i = 0; i < classes; ++i) data.classes.push_back(fmt::format("{} \"é\"", i));
  return data;
}

std::string file_of(const Model& model, const OnnxOptions& options = {}) {
  return to_onnx(model, options, {}).bytes;
}

std::vector<std::int64_t> dims_of(const onnx::ValueInfoProto& value) {
  std::vector<std::int64_t> dims;
  for (const auto& d : value.type().tensor_type().shape().dim()) {
    dims.push_back(d.has_dim_value() ? d.dim_value() : -1);
  }
  return dims;
}

// A file without what tells its shapes, checked and inferred again.
std::map<std::string, std::vector<std::int64_t>> inferred_shapes(const std::string& bytes) {
  OnnxFileToChange file(bytes);
  EXPECT_NO_THROW(onnx::checker::check_model(file.model));
  file.graph().clear_value_info();
  onnx::shape_inference::InferShapes(file.model, onnx::OpSchemaRegistry::Instance(),
                                     onnx::ShapeInferenceOptions(true, 1, true));
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& value : file.graph().value_info()) shapes[value.name()] = dims_of(value);
  for (const auto& value : file.graph().output()) shapes[value.name()] = dims_of(value);
  return shapes;
}

void expect_shapes(const Architecture& arch, const OnnxOptions& options) {
  const auto shapes = inferred_shapes(file_of(Model(arch), options));
  const Graph graph = options.unfolded ? lower(arch) : fuse(lower(arch));
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (op.name.empty()) continue;
    const bool last = i + 1 == graph.ops.size();
    const auto found = shapes.find(last ? "logits" : op.name);
    ASSERT_NE(found, shapes.end()) << arch.name << " " << op.name;
    std::vector<std::int64_t> expected{options.batch > 0 ? options.batch : -1};
    for (int d = 1; d < op.out().rank(); ++d) expected.push_back(op.out()[d]);
    EXPECT_EQ(found->second, expected) << arch.name << " " << op.name;
  }
}

TEST(Onnx, EveryNetworkPassesTheCheckerWithTheShapesOfItsGraph) {
  for (const std::string& name : zoo_names()) {
    for (const bool unfolded : {false, true}) {
      expect_shapes(small(name), {.unfolded = unfolded});
      expect_shapes(odd(small(name)), {.batch = 3, .unfolded = unfolded});
    }
  }
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    expect_shapes(RandomArchitecture(seed)(), {.unfolded = seed % 2 == 0});
  }
}

TEST(Onnx, FileSaysWhatItIs) {
  const Model model = scattered(small("mobilenet_v2"));
  const TrainedOn data = some_data(3, 7);
  OnnxFileToChange file(to_onnx(model, {.unfolded = true}, data).bytes);
  ASSERT_EQ(file.model.opset_import_size(), 1);
  EXPECT_EQ(file.model.opset_import(0).version(), 17);
  EXPECT_EQ(file.model.ir_version(), 8);
  EXPECT_EQ(file.model.producer_name(), "hacscale");
  ASSERT_EQ(file.graph().input_size(), 1);
  EXPECT_EQ(file.graph().input(0).name(), "input");
  EXPECT_EQ(dims_of(file.graph().input(0)), (std::vector<std::int64_t>{-1, 3, 32, 32}));
  EXPECT_EQ(file.graph().input(0).type().tensor_type().shape().dim(0).dim_param(), "batch");
  ASSERT_EQ(file.graph().output_size(), 1);
  EXPECT_EQ(file.graph().output(0).name(), "logits");
  EXPECT_EQ(dims_of(file.graph().output(0)), (std::vector<std::int64_t>{-1, 7}));
  // All weights in it, bit for bit, under PyTorch's names.
  const std::map<std::string, Tensor> state = model.state();
  std::set<std::string> found;
  for (const onnx::TensorProto& t : file.graph().initializer()) {
    EXPECT_NE(t.data_location(), onnx::TensorProto::EXTERNAL);
    if (t.name().starts_with("relu6.")) continue;
    ASSERT_TRUE(state.contains(t.name())) << t.name();
    const std::vector<float> values = state.at(t.name()).to_vector();
    ASSERT_EQ(t.raw_data().size(), 4 * values.size()) << t.name();
    EXPECT_EQ(std::memcmp(t.raw_data().data(), values.data(), t.raw_data().size()), 0) << t.name();
    found.insert(t.name());
  }
  EXPECT_EQ(found.size(), state.size());
  std::map<std::string, std::string> said;
  for (const auto& p : file.model.metadata_props()) said[p.key()] = p.value();
  EXPECT_EQ(said["mean"], "[0.10000000149011612,0.20000000298023224,0.30000001192092896]");
  EXPECT_EQ(said["std"], "[0.25,0.5,1.0]");
  EXPECT_EQ(said["resolution"], "40");
  EXPECT_EQ(said["crop_pct"], "0.875");
  EXPECT_EQ(said["border"], "2");
  EXPECT_EQ(said["interpolation"], "bilinear");
  EXPECT_EQ(said["data"], "imagefolder:/photos");
  EXPECT_CONTAINS(said["classes"], "[\"0 \\\"é\\\"\"");
  EXPECT_CONTAINS(said["input"], "f32 (N, 3, H, W) RGB, (pixel / 255 - mean) / std");
  // Equal networks are equal files.
  EXPECT_EQ(to_onnx(model, {.unfolded = true}, data).bytes, file.bytes());
}

TEST(Onnx, NodesAreCalledAsTheirLayers) {
  const Model model(small("resnet18"));
  const auto types = [&](const OnnxOptions& options) {
    OnnxFileToChange file(file_of(model, options));
    std::map<std::string, std::string> types;
    for (const onnx::NodeProto& n : file.graph().node()) {
      EXPECT_TRUE(types.emplace(n.name(), n.op_type()).second) << n.name();
    }
    return types;
  };
  const auto folded = types({}), unfolded = types({.unfolded = true});
  EXPECT_EQ(folded.at("layer2.0.conv1"), "Conv");
  EXPECT_EQ(folded.at("layer2.0.conv2/add"), "Add");
  EXPECT_EQ(folded.at("layer2.0.conv2/relu"), "Relu");
  EXPECT_EQ(folded.at("fc"), "Gemm");
  EXPECT_FALSE(folded.contains("layer2.0.bn1"));
  EXPECT_EQ(unfolded.at("layer2.0.bn1"), "BatchNormalization");
  EXPECT_EQ(unfolded.at("layer2.0.bn2/add"), "Add");
  EXPECT_EQ(unfolded.at("layer2.0.downsample.1"), "BatchNormalization");
}

void expect_same_bits(const std::map<std::string, Tensor>& got,
                      const std::map<std::string, Tensor>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(got.contains(name)) << name;
    EXPECT_EQ(got.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(got.at(name).to_vector(), tensor.to_vector()) << name;
  }
}

TEST(Onnx, ComesBackInTheSameBits) {
  for (const std::string& name : zoo_names()) {
    for (const Architecture& arch : {small(name), odd(small(name))}) {
      const Model model = scattered(arch);
      const TrainedOn data = some_data(3, 7);
      const OnnxImport back = parse_onnx(to_onnx(model, {.unfolded = true}, data).bytes, "file");
      EXPECT_EQ(to_json(back.arch), to_json(arch));  // with its dropout
      expect_same_bits(back.state, model.state());
      ASSERT_TRUE(back.data.has_value());
      EXPECT_EQ(back.data->preprocessing, data.preprocessing);
      EXPECT_EQ(back.data->classes, data.classes);
      EXPECT_EQ(back.data->data, data.data);
      EXPECT_TRUE(back.notes.empty()) << back.notes[0];
    }
  }
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Model model = scattered(RandomArchitecture(seed)(), seed);
    const OnnxImport back = parse_onnx(file_of(model, {.unfolded = true}), "file");
    EXPECT_EQ(to_json(back.arch), to_json(model.arch())) << "seed " << seed;
    expect_same_bits(back.state, model.state());
  }
}

double off(const OnnxImport& back, const Model& model) {
  Model other(back.arch);
  other.load_state(back.state);
  const Tensor images =
      Tensor::empty({2, model.arch().channels, model.arch().resolution, model.arch().resolution});
  fill_normal(images, 3, "images", 1);
  return difference(InferenceSession(other, 2).run(images), InferenceSession(model, 2).run(images));
}

TEST(Onnx, AFoldedNetworkComesBackWithTheSameLogits) {
  for (const std::string& name : zoo_names()) {
    const Model model = scattered(odd(small(name)));
    const OnnxImport back = parse_onnx(file_of(model), "file");
    EXPECT_LT(off(back, model), 1e-5) << name;
    EXPECT_EQ(to_json(back.arch), to_json(model.arch())) << name;
    ASSERT_EQ(back.notes.size(), 1) << name;
    EXPECT_CONTAINS(back.notes[0], "folded");
    // Another program's: batch norms in blocks alone.
    OnnxFileToChange other(file_of(model));
    other.model.clear_metadata_props();
    const OnnxImport plain = other.parse();
    EXPECT_LT(off(plain, model), 1e-5) << name;
    EXPECT_EQ(widths(plain.arch), widths(model.arch())) << name;
    EXPECT_EQ(blocks(plain.arch), blocks(model.arch())) << name;
    EXPECT_EQ(plain.notes.empty(), name.starts_with("vgg")) << name;
  }
}

// What a file says of its architecture counts only where it is the graph's.
TEST(Onnx, TheGraphIsTheNetworkWhateverTheMetadataSay) {
  const Model model = scattered(small("resnet20"));
  OnnxFileToChange file(file_of(model, {.unfolded = true}));
  for (auto& p : *file.model.mutable_metadata_props()) {
    if (p.key() == "architecture") p.set_value(to_json(small("resnet18")));
  }
  const OnnxImport back = file.parse();
  EXPECT_EQ(widths(back.arch), widths(model.arch()));
  expect_same_bits(back.state, model.state());
  file.model.set_producer_name("another");
  file.model.clear_metadata_props();
  EXPECT_EQ(blocks(file.parse().arch), blocks(model.arch()));
}

TEST(Onnx, PreprocessingIsThatOfTheTraining) {
  const Model model = scattered(small("resnet20"));
  const TrainedOn data = some_data(3, 7);
  const OnnxOptions options{.batch = 2, .with_preprocessing = true};
  OnnxFileToChange file(to_onnx(model, options, data).bytes);
  EXPECT_EQ(file.graph().input(0).type().tensor_type().elem_type(), onnx::TensorProto::UINT8);
  EXPECT_EQ(dims_of(file.graph().input(0)), (std::vector<std::int64_t>{2, 32, 32, 3}));
  const auto values = [&](const char* name) {
    std::vector<float> v(3);
    std::memcpy(v.data(), file.tensor(name).raw_data().data(), 12);
    return v;
  };
  for (int c = 0; c < 3; ++c) {
    const double mean = 0.1 * (c + 1), std = 0.25 * (1 << c);
    EXPECT_NEAR(values("preprocessing.scale")[c], 1 / (255 * std), 1e-8);
    EXPECT_NEAR(values("preprocessing.shift")[c], -mean / std, 1e-6);
  }
  EXPECT_ERROR(file.parse(), ConfigError, "'input'", "FLOAT (N, C, H, W)", "UINT8");
  EXPECT_ERROR(to_onnx(model, options, {}), ConfigError, "preprocessing", "a checkpoint");
  EXPECT_ERROR(to_onnx(model, {}, some_data(1, 7)), ConfigError, "3 channels", "1 and 7");
}

TEST(Onnx, ReadsTheFormsOfOtherPrograms) {
  const Model model = scattered(small("resnet20"));
  const std::string original = file_of(model, {.unfolded = true});
  const auto changed = [&](auto change) {
    OnnxFileToChange file(original);
    change(file);
    const OnnxImport back = file.parse();
    EXPECT_EQ(widths(back.arch), widths(model.arch()));
    EXPECT_LT(off(back, model), 1e-5);
    return back;
  };
  changed([](OnnxFileToChange& f) {  // x w instead of x w^T, twice
    onnx::TensorProto& w = f.tensor("fc.weight");
    const std::int64_t out = w.dims(0), in = w.dims(1);
    std::vector<float> from(static_cast<std::size_t>(out * in)), to(from.size());
    std::memcpy(from.data(), w.raw_data().data(), w.raw_data().size());
    for (std::int64_t i = 0; i < out * in; ++i) to[i % in * out + i / in] = from[i];
    w.clear_raw_data();
    for (const float v : to) w.add_float_data(v);
    w.set_dims(0, in);
    w.set_dims(1, out);
    f.set("fc", "transB", 0);
    OnnxFileToChange other(f.bytes());
    onnx::NodeProto& gemm = other.node("fc");
    gemm.set_op_type("MatMul");
    gemm.clear_attribute();
    const std::string bias = gemm.input(2);
    gemm.mutable_input()->RemoveLast();
    gemm.set_output(0, "product");
    onnx::NodeProto& add = *other.graph().add_node();
    add.set_op_type("Add");
    add.add_input(bias);
    add.add_input("product");
    add.add_output("logits");
    EXPECT_EQ(other.parse().state.at("fc.bias").to_vector(),
              f.parse().state.at("fc.bias").to_vector());
    EXPECT_EQ(other.parse().state.at("fc.weight").to_vector(),
              f.parse().state.at("fc.weight").to_vector());
  });
  changed([](OnnxFileToChange& f) {  // pooled and flattened by a mean
    onnx::NodeProto& pool = f.node("layer3.2.bn2/globalavgpool");
    pool.set_op_type("ReduceMean");
    f.set(pool.name(), "axes", {-1, -2});
    f.set(pool.name(), "keepdims", 0);
    onnx::NodeProto& flatten = f.node("layer3.2.bn2/flatten");
    flatten.set_op_type("Identity");
    flatten.clear_attribute();
  });
  changed([](OnnxFileToChange& f) {  // flattened by a shape
    onnx::NodeProto& flatten = f.node("layer3.2.bn2/flatten");
    flatten.set_op_type("Reshape");
    flatten.clear_attribute();
    f.add_integers("shape", {-1, 8});
    flatten.add_input("shape");
  });
  changed([](OnnxFileToChange& f) {  // weights in a node, and by way of one that changes nothing
    onnx::GraphProto copy = f.graph();
    f.graph().clear_node();
    onnx::NodeProto& constant = *f.graph().add_node();
    constant.set_op_type("Constant");
    constant.add_output("kept");
    onnx::AttributeProto& value = *constant.add_attribute();
    value.set_name("value");
    value.set_type(onnx::AttributeProto::TENSOR);
    *value.mutable_t() = f.tensor("layer1.0.conv1.weight");
    onnx::NodeProto& same = *f.graph().add_node();
    same.set_op_type("Identity");
    same.add_input("kept");
    same.add_output("also");
    for (const auto& node : copy.node()) *f.graph().add_node() = node;
    f.node("layer1.0.conv1").set_input(1, "also");
  });
  changed([](OnnxFileToChange& f) {  // padding by its effect
    onnx::NodeProto& conv = f.node("layer1.0.conv1");
    onnx::AttributeProto& pads = f.attribute(conv.name(), "pads");
    pads.Clear();
    pads.set_name("auto_pad");
    pads.set_type(onnx::AttributeProto::STRING);
    pads.set_s("SAME_UPPER");
  });
  changed([](OnnxFileToChange& f) {  // a bias, which the batch norm behind takes away again
    onnx::TensorProto& mean = f.tensor("layer2.0.bn1.running_mean");
    std::vector<float> means(static_cast<std::size_t>(mean.dims(0)));
    std::memcpy(means.data(), mean.raw_data().data(), mean.raw_data().size());
    onnx::TensorProto& bias = *f.graph().add_initializer();
    bias.set_name("layer2.0.conv1.bias");
    bias.set_data_type(onnx::TensorProto::FLOAT);
    bias.add_dims(mean.dims(0));
    for (std::size_t i = 0; i < means.size(); ++i) {
      bias.add_float_data(static_cast<float>(i) - 2);
      means[i] += static_cast<float>(i) - 2;
    }
    f.tensor("layer2.0.bn1.running_mean").set_raw_data(means.data(), 4 * means.size());
    f.node("layer2.0.conv1").add_input("layer2.0.conv1.bias");
  });
  changed([](OnnxFileToChange& f) {  // padding by a node of its own
    onnx::GraphProto copy = f.graph();
    f.graph().clear_node();
    onnx::NodeProto& pad = *f.graph().add_node();
    pad.set_op_type("Pad");
    pad.add_input("input");
    f.add_integers("pads", {0, 0, 1, 1, 0, 0, 1, 1});
    pad.add_input("pads");
    pad.add_output("padded");
    for (const auto& node : copy.node()) *f.graph().add_node() = node;
    f.node("conv1").set_input(0, "padded");
    f.set("conv1", "pads", {0, 0, 0, 0});
  });
  changed([](OnnxFileToChange& f) { f.model.mutable_opset_import(0)->set_version(20); });
  changed([](OnnxFileToChange& f) { f.model.set_ir_version(10); });
}

TEST(Onnx, ComputesTheSameWithAnotherEpsilon) {
  // var = 0.5 everywhere: gamma / sqrt(0.5 + 0.1) is gamma' / sqrt(0.5 + 1e-5).
  Model model(small("resnet20"));
  for (const auto& [name, tensor] : model.state()) {
    if (name.ends_with("running_var")) std::fill_n(tensor.as<float>(), tensor.numel(), 0.5f);
  }
  OnnxFileToChange file(file_of(model, {.unfolded = true}));
  file.attribute("bn1", "epsilon").set_f(0.1f);
  const OnnxImport back = file.parse();
  const double expected = std::sqrt((0.5 + 1e-5) / (0.5 + 0.1));
  for (const float gamma : back.state.at("bn1.weight").to_vector()) {
    EXPECT_NEAR(gamma, expected, 1e-6);
  }
  ASSERT_EQ(back.notes.size(), 1);
  EXPECT_CONTAINS(back.notes[0], "1 batch norms have another epsilon");
}

}  // namespace
}  // namespace hac
