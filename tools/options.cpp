#include "tools/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <string_view>

#include "engine/plan_options.h"
#include "engine/print.h"
#include "engine/storage.h"
#include "engine/text.h"
#include "kernels/context.h"
#include "kernels/error.h"
#include "kernels/machine.h"
#include "models/run_folder.h"
#include "models/weights.h"
#include "models/zoo.h"
#include "scaling/alpha.h"

namespace hac {
namespace {

template <class T>
std::vector<T> parse_list(const std::string& name, const std::string& text) {
  std::vector<T> list;
  const char *at = text.data(), *end = at + text.size();
  for (;;) {
    T value{};
    const auto [rest, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (rest != end && *rest != ',')) break;
    list.push_back(value);
    if (rest == end) return list;
    at = rest + 1;
  }
  throw ConfigError(fmt::format("option '{}': expected numbers separated by commas, got '{}'", name,
                                text.substr(0, 60)));
}

template <class T>
CLI::Option* add_numbers(CLI::App& app, const std::string& name, std::vector<T>& list,
                         const std::string& help) {
  return app
      .add_option_function<std::string>(
          name, [&list, name](const std::string& text) { list = parse_list<T>(name, text); }, help)
      ->type_name("A,B,...");
}

}  // namespace

CLI::Option* add_list(CLI::App& app, const std::string& name, std::vector<std::int64_t>& list,
                      const std::string& help) {
  return add_numbers(app, name, list, help);
}
CLI::Option* add_list(CLI::App& app, const std::string& name, std::vector<double>& list,
                      const std::string& help) {
  return add_numbers(app, name, list, help);
}

namespace {

void add_model(CLI::App& app, ModelOptions& o, const char* name) {
  const std::string names = fmt::format("{}", fmt::join(zoo_names(), ", "));
  const char* group = "Architecture";
  app.add_option(name, o.model, "a JSON file, or one of " + names)->group(group);
  app.add_option("--width", o.arch.width, "multiply every width, rounded to multiples of 8")
      ->type_name("X")
      ->group(group);
  add_list(app, "--widths", o.arch.widths, "the width of every convolution")->group(group);
  add_list(app, "--blocks", o.arch.blocks, "units of each stage")->group(group);
  app.add_option("--depth", o.arch.depth, "multiply the number of units")
      ->type_name("X")
      ->group(group);
  const auto count = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->type_name("N")->group(group);
  };
  count("--resolution", o.arch.resolution, "height and width of the input");
  count("--classes", o.arch.classes, "number of outputs");
  count("--in-channels", o.arch.in_channels, "channels of the input");
}

}  // namespace

void add_model_options(CLI::App& app, ModelOptions& o) { add_model(app, o, "model,--model"); }
void add_model_flags(CLI::App& app, ModelOptions& o) { add_model(app, o, "--model"); }

Architecture resolve(const ModelOptions& o) { return resolve(o.model, o.arch); }

Architecture resolve_for(const ModelOptions& o, const Dataset& data) {
  ArchOptions arch = o.arch;
  const std::vector<std::string> names = zoo_names();
  if (std::find(names.begin(), names.end(), o.model) != names.end()) {
    if (!arch.classes) arch.classes = std::ssize(data.classes());
    if (!arch.in_channels) arch.in_channels = data.channels();
    if (!arch.resolution) arch.resolution = data.resolution();
  }
  return resolve(o.model, arch);
}

void add_data_options(CLI::App& app, DataConfig& data) {
  const char* group = "Data";
  app.add_option("--data", data.name, dataset_usage())->type_name("SET")->group(group);
  app.add_option("--data-dir", data.dir, "folder of its files, if not the default one")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--data-resolution", data.resolution,
                 "size of imagefolder (224) and synthetic (32) images")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->group(group);
  const auto limit = [&](const char* name, std::int64_t& value, const char* help) {
    app.add_option(name, value, help)->type_name("N")->check(CLI::NonNegativeNumber)->group(group);
  };
  limit("--limit-train", data.limit_train, "the first N, equally many of each class; 0 = all");
  limit("--limit-test", data.limit_test, "the same of the test set");
  app.add_option("--bad-images", data.bad_images,
                 "of imagefolder: before anything else every JPEG is decoded and every PNG's "
                 "checksums are compared; files that are damaged, cut, or no image are an error, "
                 "or left out")
      ->type_name("error|skip")
      ->check(CLI::IsMember({"error", "skip"}))
      ->group(group);
}

