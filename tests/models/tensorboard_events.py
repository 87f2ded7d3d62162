#!/usr/bin/env python3
"""What `hacscale train --log tensorboard,csv` writes, read by an independent decoder of TFRecords and
protobuf with TensorBoard's rule for resumed runs, and by TensorBoard itself where it is installed
(PyPI's tensorboard; the test does not need it). usage: tensorboard_events.py HACSCALE"""

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HACSCALE = str(Path(sys.argv[1]).resolve())


def crc32c(data):
    """Bit by bit, where the program has a table."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    data = path.read_bytes()
    while data:
        (length, crc) = struct.unpack("<QI", data[:12])
        assert crc == masked(data[:8]), "checksum of a length"
        payload, rest = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", rest[:4])[0] == masked(payload), "checksum of a record"
        yield payload
        data = rest[4:]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def message(data):
    """The fields of a protobuf message: number -> values."""
    fields, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            assert wire == 5, wire
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        fields.setdefault(number, []).append(value)
    return fields


def scalars(path):
    """tag -> [(step, value)]; a session that starts forgets what was at its step and after."""
    tags, first = {}, True
    for event in map(message, records(path)):
        assert abs(event[1][0] - time.time()) < 3600, "wall time"
        if first:
            assert event[3] == [b"brain.Event:2"], event
        first = False
        step = event[2][0]
        for session in map(message, event.get(7, [])):
            assert session == {1: [1]}, session
            tags = {t: [p for p in points if p[0] < step] for t, points in tags.items()}
        for summary in map(message, event.get(5, [])):
            for value in map(message, summary[1]):
                tags.setdefault(value[1][0].decode(), []).append((step, value[2][0]))
    return tags


def by_tensorboard(folder):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print("tensorboard is not installed: its own reader is left out")
        return None
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {t: [(e.step, e.value) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def check(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["type"] == "epoch"]
    result = next(line for line in lines if line["type"] == "result")
    files = list(folder.glob("events.out.tfevents.*"))
    assert len(files) == 1, files
    found = scalars(files[0])
    names = {"loss/train": "train_loss", "top1/validation": "validation_top1", "lr": "lr",
             "images_per_second": "images_per_second"}
    for tag, key in names.items():
        expected = [(e["step"], f32(e[key])) for e in epochs]
        assert found[tag] == expected, f"{tag}: {found[tag]}, expected {expected}"
    assert found["top1/test"] == [(result["step"], f32(result["test_top1"]))], found["top1/test"]
    others = by_tensorboard(folder)
    assert others is None or others == found, (others, found)

    with open(folder / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(epochs)
    for row, epoch in zip(rows, epochs):
        assert {k: float(v) for k, v in row.items()} == {
            k: float(v) for k, v in epoch.items() if k != "type"}


def train(out, *more, code=0):
    p = subprocess.run(command(out, *more), capture_output=True, text=True)
    assert p.returncode == code, p.stderr


def command(out, *more):
    words = "train vgg11 --width 0.125 --threads 1 --data synthetic --limit-train 160 --limit-test 100"
    return [HACSCALE, *words.split(), "--batch", "16", "--validation", "40", "--quiet",
            "--out", str(out), *more]


os.environ["OMP_WAIT_POLICY"] = "passive"
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    logs = ["--log", "tensorboard,csv"]
    train(folder / "whole", "--epochs", "3", *logs)
    check(folder / "whole")
    # Killed between two checkpoints, with a cut record; then resumed.
    killed = folder / "killed"
    first = subprocess.Popen(command(killed, "--epochs", "400", *logs))
    while len((killed / "log.csv").read_text().splitlines() if (killed / "log.csv").exists() else []) < 4:
        assert first.poll() is None, "it has ended"
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    events = next(killed.glob("events.out.tfevents.*"))
    events.write_bytes(events.read_bytes() + b"\x07cut")
    # As if it had got further than its last checkpoint: these steps come again.
    shutil.copy(killed / "last.safetensors", folder / "earlier.safetensors")
    done = len((killed / "log.csv").read_text().splitlines()) - 1
    train(killed, "--epochs", str(done + 2), "--resume", *logs)
    shutil.copy(folder / "earlier.safetensors", killed / "last.safetensors")
    train(killed, "--epochs", str(done + 3), "--resume", *logs)
    check(killed)
    # Asked for only when it is resumed: the history is written too.
    train(folder / "late", "--epochs", "2")
    assert not list((folder / "late").glob("events*")) and not (folder / "late/log.csv").exists()
    train(folder / "late", "--epochs", "4", "--resume", *logs)
    check(folder / "late")
    # Begun again: nothing of before is left.
    train(folder / "late", "--epochs", "1", "--overwrite", *logs)
    check(folder / "late")
