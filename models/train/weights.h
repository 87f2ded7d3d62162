#pragma once
// Weights from a file into a network: from our checkpoints and from what other programs save.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/model.h"

namespace hac {

class Group;

// What became of the tensors, where it is not plain.
struct LoadedWeights {
  std::int64_t loaded = 0;
  std::int64_t stripped = 0;                    // names that lost a prefix
  std::int64_t renamed = 0;                     // from timm's names (models/zoo/timm_names.h)
  std::map<std::string, std::int64_t> widened;  // tensors of other floats, by type: "BF16"
  std::vector<std::string> prefixes;            // which: "module."
  std::vector<std::string> left;                // of the network: as they were before
  std::vector<std::string> unused;              // of the file: "mask BOOL (3)"
  std::vector<std::string> notes() const;       // a line each; none for an ordinary file
};

// Names are torchvision's or timm's, with or without the prefixes "module." (DataParallel) and
// "_orig_mod." (torch.compile). What a training keeps beside the network and num_batches_tracked
// are passed over, and so is a tensor that cannot be a weight (integers, more than 4 dimensions).
// Throws IoError, and changes nothing, when a weight is missing, has another shape, belongs to no
// layer, or is refused by Model::load_state().
LoadedWeights load_weights(const std::string& path, Model& model);

// The same to start a training from. What a pattern matches (*, ?, [...]) is not loaded: "fc.*"
// for a head with another number of classes. Throws ConfigError for a pattern that matches nothing.
LoadedWeights init_weights(const std::string& path, Model& model,
                           const std::vector<std::string>& except);

// Weights and statistics, of the same network. Every rank calls it.
void copy_from_rank_0(Group& group, Model& model);

}  // namespace hac
