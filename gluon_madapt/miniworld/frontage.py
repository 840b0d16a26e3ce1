"""Lines the street: buildings, parks, and walls, fences or hedges with something behind them."""

from typing import Callable, Dict, List, Tuple

import numpy as np

from gluon_madapt.miniworld.geometry import HORIZON_Z, Scene, Shadow, strip
from gluon_madapt.miniworld.layout import Layout
from gluon_madapt.miniworld.roadside import add_bush, add_fence, add_hedge, add_tree, add_wall
from gluon_madapt.miniworld.street import Street

_STOREY = 3.1
_BAY = 3.4
# Beyond this (m), a bay is about a pixel wide, and its cornice and door are not seen.
_DETAIL_END = 45.0
# Length of a building's shadow on the ground, as a fraction of its height.
_SHADOW_REACH = 0.45


def line_frontage(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator) -> None:
    """Line both sides of the street with buildings, parks, walls, fences and hedges, leaving the junction free."""
    kinds = list(layout.frontage)
    weights = np.array([layout.frontage[kind] for kind in kinds])
    weights = weights / weights.sum()
    for side, edge in zip((-1, 1), street.frontage):
        z, shadow = rng.uniform(-4.0, 0.0), []
        while z < HORIZON_Z - 8:
            kind = str(rng.choice(kinds, p=weights))
            length = rng.uniform(8, 18) if kind == "building" else rng.uniform(9, 20)
            stop = min(z + length, HORIZON_Z)
            near, end = street.junction
            if z < end and stop > near and end > near:
                if near - z < 4:
                    z = end
                    continue
                stop = near
            height = _FRONTAGE[kind](scene, rng, side, edge, z, stop, layout)
            shadow.append((max(z, 0.7), stop, height))
            z = stop + (0.0 if rng.random() < 0.75 else rng.uniform(0.5, 2.5))
        if side == scene.sun_side:
            _cast_shadow(scene, side, edge, shadow)


def _cast_shadow(scene: Scene, side: int, edge: float, frontage: List[Tuple[float, float, float]]) -> None:
    for z0, z1, height in frontage:
        if height > 0:
            reach = edge - side * _SHADOW_REACH * height
            points = scene.camera.project(strip(edge, reach, z0, z1))
            scene.building_shadows.append(Shadow(points, 1.0, 0.6))


def _building(
    scene: Scene, rng: np.random.Generator, side: int, edge: float, z0: float, z1: float, layout: Layout
) -> float:
    owner = scene.new_owner()
    storeys = int(rng.integers(layout.storeys[0], layout.storeys[1] + 1))
    height = storeys * _STOREY + rng.uniform(0.8, 2.0)
    facing = "right" if side < 0 else "left"
    shop = rng.random() < 0.4
    window_height, window_width = rng.uniform(1.3, 1.9), rng.uniform(0.36, 0.62)
    bay = _BAY if z0 < _DETAIL_END else 2 * _BAY
    edges = np.linspace(z0, z1, max(1, round((z1 - z0) / bay)) + 1)
    for near, far in zip(edges[:-1], edges[1:]):
        if far < 1.0:
            continue

        def add(bottom, top, a: float, b: float, material: str, tone: float = 1.0, lo: float = near, hi: float = far):
            points = _panes(edge, bottom, top, lo + a * (hi - lo), lo + b * (hi - lo))
            scene.add(points, "building", material, owner, facing, tone, hi)

        add(0.0, height, 0.0, 1.0, "facade")
        add(0.0, _STOREY, 0.0, 1.0, "plinth" if shop else "facade", 0.88)
        add(height - 0.5, height, 0.0, 1.0, "roof")
        floors = np.arange(1, storeys) * _STOREY + 0.9
        lit = rng.random(len(floors)) < 0.25
        margin = (1 - window_width) / 2
        if near < _DETAIL_END:
            add(floors - 0.12, floors + window_height + 0.12, margin - 0.05, 1 - margin + 0.05, "facade", 1.13)
        for chosen, tone in ((lit, 1.35), (~lit, 1.0)):
            if chosen.any():
                add(floors[chosen], floors[chosen] + window_height, margin, 1 - margin, "window", tone)
        if shop:
            add(0.5, 2.4, 0.08, 0.92, "window", 0.85)
            add(2.45, 2.9, 0.03, 0.97, "awning")
        elif rng.random() < 0.3:
            add(0.0, 2.2, 0.35, 0.65, "door")
        else:
            add(0.9, 2.3, margin, 1 - margin, "window", 0.9)
    _gable(scene, owner, side, edge, z0, height, storeys)
    return height


