#include "models/train/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "data/loader/make_loader.h"
#include "data/sets/derived_set.h"
#include "engine/autograd/ops.h"
#include "engine/parallel/group.h"
#include "engine/tensor/finite.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"

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

// The guess is that of top-1, which the f32 softmax decides; the rest is as exact as the logits.
Prediction prediction(std::span<const float> logits, std::span<const float> probs,
                      std::int32_t label) {
  Prediction p{.label = label};
  p.guess = static_cast<std::int32_t>(std::max_element(probs.begin(), probs.end()) - probs.begin());
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0, squares = 0;
  for (const float x : logits) {
    const double e = std::exp(x - most);
    sum += e;
    squares += e * e;
  }
  const auto share = [&](std::int32_t c) { return std::exp(logits[c] - most) / sum; };
  p.confidence = share(p.guess);
  p.loss = std::log(sum) - (logits[label] - most);
  p.brier = squares / (sum * sum) - 2 * share(label) + 1;
  return p;
}

// Of one batch.
struct Sums {
  double loss = 0;
  std::int64_t images = 0, top1 = 0, top5 = 0;
};

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

void append_predictions(const Tensor& logits, const Tensor& probs, const Tensor& labels,
                        std::vector<Prediction>& predictions) {
  const std::vector<float> scores = logits.to_vector(), shares = probs.to_vector();
  const Tensor truth = labels.to(Device{});
  const std::size_t classes = logits.shape()[1];
  for (std::int64_t i = 0; i < truth.numel(); ++i) {
    predictions.push_back(prediction({scores.data() + i * classes, classes},
                                     {shares.data() + i * classes, classes},
                                     truth.as<std::int32_t>()[i]));
  }
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

Evaluation::Evaluation(Model& model, DatasetPtr data, std::int64_t batch, Forward forward)
    : model_(model), data_(std::move(data)), batch_(batch), forward_(std::move(forward)) {
  require_match(model_, *data_, "test");
}

Evaluation::Evaluation(Model& model, const DatasetPtr& data, Group* group, std::int64_t batch)
    : Evaluation(model, images_of(group, data, batch), batch) {
  group_ = group;
}

struct Evaluation::Batches {
  std::vector<Sums> sums;
  std::vector<Prediction> predictions;
};

// What a batch leaves on its device, where it lies until several are read: each read is a wait.
struct Evaluation::Left {
  Tensor logits, probs, labels, loss;
  static constexpr std::size_t most_bytes = 8 << 20;
  std::size_t bytes() const { return logits.bytes() + probs.bytes() + labels.bytes(); }
};

EvalResult Evaluation::run() {
  Batches all = own_batches();
  if (group_) all = {gather(*group_, all.sums), gather(*group_, all.predictions)};
  EvalResult result;
  std::int64_t top1 = 0, top5 = 0;
  for (const Sums& batch : all.sums) {
    result.loss += batch.loss;
    result.images += batch.images;
    top1 += batch.top1;
    top5 += batch.top5;
  }
  const double n = std::max<double>(1, result.images);
  result.loss /= n;
  result.top1 = top1 / n;
  result.top5 = top5 / n;
  result.predictions = std::make_shared<const std::vector<Prediction>>(std::move(all.predictions));
  return result;
}

Evaluation::Batches Evaluation::own_batches() {
  if (data_->size() == 0) return {};
  Context& context = Context::current(model_.device());
  const std::size_t scratch = context.scratch_bytes();
  for (;;) {
    try {
      Batches own = run_once();
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

Evaluation::Batches Evaluation::run_once() {
  const EvalMode mode(model_);
  if (!loader_) {
    loader_ = make_loader(data_,
                          {.batch = batch_,
                           .resolution = model_.arch().resolution,
                           .shuffle = false,
                           .pipeline = evaluation,
                           .threads = loader_threads(model_.device())},
                          model_.device());
  }
  loader_->start(0);
  const bool finite = broken_parameter(model_).empty() && statistics_finite(model_);
  // A given forward may overwrite its output with the next.
  const bool at_once = forward_ || model_.device().kind == DeviceKind::cpu;
  Batches own;
  std::vector<Left> left;
  std::size_t bytes = 0;
  Batch batch;
  while (loader_->next(batch)) {
    const Var logits = forward_ ? Var(forward_(batch.images)) : model_.forward(batch.images);
    const auto [loss, probs] = ops::softmax_cross_entropy(logits, batch.labels);
    left.push_back({logits.value(), probs, batch.labels, loss.value()});
    bytes += left.back().bytes();
    if (!at_once && finite && bytes < Left::most_bytes) continue;
    read(left, finite, own);
    left.clear();
    bytes = 0;
  }
  read(left, finite, own);
  return own;
}

void Evaluation::read(const std::vector<Left>& left, bool finite, Batches& own) {
  for (const Left& batch : left) {
    const double loss = batch.loss.item();
    if (!finite || !std::isfinite(loss)) throw_broken(std::ssize(own.sums), loss);
    const std::int64_t images = batch.labels.numel();
    const Tensor probs = batch.probs.to(Device{}), labels = batch.labels.to(Device{});
    own.sums.push_back({.loss = loss * static_cast<double>(images),
                        .images = images,
                        .top1 = count_in_top(probs, labels, 1),
                        .top5 = count_in_top(probs, labels, 5)});
    append_predictions(batch.logits, probs, labels, own.predictions);
  }
}

// On that batch, once more.
void Evaluation::throw_broken(std::int64_t batch, double loss) {
  Batch again;
  loader_->start(0, batch);
  loader_->next(again);
  throw_not_finite(model_, again.images, "in evaluation", loss);
}

EvalResult evaluate(Model& model, const DatasetPtr& data, std::int64_t batch,
                    Evaluation::Forward forward) {
  return Evaluation(model, data, batch, std::move(forward)).run();
}

}  // namespace hac
