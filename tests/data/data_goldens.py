"""Prints the resize figures of test_data_transform.cpp: PyTorch's antialiased bilinear resize.

usage: python3 tests/data/data_goldens.py      (Debian: python3-torch)
"""
import torch

SIZES = [((7, 5), (3, 2)), ((5, 7), (8, 3)), ((3, 4), (3, 4)), ((4, 3), (5, 7)), ((6, 1), (1, 2)),
         ((32, 32), (40, 40)), ((32, 32), (24, 24)), ((33, 31), (8, 61)), ((224, 224), (37, 255)),
         ((31, 31), (1, 1)), ((2, 2), (64, 64))]

for (h, w), size in SIZES:
    x = (torch.arange(h * w, dtype=torch.float32) * 37 + 11) % 101 / 50 - 1
    y = torch.nn.functional.interpolate(x.reshape(1, 1, h, w), size=size, mode="bilinear",
                                        antialias=True, align_corners=False).flatten()
    n = y.numel()
    picks = y if n <= 40 else y[torch.arange(9) * (n - 1) // 8]
    mix = (y.double() * ((torch.arange(n) * 29) % 17 - 8)).sum().item()
    figures = ", ".join(f"{v:.6f}" for v in picks.tolist())
    print(f"{{{h}, {w}, {size[0]}, {size[1]}, {mix:.5f}, {{{figures}}}}},")
