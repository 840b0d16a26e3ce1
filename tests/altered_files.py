"""Files of a mini world whose content changes, while their size and time do not."""

import os

SOURCE, TARGET = "gta5/images", "cityscapes/leftImg8bit/train"
SOURCE_LABELS = "gta5/labels"


def alter(path):
    """Give a file, the first one of a folder, another content of the same size and time."""
    path = path if path.is_file() else min(one for one in path.rglob("*") if one.is_file())
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path
