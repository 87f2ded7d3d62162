#pragma once
// From the square that a pipeline makes to what a network reads.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/image/preprocessing.h"
#include "data/image/resize.h"
#include "data/image/view.h"
#include "engine/tensor/tensor.h"

namespace hac {

// Throws ShapeError for a view of another size.
void require_square(const View& view, std::int64_t side);

// (channels, native, native) -> (channels, resolution, resolution) f32: normalised by
// (pixel / 255 - mean) / std, then resized if the size differs. Immutable, so that threads can
// share one; the scratch is theirs.
class InputTransform {
 public:
  struct Scratch {
    std::vector<float> native, rows;
  };
  // `native` is the preprocessing's resolution, `resolution` the network's. Throws ConfigError for
  // a resolution below 1 and for channels other than 1 to 3.
  InputTransform(const Preprocessing& preprocessing, std::int64_t resolution);
  std::int64_t resolution() const { return resolution_; }
  const std::array<float, 3>& scale() const { return scale_; }
  const std::array<float, 3>& shift() const { return shift_; }
  const ResizeAxis& axis() const { return axis_; }  // of both axes; empty where nothing is resized
  // Throws ShapeError for a view of another size, and as View::resample() does.
  void operator()(View view, float* out, Scratch& scratch) const;

 private:
  std::int64_t channels_, native_, resolution_;
  std::array<float, 3> scale_{}, shift_{};  // normalised = pixel * scale + shift
  ResizeAxis axis_;
};

// A file as a trained network wants it: (1, channels, resolution, resolution) f32. Throws IoError.
Tensor read_input(const std::string& path, const Preprocessing& preprocessing,
                  std::int64_t resolution);

}  // namespace hac
