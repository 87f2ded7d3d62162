"""Networks as ONNX files by `hacscale export`, with an input and our logits of it; for
bench/onnx_runtimes.py and tests/models/onnx_*.py. Needs NumPy."""
import json
import subprocess
from pathlib import Path

import numpy

ZOO = ("vgg11 vgg13 vgg16 vgg19 preact_resnet18 preact_resnet34 resnet18 resnet34 resnet50 resnet20 resnet32 "
       "resnet56 mobilenet_v2 mobilenet_v2_035 mobilenet_v2_050 mobilenet_v2_075 mobilenet_v2_140 "
       "efficientnet_b0").split()
CLASSES = 10  # of the synthetic set
DTYPES = {"F32": numpy.float32, "U8": numpy.uint8, "I32": numpy.int32}


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nexit code {done.returncode}: {done.stderr}")
    return done.stdout


def has_onnx(hacscale):
    """Whether it was built with libonnx."""
    probe = [hacscale, "export", "--model", "vgg11", "--width", "0.0625", "--out", "/dev/null/none"]
    return subprocess.run(probe, capture_output=True).returncode != 3


def read_safetensors(path):
    """(arrays by name, metadata)"""
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + size + at for at in info["data_offsets"])
        dtype = DTYPES.get(info["dtype"])
        if dtype:
            tensors[name] = numpy.frombuffer(raw[begin:end], dtype).reshape(info["shape"])
    return tensors, metadata


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        values = numpy.ascontiguousarray(tensor, numpy.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + data)


def scattered(tensors, rng):
    """Batch norms as a training might leave them, or folding them would change next to nothing."""
    scattered = {}
    for name, tensor in tensors.items():
        if name.endswith("running_mean") or (tensor.ndim == 1 and name.endswith("bias")):
            tensor = rng.normal(0, 0.3, tensor.shape)
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor = rng.uniform(0.5, 1.5, tensor.shape)
        scattered[name] = tensor
    return scattered


def network_file(hacscale, network, folder, *options, odd=False):
    """A file of a zoo network; odd: at widths that are no multiples of 8 and untie its residual streams."""
    path = Path(folder) / f"{network}{'-odd' if odd else ''}.json"
    run(hacscale, "summary", network, "--classes", CLASSES, *options, "--save", path)
    if not odd:
        return path
    arch = json.loads(path.read_text())
    number = 0
    for layer in arch["layers"]:
        for key in ("reduced", "mid", "out"):
            if layer["type"] != "linear" and layer.get(key, 0) > 0:
                layer[key] += number % 3
                number += 1
    path.write_text(json.dumps(arch))
    return path


def checkpoint(hacscale, network, folder):
    """Of a network's file, with random weights and statistics."""
    folder = Path(folder)
    run(hacscale, "train", network, "--data", "synthetic", "--limit-train", 32, "--limit-test", 16,
        "--batch", 16, "--epochs", 1, "--max-steps", 0, "--quiet", "--threads", 1, "--out", folder)
    tensors, metadata = read_safetensors(folder / "last.safetensors")
    own = {k: v for k, v in tensors.items() if not k.startswith("momentum.")}
    path = folder / "scattered.safetensors"
    write_safetensors(path, scattered(own, numpy.random.default_rng(1)), metadata)
    return path


def export(hacscale, weights, path, *options):
    """(input, logits) of the written file."""
    example = Path(path).with_suffix(".safetensors")
    run(hacscale, "export", weights, "--out", path, "--example", example, *options)
    tensors, _ = read_safetensors(example)
    return tensors["input"], tensors["logits"]


def difference(got, wanted):
    """The largest, as a share of the largest logit."""
    return float(numpy.abs(got.astype(numpy.float64) - wanted).max() / numpy.abs(wanted).max())
