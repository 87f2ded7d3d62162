#include "tools/cli/kernel_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/simt/executor.h"
#include "models/deploy/inference_session.h"
#include "models/train/captured_step.h"

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
  // The least scale: at a larger one the first step may be left out.
  Sgd sgd(model.parameters(), {}, model.dtype() == Dtype::f16 ? 1 : 0);
  sgd.set_rate(0.1);
  model.zero_grad();
  const auto [loss, probs] =
      ops::softmax_cross_entropy(model.forward(images), Tensor::from(labels, {n}));
  backward(loss, sgd.loss_scale().seed());
  observe_and_update(model, sgd, nullptr);
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

struct Sum {
  std::int64_t launches = 0, asked = 0, touched = 0, distinct = 0;
  void add(const simt::Trace& t) {
    ++launches;
    asked += t.load_bytes + t.store_bytes;
    touched += sector_bytes * (t.load_sectors + t.store_sectors);
    distinct += sector_bytes * (t.distinct_load_sectors + t.distinct_store_sectors);
  }
};

// What each kernel moves in all, against the least that any cache could leave of it.
void print_sums(const std::vector<simt::Trace>& traces) {
  std::vector<std::pair<std::string, Sum>> sums;  // in the order of their first launch
  Sum all;
  for (const simt::Trace& t : traces) {
    auto it = std::find_if(sums.begin(), sums.end(),
                           [&](const auto& entry) { return entry.first == t.kernel; });
    if (it == sums.end()) it = sums.insert(sums.end(), {t.kernel, {}});
    it->second.add(t);
    all.add(t);
  }
  sums.emplace_back("all", all);
  constexpr auto row = "{:<22} {:>8} {:>11} {:>11} {:>11} {:>7}\n";
  fmt::print(row, "kernel", "launches", "asked KiB", "moved KiB", "least KiB", "ratio");
  for (const auto& [name, s] : sums) {
    fmt::print(row, name, s.launches, kib(s.asked), kib(s.touched), kib(s.distinct),
               fmt::format("{:.2f}", ratio(s.touched, s.distinct)));
  }
}

void print_table(const std::vector<simt::Trace>& traces) {
  print_launches(traces);
  fmt::print("\n");
  print_sums(traces);
  fmt::print(
      "\nused: bytes asked for of the 32-byte sectors that warps touch; above 100 % lanes share\n"
      "an address. moved: these sectors, read or written. least: those that differ within a\n"
      "launch, all that is left where a cache keeps what was touched once. Convolutions and\n"
      "products are cuDNN's and cuBLAS's on a GPU and not counted.\n");
}

}  // namespace

void print_kernel_trace(Model& model, std::int64_t batch, bool step, bool json) {
  if (model.device().kind != DeviceKind::simt) {
    throw ConfigError("option '--trace': expected --device simt, got " + to_string(model.device()));
  }
  const std::vector<simt::Trace> traces = traced(model, batch, step);
  if (!json) return print_table(traces);
  nlohmann::ordered_json launches = nlohmann::ordered_json::array();
  for (const simt::Trace& t : traces) launches.push_back(json_of(t));
  fmt::print("{}\n", nlohmann::ordered_json{{"model", model.arch().name},
                                            {"batch", batch},
                                            {"work", step ? "step" : "inference"},
                                            {"launches", launches}}
                         .dump(2));
}

}  // namespace hac
