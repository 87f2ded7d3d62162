#!/usr/bin/env python3
"""Every network of the zoo as an ONNX file in OpenCV's cv2.dnn: its logits against ours, with batch
norms folded and not, at odd widths that untie the residual streams, of one image and of two, and of
pixels with the preprocessing in the file.

usage: onnx_opencv.py HACSCALE_BINARY     (exit 77: OpenCV is not installed, or no libonnx is built in)
"""
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/peers"))
try:
    import cv2
    import numpy
    from onnx_models import ZOO, checkpoint, difference, export, has_onnx, network_file
except ImportError as error:
    print(f"skipped: needs Debian's python3-opencv ({error})")
    sys.exit(77)

BOUND = 1e-4  # of the largest logit
# OpenCV 4.6 broadcasts no product over a batch of any size, which squeeze-and-excitation needs.
FIXED = {"efficientnet_b0"}


def fields(message):
    """(number, wire type, value, bytes as they are) of each field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        begin, key = at, varint()
        number, wire = key >> 3, key & 7
        value = None
        if wire == 0:
            value = varint()
        else:
            size = varint() if wire == 2 else 4 if wire == 5 else 8
            value, at = message[at:at + size], at + size
        yield number, wire, value, message[begin:at]


def field(number, value):
    """One that holds bytes."""
    size, rest = b"", len(value)
    while rest > 127:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + value


def rewritten(message, number, change):
    return b"".join(field(number, change(value)) if n == number and wire == 2 else raw
                    for n, wire, value, raw in fields(message))


def with_old_clip(model):
    """OpenCV 4.6 knows ReLU6 only as operator set 6 has it: limits in attributes of Clip."""
    def limit(name, value):
        return field(5, field(1, name) + bytes([2 << 3 | 5]) + struct.pack("<f", value) + b"\xa0\x01\x01")

    def change(node):
        if all((n, value) != (4, b"Clip") for n, _, value, _ in fields(node)):
            return node
        inputs = [raw for n, _, _, raw in fields(node) if n == 1]
        rest = [raw for n, _, _, raw in fields(node) if n != 1]
        return b"".join(inputs[:1] + rest) + limit(b"min", 0) + limit(b"max", 6)

    return rewritten(model, 7, lambda graph: rewritten(graph, 1, change))


def opencv_logits(path, images):
    net = cv2.dnn.readNetFromONNX(numpy.frombuffer(with_old_clip(path.read_bytes()), numpy.uint8))
    net.setInput(images, "input")
    return net.forward("logits")


def main(binary):
    if not has_onnx(binary):
        print("skipped: built without libonnx")
        sys.exit(77)
    failed = 0
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for network in ZOO:
            net = network_file(binary, network, folder, "--width", 0.25, "--resolution", 32, odd=True)
            weights = checkpoint(binary, net, folder / network)
            fixed, shares = ["--batch", 1] if network in FIXED else [], []
            for options in (fixed, [*fixed, "--unfolded"], ["--batch", 3],
                            ["--batch", 1, "--with-preprocessing"]):
                images, logits = export(binary, weights, folder / "net.onnx", *options)
                shares.append(difference(opencv_logits(folder / "net.onnx", images), logits))
            print(f"{network}: off by", ", ".join(f"{share:.1e}" for share in shares))
            failed += sum(not share <= BOUND for share in shares)
    print(f"{failed} failed (bound {BOUND:g} of the largest logit)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1])
