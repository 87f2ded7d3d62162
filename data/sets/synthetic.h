#pragma once
// A procedural labelled set that needs no file and can be learnt at any resolution.

#include "data/sets/datasets.h"

namespace hac {

// Class c shows the texture cos(2 pi fx x + p) cos(2 pi fy y + q) with its own pair of frequencies
// (cycles an image, 1 to ceil(sqrt(classes))), random phases and contrast, on a background whose
// hue leans towards the class, under noise. Mirroring and small shifts keep the class. RGB; image i
// has label i % classes and depends on (split, i, resolution, classes) alone; 10,000 + 2,000
// images. Resolution: config.resolution, default 32. Throws ConfigError: fewer than 2 classes, a
// resolution that cannot show the highest frequency (2 * ceil(sqrt(classes))) or is above 4096.
DataSplit open_synthetic(const DataConfig& config, Parts parts);

}  // namespace hac
