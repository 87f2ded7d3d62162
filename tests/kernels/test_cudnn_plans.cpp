// cuDNN makes execution plans for devices that are only described, so what it will run for every
// convolution of the zoo on an H100, an A100 and an Orin is known here, without a GPU. Registered
// in builds with CUDA only (tests/CMakeLists.txt).

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "engine/io/file.h"
#include "kernels/cuda/library.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/conv2d_plan_cuda.h"
#include "models/arch/graph.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

using cuda::ConvPlan;
using cuda::PlanDevice;
using cuda::PlanOptions;

PlanDevice device(const std::string& name) {
  return cuda::device_properties(
      std::string_view(read_file(HAC_SOURCE_DIR "/tests/golden/cudnn/" + name + ".json")));
}

// The form of a description is undocumented and belongs to a version of cuDNN.
class Plans : public testing::Test {
 protected:
  void SetUp() override {
    if (cudnnGetVersion() / 100 != 919) {
      GTEST_SKIP() << "the device descriptions are for cuDNN 9.19, this is version "
                   << cudnnGetVersion();
    }
  }
};

Conv2dSpec example(Dtype dtype = Dtype::f32, Pass pass = Pass::forward) {
  return {.dtype = dtype, .n = 128, .c = 64, .h = 32, .w = 32, .k = 128, .pass = pass};
}

// Every convolution of the zoo that differs, f32, with nothing fused.
std::set<Conv2dSpec> zoo_convolutions() {
  std::set<Conv2dSpec> found;
  for (const std::string& name : zoo_names()) {
    for (const std::int64_t batch : {1, 128}) {
      for (const Op& op : lower(zoo(name), batch).ops) {
        if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
          Conv2dSpec spec = *conv;
          spec.bias = false;
          found.insert(spec);
        }
      }
    }
  }
  return found;
}

struct Form {
  const char* name;
  Pass pass = Pass::forward;
  bool bias = false, add = false;
  Activation activation = Activation::none;
};

constexpr Form kForms[] = {{"forward"},
                           {"backward_data", Pass::backward_data},
                           {"backward_weights", Pass::backward_weights},
                           {"bias", Pass::inference, true},
                           {"relu", Pass::inference, true, false, Activation::relu},
                           {"add", Pass::inference, true, true},
                           {"add_relu", Pass::inference, true, true, Activation::relu}};

// What the plans of one form came to.
struct Row {
  int specs = 0, products = 0, planned = 0, runtime_compiled = 0, nondeterministic = 0,
      tensor_cores = 0;
  std::int64_t most_workspace = 0;
};

void print(const std::string& device, Dtype dtype, const std::map<std::string, Row>& rows) {
  std::printf("%s, %s\n%-18s%8s%9s%8s%8s%8s%8s%16s\n", device.c_str(), name_of(dtype).data(),
              "form", "specs", "products", "planned", "nvrtc", "nondet", "tensor",
              "most workspace");
  for (const auto& [form, r] : rows) {
    std::printf("%-18s%8d%9d%8d%8d%8d%8d%16lld\n", form.c_str(), r.specs, r.products, r.planned,
                r.runtime_compiled, r.nondeterministic, r.tensor_cores,
                static_cast<long long>(r.most_workspace));
  }
}

// The least share of 16-bit plans that must run on tensor cores, of convolutions that are products
// of matrices: a depthwise one is not. Which ones do not, RunOnTensorCoresWhereTheyCan says.
double least_tensor_share(const std::string& device, Dtype dtype, const Form& form) {
  if (dtype == Dtype::f32) return 0;
  // cuDNN 9.19 has no precompiled fused engine for bf16 on sm_87 but a fallback without tensor
  // cores, and for f16 one that takes only some of the shapes, of 1x1 convolutions next to none.
  if (device == "orin" && form.pass == Pass::inference) return dtype == Dtype::bf16 ? 0 : 0.5;
  return 0.8;
}

