"""Draws persons on foot, riders, and the bicycles and motorcycles that they ride or leave at the kerb."""

import numpy as np
from numpy.typing import ArrayLike

from gluon_madapt.miniworld.geometry import Scene, billboard, box, ellipse

_WHEEL_GAP = {"bicycle": 0.53, "motorcycle": 0.68}
_WHEEL_RADIUS = {"bicycle": 0.35, "motorcycle": 0.33}


def add_person(scene: Scene, rng: np.random.Generator, s: float, z: float) -> None:
    """Stand or walk a person at ``(s, z)``."""
    scale = rng.uniform(0.92, 1.08)
    stride = rng.uniform(0.02, 0.26)
    squeeze = rng.uniform(0.85, 1.15)
    owner = scene.new_owner()

    def part(outline: ArrayLike, material: str, tone: float = 1.0) -> None:
        points = billboard(np.asarray(outline) * scale, s, z, squeeze=squeeze)
        scene.add(points, "person", material, owner, "front", tone)

    for side in (-1, 1):
        foot = side * stride + 0.03
        hip = side * 0.09
        leg = [(hip - 0.10, 0.92), (hip + 0.10, 0.92), (foot + 0.08, 0.06), (foot - 0.08, 0.06)]
        part(leg, "trousers", 1.0 if side > 0 else 0.82)
        part(box(foot - 0.08, foot + 0.13, 0.0, 0.09), "shoe")
    swing = stride * 0.8
    for side in (-1, 1):
        hand = side * 0.24 - side * swing * 0.4
        part([(side * 0.18, 1.44), (side * 0.28, 1.40), (hand + side * 0.10, 0.80), (hand, 0.80)], "jacket", 0.80)
    part([(-0.24, 1.42), (-0.14, 1.50), (0.14, 1.50), (0.24, 1.42), (0.19, 0.84), (-0.19, 0.84)], "jacket")
    part(box(-0.05, 0.05, 1.46, 1.58), "skin", 0.85)
    part(ellipse((0.0, 1.66), (0.115, 0.145)), "skin")
    hair = ellipse((0.0, 1.70), (0.125, 0.12))
    hair[:, 1] = np.maximum(hair[:, 1], 1.67)
    part(hair, "hair")
    if rng.random() < 0.3:
        part(box(0.17, 0.36, 0.62, 0.92), "bag")
    shadow = [(-0.35, -0.18), (0.45, -0.18), (0.45, 0.2), (-0.35, 0.2)]
    scene.add_shadow([(s + x, 0.0, z + ahead) for x, ahead in shadow], 0.55, blur_metres=0.08)


def add_cycle(
    scene: Scene, rng: np.random.Generator, kind: str, s: float, z: float, squeeze: float, ridden: bool
) -> None:
    """Put a "bicycle" or "motorcycle", with its rider if ``ridden``, at ``(s, z)``.

    ``squeeze`` foreshortens it: 1 is seen from the side, 0.35 nearly from behind, negative looks the other way.
    """
    owner = scene.new_owner()
    size = 1.1 if kind == "bicycle" else 1.15

    def part(outline: ArrayLike, label: str, material: str, tone: float = 1.0) -> None:
        scaled = np.asarray(outline, dtype=np.float64) * size
        scene.add(billboard(scaled, s, z, squeeze=squeeze), label, material, owner, "front", tone)

    gap, radius = _WHEEL_GAP[kind], _WHEEL_RADIUS[kind]
    # A wheel seen from behind is as wide as its tyre, not as its foreshortened rim.
    rim = max(radius, 0.16 / abs(squeeze))
    for x in (-gap, gap):
        part(ellipse((x, radius), (rim, radius)), kind, "tyre")
        part(ellipse((x, radius), (rim * 0.68, radius * 0.68)), kind, "spokes")
    if kind == "bicycle":
        _bicycle_frame(part)
    else:
        _motorcycle_body(part)
    if ridden:
        _rider(part, upright=kind == "bicycle", helmet=kind == "motorcycle" or rng.random() < 0.5)
    half = max(gap + radius, 0.3) * abs(squeeze) * size
    points = [(s - half, 0.0, z - 0.2), (s + half, 0.0, z - 0.2), (s + half, 0.0, z + 0.25), (s - half, 0.0, z + 0.25)]
    scene.add_shadow(points, 0.55, blur_metres=0.08)


