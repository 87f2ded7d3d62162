// hacscale train: one network on one data set.

#include "models/train/train.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "data/sets/holdout.h"
#include "engine/io/fields_json.h"
#include "engine/io/print.h"
#include "engine/io/text.h"
#include "engine/parallel/communicator.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "models/arch/counters.h"
#include "models/arch/graph.h"
#include "models/train/run_folder.h"
#include "scaling/experiment/alpha.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  TrainOptions train;
  MachineOptions machine;
  bool json = false;
};

std::string schedule_text(const ScheduleConfig& s) {
  std::string text = fmt::format("{}, lr {}", to_string(s.kind), s.lr);
  if (s.kind == ScheduleKind::step) {
    text += fmt::format(", times {} at epochs {}", s.gamma, fmt::join(s.milestones, ", "));
  }
  if (s.kind == ScheduleKind::exponential) text += fmt::format(", down to lr * {}", s.beta);
  if (s.warmup > 0)
    text += fmt::format(", {} epochs of warm-up ({})", s.warmup, to_string(s.warmup_style));
  return text;
}

// In the order of the network's outputs.
std::string first_of(const std::vector<std::string>& classes) {
  constexpr std::size_t shown = 10;
  const std::vector<std::string> first(classes.begin(),
                                       classes.begin() + std::min(shown, classes.size()));
  return one_line(fmt::format(
      "{}{}", fmt::join(first, ", "),
      classes.size() > shown ? fmt::format(", ... ({})", classes.size()) : std::string()));
}

// "standard, auto_augment, mixup 0.2".
std::string augmentation_text(const TrainConfig& c) {
  std::string text = c.augment ? "standard" : "none";
  for (const Field& transform : fields_of(c.transforms)) {
    if (std::get<List>(transform.value.at).size() > 0) text += ", " + transform.key;
  }
  text += fmt::format(", mixup {}", c.mixup);
  if (c.cutmix > 0) text += fmt::format(", cutmix {}", c.cutmix);
  return text;
}

std::string optimizer_text(const OptimizerOptions& o) {
  std::string text;
  if (o.kind == OptimizerKind::adamw) {
    text = fmt::format("AdamW, betas {} and {}, eps {}", o.beta1, o.beta2, o.eps);
  } else {
    text = fmt::format("{}, {}momentum {}", o.kind == OptimizerKind::sgd ? "SGD" : "LARS",
                       o.nesterov ? "Nesterov " : "", o.momentum);
  }
  if (o.kind == OptimizerKind::lars) {
    text += fmt::format(", trust coefficient {}", o.trust_coefficient);
  }
  text += fmt::format(", weight decay {}", weight_decay_of(o));
  if (o.weight_decay_on == WeightDecayOn::weights) text += " on weights alone";
  if (o.clip_norm > 0) text += fmt::format(", gradients clipped to norm {}", o.clip_norm);
  return text;
}

std::string average_text(const TrainConfig& c) {
  if (!averages(c)) return "none";
  const std::string of =
      c.ema > 0 ? fmt::format("of the steps, decay {}", c.ema)
                : fmt::format("of the epochs behind {}", c.swa * static_cast<double>(c.epochs));
  return fmt::format("{}; {} weights count", of, to_string(weight_selection(c)));
}

std::string training_text(const TrainConfig& c) {
  std::string text = fmt::format("{} epochs", c.epochs);
  if (c.max_steps >= 0) text += fmt::format(", at most {} steps", c.max_steps);
  text += fmt::format(", batch {}", c.batch);
  if (c.accumulate > 1) text += fmt::format(" in {} parts", c.accumulate);
  return text + fmt::format(", augment {}, shuffle {}, label smoothing {}", augmentation_text(c),
                            c.shuffle ? "on" : "off", c.label_smoothing);
}

// Everything that was decided, before the first step.
void print_resolved(const Options& o, const TrainConfig& c, const Architecture& arch,
                    const DataSplit& data) {
  const Machine machine = this_machine();
  const Counters cost = count(arch);
  const std::string held_out =
      data.validation ? fmt::format(" {} validation,", data.validation->size()) : "";
  const std::string& init = o.train.init;
  print_rows(stderr,
             {{"device", fmt::format("{} {}: {}, {}, oneDNN {}", o.machine.device, o.machine.dtype,
                                     machine.cpu, machine.isa, machine.onednn)},
              {"threads", fmt::format("{}", num_threads())},
              {"launch",
               to_string(c.launch.value_or(default_launch_mode(parse_device(o.machine.device))))},
              {"model", fmt::format("{}: {} parameters, {} MACs, input {}x{}x{}, {} classes",
                                    arch.name, grouped(cost.params), grouped(cost.macs),
                                    arch.channels, arch.resolution, arch.resolution, arch.classes)},
              {"weights", init.empty() ? fmt::format("random, seed {}", c.seed) : init},
              {"data", fmt::format("{}: {} training,{} {} test images of {}x{}", c.data.name,
                                   data.train->size(), held_out, data.test->size(),
                                   data.train->resolution(), data.train->resolution())},
              {"classes", first_of(data.train->classes())},
              {"result", shown_accuracy(c, "test")},
              {"training", training_text(c)},
              {"optimiser", optimizer_text(c.optimizer)},
              {"schedule", schedule_text(c.schedule)},
              {"average", average_text(c)},
              {"out", c.out.empty() ? "nothing is written (hint: --out DIR)" : c.out}});
}

