// The model of a device that is not here: by hand on a small chip, its limits, where its staircase
// steps, that nothing more costs less, and its files.

#include "scaling/latency/device_model.h"

#include <cmath>
#include <limits>

#include "engine/io/file.h"
#include "kernels/core/random.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Four units of 10^9 multiply-adds a second each.
DeviceProfile small_chip() {
  return {.name = "small chip",
          .units = 4,
          .peak_gmacs = {.f32 = 4, .f16 = 16},
          .bandwidth_gbs = 1,
          .cache_kib = 1,
          .tile = {4, 8},
          .channel_block = 4,
          .launch_us = {.eager = 1000, .graph = 100}};
}

DeviceModel eager(const DeviceProfile& profile, Dtype dtype = Dtype::f32) {
  return {profile, LaunchMode::eager, dtype};
}

// Whose time is that of the multiply-adds.
DeviceModel only_compute() {
  DeviceProfile chip = small_chip();
  chip.bandwidth_gbs = infinity;
  chip.launch_us.eager = 0;
  return eager(chip);
}

TEST(DeviceModel, AConvolutionByHand) {
  const Conv2dSpec conv{.c = 6, .h = 8, .w = 8, .k = 10, .bias = true};
  // 64 rows, 10 columns, 9 * 6 products, padded to 9 * 8: 16 * 2 tiles, 8 waves.
  const LatencyParts p = eager(small_chip()).explain(conv);
  EXPECT_DOUBLE_EQ(p.launch, 1);
  EXPECT_DOUBLE_EQ(p.arithmetic, 64 * 10 * 54 / 4e6);
  EXPECT_DOUBLE_EQ(p.compute, 8 * 4 * 8 * 72 / 1e6);
  EXPECT_DOUBLE_EQ(p.weights, (540 + 10) * 4 / 1e6);
  EXPECT_DOUBLE_EQ(p.activations, (384 + 640) * 4 / 1e6);
  EXPECT_DOUBLE_EQ(p.total(), 1 + 0.018432);
  EXPECT_EQ(p.bound(), LatencyPart::launch);
  EXPECT_DOUBLE_EQ(DeviceModel(small_chip(), LaunchMode::graph).predict(conv), 0.1 + 0.018432);

  // In f16 at four times the rate, half the bytes.
  Conv2dSpec half = conv;
  half.dtype = Dtype::f16;
  const LatencyParts h = eager(small_chip(), Dtype::f16).explain(half);
  EXPECT_DOUBLE_EQ(h.compute, p.compute / 4);
  EXPECT_DOUBLE_EQ(h.traffic(), p.traffic() / 2);
  // Two groups: each 5 columns in one tile, of 3 channels padded to 4.
  Conv2dSpec grouped = conv;
  grouped.groups = 2;
  EXPECT_DOUBLE_EQ(eager(small_chip()).explain(grouped).compute, 8 * 4 * 8 * 36 / 1e6);
}

// A CPU reads the three channels of an image as they are.
TEST(DeviceModel, OnlyAGpuPadsAnImage) {
  const Conv2dSpec stem{.c = 3, .h = 8, .w = 8, .k = 8};
  DeviceProfile chip = small_chip();
  EXPECT_DOUBLE_EQ(eager(chip).explain(stem).compute, 4 * 32 * 36 / 1e6);
  chip.processor = Processor::cpu;
  EXPECT_DOUBLE_EQ(eager(chip).explain(stem).compute, 4 * 32 * 27 / 1e6);
}

