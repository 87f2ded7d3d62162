#pragma once
// Gradients of the parts of a batch, added in the order of the parts whichever rank computed them:
// so that the sum has the same bits on any number of ranks. Each rank adds up one slice of all
// parts, and the slices are collected: what a ring of all-reduce sends, with the order in our
// hands. In buckets that are on their way while backward goes on (Li et al., "PyTorch Distributed",
// VLDB 2020), where collectives are work of the device.

#include <vector>

#include "models/model.h"
#include "models/train/step_ranks.h"

namespace hac {

// For one step. Without ranks gradients add up in the model, and this does nothing.
class GradientSum {
 public:
  // parts: that every batch is asked to be cut in. bucket_bytes: of gradients that are sent at
  // once.
  GradientSum(const Model& model, StepRanks* ranks, std::int64_t images, std::int64_t parts,
              std::int64_t bucket_bytes = 4 << 20);

  // All gradients of the model, that it keeps beside those: of each part here, as given and as
  // received, and their sum.
  static int kept(const Group* group, std::int64_t parts) {
    return group ? static_cast<int>(2 * ceil_div(parts, group->size()) + 1) : 0;
  }

  // In backward, of a part, when a leaf has its gradient: takes the model's away that are there.
  void after_leaf();
  void finish();  // gives it the sums

 private:
  struct Bucket {
    std::size_t first, last;       // of leaves_
    std::int64_t slice = 0;        // numbers that a rank adds up
    Tensor filling;                // of the part that is computed
    std::vector<Tensor> own;       // gradients of this rank's k-th part, (ranks, slice)
    std::vector<Tensor> received;  // of each rank's k-th part, (ranks, slice)
    Tensor sum, all;               // (slice), (ranks, slice)
  };

  void send(Bucket& bucket);
  void add_up(Bucket& bucket);
  Tensor rows(const Bucket& bucket) const;

  StepRanks* const ranks_;
  const Device device_;
  std::vector<Parameter> leaves_;      // of the last layers first
  std::vector<std::int64_t> offsets_;  // of each in its bucket
  std::vector<std::int64_t> counts_;   // parts, by rank
  std::int64_t most_ = 0;              // parts of a rank
  std::vector<Bucket> buckets_;
  std::size_t leaf_ = 0, bucket_ = 0;  // that come next
};

}  // namespace hac
