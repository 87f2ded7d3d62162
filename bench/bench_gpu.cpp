// What the engine does on a GPU against what the GPU can do.
// usage: bench_gpu --part train|infer|energy|feed|ranks [--device cuda:0|simt] [--tiny]
//                  [--json FILE] [--autotune]
//   train   VGG11's step in f32, bf16, f16 and TF32, eager and as a graph, and of the graph what
//           the model of a step predicted (bench/step_times.h)
//   infer   ResNet18 and VGG11 at batch 1 in the same: eager and graph, warm and cold, by events
//           and the clock
//   energy  joules an inference
//   feed    images a second from photographs to batches (bench/feed.h)
//   ranks   a step whose gradients go by NCCL, to this process itself (bench/one_rank.h)
// --tiny: small shapes, and simt to run the same code without a GPU. --autotune: cuDNN's plans
// measured, and the fastest taken instead of the heuristics' first choice. Exit codes: 0, 1 failed,
// 2 usage, 3 no GPU, 77 skipped (the last line says why).

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/bench.h"
#include "bench/feed.h"
#include "bench/one_rank.h"
#include "bench/step_times.h"
#include "engine/autograd/ops.h"
#include "engine/device/overlap.h"
#include "engine/device/plan_options.h"
#include "engine/io/file.h"
#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/half.h"
#include "models/train/captured_step.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"
#include "scaling/measure/measure.h"
#include "scaling/measure/power.h"

using namespace hac;
using nlohmann::ordered_json;

namespace {

struct Options {
  std::string part, json;
  Device device{DeviceKind::cuda, 0};
  bool tiny = false, autotune = false;
  int rounds() const { return tiny ? 2 : 20; }
};

struct Skipped {
  std::string reason;
};

// After three rounds for plans and lazy loading.
double event_ms(const Options& o, const std::function<void()>& work) {
  return event_ms(Context::current(o.device), 3, o.rounds(), work);
}

// Random numbers: products of zeros run faster than real ones.
Tensor operand(Device device, const Shape& shape, Dtype dtype) {
  const Tensor host = Tensor::empty(shape);
  fill_normal(host, 1, "bench", 1);
  if (dtype == Dtype::f32) return host.to(device).to(layout_of(device, shape));
  const Tensor rounded = Tensor::empty(shape, dtype);
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    rounded.as<bf16>()[i] = from_float<bf16>(host.as<float>()[i]);
  }
  return rounded.to(device).to(layout_of(device, shape));
}

// ---- train ----

struct Precision {
  std::string name;
  Dtype dtype;
  bool tf32 = false;
};

// TF32 last: it cannot be taken back.
std::vector<Precision> precisions(const Options& o) {
  std::vector<Precision> all{{"f32", Dtype::f32}, {"bf16", Dtype::bf16}, {"f16", Dtype::f16}};
  if (o.device.kind == DeviceKind::cuda) all.push_back({"tf32", Dtype::f32, true});
  return all;
}

