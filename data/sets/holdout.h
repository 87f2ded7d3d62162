#pragma once
// Validation images: a part of the training set that is kept out of training, to choose an epoch or
// a network by without looking at the test set.

#include <cstdint>

#include "data/sets/datasets.h"

namespace hac {

// Moves `amount` of split.train to split.validation: a fraction below 1, or a number of images. The
// classes keep their shares (largest remainders; a class keeps at least one image to train on),
// both parts their order. Which images is a function of (seed, set). 0: nothing is held out. Throws
// ConfigError naming `--validation`: not a number >= 0, above 1 and not whole, less than an image
// for each class, or as many as would leave nothing to train on.
DataSplit hold_out(DataSplit split, double amount, std::uint64_t seed);

}  // namespace hac
