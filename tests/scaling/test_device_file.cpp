// The file of a device: a model with the networks, their error bars and the staircase that it was
// made from, which these are, and the times that a user takes elsewhere.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "engine/io/file.h"
#include "models/zoo/zoo.h"
#include "scaling/latency/networks_to_time.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

using DeviceFile = InFolder;
using NetworkList = InFolder;

const LatencySource here{
    .device = "a device", .dtype = "f32", .threads = 2, .isa = "avx2", .library = "none"};

std::vector<TimedNetwork> timed(Machine machine, const std::vector<Architecture>& nets,
                                double noise = 0) {
  std::vector<TimedNetwork> networks;
  for (const Architecture& arch : nets) {
    networks.push_back({arch, time_on(machine, arch, 1, noise, networks.size())});
    NetworkTiming& t = networks.back().timing;
    t.low_ms = 0.9 * t.total_ms, t.high_ms = 1.1 * t.total_ms;
  }
  return networks;
}

Staircase staircase_of(std::int64_t step) {
  std::vector<WidthTime> points;
  for (const std::int64_t w : staircase_widths(16)) {
    points.push_back({w, 1e-3 * static_cast<double>(round_up(w, step)), 0, 0});
  }
  return find_staircase({find_staircase("conv", points)});
}

TEST_F(DeviceFile, HoldsWhatTheModelWasMadeFrom) {
  const std::vector<TimedNetwork> networks =
      timed(staircase_machine, networks_to_time(slim_vgg(), {.networks = 8}), 0.02);
  const LatencyModelPtr model =
      fit_latency(LatencyModelKind::table, networks, here, staircase_of(16));
  save_latency_model(*model, folder.file("device.json"));
  const LatencyModelPtr saved = load_latency_model(folder.file("device.json"));
  EXPECT_EQ(to_json(*saved), to_json(*model));
  EXPECT_EQ(saved->staircase, model->staircase);
  ASSERT_EQ(saved->networks.size(), networks.size());
  for (std::size_t i = 0; i < networks.size(); ++i) {
    EXPECT_EQ(saved->networks[i].arch, networks[i].arch);
    EXPECT_EQ(saved->networks[i].timing.op_ms, networks[i].timing.op_ms);
    EXPECT_EQ(saved->networks[i].timing.low_ms, networks[i].timing.low_ms);
    EXPECT_EQ(saved->predict(networks[i].arch), model->predict(networks[i].arch));
  }
  // Fitted again from the file alone: the same, and a model of the other kind.
  const LatencyModelPtr again =
      fit_latency(LatencyModelKind::table, saved->networks, *saved->source, saved->staircase);
  EXPECT_EQ(to_json(*again), to_json(*model));
  EXPECT_EQ(fit_latency(LatencyModelKind::regression, saved->networks, here, {})->name(),
            "regression");
}

TEST_F(DeviceFile, TakesTheBlockThatWasFoundWhereItIsClear) {
  const std::vector<TimedNetwork> networks =
      timed(staircase_machine, networks_to_time(slim_vgg(), {.networks = 8}));
  const auto block = [&](std::optional<Staircase> found) {
    const std::string text =
        to_json(*fit_latency(LatencyModelKind::table, networks, here, std::move(found)));
    return std::stoi(text.substr(text.find("\"block\": ") + 9));
  };
  EXPECT_EQ(block(staircase_of(16)), 16);
  EXPECT_EQ(block(std::nullopt), 8);  // avx2
  Staircase unclear = staircase_of(16);
  unclear.block = 0;
  EXPECT_EQ(block(unclear), 8);
}

