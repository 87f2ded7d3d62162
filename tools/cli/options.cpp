#include "tools/cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/io/print.h"
#include "engine/io/text.h"
#include "engine/tensor/storage.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "models/train/run_folder.h"
#include "models/train/weights.h"
#include "models/zoo/zoo.h"
#include "scaling/experiment/alpha.h"

namespace hac {
namespace {

// What --help calls a value.
std::string type_of(const Field& field, const Value& value) {
  if (*field.details.type) return field.details.type;
  if (field.details.off_on[0]) return fmt::format("{}", fmt::join(field.details.off_on, "|"));
  if (const Names names = names_in(value); !names.empty()) {
    return fmt::format("{}", fmt::join(names, "|"));
  }
  if (const auto* list = std::get_if<List>(&value.at)) {
    if (!list->optional) return "A,B,...";
    list->resize(1);  // only what is there has a type
    const std::string type = type_of(field, list->at(0));
    list->resize(0);
    return type;
  }
  const bool real = std::holds_alternative<double*>(value.at);
  return std::holds_alternative<std::string*>(value.at) ? "TEXT" : real ? "X" : "N";
}

// At commas. CLI11's delimiter() would drop what is empty: 1,,2.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
    end = text.find(',', at);
    words.push_back(text.substr(at, end - at));
  }
  return words;
}

void add_option(CLI::App& app, const Field& field, const std::string& group) {
  std::string flag = field.details.flag;
  if (flag.empty()) {
    flag = "--" + std::string(field.key);
    std::replace(flag.begin(), flag.end(), '_', '-');
  }
  bool* const* on = std::get_if<bool*>(&field.value.at);
  if (on && !field.details.off_on[0]) {
    CLI::Option* option = app.add_flag(flag, **on, field.help);
    if (!group.empty()) option->group(group);
    return;
  }
  const auto* list = std::get_if<List>(&field.value.at);
  const bool commas = list && !list->optional;
  CLI::Option* option = app.add_option_function<std::string>(
      flag,
      [=](const std::string& text) {
        assign_words(field, commas ? split(text) : std::vector{text},
                     fmt::format("option '{}'", flag));
      },
      field.help);
  option->type_name(type_of(field, field.value))->default_str(text_of(field));
  if (!group.empty()) option->group(group);
}

}  // namespace

void add_options(CLI::App& app, const Fields& fields, const std::string& group) {
  for (const Field& field : fields) {
    if (const auto* inner = std::get_if<Fields>(&field.value.at)) {
      add_options(app, *inner, group);
    } else if (!field.help.empty() && field.details.in & FieldDetails::options) {
      add_option(app, field, group);
    }
  }
}

void add_model_options(CLI::App& app, ModelOptions& o, const std::string& name) {
  add_model_options(app, o.model, o.arch.fields(), name);
}

void add_model_options(CLI::App& app, std::string& model, const Fields& arch,
                       const std::string& name) {
  const char* group = "Architecture";
  const auto help = fmt::format("a JSON file, or one of {}", fmt::join(zoo_names(), ", "));
  app.add_option(name, model, help)->group(group);
  add_options(app, arch, group);
}

Architecture resolve(const ModelOptions& o) { return resolve(o.model, o.arch); }

void refuse_arch_options(const ArchOptions& options, const std::string& file,
                         const std::string& allowed) {
  const auto refuse = [&](bool given, const std::string& key) {
    if (!given || key == allowed) return;
    throw ConfigError(
        fmt::format("option '--{}': expected none, as '{}' holds its network", key, file));
  };
  refuse(options.width.has_value(), "width");
  refuse(!options.widths.empty(), "widths");
  refuse(!options.blocks.empty(), "blocks");
  refuse(options.depth.has_value(), "depth");
  refuse(options.resolution.has_value(), "resolution");
  refuse(options.classes.has_value(), "classes");
  refuse(options.in_channels.has_value(), "in-channels");
}

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

void add_data_options(CLI::App& app, DataConfig& data) { add_options(app, data.fields(), "Data"); }

namespace {

// A transform by the first of its settings, the others as they are by default.
template <class T>
void add_transform_option(CLI::App& app, const std::string& flag, std::optional<T>& transform,
                          const std::string& help) {
  T defaults;
  const Field field = defaults.fields().front();
  app.add_option_function<std::string>(
         flag,
         [=, &transform](const std::string& text) {
           assign_words(transform.emplace().fields().front(), std::array{text},
                        fmt::format("option '{}'", flag));
         },
         help)
      ->type_name(type_of(field, field.value))
      ->group("Training");
}

}  // namespace

