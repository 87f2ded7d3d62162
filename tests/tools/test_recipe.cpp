// Recipes: TOML to Recipe, strictly; the built-in ones; the tables of the READMEs; a whole tiny run
// from the command line.

#include <chrono>
#include <regex>
#include <set>
#include <thread>

#include "engine/io/fields_json.h"
#include "models/arch/counters.h"
#include "scaling/methods/method.h"
#include "tests/support/cli_fixture.h"
#include "tests/support/each_field.h"
#include "tests/support/tiny_recipe.h"
#include "tools/cli/recipes.h"

namespace hac {
namespace {

Recipe parse(const std::string& toml) { return parse_recipe(toml, "r.toml"); }
std::string refusal(const std::string& toml) {
  return error_of<ConfigError>([&] { parse(toml); });
}

// The same as TOML, a table for an object.
std::string toml_of(const json& table, const std::string& name = "") {
  std::string own = name.empty() ? "" : "[" + name + "]\n", inner;
  for (const auto& [key, value] : table.items()) {
    if (value.is_object()) inner += toml_of(value, (name.empty() ? "" : name + ".") + key);
    if (!value.is_object()) own += key + " = " + value.dump() + "\n";
  }
  return own + inner;
}

// Every key that a file may have, but widths, depth and swa, which exclude width, blocks and ema;
// none has its default.
TEST(RecipeToml, EveryKeyArrives) {
  const json given = json::parse(R"({
    "name": "all", "model": "resnet20", "seeds": [4, 5], "claims": true,
    "arch": {"width": 2, "blocks": [2, 2, 2], "resolution": 40, "classes": 7, "in_channels": 1},
    "train": {"data": {"name": "synthetic", "dir": "d", "limit_train": 70, "limit_test": 35,
                       "resolution": 48, "classes": 7, "crop_pct": 0.9, "bad_images": "skip"},
      "epochs": 7, "batch": 32, "accumulate": 4, "momentum": 0.8, "weight_decay": 0.001,
      "nesterov": true, "weight_decay_on": "weights", "clip_norm": 2.5,
      "optimizer": {"kind": "lars", "beta1": 0.8, "beta2": 0.99, "eps": 1e-6, "trust_coefficient": 0.02},
      "schedule": {"kind": "step", "lr": 0.3, "warmup": 2, "warmup_style": "multiply",
                   "milestones": [3, 5.5], "gamma": 0.2, "beta": 0.03},
      "label_smoothing": 0.1, "augment": false, "mixup": 0.2, "cutmix": 0.5, "shuffle": false,
      "transforms": {"random_resized_crop": {"scale": [0.2, 0.9], "ratio": [0.5, 2.5]},
        "auto_augment": {"policy": "cifar10"}, "random_erasing": {"p": 0.25, "scale": [0.1, 0.2],
        "ratio": [0.4, 2.5]}, "cutout": {"side": 8},
        "color_jitter": {"brightness": 0.1, "contrast": 0.2, "saturation": 0.3, "hue": 0.4}},
      "validation": 0.2, "select": "last", "ema": 0.99, "select_weights": "plain", "log": ["csv"]},
    "importance": {"epochs": 3, "limit_train": 14, "validation": 5, "seeds": [8], "sampling": "latin-hypercube",
      "multipliers": [1, 2], "samples": 6, "low": 0.4, "high": 1.6, "round_to": 2,
      "sampling_seed": 9, "reduction": "sum", "relative": true, "strict": true},
    "latency": {"model": "regression", "file": "f.json", "foreign": true, "device_model": "tx2", "dtype": "f16",
      "networks": 12, "low": 0.6, "high": 2.5, "runs": 20, "warmup": 3},
    "alpha": {"epochs": 4, "limit_train": 21, "validation": 6, "seeds": [6, 7], "growth": 3,
      "largest_growth": 0.5, "grid": [0.25, 0.75], "resolution_multiple": 8, "width_multiple": 2},
    "search": {"epochs": 5, "limit_train": 28, "validation": 7, "seeds": [9], "prune": {"warmup": 1,
      "every": 2, "share": 0.1, "stop": 0.9, "descent": 3}},
    "scale": {"all_limits": true, "latency": "2.5ms", "params": "12k", "memory": "3MiB", "latency_slack": 0.1, "policy": "fill",
      "stride": 6, "tie_residual": true, "width_cap": 99, "step_cap": 77, "methods": ["depth", "hacscale"],
      "gains": ["per-param"]},
    "sweep": {"growth": [1.5, 2.5], "models": ["resnet32"]}})");
  const auto values = [](Recipe recipe) {
    json all;
    each_field(recipe.fields(), [&](Field field, std::string path) {
      if (!(field.details.in & FieldDetails::toml)) return;
      if (path == "arch.widths" || path == "arch.depth" || path == "train.swa") return;
      field.details.in = FieldDetails::json;
      field.details.omit = false;
      Fields alone;
      alone.push_back(field);
      std::replace(path.begin(), path.end(), '.', '/');
      all[json::json_pointer("/" + path)] = json(to_json(alone))[std::string(field.key)];
    });
    return all;
  };
  EXPECT_EQ(values(parse(toml_of(given))), given);
  const json defaults = values({}).flatten(), flat = given.flatten();
  for (const auto& [path, value] : flat.items())
    EXPECT_NE(defaults.value(path, json()), value) << path;
}

TEST(RecipeToml, ATransformIsThereWithoutSettings) {
  const Recipe r = parse("[train.transforms]\ncutout = {}\n[train.transforms.random_resized_crop]");
  EXPECT_EQ(r.train.transforms,
            (TrainTransforms{.random_resized_crop = RandomResizedCrop{}, .cutout = Cutout{}}));
}

// Settings that came later are left out where they change nothing: the text that a kept training
// is found by stays what it was.
TEST(StoredTrainings, TheirKeysAreWhatTheyWere) {
  int read = 0;
  const std::string kept = std::string(HAC_SOURCE_DIR) + "/bench/results/compare-cifar10/trainings";
  for (const auto& entry : fs::directory_iterator(kept)) {
    if (!entry.is_directory()) continue;
    const std::string question = json::parse(slurp(entry.path() / "result.json")).at("question");
    const std::size_t begin = question.find("\n\n{") + 2, end = question.find("\n}\n", begin) + 2;
    const std::string text = question.substr(begin, end - begin);
    TrainConfig config;
    read_json(json::parse(text), config.fields(), "training");
    EXPECT_EQ(to_json(config), text) << entry.path();
    ++read;
  }
  EXPECT_GT(read, 10);
}

TEST(RecipeToml, NothingGivenIsTheDefault) { EXPECT_EQ(to_json(parse("")), to_json(Recipe{})); }

TEST(RecipeToml, UnknownKeysAreNamedWithLineAndNearest) {
  const std::string top = refusal("name = \"x\"\nmodle = \"vgg11\"\n");
  EXPECT_CONTAINS(top, "r.toml", "line 2", "'modle'", "'model'");
  const std::string inner = refusal("[train]\nepochs = 3\n\n[train.schedule]\nlearning = 0.1\n");
  EXPECT_CONTAINS(inner, "line 5", "train.schedule.learning");
  EXPECT_CONTAINS(refusal("[train]\nweight-decay = 0\n"), "did you mean 'weight_decay'?");
  EXPECT_CONTAINS(refusal("[tarin]\n"), "did you mean 'train'?");
}

// How each kind of field says so: tests/tools/test_fields.cpp.
TEST(RecipeToml, WhatIsRefusedIsNamedWithItsLine) {
  const std::pair<const char*, Words> cases[] = {
      {"[train]\nepochs = 1.5", {"line 2", "train.epochs", "integer"}},
      {"[train]\nmomentum = nan", {"line 2", "train.momentum", "number"}},
      {"[train]\nselect = 1979-05-27", {"line 2", "train.select", "best or last"}},
      {"[train]\nepochs = 0", {"train.epochs"}},
      {"\nseeds = [-3]", {"line 2", "seeds", ">= 0"}},
      {"\ntrain = 3", {"line 2", "train", "table"}},
      {"[train.transforms]\nrotate = 3", {"line 2", "train.transforms.rotate", "unknown key"}},
      {"[train.transforms]\ncutout = 3", {"line 2", "train.transforms.cutout", "a table"}},
      {"[train.transforms.auto_augment]\npolicy = \"svhn\"", {"line 2", "imagenet or cifar10"}},
      {"[train.transforms.random_erasing]\np = 1.5", {"line 2", "random_erasing.p", "from 0 to 1"}},
      {"[train.transforms.color_jitter]\nhue = 0.6", {"line 2", "hue", "from 0 to 0.5"}},
      {"[train.transforms.random_erasing]\nscale = [0.1]", {"line 2", "a list of 2"}},
      {"[train.transforms.random_resized_crop]\nscale = [1, 0.1]", {"random_resized_crop.scale"}},
      {"[latency]\nmodel = \"oracle\"", {"line 2", "latency.model", "oracle"}},
      {"[scale]\nlatency = \"4\"", {"line 2", "scale.latency", "3.2ms"}},
      {"[scale]\nmethods = [\"width\"]", {"uniform-width"}},
      {"[sweep]\ngrowth = [0.5]", {"sweep.growth"}},
      {"[scale]\nmethods = []\ngains = []", {"scale.methods"}},
      {"claims = true\n[scale]\nmethods = [\"depth\"]\ngains = []", {"'claims'", "hacscale"}},
      {"[scale]\nstride = 65\nwidth_cap = 64", {"'scale.stride'", "scale.width_cap"}},
      {"[search]\nseeds = [4, 4]", {"'search.seeds'"}},
      {"[alpha]\nlargest_growth = 0.5\n[scale]\nlatency = \"\"", {"scale.latency with it"}},
      {"[latency]\ndtype = \"f16\"", {"'latency.dtype'", "latency.device_model with it"}},
      {"[train]\nbatch = 10\naccumulate = 4", {"a batch of 10 in 4 parts", "hint: a batch of 12"}},
      {"seeds = [15, 15]", {"'seeds': expected different seeds, got [15, 15]"}},
      {"[importance]\nseeds = [1, 2, 1]", {"'importance.seeds'"}},
      {"[alpha]\nseeds = [3, 3]", {"'alpha.seeds'"}},
      {"[alpha]\nseeds = []", {"at least one seed"}},
      {"name = \"x\"\nseeds = [1, 2\n", {"not valid TOML"}},
      {"name = \"x\"\nname = \"y\"\n", {"line 2"}}};
  for (const auto& [toml, parts] : cases) {
    const std::string message = refusal(toml);
    for (const std::string& part : parts) EXPECT_CONTAINS(message, part) << toml;
  }
  EXPECT_ERROR(load_recipe("quik"), ConfigError, "did you mean quick?");
  EXPECT_ERROR(load_recipe("none.toml"), IoError, "none.toml");
}

TEST(RecipeToml, ASettingReplacesWhatTheRecipeSays) {
  const auto with = [](const Words& settings) {
    return parse_recipe("seeds = [4]\n[train]\nepochs = 3\nbatch = 7", "r.toml", settings);
  };
  const Recipe r = with({"train.epochs=5", "scale.latency=1.5x", "seeds=[1, 2]", "name = \"a=b\"",
                         "train.epochs=6", "latency.device_model=tx2:eager"});
  EXPECT_EQ(r.train.epochs, 6);
  EXPECT_EQ(r.train.batch, 7);
  EXPECT_EQ(r.scale.latency, "1.5x");
  EXPECT_EQ(r.seeds, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(r.name, "a=b");
  EXPECT_EQ(r.latency.device_model, "tx2:eager");

  const std::pair<const char*, Words> cases[] = {
      {"train.epochs", {"--set train.epochs: expected KEY=VALUE"}},
      {"=3", {"expected KEY=VALUE"}},
      {"train.epoch=3", {"--set train.epoch=3", "did you mean 'epochs'?"}},
      {"train.epochs=many", {"--set train.epochs=many", "integer"}},
      {"train.epochs=0", {"train.epochs"}},
      {"train.select=1979-05-27", {"--set train.select", "best or last"}},
      {"train..epochs=3", {"--set train..epochs=3", "not valid TOML"}},
      {"train.data.name='a\nb\tc", {"--set", "not valid TOML"}}};
  for (const auto& [setting, parts] : cases) {
    const std::string message = error_of<ConfigError>([&] { with({setting}); });
    for (const std::string& part : parts) EXPECT_CONTAINS(message, part) << setting;
  }
}

TEST(RecipeToml, BuiltInRecipesAreValidAndAsInTheRepository) {
  const std::vector<std::string> names = recipe_names();
  EXPECT_EQ(names, Words("cifar10-paper cifar10-small claims compare-cifar10 imagenet-paper "
                         "imagenette-small mobilenet-small quick"));
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

TEST(RecipeToml, ImageNetsRecipeHasThePapersSettings) {  // section IV, "Training settings"
  const Recipe r = load_recipe("imagenet-paper");
  EXPECT_EQ(count(resolve(r.model, r.arch)).params, 11684136);
  EXPECT_EQ(r.train.epochs, 100);
  EXPECT_EQ(r.train.batch, 1024);
  EXPECT_EQ(r.train.optimizer.momentum, 0.9);
  EXPECT_EQ(r.train.label_smoothing, 0.1);
  EXPECT_EQ(r.train.mixup, 0.2);
  EXPECT_TRUE(r.train.transforms.auto_augment && r.train.transforms.random_resized_crop);
  EXPECT_GT(r.train.swa, 0);
  const auto rate = [&](std::int64_t step) {
    return learning_rate(r.train.schedule, step, 1251, r.train.epochs);
  };
  for (const std::int64_t epoch : {5, 6, 50, 99}) {  // t is the current epoch, T = 100
    EXPECT_NEAR(rate(1251 * epoch), 2.0 * std::pow(0.02, static_cast<double>(epoch) / 100), 1e-12);
  }
  EXPECT_NEAR(rate(0), 2.0 / (5 * 1251), 1e-12);  // five epochs of gradual warm-up
  EXPECT_LT(rate(2 * 1251), rate(3 * 1251));
  EXPECT_EQ(r.scale.widening.policy, StepPolicy::paper);
  EXPECT_EQ(r.scale.widening.stride, 10);
  EXPECT_EQ(r.latency.device_model, "xavier");
}

std::string read(const std::string& file) { return slurp(HAC_SOURCE_DIR "/" + file); }

// The words in backquotes between two others.
std::set<std::string> quoted_between(const std::string& page, const std::string& from,
                                     const std::string& to, const char* word = "[^`]+") {
  const std::size_t start = page.find(from);
  EXPECT_NE(start, std::string::npos) << from;
  const std::size_t behind = start + from.size();
  const std::string text = page.substr(behind, page.find(to, behind) - behind);
  const std::regex quoted("`(" + std::string(word) + ")`");
  std::set<std::string> words;
  for (std::sregex_iterator it(text.begin(), text.end(), quoted), end; it != end; ++it) {
    words.insert((*it)[1]);
  }
  return words;
}

void expect_rows(const std::string& page, const Fields& fields, const std::string& table) {
  std::set<std::string> keys;
  for (const Field& field : fields) {
    if (!(field.details.in & FieldDetails::toml)) continue;
    if (const auto* inner = std::get_if<Fields>(&field.value.at)) {
      expect_rows(page, *inner, (table.empty() ? "" : table + ".") + std::string(field.key));
    } else {
      keys.insert(std::string(field.key));
    }
  }
  const std::string name = table.empty() ? "(top)" : "`[" + table + "]`";
  EXPECT_EQ(quoted_between(page, "\n- " + name + ": ", ".\n", "[a-z0-9_]+"), keys) << table;
}

TEST(Readme, ListsEveryKeyOfARecipe) {
  expect_rows(read("tools/README.md"), Recipe{}.fields(), "");
}

void expect_settings(const std::string& page, const std::string& transform, auto of) {
  const std::size_t begin = page.find("`" + transform + "`");
  ASSERT_NE(begin, std::string::npos) << transform;
  const std::string listed = page.substr(begin, page.find(')', begin) - begin);
  for (const Field& setting : of.fields()) EXPECT_CONTAINS(listed, setting.key);
}

TEST(Readme, ListsTheSettingsOfTransforms) {
  const std::string page = read("tools/README.md");
  expect_settings(page, "random_resized_crop", RandomResizedCrop{});
  expect_settings(page, "auto_augment", AutoAugment{});
  expect_settings(page, "color_jitter", ColorJitter{});
  expect_settings(page, "random_erasing", RandomErasing{});
  expect_settings(page, "cutout", Cutout{});
}

TEST(Readme, ListsTheDataSets) {
  std::set<std::string> sets;
  for (const DatasetInfo& set : datasets()) {
    sets.insert(std::string(set.name) + std::string(set.argument));
  }
  EXPECT_EQ(quoted_between(read("README.md"), "Data sets:", ".\n"), sets);
}

TEST(Readme, ListsTheMethodsToCompareWith) {
  const std::string page = read("tools/README.md");
  for (const Method& method : methods()) {
    if (method.needs_laws) continue;
    EXPECT_CONTAINS(page, method.key);
  }
}

class CliRun : public Cli {
 protected:
  // A run of trainings of a few steps, with one value of its recipe changed: what is tested is that
  // every stage runs, is kept, and is shown.
  Words command(const char* pointer = "/name", const json& value = "tiny") const {
    json recipe = tiny_recipe();
    recipe["scale"] = {{"latency", "4x"}, {"params", "1.3x"}, {"stride", 4}};
    recipe[json::json_pointer(pointer)] = value;
    write("tiny.toml", toml_of(recipe));
    return "run tiny.toml --out out --threads 1 --allow-unsteady";
  }
};

TEST_F(CliRun, FromRecipeToReport) {
  const Words claims = command("/claims", true);
  const Outcome first = succeed(claims);
  EXPECT_CONTAINS(first.out, "baseline", "uniform width", "hacscale (plain)",
                  "report: ", "uniform width (equal params)", "The paper's claims here");
  EXPECT_CONTAINS(slurp("out/report/index.html"), "<svg", "The paper's claims here");
  const json results = json_in("out/results.json");
  EXPECT_CONTAINS(results.dump(), "hacscale run");
  // One seed tells nothing of accuracies; what the paper prints is always told.
  EXPECT_CONTAINS(first.out, "cannot be told  Widths by importance beat uniform widths",
                  "trained on 1 common seeds, of 3 at least");
  EXPECT_EQ(results["claims"].back()["verdict"], "does not hold");
  const json& uniform = results["table"].back();
  EXPECT_EQ(uniform["key"], "uniform-params");
  for (const json& row : results["table"]) {
    if (row["key"] != "hacscale") continue;
    EXPECT_EQ(uniform["resolution"], row["resolution"]);
    // Above it where the next network is: when no other is within HACScale's parameters.
    EXPECT_NEAR(uniform["params"].get<double>() / row["params"].get<double>(), 1, 0.05);
    EXPECT_TRUE(uniform["params"] <= row["params"] || uniform["limit"] == "infeasible") << uniform;
  }

  // Nothing is done twice: the same figures, although latency is a measured one.
  succeed(claims);
  EXPECT_EQ(json_in("out/results.json")["table"], results["table"]);
}

TEST_F(CliRun, AfterCtrlCTheSameCommandGoesOn) {
  const Words again = command("/train/data/limit_train", 600);
  Program program(again);
  ASSERT_TRUE(program.wait_until([&] {  // until the first training has begun
    std::error_code none;
    for (const auto& network : fs::directory_iterator("out/networks", none)) {
      if (fs::exists(network.path() / "training.json")) return true;
    }
    return false;
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  program.send(SIGINT);
  const Outcome stopped = program.wait();
  EXPECT_EQ(stopped.exit, 130) << stopped.err;
  EXPECT_CONTAINS(stopped.err, "the same command resumes it");
  EXPECT_FALSE(fs::exists("out/results.json"));
  const std::string latency = slurp("out/stages/latency.json");
  std::string network;
  for (const auto& n : fs::directory_iterator("out/networks")) {
    if (fs::exists(n.path() / "cpu_seconds.json")) network = n.path();
  }
  ASSERT_NE(network, "");
  EXPECT_GT(json_in(network + "/cpu_seconds.json"), 0);
  write(network + "/cpu_seconds.json", "1000");
  succeed(again);
  EXPECT_GT(json_in(network + "/result.json")["result"]["cpu_seconds"], 1000);
  EXPECT_FALSE(fs::exists(network + "/cpu_seconds.json"));
  EXPECT_EQ(slurp("out/stages/latency.json"), latency) << "it was measured again";
}

TEST_F(CliRun, CtrlCWhileItMeasuresSaysHowToGoOn) {
  for (const int signal : {SIGINT, SIGTERM}) {
    fs::remove_all("out");
    Program program(command("/latency/runs", 100000) + " --quiet");
    ASSERT_TRUE(program.wait_until([&] { return fs::exists("out/recipe.json"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // it times its first network
    program.send(signal);
    const Outcome stopped = program.wait();
    EXPECT_EQ(stopped.exit, 130) << stopped.err;
    EXPECT_TRUE(stopped.one_line_error()) << stopped.out << stopped.err;
    EXPECT_CONTAINS(stopped.err, "the same command resumes it");
    EXPECT_FALSE(fs::exists("out/stages/latency.json"));
  }
}

TEST_F(CliRun, ListsPrintsAndRefuses) {
  EXPECT_EQ(run("run --list").out,
            "cifar10-paper\ncifar10-small\nclaims\ncompare-cifar10\nimagenet-paper\n"
            "imagenette-small\nmobilenet-small\nquick\n");
  EXPECT_EQ(run("run quick --print").out, recipe_text("quick"));
  const Words changed = "run quick --print --set train.epochs=9 --set" + Words{"seeds=[7, 8]"};
  EXPECT_CONTAINS(run(changed).out, recipe_text("quick"),
                  "# --set train.epochs=9\n# --set seeds=[7, 8]");
  EXPECT_EQ(json_of("run quick --print")["name"], "quick");
  expect_error(command("/train/epoch", 1) + " --quiet", 2, {"did you mean 'epochs'?"});
  EXPECT_FALSE(fs::exists("out")) << "something half-written";
  expect_error(command("/scale/latency", "0.5x") + " --quiet", 2, {"latency budget"});
}

}  // namespace
}  // namespace hac
