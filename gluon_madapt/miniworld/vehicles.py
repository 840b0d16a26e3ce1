"""Draws vehicles from any direction: a side profile, extruded to the vehicle's width."""

from typing import List

import numpy as np
from numpy.typing import ArrayLike

from gluon_madapt.miniworld.fleet import TRUCK_BOX, TRUCK_CAB, TRUCK_LENGTH, Vehicle
from gluon_madapt.miniworld.geometry import Scene, box, ellipse

# Beyond this (m), lamps, wheels and side windows would be smaller than a pixel.
_DETAIL_END = 40.0
_SLICE_ABOVE = 5.2
_SLICE = 2.0


class _Pose:
    """Places a vehicle's own coordinates (along, up, across) in the street."""

    def __init__(self, s: float, z: float, heading: float, middle: float):
        self.s, self.z, self.middle = s, z, middle
        self.sin, self.cos = np.sin(heading), np.cos(heading)

    def __call__(self, along: ArrayLike, up: ArrayLike, across: ArrayLike) -> np.ndarray:
        ahead, aside = np.asarray(along, dtype=np.float64) - self.middle, np.asarray(across)
        points = np.empty(ahead.shape + (3,))
        points[..., 0] = self.s + ahead * self.sin + aside * self.cos
        points[..., 1] = up
        points[..., 2] = self.z + ahead * self.cos - aside * self.sin
        return points


def add_vehicle(scene: Scene, vehicle: Vehicle, s: float, z: float, heading: float = 0.0, plate: str = "car") -> None:
    """Put a car, bus or tram with its middle at ``(s, z)``; heading 0 drives away from the camera, pi towards it.

    ``plate`` is the label of a car's number plate.
    """
    pose = _Pose(s, z, heading, vehicle.length / 2)
    _take_ground(scene, pose, vehicle.length, vehicle.width)
    _draw(scene, vehicle, pose, scene.new_owner(), _nearest(pose, vehicle.length, vehicle.width), plate)


def add_truck(scene: Scene, s: float, z: float, heading: float = 0.0) -> None:
    """Put a lorry, a cab before a box, with its middle at ``(s, z)``."""
    middle, owner = TRUCK_LENGTH / 2, scene.new_owner()
    whole = _Pose(s, z, heading, middle)
    depth = _nearest(whole, TRUCK_LENGTH, TRUCK_BOX.width)
    _take_ground(scene, whole, TRUCK_LENGTH, TRUCK_BOX.width)
    cab = _Pose(s, z, heading, middle - TRUCK_BOX.length - 0.15)
    parts = [(TRUCK_BOX, whole), (TRUCK_CAB, cab)]
    if np.cos(heading) > 0:
        parts.reverse()
    for part, pose in parts:
        _draw(scene, part, pose, owner, depth, "truck")


def _nearest(pose: _Pose, length: float, width: float) -> float:
    corners = pose(np.array([0, length, 0, length]), 0.0, np.array([-width, -width, width, width]) / 2)
    return float(corners[:, 2].min())


def _take_ground(scene: Scene, pose: _Pose, length: float, width: float) -> None:
    half = width / 2 + 0.12
    ends = np.array([-0.2, length + 0.2, length + 0.2, -0.2])
    footprint = pose(ends, 0.0, np.array([-half, -half, half, half]))
    scene.occupy(footprint)
    scene.add_shadow(footprint, 0.75)
    near, away = -scene.sun_side * half, -scene.sun_side * (half + 0.7)
    sides = np.array([near, near, away, away]) * np.sign(pose.cos or 1.0)
    scene.add_shadow(pose(np.array([0.1, length - 0.1, length - 0.4, 0.4]), 0.0, sides), 0.4)


class _Body:
    """One vehicle, or half a lorry, in its place, and what its parts have in common."""

    def __init__(self, scene: Scene, vehicle: Vehicle, pose: _Pose, owner: int, depth: float):
        self.scene, self.vehicle, self.pose, self.owner, self.depth = scene, vehicle, pose, owner, depth
        self.profile = np.array(vehicle.profile)
        self.half = self.half_width(self.profile[:, 1])

    def half_width(self, up: np.ndarray) -> np.ndarray:
        vehicle = self.vehicle
        rise = np.clip((up - vehicle.belt) / max(vehicle.height - vehicle.belt, 0.1), 0, 1)
        return vehicle.width / 2 * (1 - vehicle.tuck * rise)

    def add(self, points: np.ndarray, material: str, facing: str = "flat", tone: float = 1.0, label: str = "") -> None:
        label = label or self.vehicle.label
        self.scene.add(points, label, material, self.owner, facing, tone, self.depth)

    def add_beside(self, points: np.ndarray, material: str, facing: str, near: bool) -> None:
        """Add a part of a flank at its own depth: its nearest point's if ``near``, else its farthest's."""
        depth = float(points[..., 2].min() if near else points[..., 2].max())
        self.scene.add(points, self.vehicle.label, material, self.owner, facing, 1.0, depth)


def _draw(scene: Scene, vehicle: Vehicle, pose: _Pose, owner: int, depth: float, plate: str) -> None:
    body = _Body(scene, vehicle, pose, owner, depth)
    detailed = depth < _DETAIL_END
    if detailed:
        _underbody(body)
    _over_the_roof(body)
    if detailed:
        _end_details(body, 0.0, "taillamp", plate)
        _end_details(body, vehicle.length, "headlamp", plate)
    for side in (-1, 1):
        _flank(body, side, detailed)


def _faces_camera(scene: Scene, polygon: np.ndarray) -> bool:
    x, y = scene.camera.project(polygon).T.tolist()
    return sum(x[i - 1] * y[i] - y[i - 1] * x[i] for i in range(len(x))) < 0