namespace {

void add_optimizer_options(CLI::App& app, TrainConfig& c) {
  const char* group = "Training";
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(group);
  };
  add("--epochs", c.epochs, "passes over the training set", "N");
  add("--batch", c.batch, "images a step", "N");
  add("--lr", c.schedule.lr, "learning rate", "X");
  add("--momentum", c.sgd.momentum, "of stochastic gradient descent", "X");
  add("--weight-decay", c.sgd.weight_decay, "on every parameter", "X");
  app.add_flag("--nesterov", c.sgd.nesterov, "Nesterov's momentum")->group(group);
  add("--schedule", c.schedule.kind, "of the learning rate", "NAME")
      ->check(CLI::IsMember({"constant", "step", "exponential", "cosine"}));
  add_list(app, "--milestones", c.schedule.milestones, "epochs where step decays (100,200,250)")
      ->group(group);
  add("--gamma", c.schedule.gamma, "factor at each milestone of step", "X");
  add("--beta", c.schedule.beta, "exponential ends at beta times lr", "X");
  add("--warmup", c.schedule.warmup, "epochs of linear warm-up", "X");
  add("--warmup-style", c.schedule.warmup_style,
      "prefix = up to --lr, where the decay starts; multiply = times the decayed rate", "NAME")
      ->check(CLI::IsMember({"prefix", "multiply"}));
  add("--label-smoothing", c.label_smoothing, "share of the target spread over all classes", "X");
  add("--mixup", c.mixup, "mix pairs of images, shares ~ Beta(ALPHA, ALPHA); 0 = off", "ALPHA");
  add("--loss-scale", c.loss_scale, "with --dtype f16: where it begins, a power of two; 0 = off",
      "X");
  add("--seed", c.seed, "of weights, order and augmentation", "N");
}

}  // namespace

void add_train_options(CLI::App& app, TrainOptions& o) {
  TrainConfig& c = o.config;
  c.schedule.kind = "cosine";
  add_optimizer_options(app, c);
  const char* group = "Training";
  app.add_option("--augment", o.augment, "standard = random crop and flip")
      ->check(CLI::IsMember({"none", "standard"}))
      ->group(group);
  app.add_option("--shuffle", o.shuffle, "off = images in file order")
      ->check(CLI::IsMember({"on", "off"}))
      ->group(group);
  app.add_option(
         "--validation", c.validation,
         "hold out this part of the training set to select the epoch by: 0.1, or a number of "
         "images; the test set is then used once, at the end; 0 = none")
      ->type_name("X")
      ->group(group);
  app.add_option("--select", c.select,
                 "the epoch that counts: best on the validation images (the default with "
                 "--validation), or last (as papers on CIFAR do)")
      ->type_name("best|last")
      ->check(CLI::IsMember({"best", "last"}))
      ->group(group);
  app.add_option("--max-steps", c.max_steps, "stop after N steps; 0 writes the initial checkpoint")
      ->type_name("N")
      ->default_str("")
      ->group(group);
  app.add_option("--init", o.init, "start from these weights (safetensors, PyTorch names)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--init-except", o.init_except,
                 "not those that match: 'fc.*' for a head with other classes; can be repeated")
      ->type_name("PATTERN")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--save-gradients", c.save_gradients, "write the last step's gradients by name")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--out", c.out, "run directory: checkpoints, log.jsonl; default: write nothing")
      ->type_name("DIR")
      ->group("Run");
  app.add_flag("--resume", c.resume, "go on from OUT/last.safetensors, if it is there")
      ->group("Run");
  app.add_flag("--overwrite", c.overwrite, "start anew in a folder that holds a training")
      ->group("Run");
  add_launch_option(app, o.launch);
  app.add_flag("--quiet", c.quiet, "print the result only")->group("Run");
}

