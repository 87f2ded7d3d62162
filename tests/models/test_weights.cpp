// Weights of other programs: prefixes, other heads, types that are no weights, broken numbers. What
// is loaded is compared with the file, what is left with the start of the same seed.

#include "models/train/weights.h"

#include <limits>

#include "engine/io/safetensors.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 5;

Architecture net_of(std::int64_t classes) {
  Architecture arch = tiny_net();
  arch.classes = classes;
  return arch;
}

class Weights : public ::testing::Test {
 protected:
  // Writes the state of another network, each name and tensor changed.
  template <class Change>
  std::string file_of(Change change, std::int64_t classes = 4) const {
    TensorFile file;
    for (const auto& [name, tensor] : Model(net_of(classes), kSeed + 1).state()) {
      file.tensors[change(name)] = tensor;
    }
    save_safetensors(folder_.file("w"), file);
    return folder_.file("w");
  }
  std::string plain_file(std::int64_t classes = 4) const {
    return file_of([](const std::string& name) { return name; }, classes);
  }
  // The plain file with one tensor added or replaced.
  std::string with(const std::string& name, const Tensor& tensor) const {
    TensorFile file = load_safetensors(plain_file());
    file.tensors[name] = tensor;
    save_safetensors(folder_.file("w"), file);
    return folder_.file("w");
  }
  std::string refusal(const std::string& path) const {
    Model model(tiny_net(), kSeed);
    const Numbers before = numbers_of(model);
    const std::string message = message_of<IoError>([&] { load_weights(path, model); });
    EXPECT_CONTAINS(message, "'" + path + "'");
    EXPECT_EQ(numbers_of(model), before) << "something was changed";
    return message;
  }

  TempFolder folder_;
};

TEST_F(Weights, KnownPrefixesAreStrippedAndSaid) {
  const Numbers expected = numbers_of(Model(tiny_net(), kSeed + 1));
  for (const std::string prefix :
       {"", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."}) {
    Model model(tiny_net(), kSeed);
    const LoadedWeights loaded =
        load_weights(file_of([&](const std::string& name) { return prefix + name; }), model);
    EXPECT_EQ(loaded.loaded, std::ssize(expected));
    EXPECT_EQ(numbers_of(model), expected) << prefix;
    EXPECT_EQ(loaded.notes().size(), prefix.empty() ? 0u : 1u);
    if (prefix == "module.") {
      EXPECT_EQ(loaded.notes()[0], "'module.' stripped from 12 names");
    }
  }
}

TEST_F(Weights, ALayerMayBeCalledAsAPrefixIs) {
  Architecture arch = tiny_net();
  std::get<Conv>(arch.layers[0]).name = "module.conv";
  Model from(arch, kSeed + 1), to(arch, kSeed);
  save_safetensors(folder_.file("w"), {from.state(), {}});
  EXPECT_TRUE(load_weights(folder_.file("w"), to).notes().empty());
  EXPECT_EQ(to.state().at("module.conv.weight").to_vector(),
            from.state().at("module.conv.weight").to_vector());
}

TEST_F(Weights, MissingAndUnexpectedAreBothListedAndBounded) {
  const std::string message =
      refusal(file_of([](const std::string& name) { return "net." + name; }));
  EXPECT_CONTAINS(message, "missing bn1.bias (8)", "unexpected net.bn1.bias F32 (8)", "and 8 more");
  EXPECT_LT(message.size(), 600u);
  const std::string more = refusal(with("extra.weight", Tensor::zeros({2, 2})));
  EXPECT_CONTAINS(more, "unexpected extra.weight F32 (2, 2)");
  EXPECT_LACKS(more, "missing");
  const std::string twice = refusal(with("module.fc.bias", Tensor::zeros({4})));
  EXPECT_CONTAINS(twice, "both 'fc.bias' and 'module.fc.bias'");
}

TEST_F(Weights, ShapesAreNamedWithBoth) {
  const std::string message = refusal(plain_file(1000));
  EXPECT_CONTAINS(message, "fc.weight is F32 (1000, 8), expected (4, 8)");
  EXPECT_LACKS(message, "--init-except") << "no option of eval: ";
  const std::string integers = refusal(with("fc.bias", Tensor::zeros({4}, Dtype::i32)));
  EXPECT_CONTAINS(integers, "fc.bias is I32 (4), expected floats (4)");
}

TEST_F(Weights, WhatCannotBeAWeightIsPassedOver) {
  Model model(tiny_net(), kSeed);
  EXPECT_TRUE(load_weights(with("bn1.num_batches_tracked", Tensor::zeros({}, Dtype::i32)), model)
                  .notes()
                  .empty());
  EXPECT_TRUE(load_weights(with("momentum.fc.bias", Tensor::zeros({4})), model).notes().empty());
  const LoadedWeights loaded = load_weights(with("ids", Tensor::zeros({3}, Dtype::u8)), model);
  ASSERT_EQ(loaded.notes().size(), 1u);
  EXPECT_EQ(loaded.notes()[0], "not used: ids U8 (3)");
}

TEST_F(Weights, AHeadCanBeLeftOut) {
  const std::string path = plain_file(1000);
  Model model(tiny_net(), kSeed);
  EXPECT_ERROR(init_weights(path, model, {}), IoError, "(hint: --init-except 'fc.*'");
  const LoadedWeights loaded = init_weights(path, model, {"fc.*"});
  ASSERT_EQ(loaded.notes().size(), 1u);
  EXPECT_EQ(loaded.notes()[0], "10 tensors loaded, not fc.bias, fc.weight");
  const Numbers start = numbers_of(Model(tiny_net(), kSeed));
  Numbers expected = numbers_of(Model(tiny_net(), kSeed + 1));
  for (const char* name : {"fc.bias", "fc.weight"}) expected[name] = start.at(name);
  EXPECT_EQ(numbers_of(model), expected);
  // Also what the network lacks, and a prefix does not hide the name.
  const std::string extra = with("module.aux.weight", Tensor::zeros({2}));
  EXPECT_EQ(init_weights(extra, model, {"aux.*"}).loaded, 12);
  EXPECT_ERROR(init_weights(path, model, {"fc.*", "head.*"}), ConfigError,
               "'head.*': matches no weight of 'tiny' (it has fc.bias, fc.weight");
}

TEST_F(Weights, BrokenNumbersAreRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::tuple<const char*, float, const char*> cases[] = {
      {"conv2.weight", nan, "conv2.weight holds nan at 1"},
      {"fc.bias", -inf, "fc.bias holds -inf at 1"},
      {"bn2.running_mean", nan, "bn2.running_mean holds nan at 1"},
      {"bn1.running_var", inf, "bn1.running_var holds inf at 1"},
      {"bn1.running_var", -1e-6f, "bn1.running_var holds -1e-06 at 1, expected variances"}};
  const std::map<std::string, Tensor> good = Model(tiny_net(), kSeed).state();
  for (const auto& [name, value, what] : cases) {
    std::vector<float> values = good.at(name).to_vector();
    values[1] = value;
    EXPECT_CONTAINS(refusal(with(name, Tensor::from(values, good.at(name).shape()))), what);
  }
}

}  // namespace
}  // namespace hac
