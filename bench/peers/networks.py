"""The zoo's networks (models/zoo) in PyTorch, each weight under the zoo's name for it: one file of
weights serves both."""
import torch
from torch import nn
from torch.nn import functional as F


def conv(c, n, kernel, stride=1, bias=False):
    return nn.Conv2d(c, n, kernel, stride, kernel // 2, bias=bias)


class Vgg11(nn.Module):
    def __init__(self, width=1.0):
        super().__init__()
        layers, c = [], 3
        for n, pool in zip((64, 128, 256, 256, 512, 512, 512, 512), (1, 1, 0, 1, 0, 1, 0, 1)):
            n = int(n * width)
            layers += [conv(c, n, 3, bias=True), nn.BatchNorm2d(n), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if pool else []
            c = n
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(c, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class BasicBlock(nn.Module):
    def __init__(self, c, n, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(c, n, 3, stride), nn.BatchNorm2d(n)
        self.conv2, self.bn2 = conv(n, n, 3), nn.BatchNorm2d(n)
        self.downsample = None
        if stride != 1 or c != n:
            self.downsample = nn.Sequential(conv(c, n, 1, stride), nn.BatchNorm2d(n))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class PreactBlock(nn.Module):
    def __init__(self, c, n, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(c), conv(c, n, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(n), conv(n, n, 3)
        self.shortcut = None
        if stride != 1 or c != n:
            self.shortcut = nn.Sequential(conv(c, n, 1, stride))

    def forward(self, x):
        y = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = F.relu(self.bn2(self.conv1(y)), inplace=True)
        return self.conv2(y) + shortcut


class Resnet(nn.Module):
    """stem: the layers before the stages, by name; tail: what is between them and the pooling."""

    def __init__(self, block, stem, stages, tail, classifier, classes):
        super().__init__()
        self.stem, self.tail, self.classifier = list(stem), list(tail), classifier
        for name, layer in (stem | tail).items():
            self.add_module(name, layer)
        self.stages, c = [], stem["conv1"].out_channels
        for i, (n, blocks, stride) in enumerate(stages):
            layers = [block(c if k == 0 else n, n, stride if k == 0 else 1) for k in range(blocks)]
            self.stages.append(f"layer{i + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*layers))
            c = n
        self.add_module(classifier, nn.Linear(c, classes))

    def forward(self, x):
        for name in self.stem + self.stages + self.tail:
            x = getattr(self, name)(x)
        return getattr(self, self.classifier)(F.adaptive_avg_pool2d(x, 1).flatten(1))


def resnet18():
    stem = {"conv1": conv(3, 64, 7, 2), "bn1": nn.BatchNorm2d(64), "relu": nn.ReLU(inplace=True),
            "maxpool": nn.MaxPool2d(3, 2, 1)}
    stages = [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]
    return Resnet(BasicBlock, stem, stages, {}, "fc", 1000)


def preact_resnet18():
    stages = [(64, 2, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)]
    tail = {"bn": nn.BatchNorm2d(512)}
    return Resnet(PreactBlock, {"conv1": conv(3, 64, 3, 2)}, stages, tail, "linear", 1000)


def resnet20():
    stem = {"conv1": conv(3, 16, 3), "bn1": nn.BatchNorm2d(16), "relu": nn.ReLU(inplace=True)}
    return Resnet(BasicBlock, stem, [(16, 3, 1), (32, 3, 2), (64, 3, 2)], {}, "fc", 10)


# Those with depthwise convolutions are torchvision's own, without what is random in training.
def mobilenet_v2():
    from torchvision.models import mobilenet_v2
    return mobilenet_v2(dropout=0)


def efficientnet_b0():
    from torchvision.models import efficientnet_b0
    return efficientnet_b0(dropout=0, stochastic_depth_prob=0)


# Name -> how it is made, and the height and width of its input.
ZOO = {"vgg11": (Vgg11, 32), "resnet18": (resnet18, 224), "preact_resnet18": (preact_resnet18, 224),
       "resnet20": (resnet20, 32), "mobilenet_v2": (mobilenet_v2, 224),
       "efficientnet_b0": (efficientnet_b0, 224)}


def build(name, width=1.0):
    make, _ = ZOO[name]
    return make() if width == 1 else make(width)


def initialised(name, width=1.0):
    """The same at every call, with random images' batch statistics; and its input's pixels."""
    torch.manual_seed(1)
    net, pixels = build(name, width), ZOO[name][1]
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(16, 3, pixels, pixels))
    for norm in norms:
        norm.momentum = 0.1
    return net, pixels
