#!/usr/bin/env python3
"""Networks of the zoo against torchvision's own: names, gradients of every parameter after one step
from the same weights, and after ten the loss of an evaluation and the logits of single images. The
reference is in double precision.
Dropout and stochastic depth are off; their masks are tested elsewhere.

usage: torchvision_reference.py HACSCALE_BINARY     (exit 77: torchvision is not installed)
"""
import json
import struct
import subprocess
import sys
import zlib

from pytorch_reference import IMAGES, LR, SEED, F, check_all, read_safetensors, torch

try:
    import torchvision
    from torchvision.models import resnet
except ImportError:
    print("skipped: needs Debian's python3-torchvision")
    sys.exit(77)


def efficientnet():
    net = torchvision.models.efficientnet_b0(num_classes=10, stochastic_depth_prob=0)
    net.classifier[0].p = 0
    return net


# Name, options, torchvision's, the bound on the relative error (2-norm) of a gradient: of networks
# with kinks it is wide, as in pytorch_reference.py.
CASES = [
    ("resnet50", ["--blocks", "1,1,1,1"],
     lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], num_classes=10), 5e-2),
    ("mobilenet_v2_035", [],
     lambda: torchvision.models.MobileNetV2(num_classes=10, width_mult=0.35, dropout=0), 5e-2),
    ("mobilenet_v2", [], lambda: torchvision.models.MobileNetV2(num_classes=10, dropout=0), 5e-2),
    ("efficientnet_b0", [], efficientnet, 1e-2),
]
RESOLUTION = 48


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexit code {done.returncode}: {done.stderr}")
    return done.stdout


def without_dropout(binary, folder, name, options):
    """The zoo's architecture for ten classes of grey images, nothing in it random."""
    path = folder / f"{name}.json"
    run(binary, "summary", name, "--classes", 10, "--in-channels", 1, "--resolution", RESOLUTION,
        *options, "--save", path)
    arch = json.loads(path.read_text())
    for layer in arch["layers"]:
        if "p" in layer:
            layer["p"] = 0
    path.write_text(json.dumps(arch))
    return path


def write_png(path, pixels):
    """A grey image of rows of bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(row) for row in pixels)
    size = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def inferred_logits(binary, folder, checkpoint, images):
    """Of each image; what a softmax leaves of them: up to a constant an image."""
    files = [folder / f"{i}.png" for i in range(len(images))]
    for file, image in zip(files, images):
        write_png(file, (image[0] * 255).round().int().tolist())
    said = json.loads(run(binary, "infer", checkpoint, *files, "--top", 10, "--json"))
    rows = [sorted(one["top"], key=lambda guess: guess["index"]) for one in said]
    return torch.tensor([[guess["probability"] for guess in row] for row in rows]).double().log()


def check_case(binary, folder, images, labels, case, checker):
    name, options, make, bound = case
    arch, data = without_dropout(binary, folder, name, options), folder / "data"

    def train(out, steps, *extra):
        run(binary, "train", arch, "--data", "fashion-mnist", "--data-dir", data, "--batch", IMAGES,
            "--epochs", max(1, steps), "--max-steps", steps, "--lr", LR, "--schedule", "constant",
            "--augment", "none", "--shuffle", "off", "--quiet", "--seed", SEED, "--out", out, *extra)

    train(folder / f"{name}-init", 0)
    start = folder / f"{name}-init/last.safetensors"
    init, metadata = read_safetensors(start)
    init = {k: v for k, v in init.items() if not k.startswith("momentum.")}
    net = make().double()
    stem = next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    stem.weight = torch.nn.Parameter(torch.zeros_like(stem.weight[:, :1]))
    names = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    if names != set(init):
        sys.exit(f"{name}: names differ: {sorted(names ^ set(init))[:6]}")
    net.load_state_dict(init, strict=False)
    preprocess = json.loads(metadata["preprocess"])
    x = F.interpolate(F.pad(images, (2, 2, 2, 2)), size=(RESOLUTION, RESOLUTION), mode="bilinear",
                      align_corners=False)
    x = (x - preprocess["mean"][0]) / preprocess["std"][0]

    F.cross_entropy(net.train()(x), labels).backward()
    saved = folder / f"{name}.gradients.safetensors"
    train(folder / f"{name}-one", 1, "--init", start, "--save-gradients", saved)
    ours, _ = read_safetensors(saved)
    shares = [checker.compare(f"{name} gradient of {key}", ours[key], p.grad, bound)
              for key, p in net.named_parameters() if p.grad.norm() > 1e-9]
    print(f"{name}: {len(shares)} gradients, worst at {max(shares):.2f} of the bound {bound:g}")

    # A rate at which the running statistics are some way from where they began.
    train(folder / f"{name}-ten", 10, "--init", start)
    trained = folder / f"{name}-ten/last.safetensors"
    net.load_state_dict(read_safetensors(trained)[0], strict=False)
    with torch.no_grad():
        loss = F.cross_entropy(net.eval()(x), labels)
    ours = json.loads(run(binary, "eval", trained, "--data-dir", data, "--json"))["loss"]
    share = checker.compare(f"{name} loss of an evaluation", torch.tensor([ours]).double(),
                            loss.reshape(1), 1e-4)
    print(f"{name}: evaluated at {loss.item():.5f}, ours at {share:.2f} of the bound 1e-4")

    some = 8
    ours = inferred_logits(binary, folder, trained, images[:some])
    with torch.no_grad():
        theirs = net(x[:some])
    share = checker.compare(f"{name} logits", ours - ours.mean(1, keepdim=True),
                            theirs - theirs.mean(1, keepdim=True), 1e-4)
    print(f"{name}: logits of {some} images, worst at {share:.2f} of the bound 1e-4")


def check_networks(binary, folder, images, labels, checker):
    for case in CASES:
        check_case(binary, folder, images, labels, case, checker)


if __name__ == "__main__":
    check_all(check_networks)
