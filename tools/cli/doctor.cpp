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

// What is here, each both in JSON and as a line of the table.
struct Findings {
  Json json = Json::object();
  Rows rows;
};

// Sets with a default place; the others need a folder or no file at all.
void find_data(Findings& f) {
  for (const DatasetInfo& set : datasets()) {
    const std::string name(set.name);
    if (!set.has_place) continue;
    Json& found = f.json["data"][name];
    try {
      const DataSplit split = open_data({.name = name});
      const std::int64_t train = split.train->size(), test = split.test->size();
      found = {{"found", true}, {"train", train}, {"test", test}};
      f.rows.push_back({name, fmt::format("{} training, {} test images", train, test)});
    } catch (const Error& e) {
      found = {{"found", false}, {"why", e.what()}};
      f.rows.push_back({name, fmt::format("not found: {}", e.what())});
    }
  }
}

void find_folders(Findings& f) {
  std::error_code ignored;
  for (const auto& path :
       {std::filesystem::current_path(ignored), std::filesystem::temp_directory_path(ignored)}) {
    const bool writable = ::access(path.c_str(), W_OK | X_OK) == 0;
    f.json["writable"][path.string()] = writable;
    f.rows.push_back({path.string(), writable ? "writable" : "not writable"});
  }
}

// Nothing if nothing was ever autotuned.
void find_plan_cache(Findings& f) {
  std::string cache;
  try {
    cache = describe_plan_cache(plan_cache_path());
  } catch (const ConfigError&) {
  }
  if (cache.empty()) return;
  f.json["plan_cache"] = cache;
  f.rows.push_back({"plan cache", cache});
}

void find_libraries(Findings& f, const std::string& onednn) {
  const Rows libraries{
      {"oneDNN", onednn},
      {"OpenMP", fmt::format("{}", _OPENMP)},
      {"fmt", fmt::format("{}", FMT_VERSION)},
      {"CLI11", CLI11_VERSION},
      {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                    NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)}};
  for (const auto& [name, version] : libraries) f.json["libraries"][name] = version;
  f.rows.insert(f.rows.end(), libraries.begin(), libraries.end());
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

std::string measured(const Ceiling& ceiling) {
  return ceiling.steady ? "measured" : "unsteady: a busy machine disturbed the measurement";
}

void find_machine(Findings& f, const MachineOptions& o) {
  const Machine m = this_machine();
  std::vector<std::string> devices{"cpu", "simt"};
  std::string cuda = "not built";
  const int gpus = runtime_cuda.count ? runtime_cuda.count(&cuda) : 0;
  for (int i = 0; i < gpus; ++i) devices.push_back(to_string({DeviceKind::cuda, i}));
  if (gpus > 0) cuda = "available";
  const Limits& l = limits();
  const std::size_t memory = memory_stats().limit;
  const Ceiling peak = measure_peak_gmacs();
  const std::optional<Ceiling> bandwidth = bandwidth_if_free();
  const std::string by_threads = fmt::format("{} threads", num_threads());
  const auto gib = [](std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  f.json = {{"version", HAC_VERSION},
            {"devices", devices},
            {"cuda", cuda},
            {"cpu", m.cpu},
            {"isa", m.isa},
            {"cores", m.cores},
            {"threads", num_threads()},
            {"threads_from", threads_from(o)},
            {"cpu_quota", l.cpu_quota ? Json(*l.cpu_quota) : Json()},
            {"cpu_quota_from", l.cpu_quota_from},
            {"memory_bytes", m.memory_bytes},
            {"memory_limit_bytes", memory},
            {"memory_limit_from", memory_limit_from()},
            {"peak_gmacs_per_s", peak.rate},
            {"peak_steady", peak.steady},
            {"bandwidth_gb_per_s", bandwidth ? Json(bandwidth->rate) : Json()},
            {"bandwidth_steady", bandwidth ? Json(bandwidth->steady) : Json()},
            {"libraries", Json::object()},
            {"compiler", m.compiler},
            {"data", Json::object()}};
  f.rows = {
      {"hacscale", fmt::format("{}, {}", HAC_VERSION, m.compiler)},
      {"devices", fmt::format("{}; CUDA {}", fmt::join(devices, " "), cuda)},
      {"cpu", m.cpu},
      {"isa", m.isa},
      {"threads", fmt::format("{}, from {}", num_threads(), threads_from(o))},
      {"affinity", fmt::format("{} cores", m.cores)},
      {"CPU quota",
       l.cpu_quota ? fmt::format("{:g} cores, from {}", *l.cpu_quota, l.cpu_quota_from) : "none"},
      {"memory", fmt::format("{:.1f} GiB", gib(m.memory_bytes))},
      {"memory limit",
       memory == 0 ? "none" : fmt::format("{:.2f} GiB, from {}", gib(memory), memory_limit_from())},
      {"peak",
       fmt::format("{:.1f} GMAC/s, f32, {}, {}, {}", peak.rate, m.isa, by_threads, measured(peak))},
      {"bandwidth", bandwidth ? fmt::format("{:.1f} GB/s read, {}, {}", bandwidth->rate, by_threads,
                                            measured(*bandwidth))
                              : "not measured: too little memory is free"}};
}

Findings examine(const Options& o) {
  start(o.machine);
  Findings f;
  find_machine(f, o.machine);
  find_libraries(f, this_machine().onednn);
  find_data(f);
  find_folders(f);
  find_plan_cache(f);
  return f;
}

}  // namespace

void add_doctor(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("doctor", "What is built, found and measured here");
  const auto o = std::make_shared<Options>();
  add_machine_options(*verb, o->machine, o->json);
  verb->footer("Example: hacscale doctor");
  verb->callback([o] {
    const Findings found = examine(*o);
    o->json ? print_json(found.json) : print_rows(stdout, found.rows);
  });
}

}  // namespace hac
