#!/usr/bin/env python3
"""The fastest algorithm of every convolution in what bench_kernels measured.

usage: fastest.py FILE.json...   (bench_kernels --grid --benchmark_out=FILE.json)

One table a pass and batch: channels down, sizes of maps across, in each cell the fastest algorithm
and how many times longer the next one takes. Of several repetitions the least counts.
"""

import collections
import json
import re
import sys


def times(paths):
    """{(pass, batch): {(channels, size): {algorithm: microseconds}}}, and what they were taken on."""
    tables, machines = collections.defaultdict(lambda: collections.defaultdict(dict)), set()
    for path in paths:
        with open(path) as f:
            results = json.load(f)
        context = results["context"]
        machines.add(", ".join(context.get(k, "?") for k in ("cpu", "isa", "threads")))
        for b in results["benchmarks"]:
            # grid/conv2d:f32,n8c64h14w14,k64r3s3,st1p1g1/forward/winograd4/real_time
            spec, what, algorithm = b["run_name"].removeprefix("grid/").split("/")[:3]
            sizes = re.fullmatch(r"conv2d:f32,n(\d+)c(\d+)h(\d+)w\d+,.*", spec)
            if not sizes or b["run_type"] != "iteration" or b.get("error_occurred"):
                continue
            n, channels, size = map(int, sizes.groups())
            cell = tables[what, n][channels, size]
            cell[algorithm] = min(b["real_time"], cell.get(algorithm, b["real_time"]))
    return tables, machines


def show(cell):
    if not cell:
        return "--"
    (best, least), *others = sorted(cell.items(), key=lambda item: item[1])
    return best + (f" {others[0][1] / least:.2f}" if others else "")


def main(paths):
    if not paths:
        sys.exit(__doc__)
    tables, machines = times(paths)
    print("; ".join(sorted(machines)))
    for (what, batch), cells in sorted(tables.items()):
        sizes = sorted({size for _, size in cells})
        print(f"\n{what}, batch {batch}\n{'C':>5}" + "".join(f"{s:>16}" for s in sizes))
        for channels in sorted({c for c, _ in cells}):
            row = [show(cells.get((channels, s))) for s in sizes]
            print(f"{channels:>5}" + "".join(f"{text:>16}" for text in row))


if __name__ == "__main__":
    main(sys.argv[1:])
