#pragma once
// From the pixels of a Sample to what a net reads.

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/resize.h"
#include "kernels/augment.h"

namespace hac {

// Throws ShapeError when the sample has another size than the set declared.
void require_size(const Sample& sample, std::int64_t channels, std::int64_t native);

// Sample -> net input (channels, resolution, resolution) f32: augment at the native size, normalise
// by (pixel / 255 - mean) / std, then resize if the size differs. Pixels beyond the border are
// black. Immutable, so that threads can share one; the scratch is theirs.
class InputTransform {
 public:
  struct Scratch {
    std::vector<float> native, rows;
  };
  // Throws ConfigError for a resolution below 1 and for channels other than 1 to 3.
  InputTransform(std::int64_t channels, std::int64_t native, std::int64_t resolution,
                 const Normalization& normalization);
  std::int64_t resolution() const { return resolution_; }
  const std::array<float, 3>& scale() const { return scale_; }
  const std::array<float, 3>& shift() const { return shift_; }
  const ResizeAxis& axis() const { return axis_; }  // of both axes; empty where nothing is resized
  // Throws ShapeError as require_size().
  void operator()(const Sample& sample, const Augmentation& augmentation, float* out,
                  Scratch& scratch) const;

 private:
  std::int64_t channels_, native_, resolution_;
  std::array<float, 3> scale_{}, shift_{};  // normalised = pixel * scale + shift
  ResizeAxis axis_;
};

// Any image -> (channels, resolution, resolution): the shorter side resized to `resized` (0 = the
// resolution), the centre cropped, as torchvision's Resize + CenterCrop. Grey becomes RGB by
// repetition, RGB becomes grey by ITU-R 601 luma. Throws ShapeError for other channel counts or an
// empty image, ConfigError for a resolution below 1.
Sample fit(const Sample& image, std::int64_t channels, std::int64_t resolution,
           std::int64_t resized = 0);

}  // namespace hac