// Where tensor cores compute: what they would rather have.
std::vector<std::string> width_notes(const Architecture& arch, const TensorOptions& where) {
  if (where.device.kind == DeviceKind::cpu || where.dtype == Dtype::f32) return {};
  const Graph graph = lower(arch, 1, where.dtype);
  const auto uneven = uneven_convolutions(graph);
  if (uneven.empty()) return {};
  const Op& first = *uneven.front();
  const Widths widths = std::get<Conv2dSpec>(first.spec).widths();
  return {
      fmt::format("{} convolutions have channels that are no multiple of 8, '{}' first with {} "
                  "to {}; in 16 bits they are padded or kept off the tensor cores (hint: "
                  "widths in eights, --stride 8 where they are scaled)",
                  uneven.size(), first.name, widths.in, widths.out)};
}

// None count before the first evaluated epoch, nor before an average that counts begins.
std::string kept_weights(const TrainConfig& c) {
  const std::string model = model_weights(c.out);
  return std::filesystem::exists(model) ? model : last_weights(c.out);
}

std::string accuracy_text(const EvalResult& r) {
  return fmt::format("{} (95 %, {} images)", percent(interval95(r.top1, r.images)), r.images);
}

nlohmann::ordered_json json_of(const TrainConfig& c, const Architecture& arch,
                               const TrainResult& r) {
  const Interval top1 = interval95(r.test.top1, std::max<std::int64_t>(1, r.test.images));
  nlohmann::ordered_json j{{"model", arch.name},
                           {"data", c.data.name},
                           {"params", count(arch).params},
                           {"steps", r.steps},
                           {"epochs", c.epochs},
                           {"select", to_string(selection(c))},
                           {"epoch", r.epoch},
                           {"accuracy", shown_accuracy(c, "test")},
                           {"test_loss", r.test.loss},
                           {"top1", r.test.top1},
                           {"top1_interval95", {top1.low, top1.high}},
                           {"top5", r.test.top5},
                           {"images", r.test.images},
                           {"out", c.out}};
  if (averages(c)) {
    j["weights"] = to_string(weight_selection(c));
    j["last_epoch"] = {{"set", evaluated_set(c)},
                       {"plain", to_json(fields_of(r.plain))},
                       {"average", to_json(fields_of(r.average))}};
  }
  if (c.validation > 0) {
    j["validation"] = {{"accuracy", shown_accuracy(c, "validation")}};
    j["validation"].update(to_json(fields_of(r.validation)));
  }
  return j;
}

void print_result(const TrainConfig& c, const TrainResult& r) {
  Rows rows{{"steps", fmt::format("{}", r.steps)}};
  if (r.epoch > 0) {
    rows.push_back({"epoch", fmt::format("{} of {}, {}", r.epoch, c.epochs,
                                         selection(c) == Selection::best ? "selected by validation"
                                                                         : "last")});
  }
  if (r.validation.images > 0) rows.push_back({"validation top-1", accuracy_text(r.validation)});
  if (r.test.images > 0) {
    rows.push_back({"test top-1", accuracy_text(r.test)});
    rows.push_back({"test top-5", fmt::format("{:.2f} %", 100 * r.test.top5)});
    rows.push_back({"test loss", fmt::format("{:.4f}", r.test.loss)});
  }
  if (r.average.images > 0) {
    rows.push_back(
        {"last epoch",
         fmt::format("{} top-1 {:.2f} %, averaged weights {:.2f} %; {} count", evaluated_set(c),
                     100 * r.plain.top1, 100 * r.average.top1, to_string(weight_selection(c)))});
  }
  if (!c.out.empty()) rows.push_back({"checkpoint", kept_weights(c)});
  print_rows(stdout, rows);
}

// What the device did cannot be undone, but the run can be resumed.
TrainResult train_resumable(Model& model, const DataSplit& data, const TrainConfig& c,
                            const std::string& command) {
  try {
    return train(model, data, c);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError& error) {
    const std::string hint = resume_hint(c, command);
    if (c.out.empty()) throw DeviceError(fmt::format("{} ({})", error.what(), hint));
    if (!std::filesystem::exists(last_weights(c.out))) throw;
    throw DeviceError(with_hint(error.what(), hint));
  }
}

