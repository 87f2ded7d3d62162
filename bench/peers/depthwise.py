"""PyTorch's side of compare_depthwise.py.

usage: depthwise.py JSON   {"layers": [[channels, size, kernel, stride], ...], "passes": [...], "batch": N}

Prints PyTorch's version; then for each line on stdin a line of [layer, pass, microseconds], the CPU time of one thread
by the fastest of its layouts.
"""

import json
import sys
import time

import torch
from torch.nn import functional as F

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def microseconds(call, at_least=0.02):
    call()
    runs, start = 0, time.process_time()
    while True:
        call()
        runs += 1
        spent = time.process_time() - start
        if spent >= at_least:
            return 1e6 * spent / runs


def inference(layer):
    """One call for each layout."""
    c, size, kernel, stride = layer
    x, w, bias = torch.randn(1, c, size, size), torch.randn(c, 1, kernel, kernel), torch.randn(c)
    settings = dict(stride=stride, padding=kernel // 2, groups=c)
    calls = [lambda x=x.to(memory_format=m), w=w.to(memory_format=m): F.conv2d(x, w, bias, **settings)
             for m in LAYOUTS]
    blocked, packed = x.to_mkldnn(), torch._C._nn.mkldnn_reorder_conv2d_weight(
        w.to_mkldnn(), kernel // 2, stride, 1, c, list(x.shape))
    return calls + [lambda: F.conv2d(blocked, packed, bias, **settings)]


def training(layer, what, batch):
    c, size, kernel, stride = layer
    x, w = torch.randn(batch, c, size, size), torch.randn(c, 1, kernel, kernel)
    pad, strides = [kernel // 2] * 2, [stride] * 2
    dy = torch.randn_like(F.conv2d(x, w, None, strides, pad, groups=c))
    wanted = [what == "backward_data", what == "backward_weights", False]
    for m in LAYOUTS:
        xm, wm, dym = (t.to(memory_format=m) for t in (x, w, dy))
        if what == "forward":
            yield lambda xm=xm, wm=wm: F.conv2d(xm, wm, None, strides, pad, groups=c)
        else:
            yield lambda xm=xm, wm=wm, dym=dym: torch.ops.aten.convolution_backward(
                dym, xm, wm, None, strides, pad, [1, 1], False, [0, 0], c, wanted)


def main(case):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print(json.dumps(torch.__version__), flush=True)
    for _ in sys.stdin:
        with torch.no_grad():
            print(json.dumps([
                (layer, what, min(map(microseconds, inference(layer) if what == "inference"
                                      else training(layer, what, case["batch"]))))
                for layer in case["layers"] for what in case["passes"]]), flush=True)


main(json.loads(sys.argv[1]))
