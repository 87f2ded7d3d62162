#!/usr/bin/env python3
"""Images a second of one core: read, decode, random resized crop to 224, flip; against torchvision.

usage: compare_pipeline.py BUILD --venv DIR --data DIR [--rounds N] [--core N] [--json FILE]

DIR of --data holds a folder of JPEGs for each class; --venv is what bench/peers/venv.sh made. All
contestants run on one core, one at a time, in turns; figures are of CPU time, so that what else the
machine does cancels out of the ratios. The median over the rounds, after one for warming up.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PEERS = ["torchvision, Pillow", "torchvision, own decoder"]
GOALS = {"JPEG": 2.0, "packed, raw 256": 8.0}


class Contestant:
    """A process that makes one pass over the images for each line that it is sent."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.images = int(self.answer())

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(map(str, self.process.args))}: ended early")
        return line

    def seconds(self):
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        return float(self.answer())


def pack(build, folder, out, *settings):
    subprocess.run([build / "bin" / "hacscale", "data", "pack", folder, out, *settings],
                   check=True, stdout=subprocess.DEVNULL)


def contestants(build, venv, photographs, work):
    folder = work / "set"
    folder.mkdir()
    for split in ("train", "val"):  # a set has both
        (folder / split).symlink_to(photographs, target_is_directory=True)
    pack(build, folder, work / "raw", "--side", "256", "--store", "raw")
    pack(build, folder, work / "jpeg", "--side", "500", "--store", "jpeg")
    ours = build / "bin" / "bench_pipeline"
    python = [venv / "bin" / "python", BENCH / "peers" / "pipeline.py"]
    return {
        "JPEG": Contestant([ours, f"imagefolder:{folder}"]),
        "packed, raw 256": Contestant([ours, f"packed:{work / 'raw'}"]),
        "packed, JPEG 500": Contestant([ours, f"packed:{work / 'jpeg'}"]),
        PEERS[0]: Contestant([*python, "pillow", photographs]),
        PEERS[1]: Contestant([*python, "torchvision", photographs]),
    }


def measure(field, rounds):
    times = {name: [] for name in field}
    for turn in range(rounds + 1):
        for name, contestant in field.items():
            seconds = contestant.seconds() / contestant.images
            if turn > 0:
                times[name].append(seconds)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as work:
        field = contestants(options.build.resolve(), options.venv.absolute(),
                            options.data.resolve(), Path(work))
        times = measure(field, options.rounds)
        for contestant in field.values():
            contestant.process.stdin.close()
            contestant.process.wait()

    print(f"{'decode, random resized crop to 224, flip':<42} {'ms/image':>9} {'images/s':>9}"
          + "".join(f" {'over ' + peer.split(', ')[1]:>17}" for peer in PEERS))
    rows = []
    for name, own in times.items():
        ratios = [statistics.median(p / o for p, o in zip(times[peer], own)) for peer in PEERS]
        median = statistics.median(own)
        goal = f"  (goal {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name:<42} {1e3 * median:>9.3f} {1 / median:>9.0f}"
              + "".join(f" {ratio:>17.2f}" for ratio in ratios) + goal)
        rows.append({"name": name, "ms": 1e3 * median, "ratios": dict(zip(PEERS, ratios)),
                     "times": own})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
