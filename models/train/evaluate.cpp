#include "models/train/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>

#include "data/loader/make_loader.h"
#include "data/sets/derived_set.h"
#include "engine/parallel/group.h"
#include "engine/tensor/finite.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/ops/step_state.h"

namespace hac {
namespace {

// Ties go to the lower class. A NaN is below nothing, so that it never counts as a hit.
bool in_top(const float* scores, std::int64_t classes, std::int64_t label, int k) {
  int above = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    above += !(scores[j] < scores[label] || (scores[j] == scores[label] && j >= label));
  }
  return above < k;
}

// The first rank has a batch wherever there is one: it is the one to say what is wrong with all.
DatasetPtr images_of(const Group* group, const DatasetPtr& data, std::int64_t batch) {
  if (!group || group->size() == 1) return data;
  const std::int64_t batches = ceil_div(data->size(), batch);
  const auto begin = [&](int rank) {
    return std::min(data->size(), batch * ceil_div(batches * rank, group->size()));
  };
  std::vector<std::int64_t> own(begin(group->rank() + 1) - begin(group->rank()));
  std::iota(own.begin(), own.end(), begin(group->rank()));
  return subset(data, std::move(own));
}

// What every rank has, in their order.
template <class T>
std::vector<T> gather(Group& group, const std::vector<T>& own) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all;
  const std::string_view sent(reinterpret_cast<const char*>(own.data()), own.size() * sizeof(T));
  for (const std::string& bytes : group.gather(sent)) {
    if (bytes.empty()) continue;
    const std::size_t before = all.size();
    all.resize(before + bytes.size() / sizeof(T));
    std::memcpy(all.data() + before, bytes.data(), bytes.size());
  }
  return all;
}

// Evaluation mode while one lives.
class EvalMode {
 public:
  explicit EvalMode(Model& model) : model_(model), before_(model.training()) { model.eval(); }
  ~EvalMode() { model_.train(before_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Model& model_;
  bool before_;
};

}  // namespace

int loader_threads(Device device) {
  if (device.kind == DeviceKind::cuda) return std::clamp(num_threads() - 1, 1, 16);
  return std::clamp(num_threads() / 4, 1, 8);
}

std::int64_t count_in_top(const Tensor& scores, const Tensor& labels, int k) {
  const Tensor probs = scores.to(Device{});
  const Tensor truth = labels.to(Device{});
  const std::int64_t classes = probs.shape()[1];
  std::int64_t hits = 0;
  for (std::int64_t i = 0; i < probs.shape()[0]; ++i) {
    hits += in_top(probs.as<float>() + i * classes, classes, truth.as<std::int32_t>()[i], k);
  }
  return hits;
}

void require_match(const Model& model, const Dataset& data, const char* which) {
  const Architecture& a = model.arch();
  if (data.channels() != a.channels) {
    throw ConfigError(
        fmt::format("{} images have {} channels, '{}' expects {} (hint: --in-channels)", which,
                    data.channels(), a.name, a.channels));
  }
  if (static_cast<std::int64_t>(data.classes().size()) != a.classes) {
    throw ConfigError(fmt::format("{} set has {} classes, '{}' has {} outputs (hint: --classes)",
                                  which, data.classes().size(), a.name, a.classes));
  }
}

bool statistics_finite(const Model& model) {
  std::vector<Tensor> tensors;
  for (const Buffer& b : model.buffers()) tensors.push_back(b.tensor);
  return !first_not_finite(tensors);
}

namespace {

// The first that is not finite; "" if all are.
std::string broken_parameter(const Model& model) {
  const std::vector<Parameter> parameters = model.parameters();
  std::vector<Tensor> tensors;
  for (const Parameter& p : parameters) tensors.push_back(p.var.value());
  const auto found = first_not_finite(tensors);
  return found ? parameters[*found].name : "";
}

}  // namespace

void require_finite(const Model& model, std::int64_t step) {
  const std::string broken = broken_parameter(model);
  if (broken.empty()) return;
  throw Error(fmt::format(
      "model '{}': {} is not finite after step {} (hint: a lower --lr or more --warmup)",
      model.arch().name, broken, step));
}

void throw_not_finite(Model& model, const Tensor& images, const std::string& when, double loss) {
  const std::string layer = model.first_not_finite(images);
  throw Error(fmt::format(
      "model '{}': numbers are not finite {}, first in {}; the loss is {} (hint: a lower --lr or "
      "more --warmup)",
      model.arch().name, when, layer.empty() ? "the loss itself" : layer, loss));
}

// On the model's device: where the loader finds each batch, and what becomes of its images.
class Evaluation::Rows {
 public:
  Rows(const BatchSource& loader, std::int64_t images, Device device)
      : device_(device),
        position_(loader.position()),
        totals_(Tensor::zeros({sizeof(StepTotals)}, Dtype::u8, device)),
        first_(Tensor::zeros({sizeof(std::int64_t)}, Dtype::u8, device)),
        predictions_(Tensor::empty({images, sizeof(Prediction)}, Dtype::u8, device)) {
    const Tensor table = Tensor::empty({loader.batches(), sizeof(Row)}, Dtype::u8);
    std::int64_t first = 0;
    for (std::int64_t b = 0; b < loader.batches(); ++b) {
      table.as<Row>()[b] = {loader.position_of(b), first};
      first += loader.images_of(b);
    }
    table_ = table.to(device);
  }

