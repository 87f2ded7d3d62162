#!/usr/bin/env python3
"""Do ONNX Runtime and OpenVINO compute what we do? Exports every network of the zoo at its own
resolution, as it is and at odd widths, and compares the logits of two random images.

usage: VENV/bin/python bench/onnx_runtimes.py BUILD [--networks vgg11,resnet18]
BUILD/bin/hacscale writes the files; `bench/peers/venv.sh VENV` makes the environment. Prints a table
in Markdown: the largest difference of a logit over the largest logit, of each runtime and form of the
file. Exit code 1 where one is above the bound.
"""
import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
import onnxruntime  # noqa: E402
import openvino  # noqa: E402
from onnx_models import ZOO, checkpoint, difference, export, network_file  # noqa: E402

BOUND = 1e-4
FORMS = {"folded": [], "unfolded": ["--unfolded"], "pixels": ["--with-preprocessing", "--batch", 2]}


def by_onnxruntime(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": images})[0]


def by_openvino(path, images):
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"input": images})["logits"]


RUNTIMES = {f"ONNX Runtime {onnxruntime.__version__}": by_onnxruntime,
            f"OpenVINO {openvino.__version__.split('-')[0]}": by_openvino}


def rows(hacscale, networks, folder):
    """(network, widths, {(runtime, form): difference})"""
    for network in networks:
        for odd in (False, True):
            model = network_file(hacscale, network, folder, odd=odd)
            weights = checkpoint(hacscale, model, model.with_suffix(""))
            off = {}
            for form, options in FORMS.items():
                images, logits = export(hacscale, weights, folder / "net.onnx", *options)
                for runtime, run in RUNTIMES.items():
                    off[runtime, form] = difference(run(folder / "net.onnx", images), logits)
            yield network, "odd" if odd else "its own", off


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--networks", default=",".join(ZOO), help="of the zoo, separated by commas")
    options = parser.parse_args()
    columns = [(runtime, form) for runtime in RUNTIMES for form in FORMS]
    print("| network | widths | " + " | ".join(f"{r}, {f}" for r, f in columns) + " |")
    print("|---" * (2 + len(columns)) + "|")
    worst = 0.0
    with tempfile.TemporaryDirectory() as temp:
        for network, widths, off in rows(options.build / "bin/hacscale", options.networks.split(","),
                                         Path(temp)):
            figures = " | ".join(f"{off[column]:.1e}" for column in columns)
            print(f"| {network} | {widths} | {figures} |", flush=True)
            worst = max(worst, *(float("inf") if d != d else d for d in off.values()))
    print(f"\nworst {worst:.1e}, bound {BOUND:g}")
    return 0 if worst <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
