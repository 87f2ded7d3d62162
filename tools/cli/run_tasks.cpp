#include "tools/cli/run_tasks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/cli/options.h"

namespace hac {
namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(double value) {
  return known(value) ? ordered_json(value) : ordered_json();
}

std::string ranges_of(const TaskList& list) {
  std::vector<std::int64_t> numbers;
  for (const TrainingTask& task : list.next) numbers.push_back(task.number);
  return number_ranges(numbers);
}

ordered_json json_of(const TaskList& list) {
  ordered_json tasks = ordered_json::array();
  for (const TrainingTask& t : list.next) {
    tasks.push_back({{"task", t.number},
                     {"key", t.key},
                     {"name", t.name},
                     {"search", t.search},
                     {"model", t.request.arch.name},
                     {"resolution", t.request.arch.resolution},
                     {"epochs", t.request.config.epochs},
                     {"gmacs", number_or_null(t.gmacs)},
                     {"cpu_seconds", number_or_null(t.gmacs * list.seconds_per_gmac)}});
  }
  return {{"next", ranges_of(list)},
          {"finished", list.finished},
          {"measured", list.measured},
          {"tasks", tasks}};
}

std::string figure(double value) { return known(value) ? fmt::format("{:.1f}", value) : "?"; }

}  // namespace

void print_tasks(const TaskList& list, const ExperimentOptions& options, bool json) {
  if (json) return print_json(json_of(list));
  if (!list.next.empty()) {
    fmt::print("{:>5}  {:<16}  {:>5}  {:>6}  {:>10}  {:>9}  {}\n", "task", "key", "px", "epochs",
               "GMACs", "CPU s", "training");
  }
  for (const TrainingTask& t : list.next) {
    fmt::print("{:>5}  {:<16}  {:>5}  {:>6}  {:>10}  {:>9}  {} {}\n", t.number, t.key,
               t.request.arch.resolution, t.request.config.epochs, figure(t.gmacs),
               figure(t.gmacs * list.seconds_per_gmac), t.request.arch.name, t.name);
  }
  fmt::print("{} can start now, {} are finished in {}\n", list.next.size(), list.finished,
             trainings_of(options));
  if (!list.measured) fmt::print("no latency model yet: --merge measures it; others wait for it\n");
  if (list.measured && list.next.empty()) fmt::print("nothing to train: --merge goes on\n");
  fmt::print("next: {}\n", ranges_of(list));
}

void run_and_print_task(const Recipe& recipe, const ExperimentOptions& options, std::int64_t number,
                        bool json) {
  const TaskResult r = run_task(recipe, options, number);
  if (json) {
    return print_json({{"task", r.task.number},
                       {"key", r.task.key},
                       {"name", r.task.name},
                       {"was_done", r.was_done},
                       {"top1", number_or_null(r.top1)},
                       {"trainings", r.cost.trainings},
                       {"cpu_seconds", number_or_null(r.cost.cpu_seconds)}});
  }
  const std::string top1 = known(r.top1) ? fmt::format("top-1 {:.2f} %, ", 100 * r.top1) : "";
  fmt::print("task {} ({}): {}{:.1f} CPU seconds{}\n", r.task.number, r.task.name, top1,
             r.cost.cpu_seconds, r.was_done ? ", found done" : "");
}

}  // namespace hac
