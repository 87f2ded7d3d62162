#!/usr/bin/env python3
"""Writes tests/fixtures/timm_names: what timm and torchvision call the same tensors, a line each with its shape. (Of
ResNets both say the same.)

usage: timm_names.py OUT   (needs timm and torchvision: pip install timm, in a virtual environment)

Both register their layers in the order of execution. That the pairs are right is proved here: torchvision's network
with timm's random weights has timm's logits.
"""
import sys
from pathlib import Path

import timm
import torch
import torchvision

NETWORKS = {"mobilenetv2_100": "mobilenet_v2", "efficientnet_b0": "efficientnet_b0"}

for theirs, ours in NETWORKS.items():
    torch.manual_seed(1)
    a, b = timm.create_model(theirs), getattr(torchvision.models, ours)()
    a.train()(torch.randn(8, 3, 96, 96))  # statistics that are not those of the start
    pairs = list(zip(a.state_dict().items(), b.state_dict(), strict=True))
    b.load_state_dict({name: tensor for (_, tensor), name in pairs})
    image = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(a.eval()(image), b.eval()(image), atol=1e-5, rtol=1e-5)
    lines = [f"{name} {own} {'x'.join(map(str, tensor.shape))}\n" for (name, tensor), own in pairs
             if not name.endswith("num_batches_tracked")]
    (Path(sys.argv[1]) / f"{ours}.txt").write_text("".join(lines))
