"""The camera, and a scene as flat labelled shapes in its image.

Lengths are metres: ``s`` across the street (right is positive, 0 is the centre line), ``y`` up, ``z`` ahead.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import ArrayLike

from gluon_madapt.labels import class_set

# A shape's label is a train id; raw Cityscapes ids outside the 19 classes are kept apart by this offset.
RAW_OFFSET = 100
_RAW_IDS = {
    "ego vehicle": 1,
    "rectification border": 2,
    "out of roi": 3,
    "static": 4,
    "dynamic": 5,
    "license plate": 34,
}
LABELS: Dict[str, int] = {name: i for i, name in enumerate(class_set(19).names)}
LABELS.update({name: RAW_OFFSET + raw for name, raw in _RAW_IDS.items()})

# Depth keys of what lies behind everything that stands on the ground, drawn in this order.
SKY_DEPTH, BACKDROP_DEPTH, GROUND_DEPTH = 3e6, 2e6, 1e6
HORIZON_Z = 110.0
_NEAREST_Z = 0.6
_FARTHEST_PIXEL = 6000.0
# What is narrower or lower than this (in pixels) would only leave crumbs of its label.
_SMALLEST_PIXELS = 0.4
# Where a stretch of ground has points, from its near end (0) to its far one (1).
_MANY_STEPS, _FEW_STEPS = np.linspace(0, 1, 10), np.linspace(0, 1, 3)


class Camera(NamedTuple):
    """A pinhole camera over a street that may bend: ``bend`` (1/m) shifts the street sideways by ``bend * z**2``."""

    width: int
    height: int
    focal: float
    centre: float
    horizon: float
    eye_height: float
    lateral: float
    bend: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Map street coordinates (..., 3), ``(s, y, z)``, to pixels (..., 2)."""
        z = np.maximum(points[..., 2], _NEAREST_Z)
        u = self.centre + self.focal * ((points[..., 0] - self.lateral) / z + self.bend * z)
        v = self.horizon - self.focal * (points[..., 1] - self.eye_height) / z
        return np.clip(np.stack([u, v], axis=-1), -_FARTHEST_PIXEL, _FARTHEST_PIXEL)

    def ground_depth(self) -> np.ndarray:
        """Depth (H,) of the ground seen in each image row, `HORIZON_Z` at and above the horizon."""
        below = np.arange(self.height) + 0.5 - self.horizon
        return np.minimum(self.focal * self.eye_height / np.maximum(below, 1e-3), HORIZON_Z)


class Shape(NamedTuple):
    """Polygons, none overlapping another, that share a label and a paint.

    ``polygons`` are (N, P, 3) in street coordinates or (N, P, 2) in pixels, and `Scene.back_to_front` returns pixels.
    ``facing`` ("left", "right", "front", "up" or "flat", which takes no shading) says how the light meets them; shapes
    of one ``owner`` and ``material`` have one colour, which ``tone`` brightens or darkens.
    """

    polygons: np.ndarray
    label: int
    material: str
    facing: str
    tone: float
    owner: int
    depth: float


class Shadow(NamedTuple):
    """A polygon (P, 2) in pixels that darkens the ground; ``blur`` is its soft edge in pixels."""

    polygon: np.ndarray
    strength: float
    blur: float


