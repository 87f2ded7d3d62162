// Trainings as tasks: waves, numbers that stay, and a run that is done task by task in another
// order and ends in the bytes of a local one.

#include "scaling/experiment/training_tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "engine/io/file.h"
#include "models/train/folder_lock.h"
#include "models/zoo/zoo.h"
#include "scaling/experiment/experiment.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_recipe.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(Ranges, AreThoseOfSbatch) {
  EXPECT_EQ(number_ranges({}), "");
  EXPECT_EQ(number_ranges({4}), "4");
  EXPECT_EQ(number_ranges({9, 2, 1, 3, 7, 10}), "1-3,7,9-10");
}

TEST(LongestFirst, SearchesThenByArithmetic) {
  std::vector<TrainingTask> tasks;
  for (const double gmacs : {2.0, 5.0, unknown, 5.0, 1.0}) {
    tasks.push_back({.key = std::to_string(tasks.size()), .gmacs = gmacs});
  }
  longest_first(tasks);
  std::string order;
  for (const TrainingTask& t : tasks) order += t.key;
  EXPECT_EQ(order, "21304");
}

// Three times forward for a training image, once for one that is evaluated, in every epoch.
TEST(TrainingGmacs, AreOfAllEpochs) {
  TrainingRequest request{.arch = zoo("vgg11"), .config = {}};
  request.config.epochs = 4;
  EXPECT_NEAR(training_gmacs(request, 100, 50), 0.153 * 350 * 4, 2);  // VGG11: 0.153 GMACs at 32 px
}

// A modelled device: nothing is measured, so two runs can be the same to the byte.
Recipe recipe_of_tasks() {
  Recipe recipe = tiny();
  recipe.latency.device_model = "desktop-cpu";
  recipe.train.validation = 20;
  recipe.seeds = {1, 2};
  recipe.importance.proxy.seeds = {1, 2};
  recipe.scale.methods = {"uniform-width", "greedy-enlarge"};
  recipe.scale.latency = "1.3x";
  recipe.search.epochs = 1;
  return recipe;
}

class Tasks : public InFolder {
 protected:
  ExperimentOptions options(const std::string& out) const {
    return {.out = folder.file(out), .command = "test", .quiet = true, .train = false};
  }
  // The trainings of a run's folder without what they took: CPU seconds and the log's times.
  static std::map<std::string, std::string> results_in(const std::string& networks) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(networks)) {
      const std::string name = fs::relative(entry.path(), networks).string();
      if (!entry.is_regular_file() || name.ends_with(".jsonl")) continue;
      std::string text = read_file(entry.path());
      if (name.ends_with("result.json")) {
        json j = json::parse(text);
        j["result"].erase("cpu_seconds");
        text = j.dump();
      }
      files[name] = text;
    }
    return files;
  }
  static std::string without_time(const Results& results) {
    json j = json::parse(to_json(results));
    j.erase("created");
    for (json& row : j["table"]) row.erase("search");
    j["alpha"].erase("search");
    return j.dump();
  }
};

TEST_F(Tasks, InAnyOrderEndInTheBytesOfALocalRun) {
  const Recipe recipe = recipe_of_tasks();
  ExperimentOptions local = options("local"), farm = options("farm");
  local.train = true;
  const Results expected = run_experiment(recipe, local);

  std::vector<std::set<std::string>> waves;
  std::optional<Results> results;
  while (!results && waves.size() < 10) {
    try {
      results = run_experiment(recipe, farm);
    } catch (const TrainingsMissing& missing) {
      EXPECT_EQ(missing.exit_code(), 75);
      const TaskList list = list_tasks(recipe, farm);
      ASSERT_EQ(list.next.size(), missing.tasks.size());
      waves.emplace_back();
      for (std::size_t i = list.next.size(); i-- > 0;) {  // the last first
        EXPECT_EQ(list.next[i].number, missing.tasks[i].number);
        const TaskResult done = run_task(recipe, farm, list.next[i].number);
        EXPECT_FALSE(done.was_done) << done.task.name;
        waves.back().insert(done.task.name.substr(0, done.task.name.find(' ')));
      }
    }
  }
  ASSERT_TRUE(results);
  EXPECT_EQ(without_time(*results), without_time(expected));
  EXPECT_EQ(results_in(folder.file("farm/networks")), results_in(folder.file("local/networks")));
  for (const char* file : {"/latency_model.json", "/plan-hacscale.json", "/recipe.json"}) {
    EXPECT_EQ(read_file(farm.out + file), read_file(local.out + file)) << file;
  }
  // What needs no laws is trained beside alpha; then come the laws, then what they chose.
  ASSERT_EQ(waves.size(), 3u);
  EXPECT_EQ(waves[0], (std::set<std::string>{"alpha", "baseline", "greedy", "uniform"}));
  EXPECT_TRUE(waves[1].contains("sample")) << "the importance";
  EXPECT_TRUE(waves[2].contains("hacscale"));
  EXPECT_TRUE(list_tasks(recipe, farm).next.empty());
}