  // Before a batch is made, and once it is evaluated.
  void advance() const {
    std::vector<RowPart> parts{{first_.data(), offsetof(Row, first), sizeof(Row::first)}};
    if (position_) parts.push_back({position_, offsetof(Row, position), sizeof(Row::position)});
    step_state_kernels.run(&StepStateKernels::advance, device_, StepTableSpec{sizeof(Row)},
                           table_.data(), totals_.data(), std::span<const RowPart>(parts));
  }
  void write(const Tensor& logits, const Tensor& labels) const {
    const PredictionsSpec spec{logits.dtype(), logits.shape()[0], logits.shape()[1]};
    predictions_kernels.run(&PredictionsKernels::write, device_, spec, logits.to(device_).data(),
                            labels.to(device_).data(), first_.data(), predictions_.data());
  }

  std::vector<Prediction> read(std::int64_t images) const {
    std::vector<Prediction> all(images);
    const Tensor host = predictions_.to(Device{});
    std::memcpy(all.data(), host.data(), all.size() * sizeof(Prediction));
    return all;
  }

 private:
  struct Row {
    std::int64_t position, first;
  };

  const Device device_;
  void* const position_;
  Tensor table_;
  const Tensor totals_, first_, predictions_;
};

Evaluation::Evaluation(Model& model, const DatasetPtr& data, EvalOptions options)
    : model_(model),
      options_(std::move(options)),
      data_(images_of(options_.group, data, options_.batch)),
      batch_(options_.batch) {
  require_match(model_, *data, "test");
  if (options_.launch) require_launch_mode(*options_.launch, model.device());
}

EvalResult Evaluation::run() {
  std::vector<Prediction> all = own_predictions();
  if (options_.group) all = gather(*options_.group, all);
  EvalResult result{.images = std::ssize(all)};
  std::int64_t top1 = 0, top5 = 0;
  for (const Prediction& p : all) {
    result.loss += p.loss;
    top1 += p.rank < 1;
    top5 += p.rank < 5;
  }
  const auto n = static_cast<double>(std::max<std::int64_t>(1, result.images));
  result.loss /= n;
  result.top1 = static_cast<double>(top1) / n;
  result.top5 = static_cast<double>(top5) / n;
  result.predictions = std::make_shared<const std::vector<Prediction>>(std::move(all));
  return result;
}

std::vector<Prediction> Evaluation::own_predictions() {
  if (data_->size() == 0) return {};
  Context& context = Context::current(model_.device());
  const std::size_t scratch = context.scratch_bytes();
  for (;;) {
    try {
      std::vector<Prediction> own = run_once();
      if (context.scratch_bytes() > scratch) context.release_scratch();
      return own;
    } catch (const OutOfMemory&) {
      if (batch_ == 1) throw;
    }
    context.release_scratch();
    loader_.reset();
    batch_ /= 2;
  }
}

// A warm-up and a recording take longer than a batch that is not replayed.
bool Evaluation::records() const {
  const LaunchMode usual = default_launch_mode(model_.device());
  return options_.launch.value_or(usual) == LaunchMode::graph && !options_.forward &&
         loader_->capturable() && data_->size() >= 3 * batch_;
}

LoaderConfig Evaluation::loader_config() const {
  LoaderConfig config{.batch = batch_,
                      .resolution = model_.arch().resolution,
                      .shuffle = false,
                      .pipeline = evaluation,
                      .threads = loader_threads(model_.device())};
  if (options_.forward) return config;
  config.dtype = model_.dtype();
  config.layout = model_.image_layout();
  return config;
}

std::vector<Prediction> Evaluation::run_once() {
  const EvalMode mode(model_);
  if (!loader_) loader_ = make_loader(data_, loader_config(), model_.device());
  loader_->start(0);
  const bool finite = broken_parameter(model_).empty() && statistics_finite(model_);
  const Rows rows(*loader_, data_->size(), model_.device());
  std::optional<Capture> capture;
  if (records()) capture.emplace(model_.device());
  std::int64_t images = 0;
  while ((finite || images == 0) && loader_->choose()) {
    images += loader_->size();
    if (loader_->size() < batch_) capture.reset();
    const auto work = [&] { evaluate_batch(rows); };
    capture ? capture->repeat(work) : work();
  }
  std::vector<Prediction> predictions = rows.read(images);
  require_finite_losses(predictions, finite);
  return predictions;
}

void Evaluation::evaluate_batch(const Rows& rows) {
  rows.advance();
  const Batch batch = loader_->make();
  const bool given = options_.forward != nullptr;
  rows.write(given ? options_.forward(batch.images) : model_.logits(batch.images).value(),
             batch.labels);
}

// Else throws, on the first batch that has one that is not, once more. finite: so are parameters
// and statistics.
void Evaluation::require_finite_losses(const std::vector<Prediction>& predictions, bool finite) {
  const auto broken = std::find_if(predictions.begin(), predictions.end(), [&](const auto& p) {
    return !finite || !std::isfinite(p.loss);
  });
  if (broken == predictions.end()) return;
  const std::int64_t batch = (broken - predictions.begin()) / batch_;
  Batch again;
  loader_->start(0, batch);
  loader_->next(again);
  double loss = 0;
  for (std::int64_t i = 0; i < again.size(); ++i) loss += predictions[batch * batch_ + i].loss;
  throw_not_finite(model_, again.images, "in evaluation", loss / static_cast<double>(again.size()));
}

EvalResult evaluate(Model& model, const DatasetPtr& data, EvalOptions options) {
  return Evaluation(model, data, std::move(options)).run();
}

}  // namespace hac