ordered_json train_row(const Options& o, const Precision& precision, std::int64_t batch,
                       LaunchMode mode, Overlap overlap) {
  set_overlap(o.device, overlap);
  ArchOptions arch{.classes = 10};
  if (o.tiny) arch.width = 0.125;
  Model model(resolve("vgg11", arch), 1, o.device, precision.dtype);
  Sgd sgd(model.parameters(), {});
  Shape shape = model.graph().input;
  shape = {batch, shape[1], shape[2], shape[3]};
  // As a loader writes them.
  const Tensor images =
      operand(o.device, shape, Dtype::f32).cast(precision.dtype).to(model.image_layout());
  const Tensor labels = Tensor::zeros({batch}, Dtype::i32, o.device);
  CapturedStep captured(model, sgd);
  const std::vector<StepSettings> settings(CapturedStep::most_planned, {.lr = 0.01});
  std::size_t left = 0;
  const auto step = [&] {
    if (mode == LaunchMode::graph) {
      if (left == 0) captured.plan(settings, 0, 0);
      left = (left == 0 ? settings.size() : left) - 1;
      captured.run_planned([&] { return StepBatch{images, labels, labels}; });
      return;
    }
    model.zero_grad();
    const auto [loss, probs] = ops::softmax_cross_entropy(model.forward(images), labels);
    backward(loss);
    sgd.step(0.01);
    loss.value().item();  // as training reads it
  };
  const double event = event_ms(o, step);
  // Recorded steps run ahead, until their sums are read.
  const double ms = bench::milliseconds([&] {
                      for (int r = 0; r < o.rounds(); ++r) step();
                      if (mode == LaunchMode::graph) captured.totals();
                    }) /
                    o.rounds();
  fmt::print(
      "vgg11 {:<4} batch {:<4} {:<6} overlap {:<8}  {:9.3f} ms by events, {:9.3f} by the clock, "
      "{:.0f} images/s\n",
      precision.name, batch, to_string(mode), enum_names<Overlap>[static_cast<int>(overlap)], event,
      ms, 1e3 * static_cast<double>(batch) / ms);
  ordered_json row{{"model", "vgg11"},
                   {"dtype", precision.name},
                   {"batch", batch},
                   {"launch", to_string(mode)},
                   {"overlap", enum_names<Overlap>[static_cast<int>(overlap)]},
                   {"event_ms", event},
                   {"ms", ms}};
  const auto profile = bench::step_profile(o.device, o.tiny);
  // No profile has a figure of TF32.
  if (profile && mode == LaunchMode::graph && !precision.tf32 && overlap == Overlap::streams) {
    row["model_of_step"] = bench::compare_step(model, batch, event, *profile, o.tiny ? 1 : 5);
  }
  return row;
}

ordered_json train_part(const Options& o) {
  ordered_json rows = ordered_json::array();
  const std::vector<std::int64_t> batches =
      o.tiny ? std::vector<std::int64_t>{2} : std::vector<std::int64_t>{128, 512};
  if (!bench::step_profile(o.device, o.tiny)) {
    fmt::print("no prediction: no profile of '{}' (scaling/latency/profiles)\n",
               runtime_of(o.device).name(o.device));
  }
  for (const Precision& precision : precisions(o)) {
    if (precision.tf32) allow_tf32(o.device);
    for (const std::int64_t batch : batches) {
      for (const LaunchMode mode : {LaunchMode::eager, LaunchMode::graph}) {
        rows.push_back(train_row(o, precision, batch, mode, Overlap::streams));
      }
      if (precision.dtype != Dtype::bf16) continue;
      for (const Overlap overlap : {Overlap::none, Overlap::launches, Overlap::both}) {
        try {
          rows.push_back(train_row(o, precision, batch, LaunchMode::graph, overlap));
        } catch (const ConfigError& error) {  // an older GPU
          fmt::print("{}\n", error.what());
        }
      }
    }
  }
  set_overlap(o.device, Overlap::streams);
  return {{"rows", rows}};
}

// ---- infer, energy ----

Model inference_model(const Options& o, const std::string& name, Dtype dtype = Dtype::f32) {
  ArchOptions arch;
  if (o.tiny) arch = {.width = 0.125, .resolution = 32};
  return Model(resolve(name, arch), 1, o.device, dtype);
}

ordered_json infer_row(const Options& o, const std::string& name, const Precision& precision,
                       LaunchMode mode) {
  const Model model = inference_model(o, name, precision.dtype);
  InferenceSession net(model);
  net.capture(mode == LaunchMode::graph);
  const MeasureOptions how{.runs = o.tiny ? 2 : 200, .warmup = o.tiny ? 1 : 20};
  InferenceSession* const nets[] = {&net};
  const double warm = measure_interleaved(nets, how)[0].median;
  const DeviceLatency d = measure_device(net, how);
  fmt::print(
      "{:<9} {:<4} batch 1 {:<6}  warm {:.4f} ms by events, {:.4f} by the clock; cold {:.4f}, "
      "{:.4f}\n",
      name, precision.name, to_string(mode), d.event.median, warm, d.cold_event.median,
      d.cold.median);
  return {{"model", name},
          {"dtype", precision.name},
          {"launch", to_string(mode)},
          {"steps", net.steps().size()},
          {"warm_ms", warm},
          {"warm_event_ms", d.event.median},
          {"cold_ms", d.cold.median},
          {"cold_event_ms", d.cold_event.median}};
}

