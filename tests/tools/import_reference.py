#!/usr/bin/env python3
"""torchvision's networks by way of a pickle, tools/pth_to_safetensors.py and hacscale import: the file that comes out
is loaded by torchvision again, strictly and with the same bits.

usage: import_reference.py HACSCALE_BINARY     (exit 77: torchvision is not installed)
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/models"))
from pytorch_reference import read_safetensors, torch  # noqa: E402  (exits with 77 without PyTorch)

try:
    import torchvision
except ImportError:
    print("skipped: needs Debian's python3-torchvision")
    sys.exit(77)

CLASSES = 7
# Name, what is pickled, what the import says of it.
CASES = [
    ("resnet18", lambda state: state, ""),
    ("resnet50", lambda state: {"state_dict": {"module." + k: v for k, v in state.items()}, "epoch": 3},
     "'module.' stripped from"),
    ("mobilenet_v2", lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
     "tensors widened from F16"),
    ("efficientnet_b0", lambda state: {k: v.double() if v.is_floating_point() else v for k, v in state.items()},
     "tensors narrowed from F64"),
]


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nexit code {done.returncode}: {done.stderr}")
    return done


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def check_network(binary, folder, name, pickled, note):
    torch.manual_seed(1)
    net = getattr(torchvision.models, name)(num_classes=CLASSES)
    net.train()(torch.randn(2, 3, 64, 64))  # statistics that are not those of the start
    torch.save(pickled(net.state_dict()), folder / "w.pth")
    run(sys.executable, ROOT / "tools/pth_to_safetensors.py", folder / "w.pth", folder / "w.safetensors")
    said = run(binary, "import", folder / "w.safetensors", "--model", name, "--classes", CLASSES, "--out",
               folder / name).stderr
    check(note in said, f"{name}: expected '{note}' in: {said}")
    check("ImageNet's mean" in said, f"{name}: what was assumed is not said: {said}")

    file = folder / name / "model.safetensors"
    weights, metadata = read_safetensors(file)
    check(metadata["format"] == "pt", "Hugging Face's loaders want this format")
    again = getattr(torchvision.models, name)(num_classes=CLASSES)
    again.load_state_dict(weights, strict=True)
    as_read = pickled(net.state_dict())
    as_read = as_read.get("state_dict", as_read)
    for key, tensor in as_read.items():
        key = key.removeprefix("module.")
        if not key.endswith("num_batches_tracked"):
            check(torch.equal(again.state_dict()[key], tensor.float()), f"{name}: {key} is another")

    config = json.loads((folder / name / "config.json").read_text())
    cfg = config["pretrained_cfg"]
    check((config["architecture"], config["num_classes"], len(config["label_names"])) == (name, CLASSES, CLASSES),
          f"{name}: {config}")
    check((cfg["input_size"], cfg["crop_pct"], cfg["mean"]) == ([3, 224, 224], 0.875, [0.485, 0.456, 0.406]), str(cfg))
    for end in ("first_conv", "classifier"):
        check(cfg[end] + ".weight" in weights, f"{name}: {end} is {cfg[end]}")


def main(binary):
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            check_network(binary, Path(folder), *case)
            print(f"{case[0]}: the same")


main(sys.argv[1])
