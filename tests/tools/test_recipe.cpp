// Recipes: TOML to Recipe, strictly; the built-in ones; a whole tiny run from the command line.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/data_fixtures.h"
#include "tests/support/run_program.h"
#include "tools/cli/recipes.h"

namespace hac {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::Outcome;
using testing::Program;
using testing::slurp;
using testing::Words;

Recipe parse(const std::string& toml) { return parse_recipe(toml, "r.toml"); }
std::string refusal(const std::string& toml) {
  return error_of<ConfigError>([&] { parse(toml); });
}

const char* const everything = R"(
name = "all"
model = "resnet20"
seeds = [4, 5]
[arch]
width = 2
blocks = [2, 2, 2]
resolution = 40
classes = 7
in_channels = 1
[train]
epochs = 7
batch = 32
momentum = 0.8
weight_decay = 1e-3
nesterov = true
label_smoothing = 0.1
mixup = 0.2
augment = false
shuffle = false
validation = 0.2
select = "last"
[train.data]
name = "synthetic"
dir = "d"
limit_train = 70
limit_test = 35
resolution = 48
classes = 7
bad_images = "skip"
[train.schedule]
kind = "step"
lr = 0.3
warmup = 2
warmup_style = "multiply"
milestones = [3, 5.5]
gamma = 0.2
beta = 0.03
[importance]
sampling = "latin-hypercube"
multipliers = [1, 2]
samples = 6
low = 0.4
high = 1.6
round_to = 2
sampling_seed = 9
epochs = 3
limit_train = 14
seeds = [8]
reduction = "sum"
relative = true
strict = true
[latency]
model = "regression"
file = "f.json"
foreign = true
networks = 12
low = 0.6
high = 2.5
runs = 20
warmup = 3
[alpha]
growth = 3
largest_growth = 0.5
grid = [0.25, 0.75]
resolution_multiple = 8
width_multiple = 2
epochs = 4
limit_train = 21
seeds = [6, 7]
[scale]
latency = "2.5ms"
params = "12k"
latency_slack = 0.1
policy = "fill"
gains = ["per-param"]
methods = ["depth"]
stride = 6
tie_residual = true
width_cap = 99
step_cap = 77
[sweep]
growth = [1, 2]
)";

TEST(RecipeToml, EveryKeyArrives) {
  const json j = json::parse(to_json(parse(everything)));
  const json expected = json::parse(R"({
    "name": "all", "model": "resnet20", "seeds": [4, 5],
    "arch": {"width": 2.0, "blocks": [2, 2, 2], "resolution": 40, "classes": 7, "in_channels": 1},
    "train": {"data": {"name": "synthetic", "limit_train": 70, "limit_test": 35, "resolution": 48,
                       "classes": 7, "bad_images": "skip"},
      "epochs": 7, "batch": 32, "momentum": 0.8, "weight_decay": 1e-3, "nesterov": true,
      "schedule": {"kind": "step", "lr": 0.3, "warmup": 2.0, "milestones": [3.0, 5.5],
                   "gamma": 0.2, "beta": 0.03},
      "label_smoothing": 0.1, "augment": false, "mixup": 0.2, "shuffle": false,
      "validation": 0.2, "select": "last"},
    "importance": {"epochs": 3, "limit_train": 14, "seeds": [8], "sampling": "latin-hypercube",
      "multipliers": [1.0, 2.0], "samples": 6, "low": 0.4, "high": 1.6, "round_to": 2,
      "sampling_seed": 9, "reduction": "sum", "relative": true, "strict": true},
    "latency": {"model": "regression", "file": "f.json", "foreign": true, "networks": 12, "low": 0.6, "high": 2.5,
      "runs": 20, "warmup": 3},
    "alpha": {"epochs": 4, "limit_train": 21, "seeds": [6, 7], "growth": 3.0,
      "largest_growth": 0.5, "grid": [0.25, 0.75], "resolution_multiple": 8, "width_multiple": 2},
    "scale": {"latency": "2.5ms", "params": "12k", "latency_slack": 0.1, "policy": "fill",
      "stride": 6, "tie_residual": true, "width_cap": 99, "step_cap": 77, "methods": ["depth"], "gains": ["per-param"]},
    "sweep": {"growth": [1.0, 2.0]}})");
  for (const auto& [key, value] : expected.items()) {
    if (!value.is_object()) {
      EXPECT_EQ(j[key], value) << key;
      continue;
    }
    for (const auto& [inner, wanted] : value.items()) {
      EXPECT_EQ(j[key][inner], wanted) << key << "." << inner;
    }
  }
  EXPECT_EQ(parse(everything).train.data.dir, "d");
  EXPECT_EQ(parse(everything).train.schedule.warmup_style, "multiply");  // written as nothing
}