TEST(DeviceModel, OtherOperationsByHand) {
  const DeviceModel model = only_compute();
  // 25 rows of 16 channels: 7 * 2 tiles in 4 waves, each output nine products.
  EXPECT_DOUBLE_EQ(model.predict(Conv2dSpec{.c = 16, .h = 5, .w = 5, .k = 16, .groups = 16}),
                   4 * 32 * 9 / 1e6);
  // A row is a tile of its own: 3 tiles in one wave.
  EXPECT_DOUBLE_EQ(model.predict(LinearSpec{.in = 30, .out = 20}), 8 * 32 / 1e6);
  EXPECT_DOUBLE_EQ(model.predict(Pool2dSpec{.c = 8, .h = 4, .w = 4}), 32 * 4 / 1e6);
  EXPECT_DOUBLE_EQ(model.predict(Pool2dSpec{.mode = PoolMode::global_avg, .c = 8, .h = 4, .w = 4}),
                   8 * 16 / 1e6);
  EXPECT_DOUBLE_EQ(model.predict(BatchNormSpec{.c = 8, .h = 4, .w = 4}), 32 / 1e6);
  EXPECT_DOUBLE_EQ(model.predict(ActivationSpec{.shape = {1, 8, 4, 5}}), 2 * 32 / 1e6);
  EXPECT_DOUBLE_EQ(model.predict(AddSpec{.shape = {1, 9}}), 8 / 1e6);
  const DeviceModel slow = eager(small_chip());
  EXPECT_EQ(slow.predict(FlattenSpec{.shape = {1, 8, 4, 4}}), 0);
  EXPECT_EQ(slow.predict(DropoutSpec{.shape = {1, 8}}), 0);
  // Three maps of 512 bytes, two of them in a cache of 1 KiB.
  EXPECT_EQ(slow.explain(ActivationSpec{.shape = {1, 8, 4, 4}}).activations, 0);
  EXPECT_DOUBLE_EQ(slow.explain(AddSpec{.shape = {1, 8, 4, 4}}).activations, 1536 / 1e6);
}

// Of gradients, on the same chip: the passes of a convolution of stride 2, 8 x 8 to 4 x 4.
TEST(DeviceModel, GradientsByHand) {
  const DeviceModel model = only_compute();
  Conv2dSpec conv{.n = 2, .c = 6, .h = 8, .w = 8, .k = 10, .stride = 2};
  // Of the input 32 * 4 positions, 6 channels, depth 9 * 12 / 4: 32 tiles in 8 waves.
  conv.pass = Pass::backward_data;
  EXPECT_DOUBLE_EQ(model.predict(conv), 8 * 32 * 27 / 1e6);
  // Of the weights 54 x 10, 14 * 2 tiles in 7 waves, depth 32: full, so whole.
  conv.pass = Pass::backward_weights;
  EXPECT_DOUBLE_EQ(model.predict(conv), 7 * 32 * 32 / 1e6);
  // 9 x 8, 3 tiles for 4 units: in 4 slices of 8 they are 3 waves.
  conv.c = 1;
  conv.k = 8;
  EXPECT_DOUBLE_EQ(model.predict(conv), 3 * 32 * 8 / 1e6);
  // Depthwise: a row of 9 taps is no product's, 3 tiles as well.
  conv.c = conv.groups = 8;
  EXPECT_DOUBLE_EQ(model.predict(conv), 3 * 32 * 8 / 1e6);
}

TEST(DeviceModel, Limits) {
  const Architecture arch = zoo("preact_resnet18");
  DeviceProfile chip = small_chip();
  chip.peak_gmacs.f32 = chip.bandwidth_gbs = infinity;
  const DeviceModel launches = eager(chip);
  double kernels = 0;
  for (const Op& op : launches.graph_of(arch).ops) kernels += op.spec.kind() != "flatten";
  EXPECT_DOUBLE_EQ(launches.predict(arch), kernels);
  chip.launch_us.eager = 0;
  EXPECT_EQ(eager(chip).predict(arch), 0);
  EXPECT_EQ(eager(small_chip()).predict(eager(small_chip()).graph_of(arch)),
            eager(small_chip()).predict(arch));
}