def _panes(s: float, bottom: np.ndarray, top: np.ndarray, near: float, far: float) -> np.ndarray:
    """Rectangles (N, 4, 3) on a facade that runs along the street at ``s``, one above another."""
    points = np.empty((np.size(bottom), 4, 3))
    points[..., 0] = s
    points[:, 0, 1] = points[:, 3, 1] = bottom
    points[:, 1, 1] = points[:, 2, 1] = top
    points[:, :2, 2], points[:, 2:, 2] = near, far
    return points


def _gable(scene: Scene, owner: int, side: int, edge: float, z: float, height: float, storeys: int) -> None:
    """Draw the face of a building that looks along the street, seen where its neighbour is lower or missing."""
    if z < 2.0:
        return
    outer = edge + side * 14.0
    wall = np.array([(edge, 0.0, z), (edge, height, z), (outer, height, z), (outer, 0.0, z)])
    scene.add(wall, "building", "facade", owner, "front", depth=z)
    cap = np.array([(edge, height - 0.5, z), (edge, height, z), (outer, height, z), (outer, height - 0.5, z)])
    scene.add(cap, "building", "roof", owner, "front", depth=z)
    columns = edge + side * np.array([2.0, 5.5, 9.0])
    floors = np.arange(0, storeys) * _STOREY + 0.9
    s, y = (grid.ravel() for grid in np.meshgrid(columns, floors))
    corners = [(0.0, 0.0), (0.0, 1.5), (side * 1.3, 1.5), (side * 1.3, 0.0)]
    panes = np.stack([np.stack([s + ds, y + dy, np.full_like(s, z)], -1) for ds, dy in corners], axis=-2)
    scene.add(panes, "building", "window", owner, "front", depth=z)


def _park(
    scene: Scene, rng: np.random.Generator, side: int, edge: float, z0: float, z1: float, layout: Layout
) -> float:
    for _ in range(int((z1 - z0) / 3)):
        add_tree(scene, rng, edge + side * rng.uniform(3, 16), rng.uniform(max(z0, 5.0), max(z1, 6.0)))
    for _ in range(2):
        add_bush(scene, rng, edge + side * rng.uniform(1.5, 8), rng.uniform(max(z0, 5.0), max(z1, 6.0)))
    return 0.0


def _behind(
    scene: Scene, rng: np.random.Generator, side: int, edge: float, z0: float, z1: float, layout: Layout
) -> None:
    if rng.random() < 0.5:
        _building(scene, rng, side, edge + side * 7.0, z0, z1, layout)
    else:
        for _ in range(int((z1 - z0) / 3.5)):
            add_tree(scene, rng, edge + side * rng.uniform(2.5, 7), rng.uniform(max(z0, 5.0), max(z1, 6.0)), beyond=6.0)


def _bounded(add_boundary: Callable[..., None]) -> Callable[..., float]:
    def frontage(
        scene: Scene, rng: np.random.Generator, side: int, edge: float, z0: float, z1: float, layout: Layout
    ) -> float:
        _behind(scene, rng, side, edge, z0, z1, layout)
        add_boundary(scene, rng, side, edge, z0, z1)
        return 0.0

    return frontage


_FRONTAGE: Dict[str, Callable[..., float]] = {
    "building": _building,
    "park": _park,
    "wall": _bounded(add_wall),
    "fence": _bounded(add_fence),
    "hedge": _bounded(add_hedge),
}