@dataclass
class Scene:
    """Shapes and shadows of one image, in the order they were added; `back_to_front` sorts them for drawing."""

    camera: Camera
    shapes: List[Shape] = field(default_factory=list)
    shadows: List[Shadow] = field(default_factory=list)
    building_shadows: List[Shadow] = field(default_factory=list)
    occupied: List[Tuple[float, float, float, float]] = field(default_factory=list)
    sun_side: int = 1
    _owners: int = 0

    def new_owner(self) -> int:
        """Return a number for the next thing; its shapes share their colours."""
        self._owners += 1
        return self._owners

    def add(
        self,
        points: ArrayLike,
        label: str,
        material: str,
        owner: int,
        facing: str = "flat",
        tone: float = 1.0,
        depth: Optional[float] = None,
    ) -> None:
        """Add polygons, (P, 3) or (N, P, 3) in street coordinates, at ``depth`` (default: their farthest z)."""
        polygons = np.asarray(points, dtype=np.float64)
        polygons = polygons.reshape((-1,) + polygons.shape[-2:])
        if depth is None:
            depth = float(polygons[..., 2].max())
        self.shapes.append(Shape(polygons, LABELS[label], material, facing, tone, owner, depth))

    def add_pixels(
        self,
        polygons: np.ndarray,
        label: str,
        material: str,
        owner: int,
        depth: float,
        facing: str = "flat",
        tone: float = 1.0,
    ) -> None:
        """Add polygons, (N, P, 2) in pixels."""
        self.shapes.append(Shape(polygons, LABELS[label], material, facing, tone, owner, depth))

    def add_shadow(self, points: ArrayLike, strength: float, blur_metres: float = 0.15) -> None:
        """Darken the ground under a thing: ``points`` (P, 3) in street coordinates."""
        polygon = np.asarray(points, dtype=np.float64)
        blur = self.camera.focal * blur_metres / max(float(polygon[:, 2].mean()), 1.0)
        self.shadows.append(Shadow(self.camera.project(polygon), strength, blur))

    def occupy(self, points: np.ndarray) -> None:
        """Take the ground under ``points`` (P, 3), so that nothing else is put there."""
        (left, _, near), (right, _, far) = points.min(axis=0), points.max(axis=0)
        self.occupied.append((left, right, near, far))

    def is_free(self, s: float, z: float, margin: float) -> bool:
        """Tell whether nothing that has taken its ground stands within ``margin`` metres."""
        return not any(a - margin < s < b + margin and c - margin < z < d + margin for a, b, c, d in self.occupied)

    def back_to_front(self) -> List[Shape]:
        """Return the visible shapes in drawing order; those of equal depth stay in the order they were added."""
        ordered = sorted(self.shapes, key=lambda shape: -shape.depth)
        standing = [i for i, shape in enumerate(ordered) if shape.polygons.shape[-1] == 3]
        # One projection for all of them: a call for each takes longer than everything else together.
        pixels = self.camera.project(np.concatenate([ordered[i].polygons.reshape(-1, 3) for i in standing]))
        starts = np.cumsum([0] + [len(ordered[i].polygons.reshape(-1, 3)) for i in standing])
        low, high = (f.reduceat(pixels, starts[:-1], axis=0) for f in (np.minimum, np.maximum))
        size = np.array([self.camera.width, self.camera.height])
        visible = ((high > 0) & (low < size) & (high - low > _SMALLEST_PIXELS)).all(axis=1)
        hidden = {i for i, seen in zip(standing, visible) if not seen}
        for i, start, stop in zip(standing, starts[:-1], starts[1:]):
            polygons = pixels[start:stop].reshape(ordered[i].polygons.shape[:2] + (2,))
            ordered[i] = ordered[i]._replace(polygons=polygons)
        return [shape for i, shape in enumerate(ordered) if i not in hidden]


def billboard(outline: ArrayLike, s: float, z: float, y: float = 0.0, squeeze: float = 1.0) -> np.ndarray:
    """Stand flat outlines (..., 2), metres right and up, at ``(s, z)`` facing the camera: (..., 3)."""
    flat = np.asarray(outline, dtype=np.float64)
    points = np.empty(flat.shape[:-1] + (3,))
    points[..., 0], points[..., 1], points[..., 2] = s + flat[..., 0] * squeeze, y + flat[..., 1], z
    return points


def box(left: float, right: float, bottom: float, top: float) -> np.ndarray:
    """Outline (4, 2) of a rectangle."""
    return np.array([(left, bottom), (left, top), (right, top), (right, bottom)], dtype=np.float64)


def ellipse(centre: Sequence[float], radii: Sequence[float], points: int = 14) -> np.ndarray:
    """Outline (points, 2) of an ellipse."""
    return _unit_circle(points) * np.asarray(radii, dtype=np.float64) + np.asarray(centre, dtype=np.float64)


@lru_cache(maxsize=None)
def _unit_circle(points: int) -> np.ndarray:
    angle = np.arange(points) * (2 * np.pi / points)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def blob(rng: np.random.Generator, centre: Sequence[float], radii: Sequence[float], roughness: float) -> np.ndarray:
    """Outline (26, 2) of a leafy lump: an ellipse whose radius wanders by ``roughness`` (a fraction)."""
    outline = ellipse((0.0, 0.0), radii, points=26)
    wander = 1.0 + roughness * rng.standard_normal(26)
    smooth = wander / 2 + wander[np.arange(26) - 1] / 2
    return outline * smooth[:, None] + np.asarray(centre)


def strip(s0: float, s1: float, z0: float, z1: float, y: float = 0.0) -> np.ndarray:
    """Outline (P, 3) of a stretch of ground between ``s0`` and ``s1``, with enough points to follow a bend."""
    near, far = max(z0, _NEAREST_Z), max(z1, _NEAREST_Z + 0.1)
    z = near * (far / near) ** (_MANY_STEPS if far > 2 * near else _FEW_STEPS)
    points = np.empty((2 * len(z), 3))
    points[: len(z), 0], points[len(z) :, 0] = s0, s1
    points[:, 1] = y
    points[: len(z), 2], points[len(z) :, 2] = z, z[::-1]
    return points
