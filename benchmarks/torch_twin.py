"""The same networks in PyTorch, written the usual way: what a user would otherwise have taken.

Parameters have the keys of the released files, so that weights can be carried over; BatchNorm's gamma and beta are
PyTorch's weight and bias.
"""

import torch
from torch import nn
from torch.nn import functional as F

RATES, DILATIONS = (3, 6, 12), (1, 2, 4, 8)
FEATURE = 128


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet101(nn.Module):
    channels = (256, 512, 1024, 2048)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for index, (width, depth) in enumerate(zip((64, 128, 256, 512), (3, 4, 23, 3)), start=1):
            blocks = []
            for i in range(depth):
                blocks.append(Bottleneck(channels, width, 2 if i == 0 and index > 1 else 1))
                channels = 4 * width
            setattr(self, f"layer{index}", nn.Sequential(*blocks))

    def encode(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        c1 = self.layer1(x)
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        return c1, c2, c3, self.layer4(c3)


class VGG16(nn.Module):
    channels = (128, 256, 512, 4096)

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        layers += [nn.Conv2d(512, 4096, 7, padding=3), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*layers)

    def encode(self, x):
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in (9, 16, 23):
                maps.append(x)
        return (*maps, x)


class Fusion(nn.Module):
    def __init__(self, upper, lower, rate):
        super().__init__()
        self.adapt1 = nn.Sequential(
            nn.BatchNorm2d(upper), nn.ReLU(), nn.Conv2d(upper, FEATURE, 3, padding=rate, dilation=rate)
        )
        self.adapt2 = nn.Conv2d(lower, FEATURE, 1)

    def forward(self, upper, lower):
        return resize(self.adapt1(upper), lower) + self.adapt2(lower)


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        for index, rate in enumerate(DILATIONS, start=1):
            setattr(self, f"b{index}", nn.Conv2d(FEATURE, classes, 3, padding=rate, dilation=rate))

    def forward(self, x):
        return self.b1(x) + self.b2(x) + self.b3(x) + self.b4(x)


def segmenter(encoder, classes):
    """Return the segmenter with one of the two encoders."""
    base = {"resnet101": ResNet101, "vgg16": VGG16}[encoder]

    class Segmenter(base):
        def __init__(self):
            super().__init__()
            c1, c2, c3, c4 = self.channels
            self.merge1 = Fusion(c4, c3, RATES[0])
            self.merge2 = Fusion(FEATURE, c2, RATES[1])
            self.merge3 = Fusion(FEATURE, c1, RATES[2])
            self.final = nn.Sequential(nn.BatchNorm2d(FEATURE), nn.ReLU())
            self.classifier = Classifier(classes)

        def forward(self, x):
            feature, mid = self.extract(x)
            return resize(self.classifier(feature), x), feature, mid

        def extract(self, x):
            c1, c2, c3, c4 = self.encode(x)
            return self.final(self.merge3(self.merge2(self.merge1(c4, c3), c2), c1)), c3

    return Segmenter()


class Discriminator(nn.Module):
    def __init__(self, channels, halvings):
        super().__init__()
        layers = []
        for index, width in enumerate((64, 128, 256)):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
            if index < halvings:
                layers.append(nn.AvgPool2d(2))
            channels = width
        layers.append(nn.Conv2d(channels, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


def resize(x, like):
    """Resize bilinearly, with aligned corners, to the size of another map."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


def load_gluon(module, values):
    """Give a module the parameters of a Gluon network: arrays by key, as `parameter_values` returns them."""
    renamed = {}
    for key, value in values.items():
        name, _, last = key.rpartition(".")
        renamed[f"{name}.{ {'gamma': 'weight', 'beta': 'bias'}.get(last, last) }"] = torch.from_numpy(value.copy())
    missing, unexpected = module.load_state_dict(renamed, strict=False)
    wrong = [*unexpected, *(key for key in missing if not key.endswith("num_batches_tracked"))]
    if wrong:
        raise ValueError(f"parameters that do not fit: {', '.join(wrong[:5])}")
    return module
