"""What the CPU does beside the network, against the usual ways: python benchmarks/host.py."""

import io

import cv2
import numpy as np
from measuring import CLASSES, compare, report
from PIL import Image

from gluon_madapt.config import Input
from gluon_madapt.data.transforms import MEAN, STD, normalize, transform
from gluon_madapt.evaluation import ConfusionMatrix


def main():
    """Time the confusion matrix of a pair at 2048x1024, and the preparation of a sample for a 1280x720 input."""
    rng = np.random.default_rng(0)
    label, prediction = (rng.integers(0, CLASSES, (1024, 2048)).astype(np.uint8) for _ in range(2))
    label[rng.random(label.shape) < 0.1] = 255

    def usual_matrix():
        known = label < CLASSES
        pairs = CLASSES * label[known].astype(int) + prediction[known]
        np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)

    small = rng.integers(0, 256, (66, 120, 3)).astype(np.uint8)
    encoded = cv2.imencode(".png", cv2.resize(small, (1914, 1052)))[1].tobytes()
    settings = Input(short_side=720, crop=(1280, 720), mirror=True)

    def ours():
        image = cv2.cvtColor(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        normalize(transform(image, None, settings, np.random.default_rng(1))[0])

    def pillow():
        image = Image.open(io.BytesIO(encoded)).convert("RGB").resize((1310, 720), Image.BILINEAR)
        image = image.crop((15, 0, 1295, 720)).transpose(Image.FLIP_LEFT_RIGHT)
        ((np.asarray(image, dtype=np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1).copy()

    sides = {
        "matrix, bincount": usual_matrix,
        "matrix, ours": lambda: ConfusionMatrix(CLASSES).add(label, prediction),
        "sample, Pillow": pillow,
        "sample, ours": ours,
    }
    pairs = {"matrix": ("matrix, ours", "matrix, bincount"), "sample": ("sample, ours", "sample, Pillow")}
    report(**compare(sides, pairs, repeats=15))


if __name__ == "__main__":
    main()
