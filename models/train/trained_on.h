#pragma once
// What a checkpoint says of the data that its network was trained on: enough to classify other
// images as those, and to notice when a resumed training would see others.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/image/preprocessing.h"
#include "data/sets/datasets.h"
#include "models/arch/architecture.h"

namespace hac {

// The images of one class: how many, and a hash over what identifies them (Dataset::identity).
struct ClassImages {
  std::int64_t images = 0;
  std::string key;
  bool operator==(const ClassImages&) const = default;
};

struct TrainedOn {
  std::string data;  // name of the set, with the folder of an image folder; "" = not known
  Preprocessing preprocessing;
  std::vector<std::string> classes;
  // By class; empty where they are not known, and where nothing is held out.
  std::vector<ClassImages> train, test, validation;
};

TrainedOn trained_on(const DataSplit& data, const std::string& name);

// As the metadata of a checkpoint, and from them. Nothing where they say nothing, as those of other
// programs do. Throws IoError, calling the file `path`, when they are malformed.
std::map<std::string, std::string> to_metadata(const TrainedOn& data);
std::optional<TrainedOn> trained_on(const std::map<std::string, std::string>& metadata,
                                    const std::string& path);

// Throws ConfigError where a network has another number of channels or classes.
void require_fits(const TrainedOn& data, const Architecture& arch);

// Throws ConfigError with the counts and the first difference: another order of the class names,
// other names, other images. Where a folder lies does not matter.
void require_same_data(const std::string& path, const TrainedOn& was, const TrainedOn& is);

// The data of `config`, or where it names none those of the training, as the trained network knows
// them: its preprocessing (but config.resolution, where given), its classes by name. Notes say what
// was assumed. Throws ConfigError for other classes; `path` is the checkpoint's.
DataSplit open_data_for(const std::optional<TrainedOn>& trained, const std::string& path,
                        DataConfig& config, Parts parts);

}  // namespace hac
