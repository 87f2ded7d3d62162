#!/usr/bin/env python3
"""Whole networks against PyTorch: gradients of every parameter after one step, the loss of ten
steps, and how far every weight and statistic moved in them. The reference is in double precision.

Rounding can put a value on the other side of a ReLU's kink or of a max pool's tie, which moves the
gradients behind it by about one part in the values of a channel. The residual networks are deep
enough for a few such flips, so their bound is wide; VGG11 has none and is held to rounding.

usage: pytorch_reference.py HACSCALE_BINARY     (exit 77: PyTorch is not installed)
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    print("skipped: needs Debian's python3-torch")
    sys.exit(77)

IMAGES, SEED, LR = 40, 7, 0.001
torch.set_num_threads(len(os.sched_getaffinity(0)))  # Debian's takes one


def write_idx(folder):
    """A set of random images in Fashion-MNIST's files; every class appears."""
    rng = random.Random(SEED)
    pixels = bytes(rng.randrange(256) for _ in range(IMAGES * 28 * 28))
    labels = bytes(i % 10 for i in range(IMAGES))
    for part in ("train", "t10k"):
        header = struct.pack(">IIII", 0x803, IMAGES, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels)
        header = struct.pack(">II", 0x801, IMAGES)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels)
    x = torch.tensor(list(pixels), dtype=torch.float64).reshape(IMAGES, 1, 28, 28) / 255
    return x, torch.tensor(list(labels))


def read_safetensors(path):
    raw = Path(path).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = (8 + size + o for o in t["data_offsets"])
        if t["dtype"] != "F32":
            continue
        values = torch.frombuffer(bytearray(raw[begin:end]), dtype=torch.float32)
        tensors[name] = values.double().reshape(t["shape"])
    return tensors, metadata


