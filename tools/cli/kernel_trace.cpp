#include "tools/cli/kernel_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/simt/executor.h"
#include "models/deploy/inference_session.h"
#include "scaling/latency/step_model.h"

namespace hac {
namespace {

constexpr std::int64_t sector_bytes = 32;

double ratio(std::int64_t a, std::int64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 1;
}

std::vector<simt::Trace> trace_inference(const Model& model, std::int64_t batch) {
  const Architecture& arch = model.arch();
  const Tensor images = Tensor::empty({batch, arch.channels, arch.resolution, arch.resolution});
  fill_normal(images, 1, "images", 1);
  const simt::Options before = simt::options();
  simt::set_options({.trace = true});
  InferenceSession net(model, batch);
  simt::take_traces();  // packing the weights is no part of it
  net.run(images);
  simt::set_options(before);
  return simt::take_traces();
}

nlohmann::ordered_json json_of(const simt::Trace& t) {
  return {{"kernel", t.kernel},
          {"blocks", t.blocks},
          {"threads", t.threads},
          {"warps", t.warps},
          {"barriers", t.barriers},
          {"load_bytes", t.load_bytes},
          {"store_bytes", t.store_bytes},
          {"warp_loads", t.warp_loads},
          {"warp_stores", t.warp_stores},
          {"load_sectors", t.load_sectors},
          {"store_sectors", t.store_sectors},
          {"distinct_load_bytes", sector_bytes * t.distinct_load_sectors},
          {"distinct_store_bytes", sector_bytes * t.distinct_store_sectors}};
}

std::string kib(std::int64_t bytes) { return fmt::format("{:.1f}", bytes / 1024.0); }

void print_launches(const std::vector<simt::Trace>& traces) {
  constexpr auto row = "{:<22} {:>8} {:>9} {:>9} {:>11} {:>7} {:>11} {:>7}\n";
  fmt::print(row, "kernel", "blocks", "threads", "barriers", "load KiB", "used", "store KiB",
             "used");
  const auto used = [](std::int64_t bytes, std::int64_t sectors) {
    return fmt::format("{:.0f} %", 100 * ratio(bytes, sector_bytes * sectors));
  };
  for (const simt::Trace& t : traces) {
    fmt::print(row, t.kernel, t.blocks, t.threads, t.barriers, kib(t.load_bytes),
               used(t.load_bytes, t.load_sectors), kib(t.store_bytes),
               used(t.store_bytes, t.store_sectors));
  }
}

struct Sum {
  std::int64_t launches = 0, blocks = 0, asked = 0, touched = 0, distinct = 0;
  void add(const simt::Trace& t) {
    blocks = launches == 0 ? t.blocks : std::min(blocks, t.blocks);
    ++launches;
    asked += t.load_bytes + t.store_bytes;
    touched += sector_bytes * (t.load_sectors + t.store_sectors);
    distinct += sector_bytes * (t.distinct_load_sectors + t.distinct_store_sectors);
  }
};

using Sums = std::vector<std::pair<std::string, Sum>>;

// In the order of their first launch.
template <class Name>
Sums sums_by(const std::vector<simt::Trace>& traces, Name name_of) {
  Sums sums;
  for (const simt::Trace& t : traces) {
    const std::string name(name_of(t.kernel));
    auto it = std::ranges::find(sums, name, &Sums::value_type::first);
    if (it == sums.end()) it = sums.insert(sums.end(), {name, {}});
    it->second.add(t);
  }
  return sums;
}

// What each kernel moves in all, against the least that any cache could leave of it.
void print_sums(const std::vector<simt::Trace>& traces, const DeviceProfile& gpu) {
  Sums sums = sums_by(traces, [](const std::string& kernel) { return kernel; });
  const Sums all = sums_by(traces, [](const std::string&) { return "all"; });
  sums.insert(sums.end(), all.begin(), all.end());
  constexpr auto row = "{:<28} {:>8} {:>9} {:>11} {:>11} {:>11} {:>7}\n";
  fmt::print(row, "kernel", "launches", "blocks/SM", "asked KiB", "moved KiB", "least KiB",
             "ratio");
  for (const auto& [name, s] : sums) {
    const double blocks = static_cast<double>(s.blocks) / static_cast<double>(gpu.units);
    fmt::print(row, name, s.launches, fmt::format("{:.2f}", blocks), kib(s.asked), kib(s.touched),
               kib(s.distinct), fmt::format("{:.2f}", ratio(s.touched, s.distinct)));
  }
}

// What was counted of a step, and its time on a GPU that is not here.
struct CountedStep {
  std::int64_t images = 0;
  StepWork work;
  StepTime time;
  EpochTime epoch;
};

CountedStep counted(const Model& model, std::int64_t batch, const std::vector<simt::Trace>& traces,
                    const DeviceProfile& gpu, const KernelTrace& options) {
  const Architecture& arch = model.arch();
  const Dtype dtype = model.dtype();
  CountedStep step{.images = batch, .work = step_work(arch, batch, dtype)};
  if (options.run) step.work = recounted(step.work, traces);
  step.time = StepModel(gpu, dtype).predict(step.work);
  step.epoch = predict_epoch(arch, batch, dtype, gpu, step.time.us(), options.epoch);
  return step;
}

// What a part has none of is a dash.
std::string figure(double value, int digits) {
  return value > 0 ? fmt::format("{:.{}f}", value, digits) : "--";
}

void print_step(const CountedStep& step, const DeviceProfile& gpu, const EpochImages& images) {
  constexpr double mib = 1 << 20;
  const KernelWork own = step.work.own();
  fmt::print(
      "{} launches of own kernels and {} products; own bytes {:.1f} MiB, {:.2f} times what fused "
      "kernels need at least\n\n",
      own.launches, step.work.products.size(), own.bytes / mib, own.bytes / step.work.fused_bytes);
  constexpr auto row = "{:<10} {:>8} {:>9} {:>9} {:>10} {:>13}\n";
  fmt::print(row, "part", "launches", "MiB", "GMACs", "floor us", "predicted us");
  for (std::size_t i = 0; i < step.time.parts.size(); ++i) {
    const PartTime& p = step.time.parts[i];
    fmt::print(row, to_string(static_cast<StepPart>(i)), p.launches, figure(p.bytes / mib, 1),
               figure(p.macs / 1e9, 2), figure(p.floor_us, 1), figure(p.us, 1));
  }
  fmt::print(row, "in all", "", "", "", figure(step.time.floor_us(), 1), figure(step.time.us(), 1));
  const EpochTime& epoch = step.epoch;
  fmt::print(
      "\n{} (modelled): a step of {} images predicted {:.3f} ms, {:.0f} images/s; by "
      "the data\n"
      "sheet none is faster than {:.3f} ms. An epoch of {} images predicted {:.3f} s: {} steps, "
      "and\n"
      "{} batches of an evaluation on {} at {:.3f} ms; 300 epochs {:.1f} s. What is assumed:\n"
      "scaling/latency/step_model.h and the profile.\n",
      gpu.name, step.images, step.time.us() / 1e3,
      1e6 * static_cast<double>(step.images) / step.time.us(), step.time.floor_us() / 1e3,
      images.training, epoch.seconds(), epoch.steps, epoch.evaluations, images.test,
      epoch.evaluation_us / 1e3, 300 * epoch.seconds());
}

void add_json(nlohmann::ordered_json& j, const CountedStep& step) {
  j["own_launches"] = step.work.own().launches;
  j["products"] = step.work.products.size();
  j["own_bytes"] = step.work.own().bytes;
  j["fused_bytes"] = step.work.fused_bytes;
  for (std::size_t i = 0; i < step.time.parts.size(); ++i) {
    const PartTime& p = step.time.parts[i];
    const std::string part(to_string(static_cast<StepPart>(i)));
    j["floor_us"][part] = p.floor_us;
    j["predicted_us"][part] = p.us;
    j["parts"][part] = {{"launches", p.launches}, {"bytes", p.bytes}, {"macs", p.macs}};
  }
  j["step_floor_us"] = step.time.floor_us();
  j["step_predicted_us"] = step.time.us();
  j["epoch"] = {{"steps", step.epoch.steps},
                {"evaluations", step.epoch.evaluations},
                {"evaluation_us", step.epoch.evaluation_us},
                {"predicted_s", step.epoch.seconds()},
                {"epochs_300_s", 300 * step.epoch.seconds()}};
}

void print_table(const std::vector<simt::Trace>& traces, const DeviceProfile& gpu) {
  print_launches(traces);
  fmt::print("\n");
  print_sums(traces, gpu);
  fmt::print(
      "\nused: bytes asked for of the 32-byte sectors that warps touch; above 100 % lanes share\n"
      "an address. moved: these sectors, read or written. least: those that differ within a\n"
      "launch, all that is left where a cache keeps what was touched once. blocks/SM: of the\n"
      "launch with the fewest, on {}. Convolutions and products are cuDNN's and cuBLAS's on a\n"
      "GPU and not counted.\n",
      gpu.name);
}

}  // namespace

void print_kernel_trace(Model& model, std::int64_t batch, const KernelTrace& options) {
  if (options.run && model.device().kind != DeviceKind::simt) {
    throw ConfigError("option '--trace': expected --device simt, got " + to_string(model.device()));
  }
  const DeviceProfile gpu = load_device_profile(options.gpu);
  if (gpu.processor != Processor::gpu) {
    throw ConfigError(
        fmt::format("option '--gpu': expected a GPU's profile, got '{}' of a CPU", options.gpu));
  }
  if (options.step) StepModel(gpu, model.dtype());  // which a step would be run in vain for
  std::vector<simt::Trace> traces;
  if (options.run) traces = options.step ? trace_step(model, batch) : trace_inference(model, batch);
  std::optional<CountedStep> step;
  if (options.step) step = counted(model, batch, traces, gpu, options);
  if (!options.json) {
    if (options.run) print_table(traces, gpu);
    if (step) print_step(*step, gpu, options.epoch);
    return;
  }
  nlohmann::ordered_json launches = nlohmann::ordered_json::array();
  for (const simt::Trace& t : traces) launches.push_back(json_of(t));
  nlohmann::ordered_json j{{"model", model.arch().name},
                           {"batch", batch},
                           {"work", options.step ? "step" : "inference"},
                           {"gpu", gpu.name},
                           {"multiprocessors", gpu.units},
                           {"launches", launches}};
  if (step) add_json(j, *step);
  fmt::print("{}\n", j.dump(2));
}

}  // namespace hac
