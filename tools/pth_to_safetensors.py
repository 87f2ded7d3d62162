#!/usr/bin/env python3
"""A state dict that PyTorch pickled, as safetensors: what hacscale import, eval and train --init read.

usage: pth_to_safetensors.py IN.pth OUT.safetensors

Needs PyTorch alone. IN holds a state dict, or one under "state_dict", "model" or "state_dict_ema" (the first of them);
what is no tensor is named and left out. Types are kept. Pickles run code: where PyTorch can (1.13 and later), it is
told to load weights only.
"""

import json
import os
import struct
import sys

import torch

TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


def state_dict(path):
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle of a whole model, among others
        sys.exit(f"pth_to_safetensors.py: '{path}': {str(error).splitlines()[0]}")
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    tensors = {k: v for k, v in loaded.items() if isinstance(v, torch.Tensor)} if isinstance(loaded, dict) else {}
    if not tensors:
        sys.exit(f"pth_to_safetensors.py: '{path}': expected a dict of tensors")
    for key in loaded.keys() - tensors.keys():
        print(f"left out: {key}, which is no tensor", file=sys.stderr)
    return tensors


def save(tensors, path):
    header, data = {"__metadata__": {"format": "pt"}}, []
    at = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        if tensor.dtype not in TYPES:
            sys.exit(f"pth_to_safetensors.py: {name} is {tensor.dtype}, which safetensors does not have")
        flat = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
        data.append(flat.numpy().tobytes())
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(data)
    os.replace(path + ".part", path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    save(state_dict(sys.argv[1]), sys.argv[2])
