#!/usr/bin/env python3
"""Training steps and batch-1 inference against the programs that a user would take instead.

usage: compare_peers.py BUILD --venv DIR [--cases vgg11,resnet18] [--what infer,train]
                        [--dtype f32,bf16] [--isa AVX2] [--json FILE]
BUILD/bin/bench_peer is ours; `bench/peers/venv.sh DIR` makes the peers' virtual environment. This
program itself needs nothing but Python.

What makes the figures comparable:
- Each program runs in a process of its own on the same cores, with the same number of threads and
  the same OpenMP settings, and reads the same weights and the same images.
- Each first shows what it computes, logits or the losses of two steps: one that is off is no peer.
- They take turns of a fraction of a second, each round beginning with another one, and a ratio is
  the median over the rounds of the two figures of one round: what slows the machine slows both.
- The first runs of a turn are not counted: caches and sleeping threads are the last one's.
"""
import argparse
import dataclasses
import itertools
import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER = Path(__file__).resolve().parent / "peers/peer.py"

# Name -> the zoo's network, its width, the batch of a training step.
CASES = {
    "vgg11": ("vgg11", 1.0, 128),
    "vgg11_x0.25": ("vgg11", 0.25, 128),
    "resnet18": ("resnet18", 1.0, 32),
    "preact_resnet18": ("preact_resnet18", 1.0, 32),
    "resnet20": ("resnet20", 1.0, 128),
    "mobilenet_v2": ("mobilenet_v2", 1.0, 16),
    "efficientnet_b0": ("efficientnet_b0", 1.0, 16),
}
# Ours by name: what differs from the case, and in which cases (train, dtype) it runs.
OURS = {
    "hacscale": ({}, lambda train, dtype: True),
    "hacscale, exact": ({"conv": "exact"}, lambda train, dtype: dtype == "f32"),
    "hacscale, bf16 weights": ({"weights": "bf16"},
                               lambda train, dtype: dtype == "f32" and not train),
    "hacscale, f32": ({"dtype": "f32"}, lambda train, dtype: dtype == "bf16"),
    "hacscale, f32 exact": ({"dtype": "f32", "conv": "exact"},
                            lambda train, dtype: dtype == "bf16"),
}
# The peers by name: what peer.py calls them, and whether they train. "*": not forced by --isa.
PEERS = {
    "PyTorch eager, NCHW": ("torch-nchw", True),
    "PyTorch eager, NHWC": ("torch-nhwc", True),
    "PyTorch compiled": ("torch-compile", True),
    "ONNX Runtime*": ("onnxruntime", False),
    "OpenVINO": ("openvino", False),
    "ncnn*": ("ncnn", False),
}
# What lowers the instruction set: oneDNN (ours, PyTorch's, OpenVINO's), PyTorch's own loops, MKL.
# ONNX Runtime and ncnn have no such switch.
ISA_VARIABLES = {"DNNL_MAX_CPU_ISA": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                 "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
ENGINES = ("ONNX Runtime*", "OpenVINO", "ncnn*")
EAGER = ("PyTorch eager, NCHW", "PyTorch eager, NHWC")


@dataclasses.dataclass
class Wanted:
    """At least this often as fast as the best of `over`."""
    case: str
    train: bool
    dtype: str
    over: tuple
    avx2: float
    avx512: float
    who: str = "hacscale"


WANTED = [
    Wanted("vgg11", True, "f32", EAGER, 2.0, 2.0),
    Wanted("vgg11_x0.25", True, "f32", EAGER, 1.6, 1.6),
    Wanted("resnet18", False, "f32", ENGINES, 1.4, 1.3),
    Wanted("vgg11_x0.25", False, "f32", ENGINES, 1.3, 1.2),
    Wanted("vgg11", False, "f32", ENGINES, 1.05, 1.05),
    Wanted("vgg11", False, "f32", ENGINES, 1.5, 1.5, who="hacscale, bf16 weights"),
    Wanted("vgg11", True, "bf16", ("hacscale, f32 exact",), 1.2, 1.2),
    Wanted("vgg11", False, "bf16", ("hacscale, f32 exact",), 1.7, 1.7),
]
# How far what a program computes may be off, so that it still computes the same.
OFF_BY = {"f32": 1e-3, "bf16": 0.1}


class Missing(Exception):
    """Why a program takes no part."""


def last_line(path):
    return Path(path).read_text(errors="replace").rstrip().split("\n")[-1]


class Program:
    """A process that takes part in one case and answers line for line. Its errors go to a file."""

    def __init__(self, name, command, case, env, log):
        self.name, self.case, self.log, self.buffer = name, case, log, b""
        self.version, self.isa = "", ""
        self.off_by = math.inf  # what it computes, relative to the reference's 2-norm
        self.resident = self.peak = 0  # bytes: before it had the network, and at most
        self.runs = 1  # a turn
        self.rounds = []  # median milliseconds of each turn
        with open(log, "wb") as errors:
            self.process = subprocess.Popen([*command, json.dumps(case)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=errors, env=env)

    def read(self, deadline):
        """The next line, by a time.monotonic()."""
        out = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([out], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Missing("took too long")
            chunk = os.read(out, 1 << 16)
            if not chunk:
                raise Missing(last_line(self.log) or f"ended with code {self.process.wait()}")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        try:
            return json.loads(line)
        except ValueError:
            raise Missing(f"said {line[:60]}") from None

    def start(self, reference, deadline):
        hello = self.read(deadline)
        self.version, self.isa = hello["name"], hello.get("isa", "")
        self.resident = hello["resident"]
        values = self.read(deadline)["values"]
        if len(values) == len(reference):
            self.off_by = math.dist(values, reference) / math.hypot(*reference)
        bound = OFF_BY["bf16" if "bf16" in self.case.values() else "f32"]
        if not self.off_by <= bound:
            raise Missing(f"computes something else: off by {self.off_by:.1g}, allowed {bound:g}")

    def times(self, n, limit):
        try:
            self.process.stdin.write(b"%d\n" % n)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # read() says why
        return self.read(time.monotonic() + limit)

    def warm_up(self, seconds, limit):
        least = min(self.times(2, limit))
        self.runs = max(1, min(500, round(1e3 * seconds / least)))

    def turn(self, limit):
        times = self.times(self.runs, limit)
        self.rounds.append(statistics.median(times[math.ceil((len(times) - 1) / 4):]))

        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.peak = 1024 * int(status.split("VmHWM:")[1].split()[0])

    def end(self):
        self.process.kill()
        self.process.communicate()

    def ms(self):
        return statistics.median(self.rounds)

    def result(self):
        return {"name": self.name, "version": self.version, "isa": self.isa, "ms": self.ms(),
                "rounds": self.rounds, "off_by": self.off_by, "peak_bytes": self.peak,
                "bytes_before": self.resident}


def measure(programs, reference, args):
    """All start at once, then take turns. Returns those that did, and why others did not."""
    missing = {}
    deadline = time.monotonic() + args.limit
    stages = [(1, lambda p: p.start(reference, deadline)),
              (1, lambda p: p.warm_up(args.turn, args.limit)),
              (args.rounds, lambda p: p.turn(args.limit))]
    for rounds, act in stages:
        for r in range(rounds):
            present = [p for p in programs if p.name not in missing]
            for i in range(len(present)):
                program = present[(i + r) % len(present)]
                try:
                    act(program)
                except Missing as why:
                    missing[program.name] = str(why)
                    program.end()
    for program in programs:
        program.end()
    return [p for p in programs if p.name not in missing], missing


def ratios(ours, peer):
    """How many times as long the peer takes: median, least, most over the rounds."""
    each = [b / a for a, b in zip(ours.rounds, peer.rounds)]
    return statistics.median(each), min(each), max(each)


def verdicts(key, present):
    """The ratios of this case that are wanted, and those reached."""
    by_name = {p.name: p for p in present}
    for w in WANTED:
        ours = by_name.get(w.who)
        over = [by_name[name] for name in w.over if name in by_name]
        if (w.case, w.train, w.dtype) != key or not ours or not over:
            continue
        best = min(over, key=Program.ms)
        wanted = w.avx2 if ours.isa.startswith("avx2") else w.avx512
        yield {"who": w.who, "over": best.name, "wanted": wanted, "ratio": ratios(ours, best)}


def show(title, present, missing, wanted):
    print(f"\n{title}\n{'':24}  median ms  [  least,     most]   ratio  off by  peak MiB (before)")
    ours = next((p for p in present if p.name == "hacscale"), None)
    for p in sorted(present, key=Program.ms):
        ratio = f"{ratios(ours, p)[0]:6.2f}x" if ours else " " * 7
        print(f"{p.name:24} {p.ms():10.3f}  [{min(p.rounds):7.3f}, {max(p.rounds):8.3f}] {ratio}  "
              f"{p.off_by:.0e} {p.peak >> 20:9} ({p.resident >> 20})")
    for name, why in missing.items():
        print(f"{name:24} missing: {why}")
    for w in wanted:
        middle, least, most = w["ratio"]
        print(f"{w['who']} over {w['over']}: {middle:.2f}x [{least:.2f}, {most:.2f}]; "
              f"wanted {w['wanted']}x: {'reached' if middle >= w['wanted'] else 'NOT REACHED'}")
    sys.stdout.flush()


def environment(args):
    """The same for all; nothing of the caller's own settings of OpenMP and oneDNN."""
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("OMP_", "GOMP_", "KMP_", "DNNL_", "ONEDNN_", "MKL_", "ATEN_"))}
    kept |= {"OMP_NUM_THREADS": str(args.threads), "GOMP_SPINCOUNT": str(args.spin),
             "TORCHINDUCTOR_CACHE_DIR": f"{args.venv}/cases/inductor",
             "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    return kept | (ISA_VARIABLES if args.isa else {})


def prepared(case, python, env):
    """The reference's answer; the first time, its making with the files that all read (peer.py)."""
    answer = Path(case["tensors"]).with_suffix(".json")
    newest = max(p.stat().st_mtime for p in PEER.parent.glob("*.py"))
    if not answer.exists() or answer.stat().st_mtime < newest:
        answer.parent.mkdir(exist_ok=True)
        with open(answer.with_suffix(".log"), "wb") as log:
            done = subprocess.run([python, PEER, "prepare", json.dumps(case)], env=env, stdout=log,
                                  stderr=log, cwd=answer.parent)
        if done.returncode:
            sys.exit(f"compare_peers.py: nothing to compare with: {last_line(log.name)}")
    return json.loads(answer.read_text())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    listed = dict(type=lambda s: s.split(","))
    parser.add_argument("build", type=Path)
    parser.add_argument("--venv", type=Path, required=True, help="made by bench/peers/venv.sh")
    parser.add_argument("--cases", **listed, default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--what", **listed, default=["infer", "train"], help="infer, train")
    parser.add_argument("--dtype", **listed, default=["f32"], help="f32, bf16")
    parser.add_argument("--isa", choices=["AVX2"], help="what the instruction set is lowered to")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=0.2, help="seconds, at least one run")
    parser.add_argument("--spin", type=int, default=2000,
                        help="GOMP_SPINCOUNT of all; 2000 is ours, 300000 libgomp's own default")
    parser.add_argument("--limit", type=float, default=300, help="seconds to start, or for a turn")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    unknown = set(args.cases) - set(CASES) | set(args.what) - {"infer", "train"} \
        | set(args.dtype) - {"f32", "bf16"}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    args.venv = args.venv.resolve()
    for program in (args.build / "bin/bench_peer", args.venv / "bin/python"):
        if not program.exists():
            parser.error(f"'{program}': expected a program")
    return args


def compare(name, train, dtype, args, env):
    """One case: what it prints, as JSON."""
    network, width, batch = CASES[name]
    stem = f"{name.replace('.', '_')}_{'train' if train else 'infer'}"
    case = {"network": network, "width": width, "batch": batch if train else 1, "train": train,
            "dtype": dtype, "lr": 0.01, "threads": args.threads,
            "tensors": str(args.venv / f"cases/{stem}.safetensors")}
    python = args.venv / "bin/python"
    reference = prepared(case, python, env)
    with tempfile.TemporaryDirectory() as logs:
        programs = [Program(ours, [args.build / "bin/bench_peer"], case | change, env,
                            f"{logs}/{ours}")
                    for ours, (change, when) in OURS.items() if when(train, dtype)]
        programs += [Program(peer, [python, PEER, kind], case, env, f"{logs}/{kind}")
                     for peer, (kind, trains) in PEERS.items() if trains or not train]
        present, missing = measure(programs, reference, args)
    wanted = list(verdicts((name, train, dtype), present))
    show(f"{name}, {'training step' if train else 'inference'}, batch {case['batch']}, {dtype}",
         present, missing, wanted)
    return case | {"programs": [p.result() for p in present], "missing": missing, "wanted": wanted}


def main():
    args = arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])
    cpu = Path("/proc/cpuinfo").read_text().split("model name")[-1].lstrip("\t: ").split("\n")[0]
    print(f"{cpu}, {args.threads} threads, load before: {os.getloadavg()[0]:.2f}\n"
          "ratio: the time over that of hacscale in the same round, the median of the rounds\n"
          "off by: the 2-norm of the difference from PyTorch in double precision, relative")
    if args.isa:
        print(f"instruction set lowered to {args.isa}, but for *, which have no switch for it")
    results = {"cpu": cpu, "threads": args.threads, "isa": args.isa or "native", "cases": []}
    for dtype, name, what in itertools.product(args.dtype, args.cases, args.what):
        results["cases"].append(compare(name, what == "train", dtype, args, environment(args)))
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")
    programs = [p for case in results["cases"] for p in case["programs"]]
    print("\n" + ", ".join(sorted({f"{p['version']} {p['isa']}".strip() for p in programs})))


if __name__ == "__main__":
    main()
