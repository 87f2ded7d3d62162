#pragma once
// Rotation and shear by the nearest pixel, black outside: torchvision's rotate() and affine() on
// uint8 tensors with InterpolationMode.NEAREST, pixel for pixel. It rounds a grid in f32, which
// decides where two pixels are equally near; so does this, without fused multiply-adds.

#include "data/image/sample.h"

namespace hac {

// Counter-clockwise about the centre.
void rotate(Sample& image, double degrees);
// Row y moves right by `level` y, column x down by `level` x.
void shear_x(Sample& image, double level);
void shear_y(Sample& image, double level);

}  // namespace hac
