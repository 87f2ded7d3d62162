#pragma once
// Options that several verbs share, so that they have the same names everywhere.

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/sets/datasets.h"
#include "engine/device/overlap.h"
#include "engine/device/plan_options.h"
#include "kernels/core/types.h"
#include "models/model.h"
#include "models/train/train_config.h"
#include "models/zoo/arch_options.h"

namespace CLI {
class App;
}  // namespace CLI

namespace hac {

struct Interval;

// Every field that has a help text as an option of its name: label_smoothing as --label-smoothing.
// ConfigError for a value that the field does not allow.
void add_options(CLI::App& app, const Fields& fields, const std::string& group = "");

// MODEL [--width --widths --blocks --depth --resolution --classes --in-channels].
struct ModelOptions {
  std::string model = "vgg11";  // zoo name or JSON file
  ArchOptions arch;
};
void add_model_options(CLI::App& app, ModelOptions& options,
                       const std::string& name = "model,--model");
void add_model_options(CLI::App& app, std::string& model, const Fields& arch,
                       const std::string& name = "model,--model");
Architecture resolve(const ModelOptions& options);
// Where the network is that of a file: throws ConfigError if anything was to be changed, but for
// one key that is allowed.
void refuse_arch_options(const ArchOptions& options, const std::string& file,
                         const std::string& allowed = "");
// A zoo network takes classes, channels and resolution from the data unless they are given; a JSON
// file says itself what it is.
Architecture resolve_for(const ModelOptions& options, const Dataset& data);

// --data --data-dir --data-resolution --limit-train --limit-test.
void add_data_options(CLI::App& app, DataConfig& data);

// --epochs --batch --lr ... --out --resume --quiet. Read by finish() into `config`.
struct TrainOptions {
  TrainConfig config;
  std::string init;                      // weights to start from
  std::vector<std::string> init_except;  // patterns of names that stay random
};
void add_train_options(CLI::App& app, TrainOptions& options);
// --init, if it is given; says on stderr what was not loaded as it is.
void initialize(const TrainOptions& options, Model& model);
// Checks what belongs together. Throws ConfigError: --resume without --out, an --out that holds a
// training which would be lost; IoError: an --out in which another process works.
TrainConfig finish(const TrainOptions& options, const ModelOptions& model);
// What an interrupted training is resumed with; "nothing was saved ..." without --out.
std::string resume_hint(const TrainConfig& config, const std::string& command);

// --latency --params --memory: what a network may cost, as texts of methods/budget.h.
Fields limit_fields(std::string& latency, std::string& params, std::string& memory);

// The bytes of 2GiB, 500MiB, 64KiB or a plain number; 0 of "". Throws ConfigError.
std::size_t parse_size(const std::string& text);

// --threads --device --dtype --memory-limit --conv --weights --overlap --tf32 --autotune
struct MachineOptions {
  int threads = 0;  // 0 = all cores
  std::string device = "cpu";
  std::string dtype = "f32", weights = "f32";
  std::string memory_limit;                // "2GiB"; "" = none
  Convolutions conv = Convolutions::fast;  // engine/device/plan_options.h
  Overlap overlap = Overlap::streams;      // engine/device/overlap.h
  bool tf32 = false, autotune = false;

  Fields fields() {
    return Fields()
        .add("threads", threads, {0, 1024},
             "0 = OMP_NUM_THREADS, else what affinity and the control group's CPU quota allow")
        .add("device", device, "cpu, cuda:0, or simt: a GPU's kernels executed on the host")
        .add("dtype", dtype,
             "of activations: f32; bf16 on a CPU with AVX512_BF16 or AMX; on a GPU and simt bf16 "
             "and f16")
        .add("memory_limit", memory_limit,
             "of tensors: 2GiB, 500MiB; a plain number is bytes; at most the control group's "
             "limit, which is the default",
             {.type = "SIZE", .valid = [](const std::string& text) { parse_size(text); }})
        .add("conv", conv, "exact: no Winograd, whose error is larger (1e-6 of the output)")
        .add("weights", weights,
             "of inference on the CPU: bf16 keeps in it those that stream from memory, in f32 "
             "arithmetic")
        .add("overlap", overlap,
             "on a GPU: streams: in a recorded training step gradients of weights beside those of "
             "inputs; launches: kernels start before the one before has ended (compute capability "
             "9.0)")
        .add("tf32", tf32, "on a GPU: f32 products on tensor cores, relative error 1e-3")
        .add(
            "autotune", autotune,
            "time cuDNN's plans (on the CPU: the algorithms of convolutions) when first needed and "
            "remember the fastest in "
            "$HAC_PLAN_CACHE (default: hacscale/plans.txt in the user's cache folder)");
  }
};
// These, and --json of what runs there.
void add_machine_options(CLI::App& app, MachineOptions& options, bool& json);
// Sets the threads, the memory limit and the plans' options, and makes sure that the device is
// there. Throws ConfigError, DeviceError; IoError where the plan cache is damaged.
TensorOptions start(const MachineOptions& options);
// For verbs that train. Throws ConfigError where --weights says otherwise.
void require_f32_weights(const MachineOptions& options);

// A network there, with random weights of this seed or those of a checkpoint, about which it says
// on stderr what is not plain.
Model make_model(const Architecture& arch, std::uint64_t seed, const TensorOptions& where,
                 const std::string& checkpoint = "");

// --launch eager|graph; none = the device's default.
void add_launch_option(CLI::App& app, std::optional<LaunchMode>& launch);

void add_json_option(CLI::App& app, bool& json);
// On stdout, what is no UTF-8 replaced.
void print_json(const nlohmann::ordered_json& json);

// "note: 'FILE': ..." on stderr, a line each.
void print_notes(const std::string& file, const std::vector<std::string>& notes);
// Aligned "name  value" lines.
using Rows = std::vector<std::pair<std::string, std::string>>;
void print_rows(std::FILE* out, const Rows& rows);
// 9231114 -> "9,231,114".
std::string grouped(std::int64_t value);
// {0.9123, 0.9066, 0.9177} -> "91.23 % [90.66, 91.77]".
std::string percent(const Interval& accuracy);

}  // namespace hac
