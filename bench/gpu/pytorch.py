#!/usr/bin/env python3
"""The peer on the same GPU: VGG11's training step and ResNet18's batch-1 inference in PyTorch,
eager and as a CUDA graph, bf16 autocast and channels-last.

usage: pytorch.py [--json FILE]
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
from networks import build  # noqa: E402


def timed(f, rounds=30, warmup=5):
    """Median milliseconds, by the wall clock up to the end of the work."""
    times = []
    for i in range(-warmup, rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        f()
        torch.cuda.synchronize()
        if i >= 0:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def captured(f):
    """f, recorded once and replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            f()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        f()
    return graph.replay


def half():
    # The weights' casts must be part of the graph, so they may not be cached outside it.
    return torch.autocast("cuda", torch.bfloat16, cache_enabled=False)


def train_step(batch, precision):
    net = build("vgg11").cuda().train().to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(batch, 3, 32, 32, device="cuda").to(memory_format=torch.channels_last)
    y = torch.arange(batch, device="cuda") % 10

    def step():
        sgd.zero_grad(set_to_none=True)
        with precision():
            loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        sgd.step()

    return step


def inference(dtype):
    net = build("resnet18").cuda().eval().to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.randn(1, 3, 224, 224, device="cuda", dtype=dtype)
    x = x.to(memory_format=torch.channels_last)

    def run():
        with torch.no_grad():
            net(x)

    return run


def cases():
    for batch in (128, 512):
        yield f"vgg11_train_bf16_n{batch}", lambda b=batch: train_step(b, half)
    yield "vgg11_train_tf32_n128", lambda: train_step(128, contextlib.nullcontext)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        yield f"resnet18_infer_{str(dtype)[6:]}_n1", lambda d=dtype: inference(d)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    result = {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version(), "ms": {}}
    print(f"PyTorch {result['torch']}, cuDNN {result['cudnn']}")
    print(f"{'':28}  {'eager ms':>9}  {'graph ms':>9}")
    for name, make in cases():
        work = make()
        row = {"eager": timed(work), "graph": timed(captured(work))}
        result["ms"][name] = row
        print(f"{name:28}  {row['eager']:9.3f}  {row['graph']:9.3f}", flush=True)
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