bool is_counted(const std::string& device, const Conv2dSpec& spec) {
  if (device == "orin" && spec.pass == Pass::inference && spec.r == 1) return false;
  return !spec.depthwise();
}

class ZooPlans : public Plans,
                 public testing::WithParamInterface<std::tuple<std::string, Dtype>> {};

TEST_P(ZooPlans, AreDeterministicPrecompiledAndSmall) {
  const auto& [name, dtype] = GetParam();
  const PlanDevice properties = device(name);
  const PlanOptions options;
  const std::set<Conv2dSpec> specs = zoo_convolutions();
  EXPECT_GE(specs.size(), 60u) << "the zoo was not found";
  std::map<std::string, Row> rows;
  for (const Form& form : kForms) {
    Row& row = rows[form.name];
    for (Conv2dSpec spec : specs) {
      spec.dtype = dtype;
      spec = with_padded_channels(spec);
      spec.pass = form.pass;
      spec.bias = form.bias;
      spec.add = form.add;
      spec.activation = form.activation;
      ++row.specs;
      row.products += is_counted(name, spec);
      const std::string error = message_of<Error>([&] {
        const ConvPlan plan = cuda::make_plan(properties, spec, options);
        const auto workspace =
            plan.plan.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
        const bool random = plan.config.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
        const bool tensor_cores = plan.config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
        ++row.planned;
        row.runtime_compiled += plan.config.runtime_compiled();
        row.nondeterministic += random;
        row.tensor_cores += tensor_cores && is_counted(name, spec);
        row.most_workspace = std::max(row.most_workspace, workspace);
        EXPECT_FALSE(plan.config.runtime_compiled()) << spec.str();
        EXPECT_FALSE(random) << spec.str();
        EXPECT_LE(workspace, options.workspace_limit) << spec.str();
        if (dtype == Dtype::f32) {
          EXPECT_FALSE(tensor_cores) << spec.str() << ": TF32 was not asked for";
        }
      });
      EXPECT_EQ(error, "");
    }
    EXPECT_GE(row.tensor_cores, least_tensor_share(name, dtype, form) * row.products) << form.name;
  }
  if (HasFailure()) print(name, dtype, rows);
}

INSTANTIATE_TEST_SUITE_P(Devices, ZooPlans,
                         testing::Combine(testing::Values("h100", "a100", "orin"),
                                          testing::Values(Dtype::f32, Dtype::bf16, Dtype::f16)),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" +
                                  std::string(name_of(std::get<1>(info.param)));
                         });

// The plans of a 16-bit product, and what it takes from the tensor cores: none of its engines has
// them, or has them without copies padded to eights.
TEST_F(Plans, RunOnTensorCoresWhereTheyCan) {
  std::map<std::string, int> without;  // of a device and pass
  for (const char* name : {"h100", "a100"}) {
    const PlanDevice properties = device(name);
    for (Conv2dSpec spec : zoo_convolutions()) {
      if (spec.depthwise()) continue;
      spec.dtype = Dtype::bf16;
      spec = with_padded_channels(spec);
      for (const Form& form : {kForms[0], kForms[1], kForms[2], kForms[4]}) {
        spec.pass = form.pass;
        spec.bias = form.bias;
        spec.activation = form.activation;
        const ConvPlan plan = cuda::make_plan(properties, spec, {});
        if (plan.config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) continue;
        ++without[name + std::string(" ") + form.name];
        EXPECT_TRUE(spec.c % 8 != 0 || spec.k % 8 != 0) << spec.str();
        for (const ConvPlan& other : cuda::list_plans(properties, spec, {})) {
          EXPECT_FALSE(other.config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
                       other.workspace_bytes <= plan.workspace_bytes)
              << spec.str() << ' ' << other.config.name();
        }
      }
    }
  }
  for (const auto& [what, n] : without) EXPECT_LE(n, 20) << what;
}