// At 8 x 8 positions and tiles of 4 x 8 on four units: 16 tiles, four waves, for each 8 channels.
TEST(DeviceModel, StepsAtTilesAndWaves) {
  const DeviceModel model = only_compute();
  const auto ms = [&](std::int64_t k) {
    return model.predict(Conv2dSpec{.c = 4, .h = 8, .w = 8, .k = k});
  };
  for (std::int64_t k = 1; k < 64; ++k) {
    const double step = ms(k + 1) - ms(k);
    EXPECT_DOUBLE_EQ(step, k % 8 == 0 ? ms(1) : 0) << k;
  }
  // Of input channels at their block.
  const auto deep = [&](std::int64_t c) {
    return model.predict(Conv2dSpec{.c = c, .h = 8, .w = 8, .k = 8});
  };
  for (std::int64_t c = 1; c < 32; ++c) {
    EXPECT_EQ(deep(c + 1) > deep(c), c % 4 == 0) << c;
  }
  // One tile less than a full wave takes as long, one more takes twice as long.
  const auto tiles = [&](std::int64_t n) {
    return model.predict(Conv2dSpec{.c = 4, .h = 4 * n, .w = 1, .k = 8});
  };
  EXPECT_EQ(tiles(3), tiles(4));
  EXPECT_DOUBLE_EQ(tiles(5), 2 * tiles(4));
  EXPECT_EQ(model.explain(Conv2dSpec{.c = 4, .h = 16, .w = 1, .k = 8}).tail(), 0);
}

Conv2dSpec random_conv(const Philox& random, std::int64_t i) {
  const auto draw = [&](int j, std::int64_t most) {
    return 1 + static_cast<std::int64_t>(random.uniform(8 * i + j) * static_cast<double>(most));
  };
  return {.c = draw(0, 600),
          .h = draw(1, 60),
          .w = draw(2, 60),
          .k = draw(3, 600),
          .stride = draw(4, 2),
          .bias = draw(5, 2) == 2};
}

TEST(DeviceModel, MoreIsNeverFaster) {
  const Philox random{7, 1};
  for (const std::string& name : device_profile_names()) {
    const std::shared_ptr<const DeviceModel> model = device_model(name);
    for (std::int64_t i = 0; i < 300; ++i) {
      const Conv2dSpec conv = random_conv(random, i);
      const double ms = model->predict(conv);
      Conv2dSpec gradient = conv;
      for (const Pass pass : {Pass::backward_data, Pass::backward_weights}) {
        gradient.pass = pass;
        Conv2dSpec more = gradient;
        more.n += 1 + i % 70;
        EXPECT_GE(model->predict(more), model->predict(gradient)) << name << ' ' << more.str();
        EXPECT_GE(model->explain(gradient).tail(), 0) << gradient.str();
      }
      for (std::int64_t Conv2dSpec::*member :
           {&Conv2dSpec::n, &Conv2dSpec::c, &Conv2dSpec::h, &Conv2dSpec::w, &Conv2dSpec::k}) {
        Conv2dSpec more = conv;
        more.*member += 1 + i % 70;
        EXPECT_GE(model->predict(more), ms) << name << ' ' << conv.str() << ' ' << more.str();
      }
      const LatencyParts p = model->explain(conv);
      EXPECT_GE(p.tail(), 0) << conv.str();
      EXPECT_EQ(p.total(), p.launch + std::max(p.compute, p.weights + p.activations));
    }
  }
}

TEST(DeviceModel, AFasterPartIsNeverSlower) {
  const Philox random{7, 2};
  const DeviceProfile slow = load_device_profile("xavier");
  std::vector<DeviceProfile> faster(5, slow);
  faster[0].peak_gmacs.f32 *= 1.5;
  faster[1].bandwidth_gbs *= 1.5;
  faster[2].cache_kib *= 100;
  *faster[3].launch_us.eager /= 2;
  faster[4].units += 3;  // as fast as the others
  faster[4].peak_gmacs.f32 *= 11. / 8;
  for (std::int64_t i = 0; i < 300; ++i) {
    const Conv2dSpec conv = random_conv(random, i);
    for (const DeviceProfile& fast : faster) {
      EXPECT_LE(eager(fast).predict(conv), eager(slow).predict(conv) * (1 + 1e-12)) << conv.str();
    }
  }
}

TEST(DeviceModel, SaysWhatBinds) {
  const auto bound = [](LatencyParts parts) { return parts.bound(); };
  EXPECT_EQ(bound({.launch = 1, .arithmetic = 3, .compute = 5, .weights = 4}),
            LatencyPart::arithmetic);
  EXPECT_EQ(bound({.launch = 1, .arithmetic = 2, .compute = 5}), LatencyPart::tail);
  EXPECT_EQ(bound({.compute = 4, .weights = 2, .activations = 3}), LatencyPart::activations);
  EXPECT_EQ(bound({.compute = 4, .weights = 4, .activations = 1}), LatencyPart::weights);
  EXPECT_EQ(bound({.launch = 5, .compute = 5}), LatencyPart::launch);
}

