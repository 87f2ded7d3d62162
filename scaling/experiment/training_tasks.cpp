#include "scaling/experiment/training_tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "models/arch/counters.h"
#include "scaling/stats.h"

namespace hac {
namespace {

using nlohmann::json;

Fields flags_of(TrainingRequest& r) {
  return Fields()
      .add("observe", r.observe)
      .add("keep_weights", r.keep_weights)
      .add("test", r.test)
      .add("label", r.label);
}

json to_json(TrainingTask task) {
  json j = hac::to_json(task.fields().add("request", flags_of(task.request)));
  j["request"]["architecture"] = json::parse(hac::to_json(task.request.arch));
  j["request"]["config"] = json::parse(hac::to_json(task.request.config));
  return j;
}

TrainingTask task_from(const json& j, const TrainConfig& training, const std::string& file) {
  TrainingTask task;
  task.request.config = training;
  read_json(j, task.fields(), file, "", {.others = {"request"}, .record = true});
  const json& request = j.at("request");
  read_json(request, flags_of(task.request), file, "request",
            {.others = {"architecture", "config"}});
  task.request.arch = architecture_from_json(request.at("architecture").dump());
  read_json(request.at("config"), task.request.config.fields(), file, "request.config");
  return task;
}

double order_of(const TrainingTask& task) {
  return known(task.gmacs) ? task.gmacs : std::numeric_limits<double>::infinity();
}

std::vector<std::int64_t> numbers_of(const std::vector<TrainingTask>& tasks) {
  std::vector<std::int64_t> numbers;
  for (const TrainingTask& t : tasks) numbers.push_back(t.number);
  return numbers;
}

}  // namespace

double training_gmacs(const TrainingRequest& request, std::int64_t train_images,
                      std::int64_t evaluated_images) {
  constexpr double forward_and_backward = 3;
  const double images = forward_and_backward * static_cast<double>(train_images) +
                        static_cast<double>(evaluated_images);
  return 1e-9 * static_cast<double>(count(request.arch).macs) * images *
         static_cast<double>(request.config.epochs);
}

void longest_first(std::vector<TrainingTask>& tasks) {
  std::stable_sort(tasks.begin(), tasks.end(), [](const TrainingTask& a, const TrainingTask& b) {
    return order_of(a) > order_of(b);
  });
}

std::string number_ranges(std::vector<std::int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::string text;
  for (std::size_t i = 0, end = 0; i < numbers.size(); i = end) {
    while (end < numbers.size() &&
           numbers[end] - numbers[i] == static_cast<std::int64_t>(end - i)) {
      ++end;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (end - i > 1) text += fmt::format("-{}", numbers[end - 1]);
  }
  return text;
}

std::string task_file(const std::string& out) { return out + "/tasks.json"; }

std::vector<TrainingTask> load_tasks(const std::string& out, const TrainConfig& training) {
  const std::string file = task_file(out);
  if (!std::filesystem::exists(file)) return {};
  const std::string what = fmt::format("file '{}'", file);
  std::vector<TrainingTask> tasks;
  try {
    const json list = json::parse(read_file(file));
    for (const json& task : list.at("tasks")) tasks.push_back(task_from(task, training, what));
  } catch (const json::exception&) {
    throw ConfigError(fmt::format(
        "{}: expected a list of tasks, got another text (hint: without it --list-tasks writes a "
        "new one)",
        what));
  }
  return tasks;
}

void number_tasks(const std::string& out, const TrainConfig& training,
                  std::vector<TrainingTask>& tasks) {
  longest_first(tasks);
  std::vector<TrainingTask> all = load_tasks(out, training);
  std::map<std::string, std::int64_t> numbers;
  for (const TrainingTask& t : all) numbers[t.key] = t.number;
  bool more = false;
  for (TrainingTask& task : tasks) {
    const auto [it, is_new] = numbers.try_emplace(task.key, std::ssize(all) + 1);
    task.number = it->second;
    if (is_new) all.push_back(task);
    more |= is_new;
  }
  if (!more) return;
  json list = json::array();
  for (const TrainingTask& t : all) list.push_back(to_json(t));
  write_file_atomically(task_file(out), json{{"tasks", list}}.dump(1) + "\n");
}

TrainingsMissing::TrainingsMissing(std::vector<TrainingTask> missing)
    : Error(fmt::format("{} trainings are missing: tasks {} (hint: --task N does one of them, "
                        "--merge goes on when they are done)",
                        missing.size(), number_ranges(numbers_of(missing)))),
      tasks(std::move(missing)) {}

}  // namespace hac
