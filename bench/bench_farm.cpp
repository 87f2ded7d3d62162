// How well a farm of workers is used, in simulation: tasks of measured length, handed out as
// --list-tasks orders them, by their estimated arithmetic, to whichever worker is free.
// usage: bench_farm [TRAININGS [tasks [seconds to start one]]]

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <queue>
#include <random>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "scaling/experiment/training_tasks.h"

using namespace hac;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct Measured {
  TrainingTask task;
  double seconds = 0;  // CPU time of all threads: of a task on one of them
};

// The trainings of a folder, but for those that pruned.
std::vector<Measured> trainings_in(const std::string& folder) {
  std::vector<Measured> all;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path file = entry.path() / "result.json";
    if (!fs::exists(file)) continue;
    const json stored = json::parse(read_file(file));
    const std::string question = stored.at("question");
    const std::size_t config = question.find("\n{\n  \"data\""), end = question.find("\n}\ndata ");
    const json seconds = stored.at("result").value("cpu_seconds", json());
    if (question.find("\nprune ") != std::string::npos || !seconds.is_number()) continue;
    Measured m{.task = {.key = entry.path().filename()}, .seconds = seconds};
    TrainingRequest& request = m.task.request;
    request.arch = architecture_from_json(question.substr(0, config));
    read_json(json::parse(question.substr(config, end + 2 - config)), request.config.fields(), file,
              "", {.complete = false, .record = true});
    const DataConfig& data = request.config.data;  // CIFAR-10 has 50,000 and 10,000 images
    m.task.gmacs = training_gmacs(request, data.limit_train ? data.limit_train : 50000,
                                  data.limit_test ? data.limit_test : 10000);
    all.push_back(std::move(m));
  }
  std::sort(all.begin(), all.end(),
            [](const Measured& a, const Measured& b) { return a.task.key < b.task.key; });
  return all;
}

// Until the last one is done, where each goes to the worker that is free first.
double makespan(const std::vector<double>& seconds, int workers) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int i = 0; i < workers; ++i) free_at.push(0);
  double end = 0;
  for (const double s : seconds) {
    const double done = free_at.top() + s;
    free_at.pop();
    free_at.push(done);
    end = std::max(end, done);
  }
  return end;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "bench/results/compare-cifar10/trainings";
  const int count = argc > 2 ? std::stoi(argv[2]) : 1000;
  const double start = argc > 3 ? std::stod(argv[3]) : 1;
  const std::vector<Measured> measured = trainings_in(folder);
  if (measured.empty()) {
    fmt::print("no trainings in {}\n", folder);
    return 1;
  }
  std::mt19937_64 random(1);
  std::vector<TrainingTask> tasks;
  for (int i = 0; i < count; ++i) {
    const std::size_t drawn = random() % measured.size();
    tasks.push_back(measured[drawn].task);
    tasks.back().number = static_cast<std::int64_t>(drawn);
  }
  const auto seconds_of = [&](double extra) {
    std::vector<double> seconds;
    for (const TrainingTask& t : tasks) seconds.push_back(measured[t.number].seconds + extra);
    return seconds;
  };
  const std::vector<double> as_drawn = seconds_of(start);
  longest_first(tasks);
  const std::vector<double> ordered = seconds_of(start), net = seconds_of(0);
  double sum = 0;
  for (const double s : net) sum += s;
  fmt::print(
      "{} tasks drawn from {} trainings of {:.0f} to {:.0f} s, {:.1f} h in all, {:.1f} s to "
      "start one\n",
      count, measured.size(), *std::min_element(net.begin(), net.end()),
      *std::max_element(net.begin(), net.end()), sum / 3600, start);
  fmt::print("workers  hours  efficiency  (as drawn)\n");
  for (int workers = 1; workers <= 256; workers *= 2) {
    const double hours = makespan(ordered, workers) / 3600;
    const auto efficiency = [&](const std::vector<double>& s) {
      return sum / (workers * makespan(s, workers));
    };
    fmt::print("{:>7}  {:>5.2f}  {:>10.3f}  {:>10.3f}\n", workers, hours, efficiency(ordered),
               efficiency(as_drawn));
  }
}
