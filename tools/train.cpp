// hacscale train: one network on one data set.

#include "models/train.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/print.h"
#include "engine/text.h"
#include "kernels/context.h"
#include "kernels/error.h"
#include "kernels/machine.h"
#include "models/counters.h"
#include "scaling/alpha.h"
#include "tools/commands.h"
#include "tools/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  TrainOptions train;
  MachineOptions machine;
  bool json = false;
};

std::string schedule_text(const ScheduleConfig& s) {
  std::string text = fmt::format("{}, lr {}", s.kind, s.lr);
  if (s.kind == "step") {
    text += fmt::format(", times {} at epochs {}", s.gamma, fmt::join(s.milestones, ", "));
  }
  if (s.kind == "exponential") text += fmt::format(", down to lr * {}", s.beta);
  if (s.warmup > 0) text += fmt::format(", {} epochs of warm-up ({})", s.warmup, s.warmup_style);
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

// Everything that was decided, before the first step.
void print_resolved(const Options& o, const TrainConfig& c, const Architecture& arch,
                    const DataSplit& data) {
  const Machine machine = this_machine();
  const Counters cost = count(arch);
  const std::string steps =
      c.max_steps >= 0 ? fmt::format(", at most {} steps", c.max_steps) : std::string();
  const std::string& init = o.train.init;
  print_rows(
      stderr,
      {{"device", fmt::format("{}: {}, {}, oneDNN {}", o.machine.device, machine.cpu, machine.isa,
                              machine.onednn)},
       {"threads", fmt::format("{}", num_threads())},
       {"launch", name_of(c.launch.value_or(default_launch_mode(parse_device(o.machine.device))))},
       {"model", fmt::format("{}: {} parameters, {} MACs, input {}x{}x{}, {} classes", arch.name,
                             grouped(cost.params), grouped(cost.macs), arch.channels,
                             arch.resolution, arch.resolution, arch.classes)},
       {"weights", init.empty() ? fmt::format("random, seed {}", c.seed) : init},
       {"data",
        fmt::format("{}: {} training and {} test images of {}x{}", c.data.name, data.train->size(),
                    data.test->size(), data.train->resolution(), data.train->resolution())},
       {"classes", first_of(data.train->classes())},
       {"training",
        fmt::format("{} epochs{}, batch {}, augment {}, mixup {}, shuffle {}, label smoothing {}",
                    c.epochs, steps, c.batch, o.train.augment, c.mixup, o.train.shuffle,
                    c.label_smoothing)},
       {"optimiser",
        fmt::format("SGD, {}momentum {}, weight decay {}", c.sgd.nesterov ? "Nesterov " : "",
                    c.sgd.momentum, c.sgd.weight_decay)},
       {"schedule", schedule_text(c.schedule)},
       {"out", c.out.empty() ? "nothing is written (hint: --out DIR)" : c.out}});
}

void print_result(const Options& o, const TrainConfig& c, const Architecture& arch,
                  const TrainResult& r) {
  const Interval top1 = interval95(r.test.top1, std::max<std::int64_t>(1, r.test.images));
  if (o.json) {
    const nlohmann::ordered_json j{
        {"model", arch.name},           {"data", c.data.name},
        {"params", count(arch).params}, {"steps", r.steps},
        {"epochs", c.epochs},           {"test_loss", r.test.loss},
        {"top1", r.test.top1},          {"top1_interval95", {top1.low, top1.high}},
        {"top5", r.test.top5},          {"best_top1", r.best_top1},
        {"images", r.test.images},      {"out", c.out}};
    fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  Rows rows{{"steps", fmt::format("{}", r.steps)}};
  if (r.test.images > 0) {
    rows.push_back({"test loss", fmt::format("{:.4f}", r.test.loss)});
    rows.push_back({"top-1", fmt::format("{} (95 %, {} images)", percent(top1), r.test.images)});
    rows.push_back({"top-5", fmt::format("{:.2f} %", 100 * r.test.top5)});
    rows.push_back({"best top-1", fmt::format("{:.2f} %", 100 * r.best_top1)});
  }
  if (!c.out.empty()) rows.push_back({"checkpoint", c.out + "/last.safetensors"});
  print_rows(stdout, rows);
}

std::string resume_hint(const TrainConfig& c, const std::string& command) {
  if (c.out.empty()) return "nothing was saved: there was no --out";
  return "resume with: " + command + (c.resume ? "" : " --resume");
}

// What the device did cannot be undone, but the run can go on.
TrainResult train_resumable(Model& model, const DataSplit& data, const TrainConfig& c,
                            const std::string& command) {
  try {
    return train(model, data, c);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError& error) {
    const std::string hint = resume_hint(c, command);
    if (c.out.empty()) throw DeviceError(fmt::format("{} ({})", error.what(), hint));
    if (!std::filesystem::exists(c.out + "/last.safetensors")) throw;
    throw DeviceError(with_hint(error.what(), hint));
  }
}

void train_command(const Options& o, const std::string& command) {
  const TrainConfig c = finish(o.train, o.model);
  const Device device = start(o.machine).device;
  require_launch_mode(c.launch.value_or(default_launch_mode(device)), device);
  const DataSplit data = open_data(c.data);
  if (!c.quiet) print_notes(c.data.name, data.notes);
  const Architecture arch = resolve_for(o.model, *data.train);
  if (!c.quiet) print_resolved(o, c, arch, data);
  Model model(arch, c.seed, device, parse_dtype(o.machine.dtype));
  initialize(o.train, model);
  const TrainResult result = train_resumable(model, data, c, command);
  if (result.interrupted) {
    throw Interrupted(
        fmt::format("interrupted after step {} ({})", result.steps, resume_hint(c, command)));
  }
  print_result(o, c, arch, result);
  if (!c.quiet && !c.out.empty()) {
    print(stderr, fmt::format("next: hacscale eval {}/last.safetensors\n", c.out));
  }
}

}  // namespace

void add_train(CLI::App& app, const std::string& command) {
  CLI::App* verb = app.add_subcommand("train", "Train a network");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_data_options(*verb, o->train.config.data);
  add_train_options(*verb, o->train);
  add_machine_options(*verb, o->machine);
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale train vgg11 --width 0.25 --data fashion-mnist --epochs 5 --out runs/a\n"
      "Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the step is finished and saved, how to resume "
      "is\n"
      "said, and the exit code is 130.\n"
      "Out of memory: the error names the largest --batch that fits, after trying.");
  verb->callback([o, &command] { train_command(*o, command); });
}

}  // namespace hac
