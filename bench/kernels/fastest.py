#!/usr/bin/env python3
"""The fastest algorithm of every convolution in what bench_kernels measured.

usage: fastest.py [--cpu] FILE.json...   (bench_kernels --grid --benchmark_out=FILE.json)

Of the grid one table a pass and batch: channels down, sizes of maps across, in each cell the
fastest algorithm and how many times longer the next one takes; * where the engine chooses another.
Then, of all convolutions in the files, where that costs most. Of several repetitions the least
counts. --cpu: the caller's CPU time in place of the clock's, for OMP_NUM_THREADS=1 on a busy machine.
"""

import collections
import json
import re
import sys


def read(paths, clock):
    """{(spec, pass): {algorithm: time}}, {(spec, pass): the engine's choice}, the machines."""
    times, chosen, machines = collections.defaultdict(dict), {}, set()
    for path in paths:
        with open(path) as f:
            results = json.load(f)
        context = results["context"]
        machines.add(", ".join(context.get(k, "?") for k in ("cpu", "isa", "threads")))
        for b in results["benchmarks"]:
            # grid/conv2d:f32,n8c64h14w14,k64r3s3,st1p1g1/forward/winograd4[/iterations:4]/real_time
            parts = [p for p in b["run_name"].split("/") if not p.startswith("iterations:")]
            *grid, spec, what, algorithm, _ = parts
            if not spec.startswith("conv2d:") or b["run_type"] != "iteration" or b.get(
                    "error_occurred"):
                continue
            key = "/".join(grid + [spec]), what
            times[key][algorithm] = min(b[clock], times[key].get(algorithm, b[clock]))
            if b.get("label", "").endswith(", chosen"):
                chosen[key] = algorithm
    for cell in times.values():
        if len(cell) > 1:
            cell.pop("cpu", None)  # the engine's choice, which is one of the others
            for algorithm in [a for a in cell if a.endswith("_bf16")]:
                del cell[algorithm]  # for who asks for such weights
    return times, chosen, machines


def show(cell, choice):
    (best, least), *others = sorted(cell.items(), key=lambda item: item[1])
    star = "*" if choice not in (best, None) else ""
    return best + star + (f" {others[0][1] / least:.2f}" if others else "")


def print_tables(times, chosen):
    tables = collections.defaultdict(dict)
    for (spec, what), cell in times.items():
        sizes = re.fullmatch(r"grid/conv2d:\w+,n(\d+)c(\d+)h(\d+)w.*", spec)
        if sizes:
            n, channels, size = map(int, sizes.groups())
            tables[what, n][channels, size] = show(cell, chosen.get((spec, what)))
    for (what, batch), cells in sorted(tables.items()):
        sizes = sorted({size for _, size in cells})
        print(f"\n{what}, batch {batch}\n{'C':>5}" + "".join(f"{s:>16}" for s in sizes))
        for channels in sorted({c for c, _ in cells}):
            row = "".join(f"{cells.get((channels, s), '--'):>16}" for s in sizes)
            print(f"{channels:>5}{row}")


def print_losses(times, chosen):
    losses = []
    for key, cell in times.items():
        if chosen.get(key) in cell:
            best = min(cell, key=cell.get)
            losses.append((cell[chosen[key]] / cell[best], chosen[key], best, "/".join(key)))
    losses.sort(reverse=True)
    if not losses:
        return
    print(f"\nThe engine's choice over the fastest: median {losses[len(losses) // 2][0]:.3f}")
    for loss, choice, best, name in losses[:30]:
        if loss > 1.05:
            print(f"{loss:6.2f}  {choice} where {best} is fastest: {name}")


def main(arguments):
    paths = [a for a in arguments if a != "--cpu"]
    if not paths:
        sys.exit(__doc__)
    clock = "cpu_time" if len(paths) < len(arguments) else "real_time"
    times, chosen, machines = read(paths, clock)
    print("; ".join(sorted(machines)))
    print_tables(times, chosen)
    print_losses(times, chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
