"""Write what torchvision's resnet101 and vgg16 compute, for the tests of converted weights, into tests/golden.

Needs torch and torchvision, which the tests do not: `python tests/make_torchvision_golden.py`.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision_weights import SAMPLE, golden_image, torchvision_state

GOLDEN = Path(__file__).resolve().parent / "golden"
# Odd sizes, where rounding in strides and pooling shows; VGG16's dense layers need 224x224.
ODD, CLASSIFIED = (149, 107), (224, 224)


def filled(name):
    """Build torchvision's network with the weights of torchvision_weights.py."""
    network = getattr(torchvision.models, name)(weights=None).eval()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in torchvision_state(shapes).items()})
    return network, shapes


def resnet_maps(network, image):
    """Return c1 to c4."""
    x = network.maxpool(network.relu(network.bn1(network.conv1(image))))
    maps = []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = stage(x)
        maps.append(x)
    return maps


def vgg_maps(network, image):
    """Return c1 to c3, after pool2 to pool4."""
    return [network.features[:end](image) for end in (10, 17, 24)]


def vgg_fc6(network, image):
    """Return fc6 with its ReLU, of an image of 224x224."""
    return network.classifier[:2](torch.flatten(network.avgpool(network.features(image)), 1))


def outputs(name, network):
    """Return everything that the tests compare, by name."""
    image = torch.from_numpy(golden_image(*ODD))
    maps = (resnet_maps if name == "resnet101" else vgg_maps)(network, image)
    found = {f"c{i}": value.numpy()[SAMPLE] for i, value in enumerate(maps, start=1)}
    if name == "vgg16":
        found["fc6"] = vgg_fc6(network, torch.from_numpy(golden_image(*CLASSIFIED))).numpy()
    return found


if __name__ == "__main__":
    with torch.no_grad():
        for name in ("resnet101", "vgg16"):
            network, shapes = filled(name)
            found = outputs(name, network)
            np.savez_compressed(GOLDEN / f"torchvision_{name}.npz", **found)
            lines = [f"{key} {'x'.join(map(str, shape))}".rstrip() for key, shape in sorted(shapes.items())]
            (GOLDEN / f"torchvision_{name}_keys.txt").write_text("\n".join(lines) + "\n")
            print(name, {key: (value.shape, float(np.abs(value).max())) for key, value in found.items()})