ordered_json infer_part(const Options& o) {
  ordered_json rows = ordered_json::array();
  for (const Precision& precision : precisions(o)) {
    if (precision.tf32) allow_tf32(o.device);
    for (const char* name : {"resnet18", "vgg11"}) {
      for (const LaunchMode mode : {LaunchMode::eager, LaunchMode::graph}) {
        rows.push_back(infer_row(o, name, precision, mode));
      }
    }
  }
  return {{"rows", rows}};
}

// A meter that always says one watt, so that the part runs where there is none.
PowerMeter one_watt() {
  const auto start = std::chrono::steady_clock::now();
  return {.name = "one watt",
          .covers = "nothing: for tests",
          .update = "continuous",
          .joules = [start] {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
          }};
}

ordered_json energy_part(const Options& o) {
  PowerMeter meter = one_watt();
  try {
    meter = open_meter(o.device);
  } catch (const DeviceError& error) {
    if (!o.tiny) throw Skipped{error.what()};
  }
  EnergyOptions protocol{.repetitions = 3, .idle_seconds = 3};
  if (o.tiny) {
    protocol = {.warmup_seconds = 0,
                .seconds = 0.05,
                .repetitions = 2,
                .phase_seconds = 0,
                .idle_seconds = 0.05};
  }
  ordered_json rows = ordered_json::array();
  for (const char* name : {"resnet18", "vgg11"}) {
    const Model model = inference_model(o, name);
    InferenceSession net(model);
    net.capture();
    const EnergyResult e = measure_energy(meter, net, protocol);
    fmt::print("{:<9} batch 1 graph  {:.3f} mJ ({:.3f} to {:.3f}), {:.3f} above idle; {:.1f} W\n",
               name, 1e3 * e.raw.mean, 1e3 * e.raw.low, 1e3 * e.raw.high, 1e3 * e.net.mean,
               e.watts);
    rows.push_back({{"model", name},
                    {"meter", e.meter},
                    {"covers", e.covers},
                    {"joules", e.raw.mean},
                    {"net_joules", e.net.mean},
                    {"watts", e.watts},
                    {"idle_watts", e.idle_watts_before},
                    {"ms", e.ms_per_inference},
                    {"inferences", e.inferences}});
  }
  return {{"rows", rows}};
}

ordered_json feed(const Options& o) { return bench::feed_part(o.device, o.tiny); }
ordered_json ranks(const Options& o) {
  const ordered_json figures = bench::ranks_part(o.device, o.tiny);
  if (figures.is_null()) throw Skipped{"libhacscale_nccl.so was not built, or cannot be opened"};
  return figures;
}

Options parse(int argc, char** argv) {
  Options o;
  const std::vector<std::string> words(argv + 1, argv + argc);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = [&]() -> std::string {
      if (++i < words.size()) return words[i];
      throw ConfigError(fmt::format("option '{}': expected a value, got none", words.back()));
    };
    if (words[i] == "--part") {
      o.part = value();
    } else if (words[i] == "--json") {
      o.json = value();
    } else if (words[i] == "--device") {
      o.device = parse_device(value());
    } else if (words[i] == "--autotune") {
      o.autotune = true;
    } else if (words[i] == "--tiny") {
      o.tiny = true;
    } else {
      throw ConfigError(fmt::format("option '{}': unknown", words[i]));
    }
  }
  return o;
}

void run(const Options& o) {
  using Part = ordered_json (*)(const Options&);
  const std::pair<const char*, Part> parts[] = {{"train", train_part},
                                                {"infer", infer_part},
                                                {"energy", energy_part},
                                                {"feed", feed},
                                                {"ranks", ranks}};
  const auto* const part = std::find_if(std::begin(parts), std::end(parts),
                                        [&](const auto& p) { return o.part == p.first; });
  if (part == std::end(parts)) {
    throw ConfigError(fmt::format(
        "option '--part': expected train, infer, energy, feed or ranks, got '{}'", o.part));
  }
  Context::current(o.device);
  if (o.autotune) autotune(o.device, "");
  ordered_json figures = part->second(o);
  figures["device"] = to_string(o.device);
  if (!o.json.empty()) write_file_atomically(o.json, figures.dump(1) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const Skipped& s) {
    fmt::print(stderr, "bench_gpu: {}\n", s.reason);
    return 77;
  } catch (const Error& e) {
    fmt::print(stderr, "bench_gpu: {}\n", e.what());
    return e.exit_code();
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_gpu: {}\n", e.what());
    return 2;
  }
}
