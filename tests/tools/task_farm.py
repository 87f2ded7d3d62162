#!/usr/bin/env python3
"""The trainings of a run as tasks of the built program: by hand, through GNU parallel and MPI, with
tasks and ranks that are killed, it ends in the results of a local run. Exit code 77 skips.
usage: task_farm.py HACSCALE tasks|parallel|mpi"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
name = "farm"
seeds = [1, 2]
[arch]
width = 0.125
[train]
epochs = 12
batch = 20
validation = 20
[train.schedule]
lr = 0.02
[train.data]
name = "synthetic"
limit_train = 60
limit_test = 50
[importance]
sampling = "latin-hypercube"
epochs = 1
[latency]
device_model = "desktop-cpu"
[alpha]
grid = [0.3, 0.7]
epochs = 1
[scale]
stride = 4
latency = "1.3x"
methods = ["uniform-width"]
[sweep]
growth = [1, 2]
"""


def command(out, *more):
    return [HACSCALE, "run", "r.toml", "--threads", "1", "--quiet", "--out", out, *more]


def run(words, code=0):
    p = subprocess.run(words, capture_output=True, text=True)
    assert p.returncode == code, f"{words}: exit code {p.returncode}\n{p.stdout}\n{p.stderr}"
    return p


def next_of(text):
    return [line[6:] for line in text.splitlines() if line.startswith("next: ")][-1]


def numbers(ranges):
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def results(out):
    """Without what was typed, times, and the cores that a launcher leaves to a process."""
    r = json.loads(Path(out, "results.json").read_text())
    del r["created"], r["command"], r["machine"]["cores"]
    for part in [r["alpha"], *r["table"]]:
        part.pop("search", None)
    return r


def same(out):
    found, local = results(out), results("local")
    for key in local:
        assert found[key] == local[key], f"{out}, {key}: {found[key]}\nlocal: {local[key]}"
    for network in Path("local/networks").iterdir():
        for file in network.glob("*.safetensors"):
            other = Path(out, "networks", network.name, file.name)
            assert other.read_bytes() == file.read_bytes(), other


def merge(out):
    """The numbers that are next, none at the end."""
    p = subprocess.run(command(out, "--merge"), capture_output=True, text=True)
    assert p.returncode in (0, 75), p.stderr
    return list(numbers(next_of(p.stdout))) if p.returncode == 75 else []


def tasks():
    """By hand, the last first; the longest is asked to end, refused to a second, and resumed."""
    out, stopped = "tasks", False
    while wave := merge(out):
        assert wave == list(numbers(next_of(run(command(out, "--list-tasks")).stdout)))
        for n in reversed(wave):
            if not stopped and n == wave[0]:
                stopped = True
                first = subprocess.Popen(command(out, "--task", str(n)), stderr=subprocess.PIPE)
                key = json.loads(Path(out, "tasks.json").read_text())["tasks"][n - 1]["key"]
                wait_until(lambda: Path(out, "networks", key, "log.jsonl").exists())
                second = run(command(out, "--task", str(n)), code=1)
                assert f"process {first.pid}" in second.stderr, second.stderr
                first.send_signal(signal.SIGUSR1)
                assert first.wait() == 130, first.returncode
                assert Path(out, "networks", key, "last.safetensors").exists(), "no checkpoint"
            run(command(out, "--task", str(n)))
    assert stopped
    same(out)
    run(command(out, "--task", "1", "--merge"), code=2)


def parallel():
    if not shutil.which("parallel"):
        sys.exit(77)
    out, waves = "parallel", 0
    while wave := merge(out):
        waves += 1
        jobs = ["parallel", "--will-cite", "-j", "2", "--joblog", f"log{waves}"]
        words = command(out, "--task", "{}")
        if waves == 1:  # a task that cannot be done at first
            lost = Path("r.toml").rename("away")
            p = subprocess.run([*jobs, *words, ":::", *map(str, wave)], capture_output=True)
            assert p.returncode != 0
            lost.rename("r.toml")
            jobs.append("--resume-failed")
        run([*jobs, *words, ":::", *map(str, wave)])
    same(out)


def wait_until(ready):
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def processes(out, task):
    """Of this run, and only those with a task or only the ranks."""
    for p in Path("/proc").iterdir():
        try:
            words = (p / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if words[0] != HACSCALE and not words[0].endswith("/hacscale"):
            continue
        if out in words and (("--task" in words) == task):
            yield int(p.name)


def training(out):
    return any(Path(out, "networks").glob("*/log.jsonl"))


def mpi():
    mpirun = shutil.which("mpirun")
    if not mpirun or not Path(HACSCALE).with_name("libhacscale_mpi.so").exists():
        sys.exit(77)
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    launch = [mpirun, "--oversubscribe", "-np"]

    def start(out, ranks):
        return subprocess.Popen([*launch, str(ranks), *command(out)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    run([*launch, "1", *command("one")])
    same("one")
    # A training that is killed is started once more, by whichever rank.
    job = start("child", 3)
    wait_until(lambda: training("child") and any(processes("child", task=True)))
    os.kill(next(processes("child", task=True)), signal.SIGKILL)
    out, err = job.communicate()
    assert job.returncode == 0, err
    assert "killed by signal 9; it is started once more" in err, err
    same("child")
    # A rank that is killed ends the job; the same command resumes.
    job = start("rank", 3)
    wait_until(lambda: training("rank") and len(list(processes("rank", task=True))) > 1)
    os.kill(max(processes("rank", task=False)), signal.SIGKILL)
    job.communicate()
    assert job.returncode != 0
    wait_until(lambda: not any(processes("rank", task=True)))
    run([*launch, "2", *command("rank")])
    same("rank")
    # Where mpirun lets the others live, the rank's task goes to one of them.
    os.environ["HAC_LOST_AFTER"] = "3"
    launch.insert(1, "--enable-recovery")
    job = start("lost", 3)
    launch.pop(1)
    wait_until(lambda: training("lost") and len(list(processes("lost", task=True))) > 1)
    os.kill(max(processes("lost", task=False)), signal.SIGKILL)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert "taken for lost" in err, err
    same("lost")
    # A signal to the job: its trainings are saved.
    job = start("signal", 2)
    wait_until(lambda: training("signal") and any(processes("signal", task=True)))
    job.send_signal(signal.SIGUSR1)
    out, err = job.communicate()
    assert job.returncode == 130 and "everything is saved" in err, (job.returncode, err)
    run([*launch, "2", *command("signal")])
    same("signal")
    # What all ranks find, one says. Without the library it is said too.
    p = run([*launch, "3", *command("bad", "--set", "train.epochs=many")], code=2)
    assert p.stderr.count("hacscale run: ") == 1, p.stderr
    alone = Path("alone/hacscale")
    alone.parent.mkdir()
    shutil.copy(HACSCALE, alone)
    p = run([*launch, "2", str(alone.resolve()), *command("none")[1:]], code=3)
    assert p.stderr.count("libhacscale_mpi.so cannot be opened") == 1, p.stderr


HACSCALE = str(Path(sys.argv[1]).resolve())
os.environ["OMP_WAIT_POLICY"] = "passive"
memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # many small files, each synced
with tempfile.TemporaryDirectory(dir=memory) as folder:
    os.chdir(folder)
    Path("r.toml").write_text(RECIPE)
    run(command("local"))
    {"tasks": tasks, "parallel": parallel, "mpi": mpi}[sys.argv[2]]()
    os.chdir("/")
