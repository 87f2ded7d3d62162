#!/usr/bin/env python3
"""Networks that PyTorch exports as ONNX, imported: our logits against PyTorch's own, with batch norms
folded by its exporter and kept. And what no Architecture expresses: named, exit code 2.

usage: onnx_pytorch.py HACSCALE_BINARY     (exit 77: torchvision is not installed, or no libonnx is built in)
"""
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/peers"))
try:
    import torch
    import torchvision
    from torch import nn
    from onnx_models import difference, export, has_onnx
except ImportError as error:
    print(f"skipped: needs Debian's python3-torchvision ({error})")
    sys.exit(77)

BOUND, SIDE, SEED = 1e-4, 56, 1
models = torchvision.models


class AnySum(nn.Module):
    """A sum that is no residual block's."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.a(x) + self.b(x)).mean((2, 3)))


def plain():
    return nn.Sequential(nn.Conv2d(3, 12, 5, 2, 2), nn.SiLU(), nn.AvgPool2d(3, 2, 1),
                         nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.BatchNorm2d(12, eps=1e-3), nn.ReLU6(),
                         nn.Conv2d(12, 30, 1, groups=3, bias=False), nn.BatchNorm2d(30), nn.MaxPool2d(2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(30, 21, bias=False), nn.ReLU(),
                         nn.Dropout(0.3), nn.Linear(21, 10))


def vgg(batch_norm):
    features = models.vgg.make_layers([16, "M", 24, "M", 32, 32, "M"], batch_norm)
    net = models.vgg.VGG(features, init_weights=False)
    net.classifier = nn.Sequential(nn.Linear(32 * 7 * 7, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 10))
    return net


# Name, network, units of each stage.
TAKEN = [
    ("resnet18", lambda: models.resnet18(num_classes=10), "2, 2, 2, 2"),
    ("wide bottlenecks", lambda: models.resnet.ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=10,
                                                      width_per_group=128), "1, 2, 1, 1"),
    ("mobilenet_v2", lambda: models.MobileNetV2(num_classes=10, width_mult=0.35), "1, 2, 3, 4, 3, 3, 1"),
    ("mnasnet", lambda: models.MNASNet(0.35, num_classes=10), "1, 3, 3, 5, 4, 1"),
    ("efficientnet_b0", lambda: models.efficientnet_b0(num_classes=10), "1, 2, 2, 3, 3, 4, 1"),
    ("vgg, batch norms", lambda: vgg(True), "1, 1, 2"),
    ("vgg", lambda: vgg(False), "1, 1, 2"),
    ("plain", plain, "1, 1"),
]
REFUSED = [
    ("any sum", AnySum, ["no layer or block", "residual"]),
    ("resnext", lambda: models.resnet.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=10, groups=2),
     ["layer1.0/conv2/Conv", "2 groups"]),
    ("mobilenet_v3", lambda: models.mobilenet_v3_small(num_classes=10), ["HardSwish", "expected one of"]),
    ("squeezenet", lambda: models.squeezenet1_1(num_classes=10), ["Concat", "expected one of"]),
]


def scattered(net):
    """Statistics as a training might leave them."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return net.eval()


def write(net, path, folded):
    mode = torch.onnx.TrainingMode
    legacy = {} if torch.__version__.startswith("1.") else {"dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(2, 3, SIDE, SIDE),), path, do_constant_folding=folded,
                          training=mode.EVAL if folded else mode.PRESERVE, opset_version=16,
                          input_names=["x"], dynamic_axes={"x": {0: "n"}}, **legacy)


def imported(binary, path, out):
    shutil.rmtree(out, ignore_errors=True)
    return subprocess.run([binary, "import", path, "--out", out], capture_output=True, text=True)


def main(binary):
    if not has_onnx(binary):
        print("skipped: built without libonnx")
        sys.exit(77)
    torch.manual_seed(SEED)
    failed = []
    with tempfile.TemporaryDirectory() as temp:
        path, out = Path(temp) / "net.onnx", Path(temp) / "imported"
        ours = out / "model.safetensors"
        for name, make, stages in TAKEN:
            net = scattered(make())
            for folded in (True, False):
                what = f"{name}, batch norms {'folded' if folded else 'kept'}"
                write(net, path, folded)
                done = imported(binary, path, out)
                if done.returncode != 0 or f"of {stages} blocks" not in done.stdout:
                    failed.append(f"{what}: {done.stderr or done.stdout}")
                    continue
                images, logits = export(binary, ours, Path(temp) / "again.onnx")
                with torch.no_grad():
                    off = difference(logits, net(torch.from_numpy(images.copy())).numpy())
                print(f"{what}: off by {off:.1e}")
                if not off <= BOUND:
                    failed.append(what)
        for name, make, parts in REFUSED:
            write(scattered(make()), path, True)
            done = imported(binary, path, out)
            print(f"{name}: {done.stderr.strip()[:200]}")
            if done.returncode != 2 or any(part not in done.stderr for part in parts):
                failed.append(f"{name}: exit code {done.returncode}, {done.stderr}")
    for line in failed:
        print("FAILED", line)
    print(f"seed {SEED}, {len(failed)} failed (bound {BOUND:g} of the largest logit)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1])