// Written once and to be read for ever: a device's times are not taken again for a new program.
TEST(DeviceFiles, AFileOfVersion2IsRead) {
  const LatencyModelPtr model = latency_model_from_json(R"({
    "model": "regression", "version": 2, "scale": 2,
    "features": ["1", "macs", "weight_bytes", "activation_bytes"],
    "kinds": {"flatten:f32": [0, 0, 0, 0], "linear:f32": [1, 0.5, 0, 0]},
    "measured_on": {"device": "a phone", "dtype": "f32", "threads": 4, "isa": "", "library": "x"},
    "error": {"networks": 5, "median": 0.01, "worst": 0.02, "r2": 0.99},
    "staircase": {"block": 8, "likeliest": 8, "runner_up": 16, "evidence": 12.5, "layers": [
      {"layer": "conv", "step": 8, "runner_up": 16, "evidence": 12.5, "clear": true,
       "points": [{"width": 8, "ms": 0.5, "low_ms": 0.25, "high_ms": 0.75}]}]},
    "networks": [{"total_ms": 14, "low_ms": 13, "high_ms": 16, "op_ms": {"1": 14}, "unsteady": "",
      "architecture": {"name": "one_layer", "channels": 1, "resolution": 2, "classes": 3,
        "stage_ends": [], "layers": [{"type": "flatten"},
          {"type": "linear", "name": "fc", "out": 0, "bias": true}]}}]})");
  EXPECT_EQ(model->source->device, "a phone");
  EXPECT_EQ(model->error->worst, 0.02);
  EXPECT_EQ(model->staircase->block, 8);
  EXPECT_EQ(model->staircase->layers[0].points[0].high_ms, 0.75);
  ASSERT_EQ(model->networks.size(), 1u);
  EXPECT_EQ(model->networks[0].timing.op_ms, (std::map<int, double>{{1, 14}}));
  // 4 inputs, 3 outputs: 2 (1 + 0.5 * 12).
  EXPECT_EQ(model->predict(model->networks[0].arch), 14);
}

TEST_F(DeviceFile, RefusesDamagedNetworks) {
  const std::vector<TimedNetwork> networks =
      timed(linear_machine, networks_to_time(slim_vgg(), {.networks = 5, .ladder = false}));
  const std::string text =
      to_json(*fit_latency(LatencyModelKind::regression, networks, here, staircase_of(8)));
  ASSERT_NO_THROW(latency_model_from_json(text));
  const auto refused = [&](const std::string& from, const std::string& to, const char* says) {
    EXPECT_ERROR(latency_model_from_json(replaced(text, from, to)), ConfigError, says);
  };
  refused("\"networks\": [", "\"networks\": [{}, ", "network 0");
  refused("\"architecture\": {", "\"architectur\": {", "architectur");
  refused("\"classes\": 10", "\"classes\": -1", "classes");
  refused("\"total_ms\": ", "\"total_ms\": -", "network 0");
  refused("\"op_ms\": {", "\"op_ms\": {\"999\": 1, ", "999");
  refused("\"block\": 8", "\"block\": 65", "block");
  const std::string line =
      to_json(*fit_latency(LatencyModelKind::regression, sampled(linear_machine, 5, 1), here));
  EXPECT_ERROR(latency_model_from_json("{\"networks\": 3, " + line.substr(1)), ConfigError,
               "networks", "a list", "3");
}

