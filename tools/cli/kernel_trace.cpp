#include "tools/cli/kernel_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/simt/executor.h"
#include "models/deploy/inference_session.h"
#include "models/train/captured_step.h"
#include "scaling/latency/device_profile.h"
#include "tools/cli/step_floor.h"

namespace hac {
namespace {

constexpr std::int64_t sector_bytes = 32;

double ratio(std::int64_t a, std::int64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 1;
}

void run_inference(const Model& model, const Tensor& images) {
  InferenceSession net(model, images.shape()[0]);
  simt::take_traces();  // packing the weights is no part of it
  net.run(images);
}

void run_step(Model& model, const Tensor& images) {
  const std::int64_t n = images.shape()[0];
  std::vector<std::int32_t> labels(n);
  for (std::int64_t i = 0; i < n; ++i) {
    labels[i] = static_cast<std::int32_t>(i % model.arch().classes);
  }
  const Tensor target = Tensor::from(labels, {n});
  // The least scale: at a larger one the first step may be left out.
  Sgd sgd(model.parameters(), {}, model.dtype() == Dtype::f16 ? 1 : 0);
  CapturedStep(model, sgd).run({images, target, target}, 0.1, 0);
}

std::vector<simt::Trace> traced(Model& model, std::int64_t batch, bool step) {
  const Architecture& arch = model.arch();
  const Tensor images = Tensor::empty({batch, arch.channels, arch.resolution, arch.resolution});
  fill_normal(images, 1, "images", 1);
  const simt::Options before = simt::options();
  simt::set_options({.trace = true});
  simt::take_traces();
  step ? run_step(model, images) : run_inference(model, images);
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

// What a launch is for, of the parts that a step's time is told by.
std::string_view part_of(std::string_view kernel) {
  constexpr std::string_view updates[] = {"sgd",  "adamw",   "adamw_count", "unscale", "loss_scale",
                                          "clip", "squares", "lerp",        "taylor"};
  const bool sums = kernel.ends_with("_statistics") || kernel.ends_with("_gradients") ||
                    kernel == "bias_gradient";
  if (sums) return "sums";
  return std::ranges::find(updates, kernel) != std::end(updates) ? "updates" : "passes";
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

// A step's parts on a GPU that does what its data sheet says: no more than a floor.
struct StepParts {
  std::int64_t images = 0;
  StepFloor floor;
  double own_bytes = 0;
  std::int64_t own_launches = 0;
  std::vector<std::pair<std::string, double>> us;
};

StepParts step_parts(const Model& model, std::int64_t batch, const std::vector<simt::Trace>& traces,
                     const DeviceProfile& gpu) {
  StepParts step{.images = batch, .floor = step_floor(model, batch)};
  const double peak = gpu.peak_gmacs.of(model.dtype()).value_or(gpu.peak_gmacs.f32);
  step.us.emplace_back("products", step.floor.product_macs / (peak * 1e3));
  for (const auto& [part, sum] : sums_by(traces, part_of)) {
    const auto bytes = static_cast<double>(sum.distinct);
    step.us.emplace_back(part, bytes / (gpu.bandwidth_gbs * 1e3));
    step.own_bytes += bytes;
    step.own_launches += sum.launches;
  }
  const double launches = static_cast<double>(step.own_launches + step.floor.products);
  step.us.emplace_back("launches", launches * gpu.launch_us.of(LaunchMode::graph).value_or(0));
  return step;
}

void print_step(const StepParts& step, const DeviceProfile& gpu) {
  constexpr double mib = 1 << 20;
  fmt::print(
      "{} launches of own kernels and {} products; own bytes {:.1f} MiB, {:.2f} times what fused "
      "kernels need at least\n",
      step.own_launches, step.floor.products, step.own_bytes / mib,
      step.own_bytes / step.floor.own_bytes);
  double all = 0;
  fmt::print("{}, modelled by its data sheet, no step is faster:", gpu.name);
  for (const auto& [part, us] : step.us) {
    fmt::print(" {} {:.1f} us,", part, us);
    all += us;
  }
  fmt::print(" in all {:.3f} ms, {:.0f} images/s\n", all / 1e3,
             1e6 * static_cast<double>(step.images) / all);
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
  if (model.device().kind != DeviceKind::simt) {
    throw ConfigError("option '--trace': expected --device simt, got " + to_string(model.device()));
  }
  const DeviceProfile gpu = load_device_profile(options.gpu);
  if (gpu.processor != Processor::gpu) {
    throw ConfigError(
        fmt::format("option '--gpu': expected a GPU's profile, got '{}' of a CPU", options.gpu));
  }
  const std::vector<simt::Trace> traces = traced(model, batch, options.step);
  std::optional<StepParts> step;
  if (options.step) step = step_parts(model, batch, traces, gpu);
  if (!options.json) {
    print_table(traces, gpu);
    if (step) print_step(*step, gpu);
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
  if (step) {
    j["own_launches"] = step->own_launches;
    j["products"] = step->floor.products;
    j["own_bytes"] = step->own_bytes;
    j["fused_bytes"] = step->floor.own_bytes;
    for (const auto& [part, us] : step->us) j["floor_us"][part] = us;
  }
  fmt::print("{}\n", j.dump(2));
}

}  // namespace hac
