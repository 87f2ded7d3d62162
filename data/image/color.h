#pragma once
// What changes pixels where they are: the numbers of torchvision's functions of the same names on
// uint8 tensors, computed in f32 and cut to integers, in place. Grey images keep their saturation
// and hue. Compiled without contraction to fused multiply-adds, which would round otherwise.

#include "data/image/sample.h"
#include "kernels/core/color.h"

namespace hac {

// kernels/core/color.h has the formulas.
void adjust(Sample& image, const ColorStep& step);
// Blended as brightness is, but with the image blurred by (1 1 1; 1 5 1; 1 1 1) / 13 within its
// border. factor >= 0.
void adjust_sharpness(Sample& image, double factor);

void posterize(Sample& image, int bits);         // the upper `bits` of 8 are kept
void solarize(Sample& image, double threshold);  // values from there on are inverted
void autocontrast(Sample& image);                // each channel stretched to 0..255
void equalize(Sample& image);                    // each channel's histogram levelled
void invert(Sample& image);

}  // namespace hac