TEST(RecipeToml, NothingGivenIsTheDefault) { EXPECT_EQ(to_json(parse("")), to_json(Recipe{})); }

TEST(RecipeToml, UnknownKeysAreNamedWithLineAndNearest) {
  const std::string top = refusal("name = \"x\"\nmodle = \"vgg11\"\n");
  for (const char* part : {"r.toml", "line 2", "'modle'", "'model'"}) EXPECT_CONTAINS(top, part);
  const std::string inner = refusal("[train]\nepochs = 3\n\n[train.schedule]\nlearning = 0.1\n");
  for (const char* part : {"line 5", "train.schedule.learning"}) EXPECT_CONTAINS(inner, part);
  EXPECT_CONTAINS(refusal("[train]\nweight-decay = 0\n"), "did you mean 'weight_decay'?");
  EXPECT_CONTAINS(refusal("[tarin]\n"), "did you mean 'train'?");
}

TEST(RecipeToml, ValuesOfAnotherKindAreRefusedWithTheirLine) {
  const auto expect = [](const char* toml, const char* key, const char* kind) {
    const std::string message = refusal(toml);
    for (const char* part : {"line 2", key, kind}) EXPECT_CONTAINS(message, part);
  };
  expect("[train]\nepochs = 1.5", "train.epochs", "integer");
  expect("[train]\nepochs = \"3\"", "train.epochs", "integer");
  expect("[train]\nmomentum = true", "train.momentum", "number");
  expect("[train]\nmomentum = nan", "train.momentum", "number");
  expect("[train]\naugment = 1", "train.augment", "true or false");
  expect("\nseeds = 3", "seeds", "list");
  expect("\nseeds = [-3]", "seeds", ">= 0");
  expect("\ntrain = 3", "train", "table");
  expect("[latency]\nruns = 5000000000", "latency.runs", "integer");
  expect("[latency]\nmodel = \"oracle\"", "latency.model", "oracle");
  expect("[importance]\nsampling = \"grid\"", "importance.sampling", "grid");
  expect("[importance]\nreduction = \"max\"", "importance.reduction", "mean, sum or min");
  expect("[scale]\nlatency = \"4\"", "scale.latency", "3.2ms");
  expect("[scale]\npolicy = \"greedy\"", "scale.policy", "rollback");
  expect("[scale]\ngains = [\"most\"]", "scale.gains", "per-latency");
}

