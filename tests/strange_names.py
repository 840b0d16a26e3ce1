"""Names of files and classes that people have, and that programs trip over; and a small data set of such names."""

import json
import os

import numpy as np
from small_experiments import CONFIG, INPUT

from gluon_madapt.config import load_experiment
from gluon_madapt.data.image_files import write_png
from gluon_madapt.stages import Run

# Of images, as bytes: what a name is on disk.
FILES = {
    "no UTF-8": b"caf\xe9 \xff.png",
    "250 letters": b"n" * 246 + b".png",
    "255 bytes": "ü".encode() * 125 + b"a.png",
    "newline": b"two\nlines.png",
    "tab": b"tab\there.png",
    "quotes": b"\"double' `single`.png",
    "formats": b"%s %d %(name)s {0} {name} {{.png",
    "dash": b"-rf.png",
    "double dash": b"--help.png",
    "emoji": "🚗👩‍👩‍👧.png".encode(),
    "composed": "é.png".encode(),
    "decomposed": "e\u0301.png".encode(),
    "right to left": "صورة\u202egnp.png".encode(),
    "colours of a terminal": b"\x1b[31mred\x1b[0m\x07.png",
    "line separators": "a\x85b\u2028c.png".encode(),
    "address": b"a#b?c=d&e.png",
    "elements": b"<img src=x onerror=alert(1)>&amp;.png",
    "backslash": b"back\\slash\\n.png",
    "space before the dot": b" trailing .png",
    "dots": b"dots...png",
    "shell": b"$HOME $(id) ;|.png",
    "pattern": b"*[a-z]?.png",
    "formula": b"$x^{_.png",
    "ends as a temporary file": b"x.partial.png",
    "in a folder that does": b"y.partial/x.png",
    "in a folder that is no UTF-8": b"\xe9\xff/x.png",
    "in a folder of 255 bytes": b"f" * 255 + b"/x.png",
    "a number": b"0.png",
}

CLASSES = (
    "Straße",
    "🚗",
    "<script>alert(1)</script>",
    "a, b; c|d",
    "tab\there",
    "two\nlines",
    "\x1b[31mred",
    "w" * 200,
    "no",
    "null",
    "0x10",
    "$x^{_",
    "%s {0}",
    "\u202eturned",
    "a/b\\c",
    "mIoU",
    " ",
)


def text(name):
    """Return a file's name as Python has it."""
    return os.fsdecode(name)


def strange_world(root):
    """Write source, target and val images and labels, all of them with every strange name."""
    rng = np.random.default_rng(0)
    for name in FILES.values():
        for folder in ("source/images", "target", "val"):
            write_png(root / folder / text(name), rng.integers(0, 256, (32, 64, 3), dtype=np.uint8))
        for folder in ("source/labels", "val labels"):
            write_png(root / folder / text(name), rng.integers(0, len(CLASSES), (32, 64), dtype=np.uint8))
    return root


def strange_settings(root, *overrides):
    """Return what to --set for short trainings on such a data set."""
    listed = json.dumps([{"name": one, "ids": [number]} for number, one in enumerate(CLASSES)])
    trainings = ("source", "adversarial", "retrain")
    return [
        f"classes={listed}",
        f"data.source={{dataset: folder, root: '{root}/source/images', labels: '{root}/source/labels'}}",
        f"data.target={{dataset: folder, root: '{root}/target', labels: '{root}/val labels'}}",
        f"data.val={{dataset: folder, root: '{root}/val', labels: '{root}/val labels'}}",
        *(f"{stage}.iterations=2" for stage in trainings),
        *(f"{stage}.batch_size=2" for stage in trainings),
        f"source.input={INPUT}",
        f"adversarial.source_input={INPUT}",
        f"adversarial.target_input={INPUT}",
        "retrain.input={size: null, short_side: null, crop: [64, 32]}",
        "proxies.size=[64, 32]",
        "evaluation.short_side={source: 32, adversarial: 32}",
        "bookkeeping={log_every: 1, eval_every: 2, checkpoint_every: 2}",
        *overrides,
    ]


def strange(root, folder, *overrides):
    """Open a run on such a data set."""
    return Run(load_experiment(CONFIG, strange_settings(root, *overrides)), folder)
