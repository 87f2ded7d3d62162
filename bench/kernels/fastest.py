#!/usr/bin/env python3
"""The fastest algorithm of every convolution in what bench_kernels measured.

usage: fastest.py [--cpu] FILE.json...   (bench_kernels --grid --benchmark_out=FILE.json)

One table a pass and batch: channels down, sizes of maps across, in each cell the fastest algorithm
and how many times longer the next one takes; * where the engine chooses another, all of which are
listed at the end. Of several repetitions the least counts. --cpu: the caller's CPU time in place of
the clock's, for OMP_NUM_THREADS=1 on a busy machine.
"""

import collections
import json
import re
import sys


def times(paths, clock):
    """{(pass, batch): {(channels, size): {algorithm: us}}}, the engine's choice of each, machines."""
    tables = collections.defaultdict(lambda: collections.defaultdict(dict))
    chosen, machines = {}, set()
    for path in paths:
        with open(path) as f:
            results = json.load(f)
        context = results["context"]
        machines.add(", ".join(context.get(k, "?") for k in ("cpu", "isa", "threads")))
        for b in results["benchmarks"]:
            # grid/conv2d:f32,n8c64h14w14,k64r3s3,st1p1g1/forward/winograd4/real_time
            spec, what, algorithm = b["run_name"].removeprefix("grid/").split("/")[:3]
            sizes = re.fullmatch(r"conv2d:\w+,n(\d+)c(\d+)h(\d+)w\d+,.*", spec)
            if not sizes or b["run_type"] != "iteration" or b.get("error_occurred"):
                continue
            n, channels, size = map(int, sizes.groups())
            cell = tables[what, n][channels, size]
            cell[algorithm] = min(b[clock], cell.get(algorithm, b[clock]))
            if b.get("label", "").endswith(", chosen"):
                chosen[what, n, channels, size] = algorithm
    return tables, chosen, machines


def show(cell, choice):
    if not cell:
        return "--"
    (best, least), *others = sorted(cell.items(), key=lambda item: item[1])
    star = "*" if choice not in (best, None) else ""
    return best + star + (f" {others[0][1] / least:.2f}" if others else "")


def main(arguments):
    paths = [a for a in arguments if a != "--cpu"]
    if not paths:
        sys.exit(__doc__)
    clock = "cpu_time" if len(paths) < len(arguments) else "real_time"
    tables, chosen, machines = times(paths, clock)
    print("; ".join(sorted(machines)))
    losses = []
    for (what, batch), cells in sorted(tables.items()):
        sizes = sorted({size for _, size in cells})
        print(f"\n{what}, batch {batch}\n{'C':>5}" + "".join(f"{s:>16}" for s in sizes))
        for channels in sorted({c for c, _ in cells}):
            row = ""
            for size in sizes:
                cell, choice = cells.get((channels, size)), chosen.get((what, batch, channels, size))
                row += f"{show(cell, choice):>16}"
                if cell and choice in cell:
                    where = f"{what}, batch {batch}, {channels} channels, {size} x {size}: {choice}"
                    losses.append((cell[choice] / min(cell.values()), where))
            print(f"{channels:>5}{row}")
    losses.sort(reverse=True)
    if losses:
        print(f"\nThe engine's choice, over the fastest: median {losses[len(losses) // 2][0]:.3f}")
    for loss, where in losses[:30]:
        if loss > 1.05:
            print(f"{loss:6.2f}  {where}")


if __name__ == "__main__":
    main(sys.argv[1:])