TEST(RecipeToml, ImpossibleRecipesAndBrokenToml) {
  EXPECT_CONTAINS(refusal("[train]\nepochs = 0"), "epochs");
  EXPECT_CONTAINS(refusal("[alpha]\ngrid = [1.5]"), "alpha.grid");
  EXPECT_CONTAINS(refusal("[scale]\nlatency_slack = -0.1"), "scale.latency_slack");
  EXPECT_CONTAINS(refusal("[scale]\nmethods = [\"width\"]"), "uniform-width");
  EXPECT_CONTAINS(refusal("[scale]\nmethods = [\"hacscale-plain\"]"), "scale.methods");
  EXPECT_CONTAINS(refusal("[alpha]\nlargest_growth = 1.5"), "alpha.largest_growth");
  EXPECT_CONTAINS(refusal("[alpha]\nlargest_growth = 0.5\n[scale]\nlatency = \"\""),
                  "scale.latency with it");
  EXPECT_CONTAINS(refusal("seeds = [15, 15]"), "'seeds': expected different seeds, got [15, 15]");
  EXPECT_CONTAINS(refusal("[importance]\nseeds = [1, 2, 1]"), "'importance.seeds'");
  EXPECT_CONTAINS(refusal("[alpha]\nseeds = [3, 3]"), "'alpha.seeds'");
  EXPECT_CONTAINS(refusal("[alpha]\nseeds = []"), "at least one seed");
  EXPECT_CONTAINS(refusal("name = \"x\"\nseeds = [1, 2\n"), "not valid TOML");
  EXPECT_CONTAINS(refusal("name = \"x\"\nname = \"y\"\n"), "line 2");
  EXPECT_CONTAINS(error_of<ConfigError>([] { load_recipe("quik"); }), "did you mean quick?");
  EXPECT_CONTAINS(error_of<IoError>([] { load_recipe("none.toml"); }), "none.toml");
}

TEST(RecipeToml, BuiltInRecipesAreValidAndAsInTheRepository) {
  const std::vector<std::string> names = recipe_names();
  EXPECT_EQ(names, (Words{"cifar10-paper", "cifar10-small", "quick"}));
  for (const std::string& name : names) {
    const std::string path = HAC_SOURCE_DIR "/tools/recipes/" + name + ".toml";
    EXPECT_EQ(recipe_text(name), slurp(path)) << name;
    EXPECT_EQ(to_json(load_recipe(name)), to_json(load_recipe(path))) << name;
    EXPECT_EQ(load_recipe(name).name, name);
  }
  const Recipe paper = load_recipe("cifar10-paper");  // the paper's settings, section IV
  EXPECT_EQ(paper.train.epochs, 300);
  EXPECT_EQ(paper.train.batch, 128);
  EXPECT_EQ(paper.train.schedule.lr, 0.1);
  EXPECT_EQ(paper.train.schedule.milestones, (std::vector<double>{100, 200, 250}));
  EXPECT_EQ(paper.scale.widening.policy, StepPolicy::paper);
  EXPECT_EQ(paper.scale.widening.stride, 10);
}

// Trainings of a few steps: what is tested is that every stage runs, is kept, and is shown.
const char* const tiny = R"(
name = "tiny"
seeds = [1]
[arch]
width = 0.125
[train]
epochs = 1
batch = 20
[train.data]
name = "synthetic"
limit_train = 60
limit_test = 50
[train.schedule]
lr = 0.02
[importance]
sampling = "latin-hypercube"
epochs = 1
[latency]
networks = 5
runs = 3
warmup = 1
[alpha]
grid = [0.3, 0.7]
epochs = 1
[scale]
latency = "4x"
params = "1.3x"
stride = 4
[sweep]
growth = [1, 2]
)";

class CliRun : public ::testing::Test {
 protected:
  Outcome run(const Words& arguments) const { return Program(folder_.path(), arguments).wait(); }
  TempFolder folder_;
};

TEST_F(CliRun, FromRecipeToReport) {
  folder_.write("tiny.toml", tiny);
  const std::string out = folder_.file("out");
  const Words command = {"run", folder_.file("tiny.toml"), "--out", out, "--threads",
                         "1",   "--allow-unsteady"};
  const Outcome first = run(command);
  ASSERT_EQ(first.exit, 0) << first.err;
  for (const char* part : {"baseline", "uniform width", "hacscale (plain)", "report: "}) {
    EXPECT_CONTAINS(first.out, part);
  }
  EXPECT_CONTAINS(slurp(out + "/report/index.html"), "<svg");
  const std::string results = slurp(out + "/results.json");
  EXPECT_CONTAINS(json::parse(results).dump(), "hacscale run");

  // Nothing is done twice: the same figures, although latency is a measured one.
  const Outcome second = run(command);
  ASSERT_EQ(second.exit, 0) << second.err;
  EXPECT_EQ(json::parse(slurp(out + "/results.json"))["table"], json::parse(results)["table"]);
}