TEST_F(Tasks, KeepTheirNumbersWhileOthersFinish) {
  const Recipe recipe = recipe_of_tasks();
  const ExperimentOptions farm = options("farm");
  const TaskList first = list_tasks(recipe, farm);
  ASSERT_GT(first.next.size(), 3u);
  EXPECT_EQ(first.finished, 0);
  for (std::size_t i = 0; i < first.next.size(); ++i) {
    EXPECT_EQ(first.next[i].number, static_cast<std::int64_t>(i + 1)) << "the longest first";
  }
  const TrainingTask& one = first.next[first.next.size() / 2];
  ASSERT_EQ(one.search, "");
  EXPECT_FALSE(run_task(recipe, farm, one.number).was_done);
  EXPECT_TRUE(run_task(recipe, farm, one.number).was_done);

  const TaskList second = list_tasks(recipe, farm);
  EXPECT_EQ(second.finished, 1);
  EXPECT_GT(second.seconds_per_gmac, 0);
  ASSERT_EQ(second.next.size(), first.next.size() - 1);
  std::map<std::int64_t, std::string> keys;
  for (const TrainingTask& t : first.next) keys[t.number] = t.key;
  for (const TrainingTask& t : second.next) EXPECT_EQ(t.key, keys[t.number]);

  // Another recipe in the same folder: what is asked again has its number, what is new the next.
  Recipe changed = recipe;
  changed.seeds = {1, 3};
  for (const TrainingTask& t : list_tasks(changed, farm).next) {
    EXPECT_EQ(keys.contains(t.number), t.name.find("seed 3") == std::string::npos) << t.name;
    EXPECT_TRUE(!keys.contains(t.number) || t.key == keys[t.number]) << t.name;
  }
}

// On a login node, or before the device is free: what waits for times is left for later.
TEST_F(Tasks, MeasureNothing) {
  Recipe recipe = recipe_of_tasks();
  recipe.latency.device_model = "";
  const TaskList list = list_tasks(recipe, options("farm"));
  EXPECT_FALSE(list.measured);
  ASSERT_EQ(list.next.size(), recipe.seeds.size()) << "the baseline's alone";
  EXPECT_EQ(list.next[0].name, "baseline seed 1");
  EXPECT_TRUE(fs::is_empty(folder.file("farm/stages")));
}

TEST_F(Tasks, RefuseWhatTheyWereNotListedFor) {
  const Recipe recipe = recipe_of_tasks();
  const ExperimentOptions farm = options("farm");
  EXPECT_ERROR(run_task(recipe, farm, 1), ConfigError, "'--task'", "a list of tasks", "got 1");
  const TaskList list = list_tasks(recipe, farm);
  EXPECT_ERROR(run_task(recipe, farm, 99), ConfigError, "a number from 1 to", "got 99");
  Recipe other = recipe;
  other.train.data.limit_train = 80;
  const auto single = std::find_if(list.next.begin(), list.next.end(),
                                   [](const TrainingTask& t) { return t.search.empty(); });
  EXPECT_ERROR(run_task(other, farm, single->number), ConfigError, "the data", single->key);
  EXPECT_ERROR(run_task(other, farm, 1), ConfigError, "task 1", "the recipe");
  write_file_atomically(task_file(farm.out), "{\"tasks\": [{\"number\":");
  EXPECT_ERROR(run_task(recipe, farm, 1), ConfigError, "tasks.json", "a list of tasks");
}

TEST_F(Tasks, AreDoneByOneProcessAtATime) {
  const Recipe recipe = recipe_of_tasks();
  const ExperimentOptions farm = options("farm");
  const TrainingTask task = list_tasks(recipe, farm).next.back();
  const std::string place = farm.out + "/networks/" + task.key;
  fs::create_directories(place);
  {
    const FolderLock other(place, ".result.lock");
    EXPECT_ERROR(run_task(recipe, farm, task.number), IoError, place,
                 "process " + std::to_string(::getpid()));
  }
  EXPECT_EQ(run_task(recipe, farm, task.number).cost.trainings, 1);
}

}  // namespace
}  // namespace hac
