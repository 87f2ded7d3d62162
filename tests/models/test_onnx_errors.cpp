// What is wrong with an ONNX file, by the name of its node, attribute or tensor; damaged files.

#include <gtest/gtest.h>

#include <random>

#include "engine/io/file.h"
#include "models/deploy/onnx.h"
#include "models/zoo/arch_options.h"
#include "tests/support/messages.h"
#include "tests/support/onnx_file.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

const std::string& original() {
  static const std::string bytes =
      to_onnx(Model(resolve("resnet18", {.width = 0.0625, .resolution = 32, .classes = 5})),
              {.unfolded = true}, {})
          .bytes;
  return bytes;
}

// The message of a file that is changed in one place.
template <class E, class Change>
std::string error_in(Change change) {
  OnnxFileToChange file(original());
  change(file);
  return error_of<E>([&] { file.parse(); });
}
template <class Change>
std::string refused(Change change) {
  return error_in<ConfigError>(change);
}

using File = OnnxFileToChange;

TEST(OnnxErrors, NameTheNodeAndItsAttribute) {
  EXPECT_CONTAINS(refused([](File& f) {
                    f.set("layer1.0.conv1", "dilations", {2, 2});
                    f.set("layer1.0.conv1", "pads", {2, 2, 2, 2});
                  }),
                  "'changed'", "node 'layer1.0.conv1' (Conv)", "dilations [1, 1]");
  EXPECT_CONTAINS(refused([](File& f) {
                    f.set("layer1.0.conv1", "pads", {1, 0, 1, 2});
                  }),
                  "node 'layer1.0.conv1' (Conv)", "pads", "[1, 0, 1, 2]");
  EXPECT_CONTAINS(refused([](File& f) {
                    f.set("bn1/maxpool", "ceil_mode", 1);
                    f.set("bn1/maxpool", "pads", {0, 0, 0, 0});
                  }),
                  "node 'bn1/maxpool' (MaxPool)", "ceil_mode 1");
  EXPECT_CONTAINS(refused([](File& f) {
                    f.set("bn1/maxpool", "strides", {2, 1});
                  }),
                  "node 'bn1/maxpool' (MaxPool)", "strides", "[2, 1]");
  // Its mean leaves the padding out, as where nothing is said.
  EXPECT_CONTAINS(refused([](File& f) { f.node("bn1/maxpool").set_op_type("AveragePool"); }),
                  "node 'bn1/maxpool' (AveragePool)", "count_include_pad 1, got 0");
  EXPECT_CONTAINS(refused([](File& f) { f.node("bn1/relu").set_op_type("Tanh"); }),
                  "node 'bn1/relu' (Tanh)", "expected one of", "Relu");
  EXPECT_CONTAINS(refused([](File& f) { f.node("bn1/relu").set_op_type("Sigmoid"); }),
                  "node 'bn1/relu' (Sigmoid)", "a product");
  EXPECT_CONTAINS(refused([](File& f) { f.node("layer1.0.bn2/add").set_op_type("Mul"); }),
                  "node 'layer1.0.bn2/add' (Mul)", "sigmoid");
  EXPECT_CONTAINS(refused([](File& f) { f.set("fc", "transA", 1); }), "node 'fc' (Gemm)",
                  "transA 0");
  EXPECT_CONTAINS(refused([](File& f) {
                    onnx::AttributeProto& a = f.attribute("fc", "alpha");
                    a.set_type(onnx::AttributeProto::FLOAT);
                    a.set_f(0.5f);
                  }),
                  "node 'fc' (Gemm)", "alpha 1, got 0.5");
  const std::string trains = error_in<IoError>([](File& f) { f.set("bn1", "training_mode", 1); });
  EXPECT_CONTAINS(trains, "check failed: (op_type:BatchNormalization, node name: bn1)");
  EXPECT_LACKS(trains, "\n", "bn1/relu");
}

