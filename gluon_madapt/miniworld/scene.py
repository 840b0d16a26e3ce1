"""Composes a random street scene: the street first, then everything that stands or moves on it."""

from typing import List, Tuple

import numpy as np

from gluon_madapt.miniworld import fleet, roadside, vehicles
from gluon_madapt.miniworld.frontage import line_frontage
from gluon_madapt.miniworld.geometry import HORIZON_Z, Camera, Scene
from gluon_madapt.miniworld.layout import Layout
from gluon_madapt.miniworld.people import add_cycle, add_person
from gluon_madapt.miniworld.street import Street, lay_ground

_PARKING = 2.2
# Beyond this nobody is drawn: a person of 1.7 m would be smaller than about fifteen pixels at the network's input.
_PEOPLE_END = 16.0
_TRAFFIC_END = 45.0
_CYCLES_END = 11.0


def build_scene(layout: Layout, rng: np.random.Generator) -> Scene:
    """Draw a street scene's geometry; all randomness comes from ``rng``."""
    street = _plan(layout, rng)
    scene = Scene(_camera(layout, street, rng), sun_side=int(rng.choice([-1, 1])))
    lay_ground(scene, street, rng)
    line_frontage(scene, street, layout, rng)
    for side in (-1, 1):
        _furnish(scene, street, layout, rng, side)
        if street.parking:
            _park_cars(scene, street, layout, rng, side)
    _traffic(scene, street, layout, rng)
    for side in (-1, 1):
        _people(scene, street, layout, rng, side)
    _cycles(scene, street, layout, rng)
    if rng.random() < layout.hood_rate:
        _hood(scene, rng)
    return scene


def _plan(layout: Layout, rng: np.random.Generator) -> Street:
    width = rng.uniform(*layout.lane_width)
    count = int(rng.integers(layout.lanes_per_side[0], layout.lanes_per_side[1] + 1))
    lanes = tuple(width * (i + 0.5) for i in range(-count, count))
    parking = bool(rng.random() < layout.parked_rate)
    kerb = width * count + (_PARKING if parking else 0.5)
    walks = rng.uniform(*layout.sidewalk, size=2)
    left, right = (float(rng.uniform(1.2, 2.6)) if rng.random() < layout.verge_rate else 0.0 for _ in range(2))
    frontage = (-kerb - walks[0] - left, kerb + walks[1] + right)
    junction = (HORIZON_Z, HORIZON_Z)
    if rng.random() < layout.junction_rate:
        near = rng.uniform(9.0, 30.0)
        junction = (near, near + rng.uniform(7.0, 11.0))
    tracks = bool(rng.random() < layout.train_rate)
    return Street(kerb, lanes, frontage, (left, right), parking, junction, tracks)


