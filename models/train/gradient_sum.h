#pragma once
// Gradients of the parts of a batch, added in the order of the parts whichever rank computed them:
// so that the sum has the same bits on any number of ranks. Each rank adds up one slice of all
// parts, and the slices are collected.

#include <vector>

#include "data/loader/batch_shard.h"
#include "engine/parallel/group.h"
#include "models/model.h"

namespace hac {

// For one step. Without a group gradients add up in the model, and this does nothing.
class GradientSum {
 public:
  // parts: that every batch is asked to be cut in.
  GradientSum(const Model& model, Group* group, std::int64_t images, std::int64_t parts);

  void after_part();  // takes the model's gradients away
  void finish();      // gives it the sum

 private:
  const std::vector<Parameter> parameters_;
  Group* const group_;
  std::vector<std::int64_t> counts_;       // parts, by rank
  std::int64_t elements_ = 0, slice_ = 0;  // of all gradients; of what a rank adds up
  std::vector<std::vector<float>> parts_;  // of this rank, padded to slices
};

}  // namespace hac
