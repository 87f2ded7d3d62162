#!/usr/bin/env python3
"""One training on the ranks of mpirun: 1, 2 and 4 write the same files, also when they resume one another or a rank is
killed; ranks that are not alike are refused by one line. Exit code 77 skips.
usage: data_parallel.py HACSCALE"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HACSCALE = sys.argv[1]
WHOLE = [HACSCALE, "train", "vgg11", "--width", "0.125", "--data", "synthetic", "--limit-train", "200", "--limit-test",
         "40", "--validation", "40", "--batch", "32", "--lr", "0.02", "--threads", "1"]
TRAIN = [*WHOLE, "--shards", "4"]
EPOCHS = "12"  # long enough to be interrupted
LAUNCH = ["mpirun", "--oversubscribe", "-np"]


def command(ranks, out, *more):
    alone = [*TRAIN, "--out", out, *more]
    return alone if ranks == 0 else [*LAUNCH, str(ranks), *alone]


def run(words, code=0):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if done.returncode != code:
        sys.exit(f"{' '.join(words)}\nexit code {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}")
    return done


def same(out):
    for name in ("last.safetensors", "model.safetensors", "config.json"):
        if Path(out, name).read_bytes() != Path("alone", name).read_bytes():
            sys.exit(f"FAILED: {out}/{name} is another than alone/{name}")


def ranks_of(out):
    """The processes that train there, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = dict(v.split(b"=", 1) for v in (folder / "environ").read_bytes().split(b"\0") if b"=" in v)
        except OSError:
            continue
        if words[0].endswith(b"hacscale") and out.encode() in words:
            found[int(variables.get(b"OMPI_COMM_WORLD_RANK", b"-1"))] = int(folder.name)
    return found


def started(ranks, out, epochs, file):
    """A training that has written `file`."""
    job = subprocess.Popen(command(ranks, out, "--epochs", epochs, "--quiet"), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not Path(out, file).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return job


def kill_a_rank():
    """All end within seconds, and what was saved can be resumed on other ranks."""
    job = started(3, "killed", "200", "model.safetensors")
    os.kill(ranks_of("killed")[2], signal.SIGKILL)
    began = time.monotonic()
    job.communicate(timeout=30)
    print(f"a rank was killed: all ended in {time.monotonic() - began:.1f} s")
    if job.returncode == 0 or ranks_of("killed"):
        sys.exit(f"FAILED: exit code {job.returncode}, still there: {ranks_of('killed')}")
    run(command(0, "killed", "--epochs", "200", "--quiet", "--resume", "--max-steps", "1"))


def interrupt():
    """One rank is asked: both end after the same step."""
    job = started(2, "parts", EPOCHS, "last.safetensors")
    os.kill(ranks_of("parts")[1], signal.SIGTERM)
    _, said = job.communicate(timeout=60)
    if job.returncode == 0 or "interrupted after step" not in said:
        sys.exit(f"FAILED: not interrupted: exit code {job.returncode}, {said}")
    run(command(4, "parts", "--epochs", EPOCHS, "--quiet", "--resume"))
    same("parts")


def synchronise():
    """Batch norms over all ranks' images: the losses of one process, but for rounding."""
    losses = {}
    for ranks in (0, 2, 4):
        out = f"synchronised{ranks}"
        launch = [*LAUNCH, str(ranks)] if ranks else []
        run([*launch, *WHOLE, "--out", out, "--epochs", "2", "--quiet", *(["--sync-batchnorm"] if ranks else [])])
        lines = [json.loads(line) for line in Path(out, "log.jsonl").read_text().splitlines()]
        losses[ranks] = [line["train_loss"] for line in lines if "train_loss" in line]
        far = max(abs(a / b - 1) for a, b in zip(losses[ranks], losses[0], strict=True))
        print(f"synchronised batch norm, {ranks} ranks: losses {losses[ranks]}, at most {far:.1e} from one process")
        if len(losses[ranks]) != 2 or far > 1e-5:
            sys.exit("FAILED")


def refuse():
    said = run(["mpirun", "--oversubscribe", "-np", "1", *TRAIN, "--seed", "1", ":", "-np", "1", *TRAIN], 2).stderr
    ours = [line for line in said.splitlines() if line.startswith("hacscale")]
    if len(ours) != 1 or "rank 1: expected the training" not in ours[0]:
        sys.exit(f"FAILED: {said}")
    said = run(["mpirun", "--oversubscribe", "-np", "1", *TRAIN, "--max-steps", "2", ":", "-np", "1", *TRAIN], 2).stderr
    if "rank 1: expected the training" not in said:
        sys.exit(f"FAILED: {said}")
    said = run(command(2, "few", "--device", "cuda:1"), 2).stderr
    if "expected cuda on several ranks, each of which takes a GPU of its own, got cuda:1" not in said:
        sys.exit(f"FAILED: {said}")
    said = run(command(2, "few", "--sync-batchnorm"), 2).stderr
    if "expected one part a rank, got 'accumulate' 4" not in said:
        sys.exit(f"FAILED: {said}")


def main():
    if not shutil.which("mpirun") or not Path(HACSCALE).with_name("libhacscale_mpi.so").exists():
        sys.exit(77)
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run(command(0, "alone", "--epochs", EPOCHS, "--quiet"))
        for ranks in (1, 2, 4):
            run(command(ranks, f"on{ranks}", "--epochs", EPOCHS, "--quiet"))
            same(f"on{ranks}")
            print(f"{ranks} ranks: the same files")
        interrupt()
        kill_a_rank()
        synchronise()
        refuse()
        os.chdir("/")


main()
