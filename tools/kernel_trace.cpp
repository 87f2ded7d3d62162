#include "tools/kernel_trace.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/ops.h"
#include "engine/optim/sgd.h"
#include "engine/random.h"
#include "kernels/error.h"
#include "kernels/simt/executor.h"
#include "models/deploy.h"

namespace hac {
namespace {

constexpr double sector = 32;

// Of the bytes that the sectors hold, the part that was asked for.
double used(std::int64_t bytes, std::int64_t sectors) {
  return sectors > 0 ? static_cast<double>(bytes) / (sector * static_cast<double>(sectors)) : 1;
}

void run_inference(const Model& model, const Tensor& images) {
  Deployment net(model, images.shape()[0]);
  simt::take_traces();  // packing the weights is no part of it
  net.run(images);
}

void run_step(Model& model, const Tensor& images) {
  const std::int64_t n = images.shape()[0];
  std::vector<std::int32_t> labels(n);
  for (std::int64_t i = 0; i < n; ++i) {
    labels[i] = static_cast<std::int32_t>(i % model.arch().classes);
  }
  Sgd sgd(model.parameters(), {});
  model.zero_grad();
  const auto [loss, probs] =
      ops::softmax_cross_entropy(model.forward(images), Tensor::from(labels, {n}));
  backward(loss);
  sgd.step(0.1);
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
          {"store_sectors", t.store_sectors}};
}

void print_table(const std::vector<simt::Trace>& traces) {
  constexpr auto row = "{:<22} {:>8} {:>9} {:>9} {:>11} {:>7} {:>11} {:>7}\n";
  fmt::print(row, "kernel", "blocks", "threads", "barriers", "load KiB", "used", "store KiB",
             "used");
  std::int64_t loads = 0, stores = 0;
  const auto kib = [](std::int64_t bytes) { return fmt::format("{:.1f}", bytes / 1024.0); };
  const auto share = [](double part) { return fmt::format("{:.0f} %", 100 * part); };
  for (const simt::Trace& t : traces) {
    fmt::print(row, t.kernel, t.blocks, t.threads, t.barriers, kib(t.load_bytes),
               share(used(t.load_bytes, t.load_sectors)), kib(t.store_bytes),
               share(used(t.store_bytes, t.store_sectors)));
    loads += t.load_bytes;
    stores += t.store_bytes;
  }
  fmt::print(row, fmt::format("{} launches", traces.size()), "", "", "", kib(loads), "",
             kib(stores), "");
  fmt::print(
      "used: bytes asked for of the 32-byte sectors that warps touch; above 100 % lanes share an\n"
      "address. Convolutions and products are cuDNN's and cuBLAS's on a GPU and not counted.\n");
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
