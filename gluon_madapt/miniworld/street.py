"""Draws the street itself: sky, skyline, road, sidewalks, verges and markings."""

from typing import NamedTuple, Tuple

import numpy as np

from gluon_madapt.miniworld.geometry import (
    BACKDROP_DEPTH,
    GROUND_DEPTH,
    HORIZON_Z,
    SKY_DEPTH,
    Scene,
    strip,
)

_MARKING = 0.14


class Street(NamedTuple):
    """A street's cross-section and what crosses it, in metres.

    ``kerb`` is its distance from the centre line, ``lanes`` the lanes' middles, ``frontage`` where the sidewalks end on
    the left (negative) and the right, ``verge`` the widths of their strips of grass, ``junction`` where a side street
    begins and ends, ``tracks`` whether trams run on the leftmost lane.
    """

    kerb: float
    lanes: Tuple[float, ...]
    frontage: Tuple[float, float]
    verge: Tuple[float, float]
    parking: bool
    junction: Tuple[float, float]
    tracks: bool


def lay_ground(scene: Scene, street: Street, rng: np.random.Generator) -> None:
    """Draw the sky, the skyline, road, sidewalks, verges and markings."""
    camera, owner = scene.camera, scene.new_owner()
    full = np.array(
        [[(-9, -9), (camera.width + 9, -9), (camera.width + 9, camera.height + 9), (-9, camera.height + 9)]]
    )
    scene.add_pixels(full.astype(np.float64), "sky", "sky", owner, SKY_DEPTH)
    _skyline(scene, rng)
    far, wide = HORIZON_Z, 90.0
    scene.add(strip(-wide, wide, 0.6, far), "terrain", "grass", owner, depth=GROUND_DEPTH)
    scene.add(strip(-street.kerb, street.kerb, 0.6, far), "road", "road", owner, depth=GROUND_DEPTH)
    near, end = street.junction
    for side, edge in zip((-1, 1), street.frontage):
        pavement = scene.new_owner()
        for z0, z1 in ((0.6, near), (end, far)):
            if z1 <= z0:
                continue
            inner = side * street.kerb
            scene.add(strip(inner, edge, z0, z1), "sidewalk", "pavement", pavement, depth=GROUND_DEPTH)
            scene.add(strip(inner, inner + side * 0.22, z0, z1), "sidewalk", "kerb", pavement, depth=GROUND_DEPTH)
            width = street.verge[0 if side < 0 else 1]
            if width:
                grass = strip(inner + side * 0.3, inner + side * (0.3 + width), z0, z1)
                scene.add(grass, "terrain", "grass", pavement, depth=GROUND_DEPTH)
            _joints(scene, inner + side * (0.3 + width), edge, z0, z1, pavement)
    if end > near:
        scene.add(strip(-wide, wide, near, end), "road", "road", owner, depth=GROUND_DEPTH)
        _zebra(scene, street, near - 3.2, owner)
    _markings(scene, street, owner)


def _skyline(scene: Scene, rng: np.random.Generator) -> None:
    camera, owner = scene.camera, scene.new_owner()
    ground = camera.horizon + camera.focal * camera.eye_height / HORIZON_Z + 1
    x = np.linspace(-5, camera.width + 5, 60)
    unit = camera.focal / HORIZON_Z
    wooded = rng.random() < 0.6
    hills = unit * (
        7 + 3 * np.sin(x / camera.width * rng.uniform(2, 6) + rng.uniform(0, 6)) + rng.uniform(-0.8, 0.8, 60)
    )
    if wooded:
        profile = np.concatenate([np.stack([x, ground - hills], -1), [(x[-1], ground), (x[0], ground)]])
        scene.add_pixels(profile[None], "vegetation", "foliage", owner, BACKDROP_DEPTH, tone=0.9)
        return
    edges = np.sort(rng.uniform(-5, camera.width + 5, 26))
    for left, right in zip(edges[:-1], edges[1:]):
        top = ground - unit * rng.uniform(7, 20)
        block = np.array([[(left, ground), (left, top), (right + 1, top), (right + 1, ground)]])
        scene.add_pixels(block, "building", "facade", scene.new_owner(), BACKDROP_DEPTH, tone=0.95)


def _joints(scene: Scene, inner: float, edge: float, z0: float, z1: float, owner: int) -> None:
    for z in np.arange(max(z0, 2.0), min(z1, 26.0), 2.0):
        line = strip(inner, edge, z, z + 0.05)
        scene.add(line, "sidewalk", "pavement", owner, tone=0.90, depth=GROUND_DEPTH)


def _markings(scene: Scene, street: Street, owner: int) -> None:
    near, end = street.junction

    def line(s: float, z0: float, z1: float) -> None:
        if z1 <= near - 3.5 or z0 >= end:
            points = strip(s - _MARKING / 2, s + _MARKING / 2, z0, z1)
            scene.add(points, "road", "marking", owner, depth=GROUND_DEPTH)

    dividers = sorted({0.0, *(round(sum(pair) / 2, 2) for pair in zip(street.lanes[:-1], street.lanes[1:]))})
    for s in dividers:
        for z in np.arange(1.5, 70.0, 7.0):
            line(s, z, z + 3.0)
    if street.parking:
        for side in (-1, 1):
            for z in np.arange(1.0, 70.0, 3.0):
                line(side * (street.kerb - 2.2), z, z + 1.2)
    if street.tracks:
        for rail in (-0.72, 0.72):
            points = strip(street.lanes[0] + rail - 0.06, street.lanes[0] + rail + 0.06, 0.6, HORIZON_Z)
            scene.add(points, "road", "rail", owner, depth=GROUND_DEPTH)


def _zebra(scene: Scene, street: Street, z: float, owner: int) -> None:
    if z < 3:
        return
    for s in np.arange(-street.kerb + 0.3, street.kerb - 0.5, 1.0):
        scene.add(strip(s, s + 0.5, z, z + 2.8), "road", "marking", owner, depth=GROUND_DEPTH)