TrainConfig finish(const TrainOptions& o, const ModelOptions& model) {
  TrainConfig c = o.config;
  c.augment = o.augment == "standard";
  c.shuffle = o.shuffle == "on";
  if (!o.launch.empty()) c.launch = parse_launch_mode(o.launch);
  c.data.quiet = c.quiet;
  if (dataset_info(c.data.name).any_classes && model.arch.classes) {
    c.data.classes = *model.arch.classes;
  }
  if (c.max_steps < -1) {
    throw ConfigError(fmt::format("option '--max-steps': expected >= 0, got {}", c.max_steps));
  }
  if (!o.init_except.empty() && o.init.empty()) {
    throw ConfigError("option '--init-except': expected --init FILE with it, got none");
  }
  if (c.resume && c.out.empty()) {
    throw ConfigError("option '--resume': expected --out DIR with it, got none");
  }
  validate(c);
  require_usable(c);
  return c;
}

void initialize(const TrainOptions& o, Model& model) {
  if (o.init.empty()) return;
  print_notes(o.init, init_weights(o.init, model, o.init_except).notes());
}

namespace {

// 2GiB, 500MiB, 64KiB or a plain number of bytes.
std::size_t parse_size(const std::string& text) {
  constexpr std::pair<std::string_view, double> units[] = {
      {"", 1}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const char* end = text.data() + text.size();
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const auto& [unit, bytes] : units) {
    const double size = number * bytes;
    if (error == std::errc{} && suffix == unit && size >= 1 && size < 0x1p63) {
      return static_cast<std::size_t>(size);
    }
  }
  throw ConfigError(
      fmt::format("option '--memory-limit': expected 2GiB, 500MiB or a number of bytes, got '{}'",
                  text.substr(0, 40)));
}

}  // namespace

void add_machine_options(CLI::App& app, MachineOptions& o) {
  app.add_option("--threads", o.threads,
                 "0 = OMP_NUM_THREADS, else what affinity and the control group's CPU quota allow")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->group("Machine");
  app.add_option("--device", o.device, "cpu, cuda:0, or simt: a GPU's kernels executed on the host")
      ->group("Machine");
  app.add_option("--dtype", o.dtype, "of activations: f32; on a GPU and simt also bf16 and f16")
      ->group("Machine");
  app.add_option_function<std::string>(
         "--memory-limit", [&o](const std::string& text) { o.memory_limit = parse_size(text); },
         "of tensors: 2GiB, 500MiB; a plain number is bytes; at most the control group's limit, "
         "which is the default")
      ->type_name("SIZE")
      ->group("Machine");
  app.add_flag("--tf32", o.tf32, "on a GPU: f32 products on tensor cores, relative error 1e-3")
      ->group("Machine");
  app.add_flag("--autotune", o.autotune,
               "on a GPU: time cuDNN's plans when first needed and remember the fastest in "
               "$HAC_PLAN_CACHE (default: hacscale/cudnn-plans.txt in the user's cache folder)")
      ->group("Machine");
}

void add_launch_option(CLI::App& app, std::string& launch) {
  app.add_option("--launch", launch,
                 "start kernels one by one, or replay a recorded graph (default: graph on a GPU)")
      ->type_name("eager|graph")
      ->check(CLI::IsMember({"eager", "graph"}))
      ->group("Machine");
}

Placement start(const MachineOptions& o) {
  const Device device = parse_device(o.device);
  const Dtype dtype = parse_dtype(o.dtype);
  set_num_threads(o.threads);
  Context::current(device);
  if (o.tf32) allow_tf32(device);
  if (o.autotune) autotune(device, plan_cache_path());
  // A control group kills who takes more of the host's memory than it has.
  const std::size_t group = limits().memory_bytes.value_or(0);
  const bool lower = group > 0 && (o.memory_limit == 0 || group < o.memory_limit);
  set_memory_limit(group, {});
  set_memory_limit(lower && device.kind != DeviceKind::cuda ? group : o.memory_limit, device);
  return {device, dtype};
}

void add_json_option(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "print one JSON object");
}

void print_notes(const std::string& file, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    print(stderr, one_line(fmt::format("note: '{}': {}", file, note)) + "\n");
  }
}

void print_rows(std::FILE* out, const Rows& rows) {
  std::size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, name.size());
  for (const auto& [name, value] : rows) {
    print(out, fmt::format("{:<{}}  {}\n", name, width, value));
  }
}

std::string grouped(std::int64_t value) {
  std::string text = fmt::format("{}", value);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(at, 1, ',');
  return text;
}

std::string percent(const Interval& accuracy) {
  return fmt::format("{:.2f} % [{:.2f}, {:.2f}]", 100 * accuracy.mean, 100 * accuracy.low,
                     100 * accuracy.high);
}

}  // namespace hac
