"""Images and labels of every kind that a folder may hold, written as files."""

import io

import cv2
import numpy as np
from label_files import tiff
from PIL import Image


def picture(height=64, width=96, seed=0):
    """Return smooth colours, (H, W, 3) uint8 RGB: what a lossy format keeps about as it is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height))


def encoded(image, kind="PNG", **options):
    """Return an image, (H, W) or (H, W, C), as the bytes of a file."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def sixteen_bits(image):
    return cv2.imencode(".png", image[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def rotated(image):
    """Return a JPEG that a camera on its side has taken: EXIF says to turn it by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", quality=95, exif=exif)


def palette(image):
    return encoded(Image.fromarray(image).quantize(256))


PICTURE = picture()

# By name in docs/inputs.md: the bytes of the file, and what is read: an array, or None for an error.
IMAGES = {
    "PNG, RGB, 8 bits": (encoded(PICTURE), PICTURE),
    "JPEG": (encoded(PICTURE, "JPEG", quality=95), PICTURE),
    "16 bits": (sixteen_bits(PICTURE), PICTURE),
    "grey": (encoded(PICTURE[..., 0]), PICTURE[..., :1].repeat(3, axis=2)),
    "palette": (palette(PICTURE), PICTURE),
    "RGBA": (encoded(np.dstack([PICTURE, np.full(PICTURE.shape[:2], 99, "u1")])), PICTURE),
    "EXIF-rotated": (rotated(PICTURE), np.rot90(PICTURE, -1)),
    "1x1": (encoded(PICTURE[:1, :1]), PICTURE[:1, :1]),
    "truncated PNG": (encoded(PICTURE)[:-200], None),
    "truncated JPEG": (encoded(PICTURE, "JPEG")[:-200], None),
    "zero bytes": (b"", None),
    "a text file called .png": (b"this is no picture\n", None),
    "a dangling link": (None, None),
}

# Labels of GTA5's and Cityscapes' kind: the bytes, and the train ids that are read, or None for an error.
_IDS = np.array([[7, 33], [0, 26]], np.uint8).repeat(32, axis=0).repeat(48, axis=1)
_TRAIN = np.array([[0, 18], [255, 13]], np.uint8).repeat(32, axis=0).repeat(48, axis=1)
LABELS = {
    "label ids, one channel": (encoded(_IDS), _TRAIN),
    "label ids, palette": (encoded(Image.fromarray(_IDS).convert("P")), _TRAIN),
    "label ids that the data set does not have": (encoded(np.full_like(_IDS, 77)), None),
    "all pixels ignored": (encoded(np.zeros_like(_IDS)), np.full_like(_IDS, 255)),
    "a colour image": (encoded(PICTURE), None),
    "16-bit labels": (cv2.imencode(".png", _IDS.astype(np.uint16))[1].tobytes(), None),
    "a truncated label": (encoded(_IDS)[:-20], None),
    "a grey image with alpha": (encoded(np.dstack([_IDS, np.full_like(_IDS, 255)])), _TRAIN),
    "a TIFF where white is zero": (tiff(_IDS, meaning=0), None),
    "what does not keep its values": (encoded(_IDS, "JPEG"), None),
}

NAMES = ("a b.png", 'it\'s "quoted".png', "straße-東京.png", "-dash.png", "100%.png", "{braces}.png")
