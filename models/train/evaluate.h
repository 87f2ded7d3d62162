#pragma once
// Accuracy over a whole set, and the checks that training and evaluation share.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/loader/loader.h"
#include "engine/io/fields.h"
#include "models/model.h"

namespace hac {

class Group;

// What a network said of one image, p its softmax.
struct Prediction {
  std::int32_t label = 0;
  std::int32_t guess = 0;  // the class of highest p; of equals the lower
  double confidence = 0;   // p of the guess
  double loss = 0;         // -ln p of the label
  double brier = 0;        // sum over classes of (p - [class is the label])^2
};

struct EvalResult {
  double loss = 0;  // mean cross-entropy
  double top1 = 0;  // fractions
  double top5 = 0;
  std::int64_t images = 0;
  // Of each image, in the order of the set; null in what was read from a file.
  std::shared_ptr<const std::vector<Prediction>> predictions = nullptr;

  Fields fields() {  // but for the predictions
    return Fields().add("loss", loss).add("top1", top1).add("top5", top5).add("images", images);
  }
};

// Top-1, top-5 and loss over a whole set, in evaluation mode; the model's mode is restored.
class Evaluation {
 public:
  // Images to logits; model.forward() where there is none.
  using Forward = std::function<Tensor(const Tensor& images)>;
  Evaluation(Model& model, DatasetPtr data, std::int64_t batch = 256, Forward forward = {});
  // Each rank of a group reads and evaluates some of the batches, whole ones in a row; all have the
  // result, with the bits of one that evaluates all unless memory made it halve a batch. Every rank
  // calls run() as often. One that throws leaves the others waiting for it. Null: this process
  // alone.
  Evaluation(Model& model, const DatasetPtr& data, Group* group, std::int64_t batch = 256);
  // Leaves the set on the model's device, if make_loader put it there, and no scratch memory beyond
  // what there was.
  // Throws Error when the loss, a parameter or a statistic is not finite, naming the first layer.
  // A batch for which memory does not suffice is halved: only the rounding of the loss tells.
  EvalResult run();

 private:
  struct Batches;
  struct Left;
  Batches own_batches();
  Batches run_once();
  void read(const std::vector<Left>& left, bool finite, Batches& own);
  [[noreturn]] void throw_broken(std::int64_t batch, double loss);

  Model& model_;
  const DatasetPtr data_;
  std::int64_t batch_;
  const Forward forward_;
  std::unique_ptr<BatchSource> loader_;
  Group* group_ = nullptr;
};

// Once.
EvalResult evaluate(Model& model, const DatasetPtr& data, std::int64_t batch = 256,
                    Evaluation::Forward forward = {});

// Throws ConfigError when images or classes of a set do not fit the model; `which` names the set.
void require_match(const Model& model, const Dataset& data, const char* which);

// Appends those of a batch: logits and their softmax (N, classes), of any device and float type.
void append_predictions(const Tensor& logits, const Tensor& probs, const Tensor& labels,
                        std::vector<Prediction>& predictions);

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