void add_train_options(CLI::App& app, TrainOptions& o) {
  TrainConfig& c = o.config;
  c.schedule.kind = ScheduleKind::cosine;
  add_options(app, c.fields().without("data"), "Training");
  app.add_flag_callback(
         "--random-resized-crop", [&c] { c.transforms.random_resized_crop.emplace(); },
         "of photographs: a box of 8 to 100 % of the area, resized, in place of the random crop")
      ->group("Training");
  add_transform_option(app, "--auto-augment", c.transforms.auto_augment,
                       "one of 25 pairs of operations, by this policy");
  add_transform_option(app, "--random-erasing", c.transforms.random_erasing,
                       "erase a box of 2 to 33 % of the area with this probability");
  add_transform_option(app, "--cutout", c.transforms.cutout,
                       "erase a square of this side, its centre anywhere");
  add_options(app,
              Fields().add("init", o.init, "start from these weights (safetensors, PyTorch names)",
                           {.type = "FILE"}),
              "Training");
  app.add_option("--shards", c.accumulate,
                 "as --accumulate; of mpirun's ranks each computes some of the parts, and the bits "
                 "are those of one rank that computes all. Default: one a rank")
      ->type_name("N")
      ->group("Training");
  app.add_option("--init-except", o.init_except,
                 "not those that match: 'fc.*' for a head with other classes; can be repeated")
      ->type_name("PATTERN")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group("Training");
  add_options(
      app,
      Fields()
          .add("out", c.out, "run directory: checkpoints, log.jsonl; default: write nothing",
               {.type = "DIR"})
          .add("resume", c.resume, "continue from OUT/last.safetensors, if it is there")
          .add("overwrite", c.overwrite, "start again in a folder that holds a training")
          .add("quiet", c.quiet, "print the result only"),
      "Run");
  add_launch_option(app, c.launch);
}

TrainConfig finish(const TrainOptions& o, const ModelOptions& model) {
  TrainConfig c = o.config;
  c.data.quiet = c.quiet;
  if (dataset_info(c.data.name).any_classes && model.arch.classes) {
    c.data.classes = *model.arch.classes;
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

std::string resume_hint(const TrainConfig& c, const std::string& command) {
  if (c.out.empty()) return "nothing was saved: there was no --out";
  return "resume with: " + command + (c.resume ? "" : " --resume");
}

void initialize(const TrainOptions& o, Model& model) {
  if (o.init.empty()) return;
  print_notes(o.init, init_weights(o.init, model, o.init_except).notes());
}

std::size_t parse_size(const std::string& text) {
  if (text.empty()) return 0;
  constexpr Unit units[] = {
      {""}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const auto size = parse_quantity(text, units);
  if (size && size->first >= 1 && size->first < 0x1p63) {
    return static_cast<std::size_t>(size->first);
  }
  throw ConfigError(
      fmt::format("expected 2GiB, 500MiB or a number of bytes, got '{}'", text.substr(0, 40)));
}

void add_machine_options(CLI::App& app, MachineOptions& o, bool& json) {
  add_options(app, o.fields(), "Machine");
  add_json_option(app, json);
}

Fields limit_fields(std::string& latency, std::string& params, std::string& memory) {
  const FieldDetails limit{.type = "LIMIT"};
  return Fields()
      .add("latency", latency, "limit: 1.5x of the baseline's prediction, or 3.2ms", limit)
      .add("params", params, "limit: 1.3x of the baseline's, or 12.9M", limit)
      .add("memory", memory,
           "limit: 64MiB or 1.5x, of weights and peak activations of one image in f32", limit);
}

void add_launch_option(CLI::App& app, std::optional<LaunchMode>& launch) {
  add_options(app,
              Fields().add(
                  "launch", launch,
                  "start kernels one by one, or replay a recorded graph (default: graph on a GPU)"),
              "Machine");
}

TensorOptions start(const MachineOptions& o) {
  const Device device = parse_device(o.device);
  const TensorOptions where{device, parse_dtype(o.dtype)};
  where.validate();
  set_num_threads(o.threads);
  Context::current(device);
  set_convolutions(device, o.conv);
  set_inference_weights(device, parse_dtype(o.weights));
  set_overlap(device, o.overlap);
  if (o.tf32) allow_tf32(device);
  if (o.autotune) autotune(device, plan_cache_path());
  // A control group kills who takes more of the host's memory than it has.
  const std::size_t group = limits().memory_bytes.value_or(0);
  const std::size_t asked = parse_size(o.memory_limit);
  const bool lower = group > 0 && (asked == 0 || group < asked);
  set_memory_limit(group, {});
  set_memory_limit(lower && device.kind != DeviceKind::cuda ? group : asked, device);
  return where;
}

void require_f32_weights(const MachineOptions& o) {
  if (parse_dtype(o.weights) == Dtype::f32) return;
  throw ConfigError(fmt::format(
      "weights: expected f32 where gradients are taken, got {} (hint: of inference alone)",
      o.weights));
}

Model make_model(const Architecture& arch, std::uint64_t seed, const TensorOptions& where,
                 const std::string& checkpoint) {
  Model model(arch, seed, where.device, where.dtype);
  if (!checkpoint.empty()) print_notes(checkpoint, load_weights(checkpoint, model).notes());
  return model;
}

void add_json_option(CLI::App& app, bool& json) {
  add_options(app, Fields().add("json", json, "print one JSON object"));
}

void print_json(const nlohmann::ordered_json& json) {
  print(stdout, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
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