// What a chip needs at least for ResNet18 on one image, by cuda.md's own figures: 1.814 G
// multiply-adds.
TEST(DeviceModel, ArithmeticIsThatOfTheDataSheets) {
  const auto arithmetic = [](const std::string& name, Dtype dtype) {
    const std::shared_ptr<const DeviceModel> model = device_model(name, dtype);
    double ms = 0;
    for (const Op& op : model->graph_of(zoo("resnet18")).ops) {
      if (op.spec.kind() == "conv2d") ms += model->explain(op.spec).arithmetic;
    }
    return ms;
  };
  EXPECT_NEAR(arithmetic("tx2", Dtype::f32), 5.4, 0.1);
  EXPECT_NEAR(arithmetic("tx2", Dtype::f16), 2.7, 0.1);
  EXPECT_NEAR(arithmetic("xavier", Dtype::f32), 2.6, 0.1);
  EXPECT_NEAR(arithmetic("xavier", Dtype::f16), 0.33, 0.01);
  EXPECT_NEAR(arithmetic("orin", Dtype::f16), 0.085, 0.002);
}

TEST(DeviceModel, IsSelectedByNameAndLaunch) {
  EXPECT_EQ(device_model("xavier")->launch(), LaunchMode::eager);
  EXPECT_EQ(device_model("xavier:graph")->launch(), LaunchMode::graph);
  EXPECT_EQ(device_model("h100")->launch(), LaunchMode::graph);
  const LatencySource source = *device_model("xavier:graph", Dtype::f16)->source;
  EXPECT_EQ(source.str(), "Jetson AGX Xavier (modelled), f16, roofline, graph launch");
  EXPECT_ERROR(device_model("xaver"), ConfigError, "desktop-cpu", "did you mean xavier?");
  EXPECT_ERROR(device_model("xavier:fast"), ConfigError, "eager or graph", "'fast'");
  EXPECT_ERROR(device_model("desktop-cpu:graph"), ConfigError, "'launch_us.graph'");
  EXPECT_ERROR(device_model("tx2", Dtype::bf16), ConfigError, "'peak_gmacs.bf16'");
  EXPECT_FALSE(computes_in("tx2", Dtype::bf16));
  EXPECT_TRUE(computes_in("tx2", Dtype::f16));
  EXPECT_ERROR(device_model("xavier")->predict(Conv2dSpec{.dtype = Dtype::bf16}), ConfigError,
               "'peak_gmacs.bf16'");

  const TempFolder folder;
  const std::string path = folder.file("mine.json");
  DeviceProfile mine = load_device_profile("xavier");
  mine.launch_us.graph = 50;
  write_file_atomically(path, to_json(mine));
  EXPECT_DOUBLE_EQ(device_model(path + ":graph")->explain(Conv2dSpec{}).launch, 0.05);
  EXPECT_DOUBLE_EQ(device_model(path)->explain(Conv2dSpec{}).launch, 0.3);
  EXPECT_THROW(device_model(folder.file("a:b/absent.json")), IoError);
}

TEST(DeviceModel, FilesPredictTheSameBits) {
  const TempFolder folder;
  for (const std::string& name : device_profile_names()) {
    auto model = std::make_shared<DeviceModel>(*device_model(name));
    model->scale = 1.25;
    const std::string path = folder.file(name + "_model.json");
    save_latency_model(*model, path);
    const LatencyModelPtr loaded = load_latency_model(path);
    EXPECT_EQ(loaded->name(), "device");
    EXPECT_EQ(loaded->source, model->source);
    EXPECT_EQ(to_json(*loaded), to_json(*model));
    EXPECT_EQ(loaded->predict(zoo("vgg11")), model->predict(zoo("vgg11")));
    EXPECT_TRUE(loaded->extrapolated(zoo("vgg11")).empty());
    // The label does not depend on the file's having it.
    model->source.reset();
    EXPECT_EQ(latency_model_from_json(to_json(*model))->source, loaded->source);
  }
  const std::string text = to_json(*device_model("xavier"));
  EXPECT_ERROR(latency_model_from_json(replaced(text, " (modelled)", "")), ConfigError,
               "measured_on", "(modelled)");
  EXPECT_ERROR(latency_model_from_json(replaced(text, "\"scale\": 1", "\"scale\": 0")), ConfigError,
               "'scale'");
  EXPECT_ERROR(latency_model_from_json(replaced(text, "\"units\": 8", "\"units\": 0")), ConfigError,
               "'profile.units'");
}

