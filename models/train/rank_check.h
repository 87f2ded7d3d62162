#pragma once
// What the ranks of a group have in common, as text: ranks that compute other things would add up
// what does not belong together.

#include <cstdint>
#include <string>

#include "models/train/checkpoint.h"

namespace hac {

// Version, instruction set, threads, settings, network and data.
std::string what_is_trained(const Model& model, const TrainConfig& config, std::int64_t steps,
                            const DataSplit& data);
// With synchronised batch norm every rank must have images of every batch, or the others would wait
// for it: ConfigError.
void require_images_a_rank(const TrainConfig& config, std::int64_t images);
// Position and weights.
std::string where_it_begins(const Model& model, const TrainPosition& position);

}  // namespace hac
