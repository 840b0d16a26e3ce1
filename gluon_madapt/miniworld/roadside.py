"""Draws what stands beside the road: trees, hedges, walls, fences, lamps, traffic lights and signs."""

import numpy as np
from numpy.typing import ArrayLike

from gluon_madapt.miniworld.geometry import Scene, billboard, blob, box, ellipse

_SEGMENT = 3.0
_DETAIL_END = 40.0
# Posts, lights and signs are stouter than real ones: these would be thinner than a pixel of the network's input.


def add_tree(scene: Scene, rng: np.random.Generator, s: float, z: float, beyond: float = 0.0) -> None:
    """Plant a tree; ``beyond`` (m) puts it behind a wall or fence of the same depth."""
    owner = scene.new_owner()
    crown, trunk = rng.uniform(1.4, 2.6), rng.uniform(2.0, 3.4)
    middle = trunk + crown * 0.9

    def part(outline: ArrayLike, material: str, tone: float = 1.0) -> None:
        scene.add(billboard(outline, s, z), "vegetation", material, owner, "flat", tone, z + beyond)

    part([(-0.17, 0.0), (-0.11, middle), (0.11, middle), (0.17, 0.0)], "trunk")
    part(blob(rng, (0.0, middle), (crown, crown * 1.15), 0.12), "foliage", 0.82)
    lit = 0.25 * crown * (scene.sun_side or 1)
    part(blob(rng, (lit, middle + crown * 0.22), (crown * 0.72, crown * 0.82), 0.14), "foliage")
    for _ in range(3 if z < _DETAIL_END else 0):
        x, y = rng.uniform(-0.35, 0.35, 2) * crown
        part(blob(rng, (x + lit, middle + crown * 0.35 + y), (crown * 0.3, crown * 0.26), 0.2), "foliage", 1.14)
    scene.add_shadow([(s + x, 0.0, z + d) for x, d in ellipse((-lit, 0.0), (crown, crown * 0.8))], 0.42, 0.3)


def add_bush(scene: Scene, rng: np.random.Generator, s: float, z: float) -> None:
    """Plant a bush."""
    owner, size = scene.new_owner(), rng.uniform(0.5, 1.0)
    for x, tone in ((0.0, 0.8), (0.2, 1.0)):
        lump = blob(rng, (x, size * 0.75), (size * (1.3 - x), size * (0.8 - x)), 0.12)
        lump[:, 1] = np.maximum(lump[:, 1], 0.0)
        scene.add(billboard(lump, s, z), "vegetation", "foliage", owner, "flat", tone)
    scene.add_shadow([(s + x, 0.0, z + d) for x, d in ellipse((0.0, 0.0), (size * 1.3, 0.5))], 0.45)


def _segments(z0: float, z1: float):
    edges = np.linspace(max(z0, 0.7), max(z1, 0.8), max(1, round((z1 - z0) / _SEGMENT)) + 1)
    return zip(edges[:-1], edges[1:])


def _panel(s: float, bottom: float, top: float, near: float, far: float) -> np.ndarray:
    return np.array([(s, bottom, near), (s, top, near), (s, top, far), (s, bottom, far)])


def add_wall(scene: Scene, rng: np.random.Generator, side: int, s: float, z0: float, z1: float) -> None:
    """Build a garden wall along the street, with a cap and pillars."""
    owner, height = scene.new_owner(), rng.uniform(1.5, 2.6)
    facing = "right" if side < 0 else "left"
    end = np.array([(s, 0, z0), (s, height, z0), (s + side * 0.4, height, z0), (s + side * 0.4, 0, z0)])
    if z0 > 2:
        scene.add(end, "wall", "wall", owner, "front", depth=z0)
    for near, far in _segments(z0, z1):
        scene.add(_panel(s, 0.0, height, near, far), "wall", "wall", owner, facing, depth=far)
        scene.add(_panel(s, 0.0, 0.3, near, far), "wall", "wall", owner, facing, 0.85, far)
        scene.add(_panel(s, height - 0.18, height, near, far), "wall", "cap", owner, facing, 1.0, far)
        pillar = _panel(s, 0.0, height, near, near + 0.35)
        scene.add(pillar, "wall", "wall", owner, facing, 1.1, far)


def add_fence(scene: Scene, rng: np.random.Generator, side: int, s: float, z0: float, z1: float) -> None:
    """Build a fence along the street: pales before a darker ground, as its label covers the gaps too."""
    owner, height = scene.new_owner(), rng.uniform(1.2, 2.0)
    facing, pale = "right" if side < 0 else "left", rng.uniform(0.22, 0.5)
    for near, far in _segments(z0, z1):
        scene.add(_panel(s, 0.0, height, near, far), "fence", "fence gap", owner, facing, depth=far)
        pales = np.arange(near, far - pale / 2, pale)
        bars = np.stack([_panel(s, 0.0, height, z, z + pale * 0.45) for z in pales])
        scene.add(bars, "fence", "fence", owner, facing, 1.0, far)
        for y in (0.25, height - 0.25):
            scene.add(_panel(s, y - 0.06, y + 0.06, near, far), "fence", "fence", owner, facing, 0.9, far)