TEST(DeviceProfiles, AreReadStrictly) {
  const std::string text = to_json(load_device_profile("xavier"));
  ASSERT_EQ(to_json(device_profile_from_json(text, "p")), text);
  const struct {
    std::string from, to, part;
  } cases[] = {
      {R"("units": 8)", R"("units": 0)", "'units': expected"},
      {R"("units": 8,)", "", "'units': expected a value, got none"},
      {R"("f32": 705.0)", R"("f32": -705)", "'peak_gmacs.f32': expected a number > 0"},
      {R"("f16": 5500.0)", R"("f16": 0)", "'peak_gmacs.f16': expected a number > 0"},
      {R"("f16": 5500.0)", R"("tf32": 1)", "'peak_gmacs.tf32': unknown key"},
      {R"("f32": 705.0,)", "", "'peak_gmacs.f32': expected a value, got none"},
      {R"("bandwidth_gbs": 136.5)", R"("bandwidth_gbs": 0)", "'bandwidth_gbs'"},
      {R"("bandwidth_gbs": 136.5)", R"("bandwidth_gbs": "fast")", "'bandwidth_gbs'"},
      {R"("cache_kib": 512.0)", R"("cache_kib": null)", "'cache_kib'"},
      {R"("channel_block": 8)", R"("channel_block": 0)", "'channel_block'"},
      {R"("eager": 300.0)", R"("eager": 0)", "'launch_us.eager'"},
      {R"("eager": 300.0,)", "", "'launch_us.eager': expected a value, got none"},
      {R"("eager": 300.0)", R"("slowly": 300)", "'launch_us.slowly': unknown key"},
      {R"("processor": "gpu")", R"("processor": "tpu")", "gpu or cpu"},
      {R"("name": )", R"("nmae": "x", "name": )", "did you mean 'name'?"},
      {R"("name": "Jetson AGX Xavier")", R"("name": "")", "'name'"},
      {R"("cache_kib": "data sheet: 512 KiB of L2")", R"("cache_kib": "")", "'source.cache_kib'"},
      {"64,", "0,", "'tile[0]'"}};
  for (const auto& c : cases) {
    EXPECT_ERROR(device_profile_from_json(replaced(text, c.from, c.to), "profile"), ConfigError,
                 c.part);
  }
  EXPECT_THROW(device_profile_from_json("[]", "p"), ConfigError);
  DeviceProfile profile = load_device_profile("xavier");
  profile.peak_gmacs.bf16 = 0;
  EXPECT_ERROR(validate(profile, "profile"), ConfigError,
               "'peak_gmacs.bf16': expected a number > 0");
}

TEST(DeviceProfiles, MayHaveFewerUnits) {
  const DeviceProfile two = with_units(load_device_profile("desktop-cpu"), 2);
  EXPECT_EQ(two.units, 2);
  EXPECT_DOUBLE_EQ(two.peak_gmacs.f32, 144);
  EXPECT_DOUBLE_EQ(*two.peak_gmacs.bf16, 288);
  EXPECT_FALSE(two.peak_gmacs.f16);
  EXPECT_CONTAINS(two.source.units, "2 of: AMD");
}

TEST(DeviceProfiles, OfEveryChipAreBuiltIn) {
  EXPECT_EQ(device_profile_names(), (std::vector<std::string>{"a100", "desktop-cpu", "h100", "h200",
                                                              "orin", "tx2", "xavier"}));
}

}  // namespace
}  // namespace hac
