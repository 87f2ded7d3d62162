#!/usr/bin/env python3
"""PyTorch's side of compare_ranks.py: steps of one training, alone or on ranks by DistributedDataParallel over gloo.

usage: ranks.py JSON   {"network", "resolution", "batch" (of all ranks), "threads", "warm", "steps", "layout"}

Ranks are told by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun does; each takes the core of its number.
Rank 0 prints a line of JSON: the median of the steps in milliseconds.
"""
import json
import os
import statistics
import sys
import time

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from networks import build
from peer import say, training_step


def main(case):
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(case["threads"])
    torch.manual_seed(1)
    layout = torch.channels_last if case["layout"] == "nhwc" else torch.contiguous_format
    net = build(case["network"]).to(memory_format=layout).train()
    if ranks > 1:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
        distributed.init_process_group("gloo", rank=rank, world_size=ranks)
        net = DistributedDataParallel(net)
    size = case["batch"] // ranks
    images = torch.randn(size, 3, case["resolution"], case["resolution"]).to(memory_format=layout)
    step = training_step(net, images, torch.arange(size) % 10, 0.001)
    times = []
    for _ in range(case["warm"] + case["steps"]):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    if rank == 0:
        say({"step_ms": statistics.median(times[case["warm"]:]), "version": torch.__version__})
    if ranks > 1:
        distributed.destroy_process_group()


main(json.loads(sys.argv[1]))