def _underbody(body: _Body) -> None:
    bottom, half, length = body.profile[0, 1] + 0.1, body.vehicle.width * 0.46, body.vehicle.length
    ends = [length - 0.3, 0.3] if body.pose.cos > 0 else [0.3, length - 0.3]
    # A long vehicle's far end is behind its flank, which is drawn before this.
    for end in ends[1:] if length > _SLICE_ABOVE else ends:
        along = np.full(4, end)
        outline = box(-half, half, 0.10, bottom)
        body.add(body.pose(along, outline[:, 1], outline[:, 0]), "tyre")
        for side in (-1, 1):
            tyre = box(side * half - 0.11, side * half + 0.11, 0.0, bottom)
            body.add(body.pose(along, tyre[:, 1], tyre[:, 0]), "tyre", tone=0.8)


def _over_the_roof(body: _Body) -> None:
    """Draw the rear, the roof and the front: the strips between the two flanks, far ones first."""
    segments = list(range(len(body.profile) - 1))
    if body.pose.cos > 0:
        segments.reverse()
    for i in segments:
        pair, halves = body.profile[[i, i, i + 1, i + 1]], body.half[[i, i, i + 1, i + 1]]
        quad = body.pose(pair[:, 0], pair[:, 1], halves * (-1, 1, 1, -1))
        if not _faces_camera(body.scene, quad):
            continue
        level = abs(pair[2, 0] - pair[0, 0]) > abs(pair[2, 1] - pair[0, 1])
        body.add(quad, body.vehicle.paint, "up" if level else "front")
        if i in body.vehicle.glass:
            body.add(quad.mean(0) + (quad - quad.mean(0)) * 0.88, "glass", "front")


def _end_details(body: _Body, end: float, lamp: str, plate: str) -> None:
    half, y = body.vehicle.width / 2, body.vehicle.lamp_height

    def on_end(outline: np.ndarray) -> np.ndarray:
        return body.pose(np.full(outline.shape[:-1], end), outline[..., 1], outline[..., 0])

    face = box(-half, half, 0.4, 0.8)
    if not _faces_camera(body.scene, on_end(face[::-1] if end == 0 else face)):
        return
    x = half * 0.78
    body.add(on_end(np.stack([box(c - 0.17, c + 0.17, y - 0.09, y + 0.11) for c in (-x, x)])), lamp)
    if body.vehicle.label == "car":
        body.add(on_end(box(-half * 0.98, half * 0.98, 0.28, 0.46)), "car", "front", 0.72)
        body.add(on_end(box(-0.30, 0.30, 0.48, 0.62)), "plate", label=plate)


def _flank(body: _Body, side: int, detailed: bool) -> None:
    vehicle, profile = body.vehicle, body.profile
    face = body.pose(profile[:, 0], profile[:, 1], side * body.half)
    if _faces_camera(body.scene, face) != (side < 0):
        return
    facing = "left" if face[:, 0].mean() > body.scene.camera.lateral else "right"
    if abs(body.pose.sin) > 0.7:
        facing = "front"
    # A long flank reaches past vehicles that stand beside it: each slice of it has its own place in the drawing order.
    long = vehicle.length > _SLICE_ABOVE
    for points in _slices(body, side) if long else [face]:
        _add_to_flank(body, points, vehicle.paint, facing, long, near=False)
    if not detailed:
        return
    if vehicle.stripe[1]:
        edges = np.arange(0.05, vehicle.length, _SLICE)
        for start, stop in zip(edges, np.append(edges[1:], vehicle.length - 0.05)):
            along, up = np.array([start, start, stop, stop]), np.array(vehicle.stripe)[[0, 1, 1, 0]]
            _add_to_flank(body, body.pose(along, up, side * body.half[0]), "stripe", facing, long, near=True)
    for window in vehicle.side_windows:
        pane = np.array(window)
        across = side * body.half_width(pane[:, 1])
        _add_to_flank(body, body.pose(pane[:, 0], pane[:, 1], across), "glass", facing, long, near=True)
    radius = vehicle.wheel_radius
    for wheel in vehicle.wheels:
        for scale, material in ((1.0, "tyre"), (0.55, "rim")):
            disc = ellipse((wheel, radius), (radius * scale, radius * scale))
            points = body.pose(disc[:, 0], disc[:, 1], side * body.half[0])
            _add_to_flank(body, points, material, "flat", long, near=True)


def _add_to_flank(body: _Body, points: np.ndarray, material: str, facing: str, long: bool, near: bool) -> None:
    if long:
        body.add_beside(points, material, facing, near)
    else:
        body.add(points, material, facing)


def _slices(body: _Body, side: int) -> List[np.ndarray]:
    """Cut a flank across into pieces (4, 3) of about `_SLICE` metres, none across a corner of the profile."""
    profile, length = body.profile, body.vehicle.length
    corners = profile[(profile[:, 0] > 0) & (profile[:, 0] < length), 0]
    edges = np.unique(np.concatenate([np.linspace(0, length, max(1, round(length / _SLICE)) + 1), corners]))
    # Where the profile is vertical, the flank begins with its upper end.
    climb = profile[np.concatenate([profile[1:, 0] > profile[:-1, 0], [False]])]
    fall = profile[np.concatenate([[False], profile[1:, 0] > profile[:-1, 0]])]
    outline = np.concatenate([climb[:1], fall])
    top, bottom = np.interp(edges, outline[:, 0], outline[:, 1]), profile[0, 1]
    pieces = []
    for i in range(len(edges) - 1):
        along = edges[[i, i, i + 1, i + 1]]
        up = np.array([bottom, top[i], top[i + 1], bottom])
        pieces.append(body.pose(along, up, side * body.half_width(up)))
    return pieces