class Vgg11(nn.Module):
    def __init__(self, widths):
        super().__init__()
        layers, c = [], 1
        for n, pool in zip(widths, (1, 1, 0, 1, 0, 1, 0, 1)):
            layers += [nn.Conv2d(c, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pool else []
            c = n
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(c, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class PreactBlock(nn.Module):
    def __init__(self, c, mid, out, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(c), nn.BatchNorm2d(mid)
        self.conv1 = nn.Conv2d(c, mid, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(mid, out, 3, 1, 1, bias=False)
        if stride != 1 or c != out:
            self.shortcut = nn.Sequential(nn.Conv2d(c, out, 1, stride, bias=False))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = self.shortcut(y) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + shortcut


class BasicBlock(nn.Module):
    def __init__(self, c, mid, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, mid, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.conv2 = nn.Conv2d(mid, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or c != out:
            self.downsample = nn.Sequential(nn.Conv2d(c, out, 1, stride, bias=False),
                                            nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class PreactResnet18(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, 2, 1, bias=False)
        c, at = widths[0], 1
        for stage in range(4):
            blocks = []
            for i in range(2):
                mid, out = widths[at], widths[at + 1]
                blocks.append(PreactBlock(c, mid, out, 2 if i == 0 else 1))
                c, at = out, at + 2
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(c)
        self.linear = nn.Linear(c, 10)

    def forward(self, x):
        x = self.conv1(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.linear(self.bn(x).mean((2, 3)))


class Resnet18(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        c, at = widths[0], 1
        for stage in range(4):
            blocks = []
            for i in range(2):
                mid, out = widths[at], widths[at + 1]
                blocks.append(BasicBlock(c, mid, out, 2 if i == 0 and stage > 0 else 1))
                c, at = out, at + 2
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(c, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))


# Name, torch network, widths (odd and untied on purpose), resolution, label smoothing, nesterov, the
# bound on the relative error (2-norm) of a gradient.
CASES = [
    ("vgg11", Vgg11, [16, 20, 17, 32, 33, 16, 24, 18], 32, 0.1, True, 1e-3),
    ("preact_resnet18", PreactResnet18,
     [8, 12, 8, 9, 8, 16, 20, 16, 20, 24, 17, 32, 17, 16, 40, 24, 33], 64, 0.0, False, 5e-2),
    ("resnet18", Resnet18,
     [8, 12, 8, 9, 8, 16, 20, 16, 20, 24, 17, 32, 17, 16, 40, 24, 33], 64, 0.0, False, 5e-2),
]


def hacscale(binary, data, out, case, steps, extra=()):
    name, _, widths, resolution, smoothing, nesterov, _ = case
    command = [binary, "train", name, "--widths", ",".join(map(str, widths)), "--resolution",
               str(resolution), "--data", "fashion-mnist", "--data-dir", str(data), "--batch",
               str(IMAGES), "--epochs", str(max(1, steps)), "--max-steps", str(steps), "--lr",
               str(LR), "--momentum", "0.9", "--weight-decay", "0.0005", "--schedule", "constant",
               "--label-smoothing", str(smoothing), "--augment", "none", "--shuffle", "off",
               "--out", str(out), "--quiet", "--seed", str(SEED), *extra]
    if nesterov:
        command.append("--nesterov")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit code {done.returncode}: {done.stderr}")


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm().clamp_min(1e-12)).item()


class Checker:
    """Collects relative errors in the 2-norm and what exceeds its bound."""

    def __init__(self):
        self.failed = []

    def compare(self, what, ours, theirs, bound):
        share = relative(ours, theirs) / bound
        if not share <= 1:
            self.failed.append(f"{what}: {share:.2f} of the bound {bound:g}")
        return share


def reference(case, init, x, labels, dtype):
    """Ten steps of PyTorch from the same weights: losses, first gradients, final state."""
    _, network, widths, _, smoothing, nesterov, _ = case
    net, x = network(widths).to(dtype).train(), x.to(dtype)
    names = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    if names != set(init):
        sys.exit(f"{case[0]}: names differ: {sorted(names ^ set(init))[:6]}")
    net.load_state_dict(init, strict=False)
    sgd = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4,
                          nesterov=nesterov)
    losses, gradients = [], {}
    for _ in range(10):
        sgd.zero_grad()
        loss = F.cross_entropy(net(x), labels, label_smoothing=smoothing)
        loss.backward()
        gradients = gradients or {k: p.grad.clone() for k, p in net.named_parameters()}
        losses.append(loss.item())
        sgd.step()
    state = {k: v.double() for k, v in net.state_dict().items()}
    return torch.tensor(losses, dtype=torch.float64), gradients, state


def check_case(binary, folder, images, labels, case, checker):
    name, _, _, resolution, _, _, bound = case
    data, out = folder / "data", folder / name
    hacscale(binary, data, out / "init", case, 0)
    start = out / "init/last.safetensors"
    init, metadata = read_safetensors(start)
    init = {k: v for k, v in init.items() if not k.startswith("momentum.")}
    preprocess = json.loads(metadata["preprocess"])
    x = F.pad(images, (2, 2, 2, 2))
    if resolution != 32:
        x = F.interpolate(x, size=(resolution, resolution), mode="bilinear", align_corners=False)
    x = (x - preprocess["mean"][0]) / preprocess["std"][0]
    losses, gradients, after = reference(case, init, x, labels, torch.float64)
    losses32, _, after32 = reference(case, init, x, labels, torch.float32)

    saved = out / "gradients.safetensors"
    hacscale(binary, data, out / "one", case, 1,
             ["--init", str(start), "--save-gradients", str(saved)])
    ours, _ = read_safetensors(saved)
    shares = []
    for key, theirs in gradients.items():
        weight = gradients[key.replace(".bias", ".weight")]
        if theirs.norm() < 1e-9 * weight.norm():
            # A bias in front of batch norm: exactly zero, ours must be rounding beside the weights'.
            if ours[key].norm() > 1e-4 * weight.norm():
                checker.failed.append(f"{name} gradient of {key}: expected 0")
        else:
            shares.append(checker.compare(f"{name} gradient of {key}", ours[key], theirs, bound))
    print(f"{name}: {len(shares)} gradients, worst at {max(shares):.2f} of the bound {bound:g}")

    hacscale(binary, data, out / "ten", case, 10, ["--init", str(start)])
    log = [json.loads(line) for line in (out / "ten/log.jsonl").read_text().splitlines()]
    ours = torch.tensor([row["train_loss"] for row in log], dtype=torch.float64)
    # Training amplifies a flip at a kink: PyTorch's own float32 run strays from its double one, and
    # that is the measure of how far ours may.
    bound = 5e-3 + 2 * relative(losses32, losses)
    share = checker.compare(f"{name} losses", ours, losses, bound)
    print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, at {share:.2f} of the bound {bound:.1g}")
    if not losses[-1] < 0.98 * losses[0]:
        checker.failed.append(f"{name}: the reference itself did not learn")

    final, _ = read_safetensors(out / "ten/last.safetensors")
    shares = []
    for key in init:
        moved = after[key] - init[key]
        if moved.norm() > 1e-6:
            bound = 0.1 + 2 * relative(after32[key] - init[key], moved)
            shares.append(checker.compare(f"{name} movement of {key}", final[key] - init[key],
                                          moved, bound))
    print(f"{name}: {len(shares)} tensors after ten steps, worst at {max(shares):.2f} of its bound")


def check_schedules(binary, folder, checker):
    """The rate of every step with a warm-up of 4, against SequentialLR; one step is an epoch here."""
    warm, epochs, lr = 4, 12, 0.1
    optim = torch.optim.lr_scheduler
    decays = {
        "constant": lambda o: optim.ConstantLR(o, 1, 0),
        "cosine": lambda o: optim.CosineAnnealingLR(o, epochs - warm),
        "exponential": lambda o: optim.ExponentialLR(o, 0.02 ** (1 / (epochs - warm))),
        "step": lambda o: optim.MultiStepLR(o, [m - warm for m in (6, 9)]),
    }
    for kind, decay in decays.items():
        out = folder / f"schedule-{kind}"
        subprocess.run([binary, "train", "vgg11", "--width", "0.0625", "--data-dir", folder / "data",
                        "--batch", str(IMAGES), "--epochs", str(epochs), "--warmup", str(warm),
                        "--schedule", kind, "--milestones", "6,9", "--lr", str(lr), "--quiet",
                        "--out", out], check=True, capture_output=True)
        lines = (out / "log.jsonl").read_text().splitlines()
        ours = [json.loads(line)["lr"] for line in lines]
        o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
        climb = optim.LinearLR(o, 1 / warm, total_iters=warm - 1)
        s = optim.SequentialLR(o, [climb, decay(o)], [warm])
        reference = []
        for _ in range(epochs):
            reference.append(o.param_groups[0]["lr"])
            o.step()
            s.step()
        worst = max(abs(a - b) for a, b in zip(ours, reference))
        print(f"schedule {kind}: {len(ours)} rates, off by at most {worst:.1e}")
        if len(ours) != epochs or worst > 1e-12:
            checker.failed.append(f"schedule {kind}: {ours} against {reference}")


def check_all(check):
    """Calls check(binary, folder, images, labels, checker), says what failed, and exits."""
    torch.manual_seed(SEED)
    checker = Checker()
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        (folder / "data").mkdir()
        images, labels = write_idx(folder / "data")
        check(sys.argv[1], folder, images, labels, checker)
    for line in checker.failed[:10]:
        print("FAILED", line)
    print(f"seed {SEED}, {len(checker.failed)} failed")
    sys.exit(1 if checker.failed else 0)


def check_networks(binary, folder, images, labels, checker):
    check_schedules(binary, folder, checker)
    for case in CASES:
        check_case(binary, folder, images, labels, case, checker)


if __name__ == "__main__":
    check_all(check_networks)
