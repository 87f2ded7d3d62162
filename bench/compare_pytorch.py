#!/usr/bin/env python3
"""Training step and batch-1 inference against PyTorch eager, same threads, in one run.

usage: compare_pytorch.py BUILD_DIR [--threads N] [--rounds N]
Runs BUILD_DIR/bin/bench_peer and PyTorch in alternation and prints the ratios of their medians.
Needs Debian's python3-torch (a peer to measure against, not a dependency).
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import torch
from torch import nn


def vgg11():
    layers, c = [], 3
    for n, pool in [(64, 1), (128, 1), (256, 0), (256, 1), (512, 0), (512, 1), (512, 0), (512, 1)]:
        layers += [nn.Conv2d(c, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if pool else []
        c = n
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


class BasicBlock(nn.Module):
    def __init__(self, c, n, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, n, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride != 1 or c != n:
            self.down = nn.Sequential(nn.Conv2d(c, n, 1, stride, bias=False), nn.BatchNorm2d(n))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + (x if self.down is None else self.down(x)))


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    c = 64
    for n, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        layers += [BasicBlock(c, n, stride), BasicBlock(n, n, 1)]
        c = n
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def timed(f, rounds, warmup):
    for _ in range(warmup):
        f()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def torch_train(width_rounds):
    net = vgg11().train()
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x, y = torch.randn(128, 3, 32, 32), torch.arange(128) % 10

    def step():
        sgd.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        sgd.step()

    return timed(step, width_rounds, 2)


def torch_infer(net, size, rounds):
    """The faster of the two memory formats that a user would try."""
    best = float("inf")
    for memory_format in (torch.contiguous_format, torch.channels_last):
        model = net().eval().to(memory_format=memory_format)
        x = torch.randn(1, 3, size, size).to(memory_format=memory_format)
        with torch.no_grad():
            best = min(best, timed(lambda: model(x), rounds, 5))
    return best


def ours(build, what, rounds, threads):
    out = subprocess.run([f"{build}/bin/bench_peer", what, str(rounds), str(threads)], check=True,
                         capture_output=True, text=True)
    return json.loads(out.stdout)["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cases = [
        ("vgg11-train", lambda n: torch_train(n), args.rounds, 1.9),
        ("vgg11-infer", lambda n: torch_infer(vgg11, 32, n), 10 * args.rounds, 3.0),
        ("resnet18-infer", lambda n: torch_infer(resnet18, 224, n), 3 * args.rounds, 2.0),
    ]
    print(f"PyTorch {torch.__version__}, {args.threads} threads; medians in ms, three alternations")
    for name, peer, rounds, wanted in cases:
        pairs = [(ours(args.build, name, rounds, args.threads), peer(rounds)) for _ in range(3)]
        mine, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        print(f"{name:<15} ours {mine:8.2f}  PyTorch eager {theirs:8.2f}  "
              f"speed-up {theirs / mine:5.2f}x   (wanted >= {wanted}x)")


if __name__ == "__main__":
    main()
