// hacscale eval: a checkpoint on the test set, class by class.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "models/deploy/inference_session.h"
#include "models/train/checkpoint.h"
#include "models/train/eval_details.h"
#include "models/train/evaluate.h"
#include "scaling/stats.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"
#include "tools/report/evaluation.h"
#include "tools/report/text.h"

namespace hac {
namespace {

struct Options {
  std::string checkpoint;
  ModelOptions model{.model = ""};
  DataConfig data{.name = ""};
  MachineOptions machine;
  std::int64_t batch = 256;
  std::string out;
  bool json = false;
};

constexpr auto utf8_only = nlohmann::json::error_handler_t::replace;

std::string per_cent(double share) {
  return known(share) ? fmt::format("{:.1f}", 100 * share) : "-";
}

// What a terminal shows of a set's classes: all of a few, else the least accurate.
constexpr std::size_t most_classes = 20, most_pairs = 5;

void print_classes(const std::vector<report::ClassRow>& all) {
  std::vector<report::ClassRow> rows = all;
  const bool few = rows.size() <= most_classes;
  if (!few) {
    std::erase_if(rows, [](const report::ClassRow& row) { return row.images == 0; });
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) { return a.top1 < b.top1; });
    if (rows.size() > most_classes / 2) rows.resize(most_classes / 2);
  }
  const std::string head =
      few ? "Class" : fmt::format("Class (the {} least accurate)", rows.size());
  std::size_t width = report::text_columns(head);
  for (const report::ClassRow& row : rows) width = std::max(width, report::text_columns(row.name));
  const auto padded = [width](const std::string& name) {
    return name + std::string(width - report::text_columns(name), ' ');
  };
  fmt::print("\n{}  {:>6}  {:>7}  {:>16}  {:>9}  {}\n", padded(head), "Images", "Top-1 %", "95 %",
             "Precision", "Mistaken for");
  for (const report::ClassRow& row : rows) {
    fmt::print(
        "{}  {:>6}  {:>7}  {:>16}  {:>9}  {}\n", padded(row.name), row.images, per_cent(row.top1),
        known(row.low) ? fmt::format("[{}, {}]", per_cent(row.low), per_cent(row.high)) : "-",
        per_cent(row.precision),
        row.mistaken_for.empty()
            ? "-"
            : fmt::format("{} ({} %)", row.mistaken_for, per_cent(row.mistaken)));
  }
}

void print_confused(const EvalDetails& details) {
  const std::vector<ClassResult> classes = by_class(details);
  const auto pairs = most_confused(details, most_pairs);
  if (!pairs.empty()) fmt::print("\nMost confused\n");
  for (const auto& [label, guess, images] : pairs) {
    fmt::print("{} taken for {}: {} of {}\n", details.classes[label], details.classes[guess],
               images, classes[label].images);
  }
}

nlohmann::ordered_json json_of(const Options& o, const std::string& data,
                               const NetworkEvaluation& e) {
  const EvalResult& r = e.result;
  const auto interval = [&](double top) {
    const Interval i = interval95(top, r.images);
    return nlohmann::ordered_json{i.low, i.high};
  };
  nlohmann::ordered_json json{{"checkpoint", o.checkpoint},
                              {"model", e.network},
                              {"data", data},
                              {"images", r.images},
                              {"loss", r.loss},
                              {"top1", r.top1},
                              {"top1_interval95", interval(r.top1)},
                              {"top5", r.top5},
                              {"top5_interval95", interval(r.top5)}};
  json.update(to_json(fields_of(e.details)));
  const std::vector<report::ClassRow> rows = report::class_rows(e.details);
  for (const report::ClassRow& row : rows) json["by_class"].push_back(to_json(fields_of(row)));
  return json;
}

void print_text(const std::string& data, const NetworkEvaluation& e) {
  const EvalResult& r = e.result;
  print_rows(stdout,
             {{"model", e.network},
              {"data", fmt::format("{}, {} test images", data, r.images)},
              {"test loss", fmt::format("{:.4f} (mean negative log-likelihood)", r.loss)},
              {"test top-1", percent(interval95(r.top1, r.images)) + " (95 %)"},
              {"test top-5", percent(interval95(r.top5, r.images)) + " (95 %)"},
              {"calibration error", fmt::format("{:.2f} % (expected, over {} bins of confidence)",
                                                100 * e.details.ece, EvalDetails::bins)},
              {"Brier score", fmt::format("{:.4f} (0 to 2)", e.details.brier)}});
  print_classes(report::class_rows(e.details));
  print_confused(e.details);
}

void eval(const Options& o) {
  if (!o.out.empty()) require_makeable(o.out);
  const TensorOptions where = start(o.machine);
  DataConfig config = o.data;
  const DataSplit data =
      open_data_for(checkpoint_data(o.checkpoint), o.checkpoint, config, Parts::test);
  print_notes(config.name, data.notes);
  const bool named = !o.model.model.empty();
  Model model =
      make_model(named ? resolve_for(o.model, *data.test) : checkpoint_architecture(o.checkpoint),
                 0, where, o.checkpoint);
  std::optional<InferenceSession> net;  // the network as it would be deployed
  const auto deployed = [&](const Tensor& images) {
    if (!net || net->graph().input[0] != images.shape()[0]) net.emplace(model, images.shape()[0]);
    return net->run(images);
  };
  EvalOptions options{.batch = o.batch};
  if (parse_dtype(o.machine.weights) != Dtype::f32) options.forward = deployed;
  NetworkEvaluation e{.network = model.arch().name,
                      .seed = std::nullopt,
                      .result = evaluate(model, data.test, options),
                      .details = {}};
  e.details = eval_details(*data.test, *e.result.predictions);
  const nlohmann::ordered_json json = json_of(o, config.name, e);
  if (!o.out.empty()) {
    add_pictures(e.details, *data.test);
    report::write_data(o.out, report::evaluation_figures({&e, 1}));
    write_file_atomically(o.out + "/evaluation.json", json.dump(1, ' ', false, utf8_only) + "\n");
    write_file_atomically(o.out + "/index.html", report::render_evaluation_page(e, config.name));
  }
  if (o.json) return print_json(json);
  print_text(config.name, e);
  if (!o.out.empty()) fmt::print("\npage: {}/index.html\n", o.out);
}

}  // namespace

void add_eval(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("eval", "A checkpoint on a test set, class by class");
  const auto o = std::make_shared<Options>();
  verb->add_option("checkpoint,--checkpoint", o->checkpoint, "safetensors with PyTorch names")
      ->required();
  add_model_options(*verb, o->model, "--model");
  add_data_options(*verb, o->data);
  add_options(*verb,
              Fields()
                  .add("batch", o->batch, {1, 65536}, "images a step")
                  .add("out", o->out,
                       "write evaluation.json and index.html: confusion matrix, reliability, "
                       "classes, the worst images, and the figures' data",
                       {.type = "DIR"}));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale eval runs/a/model.safetensors --out runs/a/test\n"
      "The data set and the network are those of the training unless --data or --model say\n"
      "otherwise. Images are prepared as the checkpoint says and classes taken by name, whatever\n"
      "the set; of a folder only val/ need be there.");
  verb->callback([o] { eval(*o); });
}

}  // namespace hac
