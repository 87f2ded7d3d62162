#pragma once
// A labelled set of images. An image reaches a network in three steps: the set reads what it has of
// it, decode() (data/image/decode.h) makes a Sample of that, and a Pipeline
// (data/image/transforms.h) the square that is batched. All of a set is pure and thread-safe:
// loaders call it from their own threads.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image/decode.h"
#include "data/image/preprocessing.h"
#include "data/image/sample.h"

namespace hac {

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  // Image i as it is stored. Throws IoError for a file that cannot be read.
  virtual StoredImage read(std::int64_t i) const = 0;
  virtual std::int32_t label(std::int64_t i) const = 0;  // without reading
  // Of a file its path below the set's folder, "" of an image in memory.
  virtual std::string name(std::int64_t) const { return ""; }
  // What image i is, without decoding: of a file its path below the set's folder and its size, of
  // an image in memory a hash of its bytes. Throws IoError for a file that is gone.
  virtual std::string identity(std::int64_t i) const { return std::to_string(label(i)); }
  virtual const std::vector<std::string>& classes() const = 0;
  // What becomes of its images, in training before any augmentation.
  virtual const Preprocessing& preprocessing() const = 0;

  // Read and decoded, of its own size. Throws IoError.
  Sample get(std::int64_t i, const DecodeOptions& options = {}) const {
    return decode(read(i), options);
  }
  std::int64_t channels() const { return preprocessing().channels; }
  std::int64_t resolution() const { return preprocessing().resolution; }
  const Normalization& normalization() const { return preprocessing().normalization; }
};

using DatasetPtr = std::shared_ptr<const Dataset>;

// What a resumed training compares: 16 hex digits over label and identity of all images, in order.
std::string fingerprint(const Dataset& set);

}  // namespace hac
