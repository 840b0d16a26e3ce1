"""Keeps the figures of a report: each a PNG file of its own, and inline in the page."""

import base64
import hashlib
import io
import re
from pathlib import Path
from typing import Dict, NamedTuple, Union

import numpy as np
from PIL import Image

from gluon_madapt.files.atomic import write_atomically

# Characters of a figure's name that its file's name has.
_LONGEST_NAME = 100


class Figure(NamedTuple):
    """A figure in the page: its address, its largest size there, and the text for who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str


class FigureFolder:
    """Figures that are written as PNG files to a folder and can be put into a page.

    Parameters
    ----------
    folder : Path
        Where they go.

    Attributes
    ----------
    figures : dict of str to Figure
        By name; a file is called NAME.png, without what could lead out of the folder or be no file's name.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.figures: Dict[str, Figure] = {}

    def add(self, name: str, content: Union[bytes, np.ndarray], alt: str, dots: int = 0) -> Figure:
        """Keep a figure: a PNG file, or (h, w, 3) uint8 RGB.

        ``dots`` of it make a pixel of the page: by default two of a file's, one of an array's.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        dots = dots or (2 if isinstance(content, bytes) else 1)
        png = content if isinstance(content, bytes) else _png(content)
        with write_atomically(self.folder / f"{_file_name(name)}.png") as file:
            file.write(png)
        width, height = Image.open(io.BytesIO(png)).size
        uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        self.figures[name] = Figure(uri, round(width / dots), round(height / dots), alt)
        return self.figures[name]

    def below(self, prefix: str) -> "FigureFolder":
        """Return the same folder, for figures whose names begin with ``prefix``."""
        return _Part(self, prefix) if prefix else self


class _Part(FigureFolder):
    def __init__(self, whole: FigureFolder, prefix: str):
        super().__init__(whole.folder)
        self._whole, self._prefix = whole, prefix

    def add(self, name: str, content: Union[bytes, np.ndarray], alt: str, dots: int = 0) -> Figure:
        return self._whole.add(f"{self._prefix}{name}", content, alt, dots)


def _file_name(name: str) -> str:
    """Return a name of letters, digits, hyphens and dots; names that differ stay different."""
    plain = re.sub("[^A-Za-z0-9_.-]+", "-", name).lstrip(".")[:_LONGEST_NAME]
    if plain == name:
        return name
    return f"{plain}-{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _png(picture: np.ndarray) -> bytes:
    """Compress a picture: one of few colours with a palette, which loses nothing."""
    image = Image.fromarray(picture)
    colours = image.getcolors(256)
    if colours:
        image = image.quantize(len(colours), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
