// hacscale doctor: what was built, what this machine can do, what is found.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/sets/datasets.h"
#include "engine/device/plan_options.h"
#include "engine/tensor/storage.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "kernels/core/runtime.h"
#include "scaling/measure/peak.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  MachineOptions machine;
  bool json = false;
};

using Json = nlohmann::ordered_json;

// Sets with a default place; the others need a folder or no file at all.
Json find_data() {
  Json found = Json::object();
  for (const DatasetInfo& set : datasets()) {
    const std::string name(set.name);
    if (!set.has_place) continue;
    try {
      const DataSplit split = open_data({.name = name});
      found[name] = {{"found", true}, {"train", split.train->size()}, {"test", split.test->size()}};
    } catch (const Error& e) {
      found[name] = {{"found", false}, {"why", e.what()}};
    }
  }
  return found;
}

Json writable_folders() {
  Json folders = Json::object();
  std::error_code ignored;
  for (const auto& path :
       {std::filesystem::current_path(ignored), std::filesystem::temp_directory_path(ignored)}) {
    folders[path.string()] = ::access(path.c_str(), W_OK | X_OK) == 0;
  }
  return folders;
}

// "" if nothing was ever autotuned.
std::string find_plan_cache() {
  try {
    return describe_plan_cache(plan_cache_path());
  } catch (const ConfigError&) {
    return "";
  }
}

// Who decided on the threads and on the limit of the host's memory.
std::string threads_from(const MachineOptions& o) {
  if (o.threads > 0) return "--threads";
  const char* asked = std::getenv("OMP_NUM_THREADS");
  if (asked && *asked) return "OMP_NUM_THREADS";
  return threads_within(limits()) < limits().affinity ? limits().cpu_quota_from : "affinity";
}

std::string memory_limit_from() {
  const std::size_t limit = memory_stats().limit;
  if (limit == 0) return "";
  return limit == limits().memory_bytes ? limits().memory_from : "--memory-limit";
}

Json examine(const Options& o) {
  start(o.machine);
  const Machine m = this_machine();
  std::vector<std::string> devices{"cpu", "simt"};
  std::string cuda = "not built";
  const int gpus = runtime_cuda.count ? runtime_cuda.count(&cuda) : 0;
  for (int i = 0; i < gpus; ++i) devices.push_back(to_string({DeviceKind::cuda, i}));
  const Limits& l = limits();
  const Ceiling peak = measure_peak_gmacs();
  const std::optional<Ceiling> bandwidth = bandwidth_if_free();
  Json j{
      {"version", HAC_VERSION},
      {"devices", devices},
      {"cuda", devices.size() > 2 ? "available" : cuda},
      {"cpu", m.cpu},
      {"isa", m.isa},
      {"cores", m.cores},
      {"threads", num_threads()},
      {"threads_from", threads_from(o.machine)},
      {"cpu_quota", l.cpu_quota ? Json(*l.cpu_quota) : Json()},
      {"cpu_quota_from", l.cpu_quota_from},
      {"memory_bytes", m.memory_bytes},
      {"memory_limit_bytes", memory_stats().limit},
      {"memory_limit_from", memory_limit_from()},
      {"peak_gmacs_per_s", peak.rate},
      {"peak_steady", peak.steady},
      {"bandwidth_gb_per_s", bandwidth ? Json(bandwidth->rate) : Json()},
      {"bandwidth_steady", bandwidth ? Json(bandwidth->steady) : Json()},
      {"libraries",
       {{"oneDNN", m.onednn},
        {"OpenMP", fmt::format("{}", _OPENMP)},
        {"fmt", fmt::format("{}", FMT_VERSION)},
        {"CLI11", CLI11_VERSION},
        {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                      NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)}}},
      {"compiler", m.compiler},
      {"data", find_data()},
      {"writable", writable_folders()}};
  if (const std::string cache = find_plan_cache(); !cache.empty()) j["plan_cache"] = cache;
  return j;
}

double gib(const Json& bytes) { return bytes.get<double>() / (1 << 30); }

std::string measured(const Json& steady) {
  return steady.get<bool>() ? "measured" : "unsteady: a busy machine disturbed the measurement";
}

std::string bandwidth_text(const Json& j) {
  const Json& rate = j["bandwidth_gb_per_s"];
  if (rate.is_null()) return "not measured: too little memory is free";
  return fmt::format("{:.1f} GB/s read, {} threads, {}", rate.get<double>(),
                     j["threads"].get<int>(), measured(j["bandwidth_steady"]));
}

void print_text(const Json& j) {
  Rows rows{{"hacscale", fmt::format("{}, {}", j["version"].get<std::string>(),
                                     j["compiler"].get<std::string>())},
            {"devices", fmt::format("{}; CUDA {}",
                                    fmt::join(j["devices"].get<std::vector<std::string>>(), " "),
                                    j["cuda"].get<std::string>())},
            {"cpu", j["cpu"].get<std::string>()},
            {"isa", j["isa"].get<std::string>()},
            {"threads", fmt::format("{}, from {}", j["threads"].get<int>(),
                                    j["threads_from"].get<std::string>())},
            {"affinity", fmt::format("{} cores", j["cores"].get<int>())},
            {"CPU quota", j["cpu_quota"].is_null()
                              ? "none"
                              : fmt::format("{:g} cores, from {}", j["cpu_quota"].get<double>(),
                                            j["cpu_quota_from"].get<std::string>())},
            {"memory", fmt::format("{:.1f} GiB", gib(j["memory_bytes"]))},
            {"memory limit", j["memory_limit_bytes"] == 0
                                 ? "none"
                                 : fmt::format("{:.2f} GiB, from {}", gib(j["memory_limit_bytes"]),
                                               j["memory_limit_from"].get<std::string>())},
            {"peak", fmt::format("{:.1f} GMAC/s, f32, {}, {} threads, {}",
                                 j["peak_gmacs_per_s"].get<double>(), j["isa"].get<std::string>(),
                                 j["threads"].get<int>(), measured(j["peak_steady"]))},
            {"bandwidth", bandwidth_text(j)}};
  for (const auto& [name, version] : j["libraries"].items()) {
    rows.push_back({name, version.get<std::string>()});
  }
  for (const auto& [name, set] : j["data"].items()) {
    rows.push_back({name, set["found"].get<bool>()
                              ? fmt::format("{} training, {} test images", set["train"].get<int>(),
                                            set["test"].get<int>())
                              : "not found: " + set["why"].get<std::string>()});
  }
  for (const auto& [path, writable] : j["writable"].items()) {
    rows.push_back({path, writable.get<bool>() ? "writable" : "not writable"});
  }
  if (j.contains("plan_cache")) {
    rows.push_back({"plan cache", j["plan_cache"].get<std::string>()});
  }
  print_rows(stdout, rows);
}

}  // namespace

void add_doctor(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("doctor", "What is built, found and measured here");
  const auto o = std::make_shared<Options>();
  add_machine_options(*verb, o->machine);
  add_json_option(*verb, o->json);
  verb->footer("Example: hacscale doctor");
  verb->callback([o] {
    const Json j = examine(*o);
    if (o->json) {
      fmt::print("{}\n", j.dump(2));
    } else {
      print_text(j);
    }
  });
}

}  // namespace hac