// What a user does: a list, times of whole networks from a machine whose truth is known, a model.
TEST_F(NetworkList, FilledInItGivesAModelThatPredictsOthers) {
  const std::vector<Architecture> nets =
      networks_to_time(slim_vgg(), {.networks = 24, .resolutions = {48}, .depths = {1.5}});
  write_network_list(folder.path(), nets);
  EXPECT_EQ(folder.files(), nets.size() + 2);
  std::string table = read_file(folder.file("times.csv"));
  EXPECT_CONTAINS(table, "batch 1");
  for (std::size_t i = 0; i < nets.size(); ++i) {
    const double ms = time_on(linear_machine, nets[i]).total_ms * (i % 2 ? 1.01 : 0.99);
    const std::string file = (i < 10 ? "net-00" : "net-0") + std::to_string(i) + ".json,";
    const std::string given = i == 1 ? "" : std::to_string(ms);  // one is not timed
    table = replaced(table, file + ",,\n", file + given + ",,\n");
  }
  folder.write("times.csv", table);
  const TimesTable times = read_times(folder.file("times.csv"), slim_vgg(), Dtype::f32);
  EXPECT_EQ(times.networks.size(), nets.size() - 1);
  EXPECT_EQ(times.without_time, std::vector<std::string>{"net-001.json"});
  const LatencyModelPtr model =
      fit_latency(LatencyModelKind::regression, times.networks, here, std::nullopt);
  EXPECT_LT(model->error->median, 0.02);
  EXPECT_GT(model->error->r2, 0.99);
  const LatencyError held = prediction_error(*model, sampled(linear_machine, 20, 77));
  EXPECT_LT(held.median, 0.02);
  EXPECT_LT(held.worst, 0.08);
  EXPECT_EQ(latency_model_from_json(to_json(*model))->predict(nets[1]), model->predict(nets[1]));
  // On a machine whose layers cost by blocks of channels, which four figures a kind only follow.
  std::vector<TimedNetwork> stairs = timed(staircase_machine, nets, 0.02);
  for (TimedNetwork& network : stairs) network.timing.op_ms.clear();
  const LatencyModelPtr rough = fit_latency(LatencyModelKind::regression, stairs, here, {});
  EXPECT_LT(prediction_error(*rough, sampled(staircase_machine, 20, 77)).median, 0.15);
  // A table of layers cannot be made of them.
  EXPECT_ERROR(fit_latency(LatencyModelKind::table, times.networks, here, std::nullopt),
               ConfigError, "times of its operations", "regression");
}

TEST_F(NetworkList, SaysWhichLineIsWrong) {
  const Architecture vgg = slim_vgg();
  write_network_list(folder.path(), networks_to_time(vgg, {.networks = 5, .ladder = false}));
  EXPECT_ERROR(write_network_list(folder.path(), {vgg}), ConfigError, folder.path(),
               "empty folder");
  const std::string path = folder.file("times.csv");
  const auto wrong = [&](const std::string& rows, std::initializer_list<std::string> says,
                         const std::string& columns = "network,ms,ms_low,ms_high") {
    folder.write("times.csv", columns + "\n" + rows);
    const std::string message = error_of<ConfigError>([&] { read_times(path, vgg, Dtype::f32); });
    EXPECT_CONTAINS(message, path);
    EXPECT_TRUE(holds_parts(message, true, says)) << rows;
  };
  const std::string good = "net-000.json,1,,\nnet-001.json,1,,\nnet-002.json,1,,\n";
  wrong("", {"column 'ms'", "network"}, "network");
  wrong("", {"'time'", "network, ms, ms_low, ms_high"}, "network,time");
  wrong(good + "net-009.json,1,,\n", {"line 5", "net-009.json", "a file of"});
  wrong(good + "../net-003.json,1,,\n", {"line 5", "a file of"});
  wrong(good + ",1,,\n", {"line 5", "a file of"});
  wrong(good + "net-001.json,2,,\n", {"line 5", "once", "net-001.json"});
  wrong(good + "times.csv,1,,\n", {"line 5"});
  for (const char* ms : {"0", "-1", "nan", "inf", "1.5x", "1e999", "fast"}) {
    wrong(good + "net-003.json," + ms + ",,\n", {"line 5", "'ms'", "number > 0"});
  }
  wrong(good + "net-003.json,1,0,\n", {"line 5", "'ms_low'"});
  wrong(good + "net-003.json,1,1.5,2\n", {"line 5", "ms_low <= ms <= ms_high"});
  wrong(good + "net-003.json,1,,0.5\n", {"line 5", "ms_low <= ms <= ms_high"});
  wrong(good, {"5 or more", "got 3"});
  save_architecture(zoo("resnet20"), folder.file("other.json"));
  wrong(good + "other.json,1,,\n", {"line 5", "scaled from 'vgg11'", "resnet20", "--list"});
  save_architecture(with_classes(vgg, 7), folder.file("classes.json"));
  wrong(good + "classes.json,1,,\n", {"line 5", "10 classes"});
}

