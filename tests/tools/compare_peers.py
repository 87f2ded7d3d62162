#!/usr/bin/env python3
"""bench/compare_peers.py with stand-ins for every program: what it makes of known times, and of
those that crash, hang or compute something else.

usage: compare_peers.py SOURCE_DIR
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# Answers as bench_peer.cpp and peer.py do. The first run of each turn of OpenVINO is slow.
STAND_IN = """#!/usr/bin/env python3
import json, pathlib, sys, time
kind, case = ("ours", sys.argv[1]) if len(sys.argv) == 2 else sys.argv[2:]
case = json.loads(case)
if kind == "prepare":
    if case["network"] == "vgg11":
        sys.exit("No space left on device")
    pathlib.Path(case["tensors"]).with_suffix(".json").write_text("[3.0, -4.0]")
    sys.exit(0)
if kind == "torch-nchw":
    sys.exit("Traceback of a crash\\nModuleNotFoundError: No module named 'torch'")
print(json.dumps({"name": kind + " 1.0", "isa": "avx2", "resident": 1 << 20}), flush=True)
if kind == "torch-nhwc":
    time.sleep(60)
value = {"onnxruntime": -4.5, "torch-compile": float("nan")}.get(kind, -4.0005)
print(json.dumps({"values": [3.0, value]}), flush=True)
ms = {"ours": 20.0, "openvino": 30.0}.get(kind, 40.0)
for turn, line in enumerate(sys.stdin):
    if kind == "ncnn" and turn == 2:
        sys.exit(3)
    times = int(line) * [ms * 2 ** (turn % 2)]
    if kind == "openvino":
        times[0] *= 10
    print(json.dumps(times), flush=True)
"""


def run(source, folder, *options):
    for name in ("build/bin/bench_peer", "venv/bin/python"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
    return subprocess.run([sys.executable, source / "bench/compare_peers.py", folder / "build",
                           "--venv", folder / "venv", *options], capture_output=True, text=True)


def expect(what, got, expected):
    if got != expected:
        sys.exit(f"FAILED {what}: expected {expected}, got {got}")


def main():
    source = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        saved = folder / "result.json"
        done = run(source, folder, "--cases", "resnet18", "--what", "infer", "--rounds", "4",
                   "--limit", "8", "--turn", "0.2", "--json", saved)
        expect("exit code", (done.returncode, done.stderr), (0, ""))
        case = json.loads(saved.read_text())["cases"][0]
        # Every other turn of all takes twice as long: the ratios do not see it.
        ms = {p["name"]: p["ms"] for p in case["programs"]}
        ours = {name: 30.0 for name in ms if name.startswith("hacscale")}
        expect("medians", ms, ours | {"hacscale": 30.0, "OpenVINO": 45.0})
        expect("off by", {round(p["off_by"], 9) for p in case["programs"]}, {0.0001})
        expect("missing", case["missing"], {
            "PyTorch eager, NCHW": "ModuleNotFoundError: No module named 'torch'",
            "PyTorch eager, NHWC": "took too long",
            "PyTorch compiled": "computes something else: off by nan, allowed 0.001",
            "ONNX Runtime*": "computes something else: off by 0.1, allowed 0.001",
            "ncnn*": "ended with code 3"})
        expect("wanted", case["wanted"], [
            {"who": "hacscale", "over": "OpenVINO", "wanted": 1.4, "ratio": [1.5, 1.5, 1.5]}])
        expect("reached", "1.50x [1.50, 1.50]; wanted 1.4x: reached" in done.stdout, True)
        for options, error in ((["--cases", "resnet19,vgg11"], "no such case: resnet19"),
                               (["--venv", "nowhere"], "nowhere/bin/python': expected a program")):
            done = run(source, folder, *options)
            expect("exit code", done.returncode, 2)
            expect(error, error in done.stderr, True)
        done = run(source, folder, "--cases", "vgg11")
        expect("exit code without a reference", done.returncode, 1)
        expect("its error", done.stderr, "compare_peers.py: nothing to compare with: No space left "
               "on device\n")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
