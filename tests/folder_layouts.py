"""The layouts of data sets on disk, with an image and its label in each."""

import pytest

from gluon_madapt.config import Data
from gluon_madapt.data.layouts import find_samples

# Of each layout: where an image and its label lie, and the folder above the images.
LAYOUTS = {
    "gta5": ("images/{}.png", "labels/{}.png", "images"),
    "synthia": ("RGB/{}.png", "GT/LABELS/{}.png", "RGB"),
    "cityscapes": (
        "leftImg8bit/train/ulm/{}_leftImg8bit.png",
        "gtFine/train/ulm/{}_gtFine_labelIds.png",
        "leftImg8bit/train",
    ),
    "folder": ("below/{}.png", "../labels/below/{}.png", ""),
}


def put(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def data(dataset, root, **more):
    return Data(dataset=dataset, root=str(root), **more)


def of(root, dataset, **more):
    """Return the names of the samples in a layout, with its labels where it is a folder's."""
    if dataset == "folder":
        more = {"labels": str(root.parent / "labels"), **more}
    return [sample.name for sample in find_samples(data(dataset, root, **more))]


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    """A layout with one image and its label: the root, the layout's name, what makes paths of names, and the images."""
    image, label, above = LAYOUTS[request.param]
    root = tmp_path / "root"
    put(root / image.format("a"))
    put(root / label.format("a"))
    return (
        root,
        request.param,
        lambda name: root / image.format(name),
        lambda name: root / label.format(name),
        root / above,
    )