// Three channels of an image: what cuDNN took before they were padded.
TEST_F(Plans, OfImagesWantEightChannels) {
  const PlanDevice properties = device("h100");
  const Conv2dSpec vgg{.dtype = Dtype::bf16, .n = 128, .c = 3, .h = 32, .w = 32, .k = 64},
      resnet{.dtype = Dtype::bf16,
             .n = 128,
             .c = 3,
             .h = 224,
             .w = 224,
             .k = 64,
             .r = 7,
             .s = 7,
             .stride = 2,
             .pad = 3};
  for (const Conv2dSpec& image : {vgg, resnet}) {
    for (const Pass pass : {Pass::forward, Pass::backward_weights}) {
      Conv2dSpec spec = with_padded_channels(image);
      spec.pass = pass;
      const ConvPlan plan = cuda::make_plan(properties, spec, {});
      EXPECT_TRUE(plan.config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) << spec.str();
      const std::int64_t input = spec.in_shape().numel() * 2;
      EXPECT_LT(plan.workspace_bytes, input) << spec.str() << ": a copy of the images";
    }
  }
}

TEST_F(Plans, OddShapesAndGroupsHaveOne) {
  const PlanDevice properties = device("a100");
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      for (Conv2dSpec spec :
           {Conv2dSpec{.n = 2, .c = 7, .h = 31, .w = 33, .k = 5, .stride = 2},
            Conv2dSpec{.n = 1, .c = 1, .h = 1, .w = 1, .k = 1, .r = 1, .s = 1, .pad = 0},
            Conv2dSpec{.n = 3, .c = 6, .h = 9, .w = 9, .k = 9, .r = 5, .s = 1, .groups = 3},
            Conv2dSpec{.n = 4, .c = 32, .h = 8, .w = 8, .k = 32, .groups = 32}}) {
        spec.dtype = dtype;
        spec.pass = pass;
        EXPECT_EQ(message_of<Error>([&] { cuda::make_plan(properties, spec, {}); }), "");
      }
    }
  }
}

TEST_F(Plans, OptionsDecide) {
  const PlanDevice properties = device("h100");
  const auto count = [&](const Conv2dSpec& spec, const PlanOptions& options, auto note) {
    const auto plans = cuda::list_plans(properties, spec, options);
    EXPECT_FALSE(plans.empty()) << spec.str();
    return std::count_if(plans.begin(), plans.end(),
                         [&](const ConvPlan& p) { return p.config.has(note); });
  };
  EXPECT_EQ(count(example(), {}, CUDNN_NUMERICAL_NOTE_TENSOR_CORE), 0);
  EXPECT_GT(count(example(), {.allow_tf32 = true}, CUDNN_NUMERICAL_NOTE_TENSOR_CORE), 0);
  const Conv2dSpec dw = example(Dtype::f32, Pass::backward_weights);
  EXPECT_EQ(count(dw, {}, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC), 0);
  EXPECT_GT(count(dw, {.deterministic = false}, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC), 0);
  const std::int64_t free_choice = cuda::make_plan(properties, example(), {}).workspace_bytes;
  EXPECT_GT(free_choice, 0);
  EXPECT_EQ(cuda::make_plan(properties, example(), {.workspace_limit = 0}).workspace_bytes, 0);
}

TEST_F(Plans, TheFirstIsTheHeuristicsChoice) {
  const PlanDevice properties = device("h100");
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    const Conv2dSpec spec = example(Dtype::bf16, pass);
    const auto configs = cuda::engine_configs(properties, spec, CUDNN_HEUR_MODE_A);
    const auto plans = cuda::list_plans(properties, spec, {});
    ASSERT_GT(configs.size(), 1u);
    ASSERT_GT(plans.size(), 1u);
    EXPECT_EQ(plans[0].config.name(), configs[0].name());
    EXPECT_EQ(cuda::make_plan(properties, spec, {}).config.name(), configs[0].name());
  }
}