TEST(NetworkLists, WhatScalingMakesBelongsToItsBaseline) {
  for (const char* name : {"vgg11", "resnet20", "preact_resnet18"}) {
    const Architecture base = zoo(name);
    EXPECT_TRUE(is_scaled_from(base, base)) << name;
    EXPECT_TRUE(is_scaled_from(scale_width(base, 0.5), base)) << name;
    EXPECT_TRUE(is_scaled_from(scale_depth(scale_width(base, 1.5), 1.5), base)) << name;
    EXPECT_TRUE(is_scaled_from(base, scale_depth(base, 2))) << name;
    EXPECT_TRUE(is_scaled_from(scale_resolution(base, 1.5), base)) << name;
    EXPECT_FALSE(is_scaled_from(with_channels(base, 1), base)) << name;
  }
  EXPECT_FALSE(is_scaled_from(zoo("resnet18"), zoo("preact_resnet18")));
}

std::set<std::int64_t> resolutions_of(const std::vector<Architecture>& nets) {
  std::set<std::int64_t> sizes;
  for (const Architecture& a : nets) sizes.insert(a.resolution);
  return sizes;
}

TEST(NetworksToTime, RandomWidthsAtEveryResolutionAndALadder) {
  const Architecture vgg = slim_vgg();
  const NetworksToTime options{.networks = 12, .resolutions = {40, 48}, .depths = {1.5}};
  const std::vector<Architecture> nets = networks_to_time(vgg, options);
  EXPECT_EQ(nets[0], vgg);
  // Five random ones at each of three sizes, which are more than 12 / 3; the bases of these; five
  // steps of the ladder besides 48 pixels, which is a base already; one deeper.
  EXPECT_EQ(nets.size(), 3u * 5 + 3 + 5 + 1);
  EXPECT_EQ(resolutions_of(nets), (std::set<std::int64_t>{32, 40, 48, 64, 96, 128, 192, 256}));
  EXPECT_EQ(blocks(nets.back()).size(), blocks(vgg).size());
  EXPECT_EQ(widths(nets.back()).size(), 12u);  // 8 convolutions times 1.5
  for (std::size_t i = 0; i < nets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(nets[i] == nets[j]) << i << " " << j;
  }
  EXPECT_EQ(networks_to_time(vgg, options), nets);
}

TEST(NetworksToTime, CoversTheRangeOfEveryWidth) {
  const Architecture vgg = slim_vgg();
  const auto nets = networks_to_time(vgg, {.networks = 20, .ladder = false});
  EXPECT_EQ(nets.size(), 21u);
  const std::vector<std::int64_t> base = widths(vgg);
  for (std::size_t l = 0; l < base.size(); ++l) {
    std::int64_t low = base[l], high = base[l];
    for (const Architecture& a : nets) {
      low = std::min(low, widths(a)[l]);
      high = std::max(high, widths(a)[l]);
    }
    EXPECT_LT(low, 0.65 * base[l]) << l;  // a stratum of 20 is a tenth wide
    EXPECT_GT(high, 2.5 * base[l]) << l;
    EXPECT_LE(high, 3 * base[l] + 4) << l;
  }
}

TEST(NetworksToTime, LargeImagesAreNotEnlargedSixfold) {
  const auto nets = networks_to_time(zoo("resnet18"), {.networks = 5});
  EXPECT_EQ(*resolutions_of(nets).rbegin(), 4 * 224);
}

TEST(NetworksToTime, RefusesWhatIsNoNetwork) {
  const Architecture vgg = slim_vgg();
  EXPECT_ERROR(networks_to_time(vgg, {.resolutions = {16}}), ConfigError, "vgg11", "16");
  EXPECT_ERROR(networks_to_time(vgg, {.low = 3, .high = 2}), ConfigError, "low < high");
  EXPECT_ERROR(networks_to_time(vgg, {.depths = {-1}}), ConfigError, "depths", "-1");
}

}  // namespace
}  // namespace hac
