#pragma once
// A folder of images: DIR/{train,val}/CLASS/ with images at any depth (image_files.h). Classes are
// the folders of train, sorted; images are decoded when asked for.

#include "data/sets/datasets.h"

namespace hac {

// DIR follows the colon of config.name, else is config.dir. Their preprocessing is
// config.preprocessing, else one of config.resolution (default 224). Throws ConfigError without
// DIR, IoError for folders that are missing, empty or not the same in train and val.
DataSplit open_image_folder(const DataConfig& config, Parts parts);

}  // namespace hac
