#pragma once
// Networks trained once: the result of (architecture, training, seed) is kept in a folder named by
// its content, and a training that was cut off resumes from its checkpoint. Photographs are
// prepared at each network's own resolution.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/train/eval_details.h"
#include "scaling/experiment/pruning.h"
#include "scaling/experiment/training_tasks.h"
#include "scaling/importance/importance.h"
#include "scaling/stats.h"

namespace hac {

struct TrainedNetwork {
  EvalResult test, validation;  // of the selected epoch; no images where it was not evaluated
  std::vector<LayerImportance> importance;  // empty unless it was observed
  std::string weights;                      // of the selected epoch, "" unless they were kept
  // Of its training: CPU time of all threads, which other work on the machine does not lengthen,
  // and where; of records that lack it, unknown. What a run had done that was killed is missing.
  double cpu_seconds = unknown;
  std::string device;  // as LatencySource::str()
  // Of the test, where it was asked for; records of before there were any have none.
  std::optional<EvalDetails> details;

  Fields fields() {  // but for the weights
    return Fields()
        .add("test", test)
        .add("validation", validation)
        .add("importance", importance)
        .add("cpu_seconds", cpu_seconds, {.optional = true})
        .add("device", device, {.optional = true})
        .add("details", details, {.omit = !details, .optional = true});
  }
};

struct PrunedNetwork {
  std::vector<std::vector<std::int64_t>> rows;  // pruning.h
  double cpu_seconds = unknown;
  std::string device;

  Fields fields() {
    return Fields().add("rows", rows).add("cpu_seconds", cpu_seconds).add("device", device);
  }
};

// What a set holds, as a key: sizes, names of classes, the fingerprint, and because that of a
// folder knows no pixels, those of images spread over it.
std::string data_key(const DataSplit& data);

class NetworkCache {
 public:
  // `data_key` is part of the question that every network answers: the same name of a set may stand
  // for other files. `where` they are trained is part of it too: bits differ from device to device.
  NetworkCache(std::string folder, std::string data_key, bool quiet, TensorOptions where = {});

  // False: nothing is trained; train_all() and prune() throw TrainingsMissing, the first with every
  // training that it lacks, unnumbered.
  void set_training(bool allowed) { may_train_ = allowed; }
  bool may_train() const { return may_train_; }

  // Throws Interrupted when a signal stopped the training, after it was saved; IoError where
  // another process trains the same network.
  TrainedNetwork train(const TrainingRequest& request);
  std::vector<TrainedNetwork> train_all(const std::vector<TrainingRequest>& requests);
  // The one that is kept, if it is.
  std::optional<TrainedNetwork> find(const TrainingRequest& request) const;
  std::string key(const TrainingRequest& request) const;  // the name of its folder
  // The network, pruned while it trains; begins again if it was cut off. Throws as train() does.
  PrunedNetwork prune(const Architecture& arch, const TrainConfig& training,
                      const PruneOptions& options);

 private:
  // A training and where it is kept.
  struct Entry {
    TrainConfig config;
    bool test = true;
    std::string question, folder, answer;
  };
  Entry entry(const TrainingRequest& request) const;
  std::optional<TrainedNetwork> find(const TrainingRequest& request, const Entry& entry) const;
  const DataSplit& data(const DataConfig& config);
  std::string place() const;  // where it trains, as part of a question; "" on the CPU in f32

  std::string folder_, data_key_;
  bool quiet_, may_train_ = true;
  TensorOptions where_;
  // By everything else, and the resolution.
  std::map<std::pair<std::string, std::int64_t>, DataSplit> data_;
};

}  // namespace hac
