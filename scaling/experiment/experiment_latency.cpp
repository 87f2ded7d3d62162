#include "scaling/experiment/experiment_latency.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/device/plan_options.h"
#include "kernels/core/error.h"
#include "kernels/cpu/options.h"
#include "models/arch/counters.h"
#include "scaling/experiment/alpha.h"
#include "scaling/latency/networks_to_time.h"
#include "scaling/measure/network_times.h"
#include "scaling/measure/peak.h"
#include "scaling/measure/sweep.h"
#include "scaling/measure/utilization.h"

namespace hac {

namespace {

using nlohmann::json;

// Of how and what is measured: to be raised with it, so that a run that is resumed does not mix
// figures that were taken in two ways, and finds every field that it reads.
constexpr int measurement_version = 4;

json here(const MeasuredOn& on) {
  json j{{"measurement", measurement_version}, {"cpu", on.machine.cpu},
         {"threads", on.machine.threads},      {"isa", on.machine.isa},
         {"onednn", on.machine.onednn},        {"convolutions", cpu::own_convolutions}};
  const std::string plans = describe_plan_options(on.where.device);
  if (on.where == TensorOptions{} && plans.empty()) return j;
  j["device"] = runtime_of(on.where.device).name(on.where.device);
  j["dtype"] = name_of(on.where.dtype);
  j["plans"] = plans;
  return j;
}

json inputs_of(const MeasuredOn& on, const Recipe& recipe, const std::vector<Architecture>& archs) {
  json inputs{{"machine", here(on)},
              {"runs", recipe.latency.runs},
              {"warmup", recipe.latency.warmup},
              {"archs", json::array()}};
  for (const Architecture& a : archs) inputs["archs"].push_back(json_of(a));
  return inputs;
}

MeasureOptions measuring(const Recipe& recipe) {
  return {.runs = recipe.latency.runs, .warmup = recipe.latency.warmup};
}

// At every resolution that the alpha search may choose, and on a ladder of larger inputs, because
// resolution alone is taken to the same budget.
std::vector<Architecture> networks_to_time(const Recipe& recipe, const Architecture& baseline) {
  return networks_to_time(baseline,
                          {.networks = recipe.latency.networks,
                           .low = recipe.latency.low,
                           .high = recipe.latency.high,
                           .resolutions = alpha_resolutions(
                               baseline, recipe.alpha.growth,
                               {.grid = recipe.alpha.grid, .rounding = rounding_of(recipe)}),
                           .resolution_multiple = recipe.alpha.resolution_multiple});
}

}  // namespace

Rounding rounding_of(const Recipe& recipe) {
  return {.width_multiple = recipe.alpha.width_multiple,
          .resolution_multiple = recipe.alpha.resolution_multiple};
}

MeasuredPeak peak_of(StageCache& stages, const MeasuredOn& on, double reached_gmacs) {
  const auto measure = [&] {
    const Peak peak = measure_peak(on.where.device, on.where.dtype);
    const std::optional<Ceiling> bandwidth = bandwidth_if_free();
    return MeasuredPeak{peak.gmacs_per_s, peak.of,
                        bandwidth ? std::optional(bandwidth->rate) : std::nullopt,
                        peak.steady && (!bandwidth || bandwidth->steady)};
  };
  return stages.run("peak", here(on), measure, [&](const MeasuredPeak& p) {
    const bool above = !p.gmacs_per_s || *p.gmacs_per_s >= reached_gmacs;
    return above && (p.steady || on.allow_unsteady);
  });
}

std::vector<NetworkTiming> time_sampled_networks(StageCache& stages, const MeasuredOn& on,
                                                 const Recipe& recipe,
                                                 const Architecture& baseline) {
  const std::vector<Architecture> nets = networks_to_time(recipe, baseline);
  const auto good = [&](const std::vector<NetworkTiming>& timings) {
    return timings.size() == nets.size() &&
           (on.allow_unsteady ||
            std::all_of(timings.begin(), timings.end(),
                        [](const NetworkTiming& t) { return t.unsteady.empty(); }));
  };
  const auto compute = [&] {
    std::vector<NetworkTiming> timings;
    const NetworksTiming how{
        .measure = measuring(recipe), .allow_unsteady = on.allow_unsteady, .patience = 120};
    for (TimedNetwork& net : time_networks(nets, on.where, how)) {
      timings.push_back(std::move(net.timing));
    }
    return timings;
  };
  auto timings = stages.run("latency", inputs_of(on, recipe, nets), compute, good);
  for (std::size_t i = 0; i < nets.size(); ++i) {
    timings[i].graph = fuse(lower(nets[i], 1, on.where.dtype));
  }
  return timings;
}

std::vector<MeasuredLatency> measure_networks(StageCache& stages, const MeasuredOn& on,
                                              const Recipe& recipe, const std::string& stage,
                                              const std::vector<Architecture>& archs) {
  const auto compute = [&] {
    std::vector<std::unique_ptr<InferenceSession>> nets;
    std::vector<InferenceSession*> pointers;
    for (const Architecture& a : archs) {
      nets.push_back(deploy_random(a, on.where));
      pointers.push_back(nets.back().get());
    }
    const std::vector<LatencyStats> stats = measure_interleaved(pointers, measuring(recipe));
    std::vector<MeasuredLatency> latencies;
    for (std::size_t i = 0; i < stats.size(); ++i) {
      latencies.push_back({stats[i], static_cast<double>(multiplications(*nets[i]))});
    }
    return latencies;
  };
  return stages.run(stage, inputs_of(on, recipe, archs), compute,
                    [&](const auto& latencies) { return latencies.size() == archs.size(); });
}

std::vector<NetworkProfile> profile_networks(StageCache& stages, const MeasuredOn& on,
                                             const Recipe& recipe,
                                             const std::vector<ScaledNetwork>& networks) {
  std::vector<Architecture> archs;
  for (const ScaledNetwork& n : networks) archs.push_back(n.arch);
  const auto compute = [&] {
    std::vector<NetworkProfile> profiles;
    for (const ScaledNetwork& n : networks) {
      const auto net = deploy_random(n.arch, on.where);
      NetworkProfile& p = profiles.emplace_back(NetworkProfile{.network = n.method, .layers = {}});
      for (const OpTime& op : profile(*net, measuring(recipe)).ops) {
        const Cost cost = net->graph().ops[op.op].spec.cost();
        p.layers.push_back({.name = op.name,
                            .kind = op.kind,
                            .macs = static_cast<double>(cost.macs),
                            .bytes = static_cast<double>(cost.weight_bytes + cost.activation_bytes),
                            .ms = op.ms});
      }
    }
    return profiles;
  };
  return stages.run("profile", inputs_of(on, recipe, archs), compute,
                    [&](const auto& profiles) { return profiles.size() == networks.size(); });
}

std::optional<int> layer_to_sweep(const Architecture& baseline, const std::vector<LayerLaw>& laws) {
  const std::vector<std::int64_t> own = widths(baseline);
  std::optional<int> most;
  double highest = -1;
  for (int i = 0; i < std::ssize(laws); ++i) {
    const double importance = laws[i].law(static_cast<double>(own[i]));
    if (!(importance > highest) || !can_widen_alone(baseline, i)) continue;
    most = i;
    highest = importance;
  }
  if (most) return most;
  const std::vector<int> layers = main_layers(baseline, 1);
  return layers.empty() ? std::nullopt : std::optional(layers[0]);
}

SweptLayer sweep_layer(StageCache& stages, const MeasuredOn& on, const Architecture& baseline,
                       int layer, const LatencyModel* model) {
  const std::int64_t own = widths(baseline)[layer];
  std::vector<std::int64_t> at = staircase_widths(own);
  if (at[0] != own) at.insert(at.begin(), own);
  std::vector<WidthTime> times;
  if (model) {
    times = model_layer_widths(baseline, layer, at, *model);
  } else {
    const json inputs{
        {"machine", here(on)}, {"arch", json_of(baseline)}, {"layer", layer}, {"widths", at}};
    const auto measure = [&] {
      return time_layer_widths(baseline, layer, at, on.where, {.seconds = 2});
    };
    times = stages.run("staircase", inputs, measure,
                       [&](const auto& kept) { return kept.size() == at.size(); });
  }
  return {own, find_staircase(width_names(baseline)[layer], std::move(times))};
}

std::vector<MeasuredLatency> modelled_latencies(const LatencyModel& model,
                                                const std::vector<Architecture>& archs) {
  std::vector<MeasuredLatency> latencies;
  for (const Architecture& arch : archs) {
    const double ms = model.predict(arch);
    latencies.push_back({.ms = {.mean = ms, .median = ms, .p95 = unknown, .min = unknown},
                         .multiplications = static_cast<double>(count(arch).macs),
                         .modelled = true});
  }
  return latencies;
}

MeasuredEnergy measure_energies(StageCache& stages, const MeasuredOn& on, const Recipe& recipe,
                                const std::vector<Architecture>& archs) {
  try {
    const PowerMeter meter = open_meter(on.where.device, on.meters);
    json inputs = inputs_of(on, recipe, archs);
    inputs["meter"] = {meter.name, meter.covers};
    const auto compute = [&] {
      std::vector<EnergyResult> energies;
      for (const Architecture& arch : archs) {
        energies.push_back(measure_energy(meter, *deploy_random(arch, on.where), on.energy));
      }
      return energies;
    };
    return {.of = stages.run("energy", inputs, compute,
                             [&](const auto& e) { return e.size() == archs.size(); })};
  } catch (const DeviceError& error) {
    return {.reason = error.what()};
  }
}

}  // namespace hac
