#!/usr/bin/env python3
"""The depthwise convolutions of MobileNetV2 and EfficientNet-B0 at 224 pixels, one thread, against oneDNN's and
PyTorch's.

usage: compare_depthwise.py BUILD --venv DIR [--batch N] [--isa AVX2] [--rounds N] [--core N] [--json FILE]

Inference is at batch 1 with a bias and relu6, fused in ours and oneDNN; PyTorch has the bias alone. The passes of
training are at --batch, with neither. Ours is what the engine chooses, packing of weights included in training; oneDNN
is its direct algorithm, called by us; PyTorch the fastest of NCHW, NHWC and, in inference, oneDNN's blocks. bench_kernels
and PyTorch take turns on one core; figures are of CPU time, ratios those of one round, their median over the rounds.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from compare_peers import environment

# channels, size of the map, kernel, stride
LAYERS = [(32, 112, 3, 1), (96, 112, 3, 2), (144, 56, 3, 1), (144, 56, 3, 2), (192, 28, 3, 1), (192, 28, 3, 2),
          (384, 14, 3, 1), (576, 14, 3, 1), (576, 14, 3, 2), (960, 7, 3, 1), (144, 56, 5, 2), (240, 28, 5, 1),
          (480, 14, 5, 1), (672, 14, 5, 1), (672, 14, 5, 2), (1152, 7, 5, 1)]
PASSES = ["inference", "forward", "backward_data", "backward_weights"]
GOALS = {"onednn": 1.0, "torch": 1.2}  # inference, every layer


def spec(layer, what, batch):
    c, size, kernel, stride = layer
    n, more = (1, ",bias,relu6") if what == "inference" else (batch, "")
    return f"conv2d:f32,n{n}c{c}h{size}w{size},k{c}r{kernel}s{kernel},st{stride}p{kernel // 2}g{c}{more}"


def time_ours(bench_kernels, batch, env):
    """{(layer, pass): {"cpu": the engine's choice, "direct": oneDNN}} in microseconds, with of_peak."""
    names = {spec(layer, what, batch): layer for layer in LAYERS for what in PASSES}
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        done = subprocess.run(
            [bench_kernels, *(part for text in names for part in ("--spec", text)), "--benchmark_min_time=0.02",
             "--benchmark_filter=(bias,relu6/inference|g[0-9]*/(forward|backward_.*))/(cpu|direct)/",
             f"--benchmark_out={out.name}"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())
        results = json.load(open(out.name))
    times = {}
    for b in results["benchmarks"]:
        if not b.get("error_occurred"):
            text, what, algorithm = b["run_name"].split("/")[:3]
            times.setdefault((names[text], what), {})[algorithm] = b
    return times, results["context"]


class Torch:
    """A process that times all layers once for each line that it is sent."""

    def __init__(self, python, batch, env):
        self.process = subprocess.Popen([python, Path(__file__).parent / "peers/depthwise.py", json.dumps(
            {"layers": LAYERS, "passes": PASSES, "batch": batch})], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.version = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("compare_depthwise.py: PyTorch's process ended early")
        return json.loads(line)

    def times(self):
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        return {(tuple(layer), what): us for layer, what, us in self.answer()}


def measure(options, env):
    torch = Torch(options.venv.absolute() / "bin/python", options.batch, env)
    rows, context = {}, {}
    for _ in range(options.rounds):
        ours, context = time_ours(options.build.resolve() / "bin/bench_kernels", options.batch, env)
        peer = torch.times()
        for key, of in ours.items():
            row = rows.setdefault(key, {"own": [], "onednn": [], "torch": [], "of_peak": []})
            row["own"].append(of["cpu"]["cpu_time"])
            row["of_peak"].append(of["cpu"]["of_peak"] * of["cpu"]["real_time"] / of["cpu"]["cpu_time"])
            row["torch"].append(peer[key])
            if "direct" in of:  # not where oneDNN has reference code alone
                row["onednn"].append(of["direct"]["cpu_time"])
    return rows, f"{context['cpu']}, {context['isa']}, oneDNN {context['onednn']}, PyTorch {torch.version}"


def ratio(row, peer):
    return statistics.median(p / o for p, o in zip(row[peer], row["own"])) if row[peer] else math.nan


def show(what, rows, batch):
    """Prints the table of one pass; returns the layers below their goals."""
    print(f"\n{what}, batch {1 if what == 'inference' else batch}\n"
          f"{'channels:size:kernel:stride':<28}{'oneDNN us':>11}{'own us':>10}{'of peak':>9}{'over oneDNN':>13}"
          f"{'PyTorch us':>12}{'over PyTorch':>14}")
    below, means = [], {"onednn": [], "torch": []}
    for layer in LAYERS:
        row = rows[layer, what]
        middle = {k: statistics.median(v) if v else math.nan for k, v in row.items()}
        over = {peer: ratio(row, peer) for peer in means}
        print(f"{':'.join(map(str, layer)):<28}{middle['onednn']:>11.1f}{middle['own']:>10.1f}{middle['of_peak']:>9.2f}"
              f"{over['onednn']:>13.2f}{middle['torch']:>12.1f}{over['torch']:>14.2f}".replace("nan", "  -"))
        for peer in means:
            if not math.isnan(over[peer]):
                means[peer].append(math.log(over[peer]))
            if over[peer] < GOALS[peer]:
                below.append(f"{':'.join(map(str, layer))} over {peer}: {over[peer]:.2f}")
    mean = {peer: math.exp(statistics.mean(logs)) for peer, logs in means.items()}
    print(f"{'geometric mean':<58}{mean['onednn']:>13.2f}{mean['torch']:>26.2f}")
    return below


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--venv", type=Path, required=True, help="made by bench/peers/venv.sh")
    parser.add_argument("--batch", type=int, default=16, help="of the passes of training")
    parser.add_argument("--isa", choices=["AVX2"], help="what the instruction set is lowered to")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    options.threads, options.spin = 1, 2000
    rows, title = measure(options, environment(options))
    print(title)
    for what in PASSES:
        below = show(what, rows, options.batch)
        if what == "inference":
            print(f"wanted of every layer: {GOALS['onednn']:g} over oneDNN, {GOALS['torch']:g} over PyTorch: "
                  + ("reached" if not below else "NOT REACHED: " + ", ".join(below)))
    if options.json:
        options.json.write_text(json.dumps({"machine": title, "batch": options.batch, "layers": [
            {"layer": layer, "pass": what, **row} for (layer, what), row in rows.items()]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
