"""A contestant of compare_pipeline.py: torchvision's way to a random resized crop.

usage: pipeline.py pillow|torchvision DIR

For each line on stdin, all images below DIR once: read, decoded, cropped, resized to 224, mirrored
or not, as a tensor of bytes. Prints their number, then the CPU seconds of each pass.
"""

import sys
import time

import torch
from torchvision import datasets, io
from torchvision.transforms import v2


def decode(path):
    return io.decode_jpeg(io.read_file(path), mode="RGB", apply_exif_orientation=True)


def main(decoder, folder):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    crop = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()]
    if decoder == "pillow":
        load, steps = datasets.folder.default_loader, v2.Compose(crop + [v2.PILToTensor()])
    else:
        load, steps = decode, v2.Compose(crop)
    images = datasets.ImageFolder(folder, transform=steps, loader=load)
    print(len(images), flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        for i in range(len(images)):
            image, _ = images[i]
            assert image.shape == (3, 224, 224) and image.dtype == torch.uint8
        print(f"{time.process_time() - start:.6f}", flush=True)


main(*sys.argv[1:])
