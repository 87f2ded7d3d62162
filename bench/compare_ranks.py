#!/usr/bin/env python3
"""One training on two cores in two ways: one process with two threads, and two ranks of mpirun with one each.

usage: compare_ranks.py BUILD [--cases vgg11,resnet18] [--venv DIR] [--rounds N] [--steps N] [--isa AVX2] [--json FILE]

The global batch is the same. Each way is a process, or two, of its own that ends when it was timed; ways take turns,
and a ratio is that of one round, the median over the rounds. Of the ranks also which part of a step passes in
collectives and in waiting for the slower rank. A rank is bound to a core, as mpirun does by itself with two of them,
and it is an error if both got the same one. With --venv (made by bench/peers/venv.sh) PyTorch does the same:
DistributedDataParallel over gloo, in NCHW and NHWC, of which the faster counts for each way.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
from pathlib import Path

from compare_peers import environment

PEER = Path(__file__).resolve().parent / "peers/ranks.py"
RANKS = 2
# Name -> network, pixels, global batch.
CASES = {
    "vgg11": ("vgg11", 32, 128),
    "resnet18": ("resnet18", 32, 128),
    "mobilenet_v2": ("mobilenet_v2", 64, 64),
    "resnet20": ("resnet20", 32, 128),
}


def fail(text):
    sys.exit(f"compare_ranks.py: {text}")


def finished(processes):
    """The output of the first, once all have ended well."""
    try:
        ends = [p.communicate(timeout=600) for p in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        fail("took longer than ten minutes")
    for process, (_, errors) in zip(processes, ends):
        if process.returncode:
            fail(errors.strip() or f"a process ended with code {process.returncode}")
    return json.loads(ends[0][0])


def start(words, env):
    return subprocess.Popen([str(w) for w in words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ours(case, ranks, options, env):
    network, pixels, batch = CASES[case]
    launch = ["mpirun", "--oversubscribe", "--bind-to", "core", "-np", ranks] if ranks > 1 else []
    result = finished([start([*launch, options.build / "bin/bench_ranks", "--network", network, "--resolution", pixels,
                              "--batch", batch, "--threads", RANKS // ranks, "--warm", options.warm, "--steps",
                              options.steps, "--json"], env | {"OMP_NUM_THREADS": str(RANKS // ranks)})])
    if len(set(result["cpus"])) != len(result["cpus"]):
        fail(f"ranks share cores {' | '.join(result['cpus'])}")
    return result


def torch(case, ranks, layout, options, env):
    network, pixels, batch = CASES[case]
    words = [options.venv.absolute() / "bin/python", PEER, json.dumps({
        "network": network, "resolution": pixels, "batch": batch, "threads": RANKS // ranks, "warm": options.warm,
        "steps": options.steps, "layout": layout})]
    env = env | {"OMP_NUM_THREADS": str(RANKS // ranks)}
    if ranks == 1:
        return finished([start(words, env)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(ranks),
                "GLOO_SOCKET_IFNAME": "lo"}
    return finished([start(words, env | {"RANK": str(r)}) for r in range(ranks)])


def measure(case, options, env):
    """{way: the result of each round}"""
    ways = {"1 x 2": lambda: ours(case, 1, options, env), "2 x 1": lambda: ours(case, RANKS, options, env)}
    if options.venv:
        for layout in ("nchw", "nhwc"):
            for ranks in (1, RANKS):
                ways[f"PyTorch {layout} {ranks} x {RANKS // ranks}"] = (
                    lambda r=ranks, m=layout: torch(case, r, m, options, env))
    rounds = {way: [] for way in ways}
    for r in range(options.rounds):
        names = list(ways)
        for name in names[r % len(names):] + names[:r % len(names)]:
            rounds[name].append(ways[name]())
    return rounds


def middle(results, key="step_ms"):
    return statistics.median(r[key] for r in results)


def ratio(over, under):
    """How many times as long the first takes: median, least, most of the rounds."""
    each = sorted(a["step_ms"] / b["step_ms"] for a, b in zip(over, under))
    return f"{statistics.median(each):.2f} [{each[0]:.2f}, {each[-1]:.2f}]"


def row(case, rounds):
    """A line of the table."""
    one, two = rounds["1 x 2"], rounds["2 x 1"]

    def share(key):
        return f"{100 * statistics.median(r[key] / r['step_ms'] for r in two):.1f}"

    network, pixels, batch = CASES[case]
    cells = [f"{network}, {pixels} px, {batch}", f"{two[0]['parameters'] / 1e6:.1f}", f"{middle(one):.1f}",
             f"{middle(two):.1f}", ratio(one, two), f"{middle(two, 'sending_ms'):.2f}", share("sending_ms"),
             f"{middle(two, 'copy_ms'):.2f}", share("copy_ms"), share("waiting_ms")]
    for ranks in (1, RANKS):
        found = [v for k, v in rounds.items() if k.startswith("PyTorch") and k.endswith(f"{ranks} x {RANKS // ranks}")]
        if found:
            best = min(found, key=middle)
            cells += [f"{middle(best):.1f}", ratio(best, one if ranks == 1 else two)]
    return cells


HEAD = ["network, batch", "M params", "1 x 2 ms", "2 x 1 ms", "1 x 2 over 2 x 1", "collectives ms", "%", "floor ms", "%",
        "waiting %", "PyTorch 1 x 2 ms", "over ours", "DDP 2 x 1 ms", "over ours"]


def show(case, rounds, options, head):
    cells = row(case, rounds)
    if head:
        versions = {r["version"] for way in rounds.values() for r in way if "version" in r}
        print(f"{rounds['2 x 1'][0]['machine']}{''.join(f', PyTorch {v}' for v in versions)}; {options.steps} steps in "
              f"each of {options.rounds} rounds, medians\n\n| {' | '.join(HEAD[:len(cells)])} |\n|{'---|' * len(cells)}")
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--venv", type=Path, help="made by bench/peers/venv.sh")
    parser.add_argument("--cases", type=lambda s: s.split(","), default=["vgg11", "resnet18", "mobilenet_v2"],
                        help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=3, help="steps before those that count")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--isa", choices=["AVX2"], help="what the instruction set is lowered to")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    options.build, options.threads, options.spin = options.build.resolve(), RANKS, 2000
    if (len(os.sched_getaffinity(0)) < RANKS or not shutil.which("mpirun")
            or not (options.build / "bin/libhacscale_mpi.so").exists()):
        print(f"compare_ranks.py: expected {RANKS} cores, mpirun and libhacscale_mpi.so", file=sys.stderr)
        sys.exit(77)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:RANKS])
    env = environment(options) | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    results = {}
    for case in options.cases:
        results[case] = measure(case, options, env)
        show(case, results[case], options, head=case == options.cases[0])
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