// The ranks of mpirun, which then compute a shard of each batch or more; null where there is one.
// Only what ends well closes it: a rank that failed is for the launcher to notice.
Communicator* open_group(TrainConfig& c) {
  const int ranks = launched().size;
  if (ranks == 1) return nullptr;
  if (!c.sync_batchnorm && c.accumulate == 1) c.accumulate = ranks;
  if (!c.sync_batchnorm && c.accumulate < ranks) {
    throw ConfigError(
        fmt::format("option '--shards': expected at least as many as the {} ranks, got {}", ranks,
                    c.accumulate));
  }
  validate(c);
  return open_communicator().release();
}

// A build without CUDA has none.
int gpus_here() { return runtime_cuda.count ? runtime_cuda.count(nullptr) : 0; }

// What is wrong with the GPU that this rank takes, and else which one of which computer it is.
std::pair<std::string, std::string> gpu_of_rank(const std::string& asked, int index) {
  if (parse_device(asked).index != 0) {
    return {
        fmt::format("expected cuda on several ranks, each of which takes a GPU of its own, got {}",
                    asked),
        ""};
  }
  const int gpus = gpus_here();
  if (gpus > 0 && index >= gpus) {
    return {
        fmt::format("expected a GPU for each rank, got {} for rank {} of a computer", gpus, index),
        ""};
  }
  char computer[256] = "";
  ::gethostname(computer, sizeof computer - 1);
  return {"", gpus > 0 ? computer + (" " + runtime_cuda.bus_id({DeviceKind::cuda, index})) : ""};
}

// Each rank takes a GPU of its own: the one that it sees, or that of its number on the computer.
MachineOptions own_machine(MachineOptions machine, Group* group) {
  if (!group || parse_device(machine.device).kind != DeviceKind::cuda) return machine;
  const int index = gpus_here() == 1 ? 0 : launched().on_node;
  const auto [wrong, own] = gpu_of_rank(machine.device, index);
  std::set<std::string> taken;
  const std::vector<std::string> all = group->gather(own);
  for (const std::string& problem : group->gather(wrong)) {
    if (!problem.empty()) throw ConfigError("option '--device': " + problem);
  }
  for (const std::string& gpu : all) {
    if (gpu.empty() || taken.insert(gpu).second) continue;
    throw ConfigError(fmt::format(
        "option '--device': expected a GPU for each rank, got {} twice (hint: fewer ranks a node)",
        gpu));
  }
  machine.device = fmt::format("cuda:{}", index);
  return machine;
}

void train_command(const Options& o, const std::string& command) {
  TrainConfig c = finish(o.train, o.model);
  if (!c.log.empty() && c.out.empty()) {
    throw ConfigError("option '--log': expected --out DIR with it, got none");
  }
  require_f32_weights(o.machine);
  Communicator* const group = open_group(c);
  c.group = group;
  const bool leads = rank_of(group) == 0;
  c.quiet |= !leads;
  const TensorOptions where = start(own_machine(o.machine, group));
  require_launch_mode(c.launch.value_or(default_launch_mode(where.device)), where.device);
  const DataSplit data = hold_out(open_data(c.data), c.validation, c.seed);
  if (!c.quiet) print_notes(c.data.name, data.notes);
  const Architecture arch = resolve_for(o.model, *data.train);
  if (!c.quiet) print_resolved(o, c, arch, data);
  if (!c.quiet) print_notes(arch.name, width_notes(arch, where));
  Model model = make_model(arch, c.seed, where);
  initialize(o.train, model);
  const TrainResult result = train_resumable(model, data, c, command);
  if (result.interrupted) {
    throw Interrupted(
        fmt::format("interrupted after step {} ({})", result.steps, resume_hint(c, command)));
  }
  delete group;
  if (!leads) return;
  o.json ? print_json(json_of(c, arch, result)) : print_result(c, result);
  if (!c.quiet && !c.out.empty()) {
    print(stderr, fmt::format("next: hacscale eval {}\n", kept_weights(c)));
  }
}

}  // namespace

void add_train(CLI::App& app, const std::string& command) {
  CLI::App* verb = app.add_subcommand("train", "Train a network");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_data_options(*verb, o->train.config.data);
  add_train_options(*verb, o->train);
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale train vgg11 --width 0.25 --epochs 5 --validation 0.1 --out runs/a\n"
      "Ctrl-C, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU: the step is finished and saved, how\n"
      "to resume is said, and the exit code is 130.\n"
      "Out of memory: the error names the largest --batch that fits, after trying.");
  verb->callback([o, &command] { train_command(*o, command); });
}

}  // namespace hac
