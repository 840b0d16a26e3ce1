"""Write the files that tests/fuzz.py alters: python tests/make_fuzz_corpus.py."""

from pathlib import Path

import numpy as np
from broken_images import encoded, palette, picture, rotated, sixteen_bits
from fuzz import CORPUS, ROOT
from PIL import Image

from gluon_madapt.proxy_maps.cache import MapCache, Shard, StoredMaps
from gluon_madapt.training.checkpoint import Checkpoint, write_checkpoint
from gluon_madapt.weights.gluon_files import write_arrays


def main():
    rng = np.random.default_rng(0)
    for name in ("parameters", "checkpoint", "cache", "labels", "images", "yaml"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    arrays = {"conv1.weight": rng.normal(size=(2, 3, 1, 1)).astype("f4"), "bn1.gamma": np.ones(3, "f4")}
    write_arrays(CORPUS / "parameters" / "two.params", arrays)
    (CORPUS / "parameters" / "two.params.sha256").unlink()
    types = {kind: np.arange(3).astype(kind) for kind in ("f4", "f8", "f2", "u1", "i4", "i1", "i8")}
    write_arrays(CORPUS / "parameters" / "types.params", types)
    (CORPUS / "parameters" / "types.params.sha256").unlink()
    meta = {"iteration": 3, "stage": "source", "encoder": "small", "classes": 19}
    (CORPUS / "checkpoint" / "small.npz").unlink(missing_ok=True)  # no previous one beside it
    write_checkpoint(CORPUS / "checkpoint" / "small.npz", Checkpoint(meta, {"segmenter/x": np.arange(6.0)}))
    cache = MapCache(CORPUS / "cache", ["small.png"], {"discriminators": ["D1", "D2"]})
    maps = [rng.random((1, 2), dtype=np.float32) for _ in range(2)]
    cache.write(0, StoredMaps((8, 16), maps, rng.normal(size=(2, 2, 4)).astype("f4")), Shard())
    ids = np.array([[7, 33], [0, 26]], np.uint8)
    save("labels/channel.png", encoded(ids))
    save("labels/palette.png", encoded(Image.fromarray(ids).convert("P")))
    save("labels/proxies.png", encoded(np.array([[0, 18], [255, 3]], np.uint8)))
    save("labels/synthia.png", sixteen_bits(np.zeros((2, 2, 3), np.uint8)))
    small = picture(12, 18)
    save("images/colours.png", encoded(small))
    save("images/palette.png", palette(small))
    save("images/photo.jpg", encoded(small, "JPEG", quality=50))
    save("images/turned.jpg", rotated(small))
    save("images/deep.png", sixteen_bits(small))
    save("yaml/base.yaml", (ROOT / "configs" / "base.yaml").read_bytes())
    save("yaml/anchors.yaml", b"base: base.yaml\nseed: &a 3\nsource: {momentum: 0.5, batch_size: *a}\n")


def save(name: str, content: bytes) -> Path:
    path = CORPUS / name
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    main()