// The heuristics begin with a dozen tiles of one engine for some of VGG's gradients.
TEST_F(Plans, ToMeasureAreOfSeveralEngines) {
  const PlanDevice properties = device("h100");
  const auto engines = [&](const Conv2dSpec& spec, std::size_t most) {
    std::map<std::int64_t, int> found;
    for (const ConvPlan& plan : cuda::list_plans(properties, spec, {}, most)) {
      ++found[plan.config.engine];
    }
    return found;
  };
  int several = 0;
  for (const Op& op : lower(zoo("vgg11"), 128).ops) {
    const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
    if (!conv) continue;
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      Conv2dSpec spec = *conv;
      spec.dtype = Dtype::bf16;
      spec.pass = pass;
      spec.bias = false;
      const auto measured = engines(spec, 10), all = engines(spec, 1000);
      EXPECT_GE(measured.size(), std::min<std::size_t>(3, all.size())) << spec.str();
      for (const auto& [engine, plans] : measured) EXPECT_LE(plans, 4) << spec.str();
      several += measured.size() >= 3;
    }
  }
  EXPECT_GE(several, 20) << "of 24 products";
}

TEST_F(Plans, AreRebuiltFromEngineAndKnobs) {
  const PlanDevice properties = device("a100");
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    const Conv2dSpec spec = example(Dtype::f16, pass);
    for (const ConvPlan& plan : cuda::list_plans(properties, spec, {})) {
      const ConvPlan again =
          cuda::rebuild_plan(properties, spec, plan.config.engine, plan.config.knobs);
      EXPECT_EQ(again.config.name(), plan.config.name());
      EXPECT_EQ(again.workspace_bytes, plan.workspace_bytes) << plan.config.name();
    }
  }
  EXPECT_CONTAINS(
      message_of<DeviceError>([&] { cuda::rebuild_plan(properties, example(), 9999, {}); }),
      example().str());
}

TEST_F(Plans, SayWhyThereIsNone) {
  EXPECT_ERROR(cuda::make_plan(device("h100"), example(), {.workspace_limit = -1}), DeviceError,
               example().str(), std::string("over the workspace limit"), std::string("TF32"),
               std::string("deterministic"));
}

TEST_F(Plans, RefuseWhatCudnnWouldOverrun) {
  Conv2dSpec spec = example();
  spec.n = 1 << 15;
  EXPECT_ERROR(cuda::make_plan(device("h100"), spec, {}), ShapeError, "2^31");
}

TEST_F(Plans, ExecutionChecksItsOperands) {
  const Conv2dSpec spec{.c = 8, .h = 8, .w = 8, .k = 8, .bias = true, .pass = Pass::inference};
  const ConvPlan plan = cuda::make_plan(device("h100"), spec, {});
  alignas(16) static float memory[4096];
  const auto run = [&](const void* x, const void* bias) {
    return message_of<DeviceError>([&] {
      cuda::execute(nullptr, plan, spec, {.x = x, .w = memory, .y = memory, .bias = bias}, memory);
    });
  };
  EXPECT_CONTAINS(run(memory + 1, memory), "aligned to 16");
  EXPECT_CONTAINS(run(memory, nullptr), "aligned to 16") << "no bias";
  // All is well but the handle: the variant pack was accepted.
  const std::string error = run(memory, memory);
  EXPECT_CONTAINS(error, "cudnnBackendExecute", spec.str());
}

TEST_F(Plans, ABadDescriptionIsAnError) {
  for (const char* text : {"", "{}", "{\"deviceVer\": 900}", "not json"}) {
    const std::string error =
        message_of<DeviceError>([&] { cuda::device_properties(std::string_view(text)); });
    EXPECT_CONTAINS(error, "device properties") << text;
  }
  const std::string json = cuda::device_json(device("orin"));
  EXPECT_CONTAINS(json, "\"deviceName\": \"Orin\"");
}

}  // namespace
}  // namespace hac
