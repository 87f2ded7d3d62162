#pragma once
// Accuracy over a whole set, and the checks that training and evaluation share.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/loader/loader.h"
#include "engine/device/capture.h"
#include "engine/io/fields.h"
#include "kernels/ops/predictions.h"
#include "models/model.h"

namespace hac {

class Group;

struct EvalResult {
  double loss = 0;  // mean of Prediction::loss
  double top1 = 0;  // fractions
  double top5 = 0;
  std::int64_t images = 0;
  // Of each image, in the order of the set; null in what was read from a file.
  std::shared_ptr<const std::vector<Prediction>> predictions = nullptr;

  Fields fields() {  // but for the predictions
    return Fields().add("loss", loss).add("top1", top1).add("top5", top5).add("images", images);
  }
};

struct EvalOptions {
  // Images (f32) to logits, which may be overwritten with the next; none: Model::logits().
  using Forward = std::function<Tensor(const Tensor& images)>;

  std::int64_t batch = 256;
  Forward forward = {};
  // Each rank reads and evaluates some of the batches, whole ones in a row; all have the result,
  // with the bits of one that evaluates all unless memory made it halve a batch. Every rank calls
  // run() as often. One that throws leaves the others waiting for it. Null: this process alone.
  Group* group = nullptr;
  std::optional<LaunchMode> launch = {};  // none: default_launch_mode()
};

// Top-1, top-5 and loss over a whole set, in evaluation mode; the model's mode is restored.
//
// What is known of an image stays on the device until all are evaluated. With LaunchMode::graph the
// second whole batch is recorded, and replayed from there on, without the host and without its
// copies; a recording lasts as long as a run().
class Evaluation {
 public:
  Evaluation(Model& model, const DatasetPtr& data, EvalOptions options = {});
  // Leaves the set on the model's device, if make_loader put it there, and no scratch memory beyond
  // what there was.
  // Throws Error when the loss, a parameter or a statistic is not finite, naming the first layer.
  // A batch for which memory does not suffice is halved.
  EvalResult run();

 private:
  class Rows;
  std::vector<Prediction> own_predictions();
  std::vector<Prediction> run_once();
  LoaderConfig loader_config() const;
  bool records() const;
  void evaluate_batch(const Rows& rows);
  void require_finite_losses(const std::vector<Prediction>& predictions, bool finite);

  Model& model_;
  const EvalOptions options_;
  const DatasetPtr data_;  // of this rank
  std::int64_t batch_;     // options_.batch, or less
  std::unique_ptr<BatchSource> loader_;
};

// Once.
EvalResult evaluate(Model& model, const DatasetPtr& data, EvalOptions options = {});

// Throws ConfigError when images or classes of a set do not fit the model; `which` names the set.
void require_match(const Model& model, const Dataset& data, const char* which);

// How many of the rows of probs (N, classes) have their label among the k largest. Ties go to the
// lower class.
std::int64_t count_in_top(const Tensor& probs, const Tensor& labels, int k);

bool statistics_finite(const Model& model);  // running means and variances
// Throws Error naming the first parameter that is not. An update may break weights that the loss
// before it did not show.
void require_finite(const Model& model, std::int64_t step);
// Throws Error naming the first layer, in order of execution, that is not finite on these images.
[[noreturn]] void throw_not_finite(Model& model, const Tensor& images, const std::string& when,
                                   double loss);

// Decoding a JPEG takes about 1 ms, so sets on disk need more threads the more of them compute: one
// for every four, or where a GPU computes all but one, 16 at most. A thread that is ahead sleeps.
int loader_threads(Device device);

}  // namespace hac