def _bar(x0: float, y0: float, x1: float, y1: float, thickness: float = 0.045) -> np.ndarray:
    along = np.array([x1 - x0, y1 - y0])
    across = np.array([-along[1], along[0]]) / np.hypot(*along) * thickness
    start, end = np.array([x0, y0]), np.array([x1, y1])
    return np.array([start - across, start + across, end + across, end - across])


def _bicycle_frame(part) -> None:
    for bar in ((-0.53, 0.35, 0.0, 0.32), (0.0, 0.32, -0.16, 0.86), (0.0, 0.32, 0.40, 0.80), (-0.14, 0.76, 0.40, 0.80),
                (0.53, 0.35, 0.38, 0.98), (-0.53, 0.35, -0.14, 0.76)):  # fmt: skip
        part(_bar(*bar), "bicycle", "frame")
    part(box(-0.28, -0.04, 0.86, 0.94), "bicycle", "saddle")
    part(_bar(0.28, 1.02, 0.46, 0.96), "bicycle", "saddle")


def _motorcycle_body(part) -> None:
    part([(-0.45, 0.30), (-0.30, 0.62), (0.40, 0.62), (0.45, 0.28)], "motorcycle", "engine")
    part(_bar(0.68, 0.33, 0.45, 0.95, 0.06), "motorcycle", "engine")
    body = [
        (-0.85, 0.70),
        (-0.80, 0.82),
        (-0.15, 0.76),
        (0.05, 0.92),
        (0.35, 0.95),
        (0.55, 0.74),
        (0.30, 0.55),
        (-0.40, 0.55),
    ]
    part(body, "motorcycle", "fairing")
    part([(-0.80, 0.80), (-0.76, 0.88), (-0.10, 0.84), (-0.05, 0.76)], "motorcycle", "saddle")
    part(_bar(0.36, 1.06, 0.52, 0.98), "motorcycle", "saddle")
    part(ellipse((0.62, 0.82), (0.09, 0.10)), "motorcycle", "headlamp")


def _rider(part, upright: bool, helmet: bool) -> None:
    seat, lean = (0.92, 0.22) if upright else (0.86, 0.26)
    shoulder = seat + 0.56
    part([(-0.24, seat - 0.04), (-0.08, seat + 0.08), (0.24, 0.58), (0.10, 0.50)], "rider", "trousers")
    part([(0.24, 0.60), (0.10, 0.54), (0.02, 0.18), (0.16, 0.18)], "rider", "trousers", 0.9)
    part(box(0.0, 0.24, 0.14, 0.24), "rider", "shoe")
    torso = [
        (-0.32, seat),
        (-0.30, seat + 0.3),
        (lean - 0.30, shoulder),
        (lean, shoulder),
        (0.06, seat + 0.25),
        (0.02, seat),
    ]
    part(torso, "rider", "jacket")
    part(
        [(lean - 0.16, shoulder - 0.02), (lean - 0.02, shoulder - 0.02), (0.44, 1.08), (0.36, 1.00)],
        "rider",
        "jacket",
        0.82,
    )
    head = (lean - 0.06, shoulder + 0.16)
    part(ellipse(head, (0.13, 0.155)), "rider", "skin")
    cover = ellipse((head[0], head[1] + 0.03), (0.15, 0.15))
    cover[:, 1] = np.maximum(cover[:, 1], head[1] - (0.06 if helmet else -0.02))
    part(cover, "rider", "helmet" if helmet else "hair")
