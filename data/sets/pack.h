#pragma once
// A folder of images -> one packed file (packed_file.h), which `packed:FILE` opens as a data set.

#include <cstdint>
#include <string>

#include "data/sets/datasets.h"
#include "engine/io/fields.h"

namespace hac {

// `automatic` is raw up to a side of 256: a crop of it costs no decoding, but it is some 200 KB.
enum class PackStore : std::uint8_t { automatic, raw, jpeg };
template <>
inline constexpr std::string_view enum_names<PackStore>[] = {"auto", "raw", "jpeg"};

struct PackConfig {
  std::int64_t side = 256;
  PackStore store = PackStore::automatic;
  std::int64_t quality = 90;
  BadImages bad_images = BadImages::error;
  bool overwrite = false;
  bool quiet = false;

  Fields fields() {
    return Fields()
        .add("side", side, {1, 4096}, "the longest that an image's shorter side stays")
        .add("store", store,
             "pixels, or JPEG files (those that are small enough as they are); auto is raw up to "
             "a side of 256")
        .add("quality", quality, {1, 100}, "of the JPEG files that are made")
        .add("bad_images", bad_images, "damaged files are an error at the end, or left out")
        .add("overwrite", overwrite, "replace OUT, and what was begun with other settings")
        .add("quiet", quiet, "no line of progress");
  }
};

struct PackResult {
  std::int64_t images = 0;
  std::int64_t continued = 0;  // of them, found as an earlier call had left them
  std::int64_t bad = 0;        // left out
  std::int64_t bytes = 0;      // of the file
  Fields fields() {
    return Fields()
        .add("images", images)
        .add("continued", continued)
        .add("bad", bad)
        .add("bytes", bytes);
  }
};

// All images of `folder` (train and val, as imagefolder has them), upright RGB, the shorter side
// resized to `side` if it is longer, in order. Works on all threads that kernels use; the bytes do
// not depend on them, nor on how often it was stopped: the same call continues. Raw pixels are
// those that evaluation() of a resolution `side` resizes to.
// Throws ConfigError for settings, IoError: a folder that imagefolder refuses, bad images, `out`
// exists, or was begun for something else.
PackResult pack_images(const std::string& folder, const std::string& out, const PackConfig& config);

}  // namespace hac