TEST(OnnxErrors, NameTheTensor) {
  EXPECT_CONTAINS(refused([](File& f) { f.tensor("fc.bias").mutable_raw_data()->pop_back(); }),
                  "node 'fc'", "'fc.bias' of 5 numbers");
  EXPECT_CONTAINS(error_in<IoError>([](File& f) {
                    f.tensor("layer1.0.bn1.running_mean").mutable_raw_data()->resize(12);
                    f.tensor("layer1.0.bn1.running_mean").set_dims(0, 3);
                  }),
                  "check failed", "layer1.0.bn1", "between 3 and 8");
  // A weight that the network's user would have to give.
  EXPECT_CONTAINS(refused([](File& f) {
                    onnx::GraphProto& g = f.graph();
                    for (int i = 0; i < g.initializer_size(); ++i) {
                      if (g.initializer(i).name() != "fc.weight") continue;
                      onnx::ValueInfoProto& v = *g.add_input();
                      v.set_name("fc.weight");
                      onnx::TypeProto::Tensor& t = *v.mutable_type()->mutable_tensor_type();
                      t.set_elem_type(onnx::TensorProto::FLOAT);
                      for (const auto d : g.initializer(i).dims())
                        t.mutable_shape()->add_dim()->set_dim_value(d);
                      g.mutable_initializer()->DeleteSubrange(i, 1);
                      break;
                    }
                  }),
                  "one input and one output, got 2 and 1");
  EXPECT_CONTAINS(refused([](File& f) {
                    f.tensor("conv1.weight").set_data_location(onnx::TensorProto::EXTERNAL);
                  }),
                  "'conv1.weight'", "in another one");
  EXPECT_CONTAINS(error_in<IoError>([](File& f) { f.node("fc").set_input(1, "elsewhere"); }),
                  "check failed", "elsewhere");
}

TEST(OnnxErrors, NameTheVersionAndTheInput) {
  const auto opset = [](std::int64_t version) {
    return refused([&](File& f) { f.model.mutable_opset_import(0)->set_version(version); });
  };
  EXPECT_CONTAINS(opset(23), "opset 23", "7 to 22");
  EXPECT_CONTAINS(opset(6), "opset 6");
  const auto input = [](File& f) {
    return f.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  };
  EXPECT_CONTAINS(refused([&](File& f) { input(f)->mutable_dim(2)->set_dim_param("height"); }),
                  "'input'", "'height'", "--resolution");
  EXPECT_CONTAINS(refused([&](File& f) { input(f)->mutable_dim(3)->set_dim_value(40); }),
                  "as many rows as columns", "32 and 40");
  OnnxFileToChange open(original());
  for (const int i : {2, 3}) input(open)->mutable_dim(i)->set_dim_param("side");
  EXPECT_EQ(parse_onnx(open.bytes(), "open", 40).arch.resolution, 40);
}

TEST(OnnxErrors, NoFileOfItsKind) {
  const TempFolder folder;
  const std::string path = folder.path() + "/net.onnx";
  EXPECT_ERROR(from_onnx(path), IoError, path);
  folder.write("net.onnx", "This is a text.\n");
  EXPECT_ERROR(from_onnx(path), IoError, path, "no ONNX file, or cut");
  folder.write("net.onnx", "");
  EXPECT_ERROR(from_onnx(path), IoError, path, "no ONNX file, or cut");
  folder.write("net.onnx", original());
  EXPECT_EQ(from_onnx(path).arch.classes, 5);
}

// Cut anywhere, and with a byte changed: an error or a network, never anything else.
TEST(OnnxErrors, SurvivesDamage) {
  const std::string bytes =
      to_onnx(Model(resolve("resnet20", {.width = 0.0625, .blocks = {1, 1, 1}})), {}, {}).bytes;
  for (std::size_t n = 0; n < bytes.size(); n += 1 + bytes.size() / 150) {
    EXPECT_THROW(parse_onnx(bytes.substr(0, n), "cut"), Error) << n << " bytes";
  }
  std::mt19937 random(1);
  int errors = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      parse_onnx(damaged, "damaged");
    } catch (const Error&) {
      ++errors;
    }
  }
  EXPECT_GT(errors, 0);
}

}  // namespace
}  // namespace hac
