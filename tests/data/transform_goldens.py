"""Prints tests/data/transform_goldens.h: what torchvision's operations do to small uint8 images.

usage: python3 tests/data/transform_goldens.py > tests/data/transform_goldens.h
       (torch and torchvision 0.14 or later: Debian's python3-torchvision, or PyPI's)
"""
import textwrap

import torch
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import AutoAugment, AutoAugmentPolicy, _apply_op

SIZES = [(3, 4, 5), (1, 5, 3), (1, 1, 1), (3, 1, 6), (3, 31, 33), (1, 64, 50), (3, 224, 200)]
COLOURS = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast,
           "saturation": F.adjust_saturation, "hue": F.adjust_hue}


def image(c, h, w):
    """Noise: of wide contrast in colour, of small contrast in grey."""
    k = torch.arange(c * h * w, dtype=torch.int64) * 2654435761 % 2**32 >> 24
    return (30 + k * 200 // 255 if c == 3 else 100 + k % 8).to(torch.uint8).reshape(c, h, w)


def row(name, number, x, y):
    flat = y.flatten().long()
    n = flat.numel()
    mix = int((flat * (torch.arange(n) * 29 % 17 - 8)).sum())
    text = "".join(f"{v:02x}" for v in flat.tolist()) if n <= 60 else ""
    c, h, w = x.shape
    number = repr(number).removesuffix(".0")
    quoted = "\n     ".join(f'"{part}"' for part in textwrap.wrap(text, 88)) or '""'
    print(f'    {{"{name}", {number}, {c}, {h}, {w}, {mix},\n     {quoted}}},')


def operations(x):
    space = AutoAugment()._augmentation_space(10, tuple(x.shape[-2:]))
    for name, (magnitudes, signed) in space.items():
        levels = [9, -4] if signed else [9, 4] if magnitudes.ndim else [0]
        for level in levels:
            magnitude = magnitudes[abs(level)].item() if magnitudes.ndim else 0.0
            magnitude = -magnitude if level < 0 else magnitude
            row(name, magnitude, x, _apply_op(x, name, magnitude, InterpolationMode.NEAREST, None))


print(f"""#pragma once
// Printed by tests/data/transform_goldens.py with torchvision {torchvision.__version__}.

#include <cstdint>

namespace hac {{

struct TransformGolden {{
  const char* name;
  double number;  // magnitude or factor
  int channels, height, width;
  std::int64_t mix;    // sum over outputs of y_k * ((29 k) mod 17 - 8)
  const char* pixels;  // all of at most 60, in hexadecimal
}};

inline constexpr TransformGolden operation_goldens[] = {{""")
for size in SIZES:
    operations(image(*size))
print("};\n\ninline constexpr TransformGolden colour_goldens[] = {")
for size in SIZES:
    for name, change in COLOURS.items():
        for number in [0.1, -0.45] if name == "hue" else [0.35, 1.6]:
            row(name, number, image(*size), change(image(*size), number))
print("};\n")
print("""// Of levels 0 to 9 on an image of 224 rows and 200 columns.
struct MagnitudeGolden {
  const char* name;
  double levels[10];
};
inline constexpr MagnitudeGolden magnitude_goldens[] = {""")
for name, (magnitudes, _) in AutoAugment()._augmentation_space(10, (224, 200)).items():
    if magnitudes.ndim:
        levels = ", ".join(repr(m).removesuffix(".0") for m in magnitudes.tolist())
        print(f'    {{"{name}",\n     {{' + textwrap.fill(levels, 88, subsequent_indent="      ") + "}},")
print("};\n")
print("// A line for each policy: \"Posterize 0.4 8 Rotate 0.6 9\", 0 where there is no level.")
for policy in (AutoAugmentPolicy.IMAGENET, AutoAugmentPolicy.CIFAR10):
    print(f"inline constexpr const char* {policy.value}_policy[] = {{")
    for pair in AutoAugment(policy).policies:
        print('    "' + " ".join(f"{n} {p} {level or 0}" for n, p, level in pair) + '",')
    print("};")
print("\n}  // namespace hac")