TEST_F(CliRun, AfterCtrlCTheSameCommandGoesOn) {
  std::string text = tiny;
  text.replace(text.find("limit_train = 60"), 16, "limit_train = 600");
  folder_.write("tiny.toml", text);
  const std::string out = folder_.file("out");
  const Words command = {"run", folder_.file("tiny.toml"), "--out", out, "--threads",
                         "1",   "--allow-unsteady"};
  Program program(folder_.path(), command);
  ASSERT_TRUE(program.wait_until([&] {  // until the first training has begun
    std::error_code none;
    for (const auto& network : std::filesystem::directory_iterator(out + "/networks", none)) {
      if (std::filesystem::exists(network.path() / "config.json")) return true;
    }
    return false;
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  program.send(SIGINT);
  const Outcome stopped = program.wait();
  EXPECT_EQ(stopped.exit, 130) << stopped.err;
  EXPECT_CONTAINS(stopped.err, "the same command resumes it");
  EXPECT_FALSE(std::filesystem::exists(out + "/results.json"));
  const std::string latency = slurp(out + "/stages/latency.json");
  const Outcome rest = run(command);
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(slurp(out + "/stages/latency.json"), latency) << "it was measured again";
}

TEST_F(CliRun, CtrlCWhileItMeasuresSaysHowToGoOn) {
  std::string text = tiny;
  text.replace(text.find("runs = 3"), 8, "runs = 100000");
  folder_.write("tiny.toml", text);
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = folder_.file(std::to_string(signal));
    Program program(folder_.path(),
                    {"run", folder_.file("tiny.toml"), "--out", out, "--threads", "1", "--quiet"});
    ASSERT_TRUE(
        program.wait_until([&] { return std::filesystem::exists(out + "/stages/peak.json"); }));
    program.send(signal);
    const Outcome stopped = program.wait();
    EXPECT_EQ(stopped.exit, 130) << stopped.err;
    EXPECT_TRUE(stopped.one_line_error()) << stopped.out << stopped.err;
    EXPECT_CONTAINS(stopped.err, "the same command resumes it");
    EXPECT_FALSE(std::filesystem::exists(out + "/stages/latency.json"));
  }
}

TEST_F(CliRun, ListsPrintsAndRefuses) {
  EXPECT_EQ(run({"run", "--list"}).out, "cifar10-paper\ncifar10-small\nquick\n");
  EXPECT_EQ(run({"run", "quick", "--print"}).out, recipe_text("quick"));
  EXPECT_EQ(json::parse(run({"run", "quick", "--print", "--json"}).out)["name"], "quick");

  const auto expect_error = [&](const std::string& toml, int code, const char* part) {
    folder_.write("r.toml", toml);
    const Outcome o = run(
        {"run", folder_.file("r.toml"), "--quiet", "--threads", "1", "--out", folder_.file("o")});
    EXPECT_EQ(o.exit, code) << o.err;
    EXPECT_TRUE(o.one_line_error()) << o.out << o.err;
    EXPECT_CONTAINS(o.err, part);
  };
  std::string typo = tiny;
  expect_error(typo.replace(typo.find("epochs"), 6, "epoch"), 2, "did you mean 'epochs'?");
  EXPECT_FALSE(std::filesystem::exists(folder_.file("o"))) << "something half-written";
  std::string text = tiny;
  expect_error(text.replace(text.find("\"4x\""), 4, "\"0.5x\""), 2, "latency budget");
}

}  // namespace
}  // namespace hac