def add_hedge(scene: Scene, rng: np.random.Generator, side: int, s: float, z0: float, z1: float) -> None:
    """Grow a hedge along the street."""
    owner, height = scene.new_owner(), rng.uniform(1.1, 2.2)
    facing = "right" if side < 0 else "left"
    for near, far in _segments(z0, z1):
        z = np.linspace(near, far, 6)
        top = height + rng.uniform(-0.12, 0.12, 6)
        upper = np.stack([np.full(6, s), top, z], -1)
        outline = np.concatenate([upper, [(s, 0.0, far), (s, 0.0, near)]])
        scene.add(outline, "vegetation", "foliage", owner, facing, 0.95, far)
        scene.add(_panel(s, 0.0, height * 0.35, near, far), "vegetation", "foliage", owner, facing, 0.78, far)


def add_lamp(scene: Scene, rng: np.random.Generator, side: int, s: float, z: float) -> None:
    """Put up a street lamp whose arm reaches over the road."""
    owner, height, reach = scene.new_owner(), rng.uniform(5.5, 8.0), -side * rng.uniform(1.0, 2.0)
    parts = (
        ([(-0.20, 0), (-0.15, height), (0.15, height), (0.20, 0)], "pole"),
        ([(0, height - 0.24), (0, height), (reach, height + 0.24), (reach, height)], "pole"),
        (
            [
                (reach - 0.35, height),
                (reach - 0.3, height + 0.24),
                (reach + 0.3, height + 0.24),
                (reach + 0.35, height),
            ],
            "lamp",
        ),
    )
    for outline, material in parts:
        scene.add(billboard(outline, s, z), "pole", material, owner, "front")
    scene.add(billboard(box(-0.28, 0.28, 0, 0.6), s, z), "pole", "pole", owner, "front", 0.85)


def add_traffic_light(scene: Scene, rng: np.random.Generator, side: int, s: float, z: float) -> None:
    """Put up a traffic light, on its post or on an arm over the road too."""
    owner, lit = scene.new_owner(), int(rng.integers(3))
    heads = [(0.0, 2.5)]
    post = 3.5
    if rng.random() < 0.5:
        post, reach = 5.6, -side * 2.6
        arm = [(0, post - 0.24), (0, post), (reach, post), (reach, post - 0.24)]
        scene.add(billboard(arm, s, z), "pole", "pole", owner, "front")
        heads.append((reach, post - 1.5))
    scene.add(billboard(box(-0.15, 0.15, 0, post), s, z), "pole", "pole", owner, "front")
    for x, y in heads:
        scene.add(billboard(box(x - 0.40, x + 0.40, y, y + 1.65), s, z), "traffic light", "signal box", owner, "front")
        for i, lamp in enumerate(("signal green", "signal amber", "signal red")):
            disc = ellipse((x, y + 0.32 + 0.51 * i), (0.21, 0.21))
            scene.add(billboard(disc, s, z), "traffic light", lamp, owner, tone=1.0 if i == lit else 0.32)


def add_sign(scene: Scene, rng: np.random.Generator, s: float, z: float) -> None:
    """Put up a traffic sign: a round, a triangular or a square one, sometimes two on one post."""
    owner = scene.new_owner()
    y, size = rng.uniform(2.3, 2.9), rng.uniform(0.52, 0.70)
    scene.add(billboard(box(-0.13, 0.13, 0, y), s, z), "pole", "pole", owner, "front")
    kind = int(rng.integers(4))
    outline, rim, field = (
        (ellipse((0, 0), (1, 1)), "sign red", "sign white"),
        (np.array([(-1.0, -0.8), (1.0, -0.8), (0.0, 0.95)]), "sign red", "sign white"),
        (box(-0.9, 0.9, -0.9, 0.9), "sign white", "sign blue"),
        (np.array([(-1.05, 0), (0, 1.05), (1.05, 0), (0, -1.05)]), "sign white", "sign yellow"),
    )[kind]
    for scale, material in ((1.0, rim), (0.72, field)):
        scene.add(billboard(outline * size * scale, s, z, y), "traffic sign", material, owner)
    if kind == 2:
        scene.add(billboard(box(-0.12, 0.12, -0.2, 0.2), s, z, y), "traffic sign", "sign white", owner)
    elif rng.random() < 0.35:
        scene.add(billboard(box(-0.4, 0.4, -0.95, -0.65), s, z, y), "traffic sign", "sign white", owner)


def add_clutter(scene: Scene, rng: np.random.Generator, s: float, z: float) -> None:
    """Put down something that is none of the 19 classes: a bin ("static") or a trolley ("dynamic")."""
    owner = scene.new_owner()
    label = "static" if rng.random() < 0.6 else "dynamic"
    scene.add(billboard([(-0.3, 0), (-0.34, 1.0), (0.34, 1.0), (0.3, 0)], s, z), label, "bin", owner, "front")
    scene.add(billboard(box(-0.38, 0.38, 0.95, 1.1), s, z), label, "bin", owner, "front", 0.75)
    scene.add_shadow([(s + x, 0.0, z + d) for x, d in ((-0.4, -0.2), (0.5, -0.2), (0.5, 0.3), (-0.4, 0.3))], 0.5, 0.08)
