#pragma once
// The table of data sets: a name on the command line -> train and test sets.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"
#include "engine/io/fields.h"

namespace hac {

std::string dataset_usage();  // "fashion-mnist, cifar10, ... or synthetic"

enum class BadImages : std::uint8_t { error, skip };
template <>
inline constexpr std::string_view enum_names<BadImages>[] = {"error", "skip"};

struct DataConfig {
  // of the table below, and what follows a colon: imagefolder:DIR
  std::string name = "fashion-mnist";
  std::string dir;               // empty: the set's default place
  std::int64_t limit_train = 0;  // 0 = all; else the first N, equally many of each class
  std::int64_t limit_test = 0;
  std::int64_t resolution = 0;  // native size for imagefolder (default 224) and synthetic (32)
  std::int64_t classes = 0;     // synthetic only (default 10)
  // Of the preprocessing; none = the set's (1), or the checkpoint's.
  std::optional<double> crop_pct;
  // What becomes of imagefolder's files that check_image() (data/image/decode.h) refuses.
  BadImages bad_images = BadImages::error;
  bool quiet = false;        // no line of progress while they are looked for
  bool check_images = true;  // false: whoever asks decodes all of them anyway
  // How images are prepared, as a trained network wants them; none = as the set has it. Its
  // resolution is what counts then.
  std::optional<Preprocessing> preprocessing;

  Fields fields() {
    return Fields()
        .add("name", name, dataset_usage(), {.flag = "--data", .type = "SET"})
        .add("dir", dir, "folder of its files, if not the default one",
             {.flag = "--data-dir", .type = "DIR", .omit = true})
        .add("limit_train", limit_train, {0}, "the first N, equally many of each class; 0 = all")
        .add("limit_test", limit_test, {0}, "the same of the test set")
        .add("resolution", resolution, {0, 4096},
             "size of imagefolder (224) and synthetic (32) images", {.flag = "--data-resolution"})
        .add("classes", classes)
        .add("crop_pct", crop_pct, {.low = 0.01, .high = 1, .above = true},
             "resize the shorter side to SIZE / P before the centre is cropped: 0.875 is "
             "torchvision's 256 for 224 (default: 1, or what the checkpoint says)",
             {.type = "P"})
        .add("bad_images", bad_images,
             "of imagefolder: before anything else every JPEG is decoded and every PNG's checksums "
             "are compared; files that are damaged, cut, or no image are an error, or left out",
             {.omit = bad_images == BadImages::error});
  }
  bool operator==(const DataConfig&) const = default;
};

enum class Parts { both, test };  // train is null, and its files need not be there, for test

struct DataSplit {
  DatasetPtr train, test;
  std::vector<std::string> notes;   // what was left out of them, and what was assumed
  DatasetPtr validation = nullptr;  // held out of train (data/sets/holdout.h), or none
};

struct DatasetInfo {
  std::string_view name;      // what follows a colon is the set's own business
  std::string_view argument;  // of the command line, behind the name
  DataSplit (*open)(const DataConfig&, Parts);
  bool has_place = false;       // its files have a default one
  bool any_resolution = false;  // DataConfig::resolution counts
  bool photographs = false;     // of any size: a larger input shows more of them
  bool any_classes = false;     // and DataConfig::classes
};
std::span<const DatasetInfo> datasets();
// The row of a name, or one without any property where there is none.
DatasetInfo dataset_info(std::string_view name);

// Throws ConfigError (unknown name, with the known ones), IoError (missing, cut or malformed files:
// what, where, expected, got, and how to get the set).
DataSplit open_data(const DataConfig& config, Parts parts = Parts::both);

}  // namespace hac