def _camera(layout: Layout, street: Street, rng: np.random.Generator) -> Camera:
    width, height = layout.size
    own_lane = street.lanes[len(street.lanes) // 2]
    # A higher camera looks further down, so that it sees the street and not the asphalt before it.
    lift = rng.uniform()
    tilt = np.clip(lift + rng.uniform(-0.3, 0.3), 0, 1)
    eye, horizon = layout.eye_height, layout.horizon
    return Camera(
        width=width,
        height=height,
        focal=width * rng.uniform(*layout.focal),
        centre=width * rng.uniform(*layout.centre),
        horizon=height * (horizon[1] - tilt * (horizon[1] - horizon[0])),
        eye_height=eye[0] + lift * (eye[1] - eye[0]),
        lateral=own_lane + rng.uniform(-0.5, 0.5),
        bend=rng.uniform(*layout.bend),
    )


def _row(rng: np.random.Generator, gap: Tuple[float, float], start: float, end: float) -> List[float]:
    """Positions between ``start`` and ``end``, random gaps apart."""
    positions, z = [], start + rng.uniform(0, gap[1])
    while z < end:
        positions.append(z)
        z += rng.uniform(*gap)
    return positions


def _in_junction(street: Street, z: float, margin: float = 0.0) -> bool:
    return street.junction[0] - margin < z < street.junction[1] + margin


def _furnish(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator, side: int) -> None:
    kerbside = side * (street.kerb + 0.6)
    for z in _row(rng, layout.tree_gap, 6.0, 75.0):
        if not _in_junction(street, z, 1.5):
            roadside.add_tree(scene, rng, side * (street.kerb + 1.1), z)
    for z in _row(rng, layout.lamp_gap, 5.0, 70.0):
        if not _in_junction(street, z, 1.0):
            roadside.add_lamp(scene, rng, side, kerbside, z)
    for z in _row(rng, layout.sign_gap, 8.0, 24.0):
        if not _in_junction(street, z, 1.0):
            roadside.add_sign(scene, rng, kerbside, z)
    if rng.random() < layout.light_rate:
        near = street.junction[0]
        roadside.add_traffic_light(scene, rng, side, kerbside, near if near < HORIZON_Z else rng.uniform(8.0, 20.0))
    if rng.random() < layout.clutter_rate:
        z = rng.uniform(6.0, 14.0)
        if not _in_junction(street, z):
            roadside.add_clutter(scene, rng, side * (street.kerb + rng.uniform(0.8, 1.6)), z)


def _people(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator, side: int) -> None:
    edge = abs(street.frontage[0 if side < 0 else 1])
    for z in _row(rng, layout.people_gap, 4.5, _PEOPLE_END):
        if not _in_junction(street, z):
            add_person(scene, rng, side * rng.uniform(street.kerb + 0.8, edge - 0.4), z)
    if rng.random() < layout.crossing_rate / 2:
        near = street.junction[0]
        z = near - 1.8 if 7.0 < near < _PEOPLE_END else rng.uniform(7.0, _PEOPLE_END)
        for _ in range(int(rng.integers(1, 4))):
            s, ahead = rng.uniform(-street.kerb, street.kerb), z + rng.uniform(-0.8, 0.8)
            if scene.is_free(s, ahead, 0.4):
                add_person(scene, rng, s, ahead)


def _park_cars(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator, side: int) -> None:
    z = rng.uniform(4.0, 12.0)
    while z < _TRAFFIC_END:
        car = fleet.CARS[int(rng.integers(len(fleet.CARS)))]
        middle = z + car.length / 2
        if not _in_junction(street, middle, 4.5):
            heading = np.pi if side < 0 else 0.0
            vehicles.add_vehicle(scene, car, side * (street.kerb - 1.1), middle, heading, _plate(layout, rng))
        z += car.length + rng.uniform(*layout.parked_gap)


def _plate(layout: Layout, rng: np.random.Generator) -> str:
    return "license plate" if rng.random() < layout.plate_rate else "car"


def _traffic(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator) -> None:
    """Fill the lanes; large vehicles that this scene shall have go to the front of a random lane."""
    waiting = [kind for kind in ("truck", "bus") if rng.random() < getattr(layout, f"{kind}_rate")]
    first = 1 if street.tracks else 0
    queues: List[List[str]] = [[] for _ in street.lanes]
    for kind in waiting:
        queues[int(rng.integers(first, len(queues)))].append(kind)
    if street.tracks:
        queues[0] = ["train"]
    for lane, queue in zip(street.lanes, queues):
        heading = np.pi if lane < 0 else 0.0
        own = abs(lane - scene.camera.lateral) < 1.6
        z = rng.uniform(7.0, 14.0) if queue else rng.uniform(6.0, 26.0)
        z += 3.0 if own else 0.0
        while z < _TRAFFIC_END:
            z += _vehicle(scene, layout, rng, queue.pop(0) if queue else "car", lane, z, heading)
            z += rng.uniform(*layout.traffic_gap)
            if street.tracks and lane == street.lanes[0]:
                break
    near, end = street.junction
    if end < 45 and rng.random() < 0.5:
        car = fleet.CARS[int(rng.integers(len(fleet.CARS)))]
        s = rng.choice([-1, 1]) * rng.uniform(street.kerb + 1.0, street.kerb + 7.0)
        vehicles.add_vehicle(scene, car, s, (near + end) / 2, rng.choice([-1, 1]) * np.pi / 2)


def _vehicle(
    scene: Scene, layout: Layout, rng: np.random.Generator, kind: str, lane: float, z: float, heading: float
) -> float:
    """Add one vehicle whose near end is at ``z``; return its length."""
    s = lane + rng.uniform(-0.25, 0.25)
    if kind == "truck":
        vehicles.add_truck(scene, s, z + fleet.TRUCK_LENGTH / 2, heading)
        return fleet.TRUCK_LENGTH
    if kind == "train":
        vehicles.add_vehicle(scene, fleet.TRAIN, lane, z + fleet.TRAIN.length / 2, heading)
        return fleet.TRAIN.length
    vehicle = fleet.BUS if kind == "bus" else fleet.CARS[int(rng.integers(len(fleet.CARS)))]
    vehicles.add_vehicle(scene, vehicle, s, z + vehicle.length / 2, heading, _plate(layout, rng))
    return vehicle.length


def _cycles(scene: Scene, street: Street, layout: Layout, rng: np.random.Generator) -> None:
    for kind, rate in (("bicycle", layout.cyclist_rate), ("motorcycle", layout.motorcyclist_rate)):
        if rng.random() < rate:
            side = int(rng.choice([-1, 1]))
            lane_edge = street.kerb - (_PARKING if street.parking else 0.0) - 0.7
            s = side * (lane_edge - rng.uniform(0.0, 0.6))
            squeeze = rng.uniform(0.4, 1.0) * rng.choice([-1, 1])
            free = [z for z in rng.uniform(5.0, _CYCLES_END, size=8) if scene.is_free(s, z, 0.5)]
            if free:
                add_cycle(scene, rng, kind, s, free[0], squeeze, ridden=True)
    if rng.random() < layout.parked_cycles_rate:
        side, z = int(rng.choice([-1, 1])), rng.uniform(5.0, 11.0)
        for _ in range(int(rng.integers(1, 5))):
            kind = "bicycle" if rng.random() < 0.6 else "motorcycle"
            if not _in_junction(street, z):
                s = side * (street.kerb + rng.uniform(1.0, 1.6))
                add_cycle(scene, rng, kind, s, z, rng.uniform(0.6, 1.0) * rng.choice([-1, 1]), ridden=False)
            z += rng.uniform(0.8, 1.6)


def _hood(scene: Scene, rng: np.random.Generator) -> None:
    camera, owner = scene.camera, scene.new_owner()
    top = camera.height * rng.uniform(0.90, 0.95)
    x = np.linspace(-0.1, 1.1, 24)
    arch = top + camera.height * 0.10 * np.abs(2 * x - 1) ** 2.5
    for offset, tone in ((0.0, 1.0), (0.022, 0.8)):
        y = arch + offset * camera.height
        outline = np.stack([x * camera.width, y], -1)
        outline = np.concatenate(
            [outline, [(camera.width * 1.1, camera.height + 9), (-camera.width * 0.1, camera.height + 9)]]
        )
        scene.add_pixels(outline[None], "ego vehicle", "hood", owner, depth=0.0, tone=tone)
