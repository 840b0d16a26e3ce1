"""The fleet: measures of cars, vans, lorries, buses and trams."""

from typing import NamedTuple, Tuple

import numpy as np

Point = Tuple[float, float]


class Vehicle(NamedTuple):
    """A vehicle from the side.

    Points are (along, up) in metres; ``profile`` runs from the bottom of the rear (0, y) over the roof to the bottom of
    the front. ``glass`` are the profile's segments that are windows, ``side_windows`` polygons on the flank, ``wheels``
    their positions along it; ``belt`` is the height from which the body narrows, by the fraction ``tuck`` at the roof;
    ``stripe`` is a band along the flank, from one height to another.
    """

    label: str
    paint: str
    width: float
    profile: Tuple[Point, ...]
    glass: Tuple[int, ...]
    side_windows: Tuple[Tuple[Point, ...], ...]
    wheels: Tuple[float, ...]
    wheel_radius: float
    lamp_height: float
    belt: float
    tuck: float
    stripe: Tuple[float, float] = (0.0, 0.0)

    @property
    def length(self) -> float:
        """Length in metres."""
        return self.profile[-1][0]

    @property
    def height(self) -> float:
        """Height in metres."""
        return max(y for _, y in self.profile)


def _rect(left: float, right: float, bottom: float, top: float) -> Tuple[Point, ...]:
    return ((left, bottom), (left, top), (right, top), (right, bottom))


def _window_row(start: float, stop: float, count: int, bottom: float, top: float) -> Tuple[Tuple[Point, ...], ...]:
    edges = np.linspace(start, stop, count + 1)
    return tuple(_rect(a + 0.08, b - 0.08, bottom, top) for a, b in zip(edges[:-1], edges[1:]))


SALOON = Vehicle(
    label="car",
    paint="car",
    width=1.80,
    profile=(
        (0.0, 0.28),
        (0.0, 0.80),
        (0.12, 0.98),
        (0.55, 1.02),
        (1.05, 1.42),
        (2.35, 1.45),
        (3.15, 1.00),
        (4.25, 0.82),
        (4.40, 0.62),
        (4.40, 0.28),
    ),
    glass=(3, 5),
    side_windows=(
        ((0.72, 1.02), (1.10, 1.36), (1.68, 1.39), (1.68, 1.02)),
        ((1.78, 1.02), (1.78, 1.39), (2.33, 1.39), (2.95, 1.02)),
    ),
    wheels=(0.85, 3.55),
    wheel_radius=0.33,
    lamp_height=0.74,
    belt=1.0,
    tuck=0.20,
)
HATCHBACK = SALOON._replace(
    width=1.72,
    profile=(
        (0.0, 0.28),
        (0.0, 0.95),
        (0.35, 1.46),
        (1.95, 1.50),
        (2.75, 1.05),
        (3.75, 0.88),
        (3.90, 0.65),
        (3.90, 0.28),
    ),
    glass=(1, 3),
    side_windows=(
        ((0.32, 1.04), (0.52, 1.40), (1.15, 1.43), (1.15, 1.04)),
        ((1.25, 1.04), (1.25, 1.43), (1.92, 1.43), (2.52, 1.04)),
    ),
    wheels=(0.72, 3.15),
    belt=1.02,
)
ESTATE = SALOON._replace(
    width=1.90,
    profile=(
        (0.0, 0.36),
        (0.0, 1.05),
        (0.22, 1.62),
        (2.55, 1.68),
        (3.25, 1.16),
        (4.35, 1.02),
        (4.50, 0.75),
        (4.50, 0.36),
    ),
    glass=(1, 3),
    side_windows=(
        ((0.25, 1.14), (0.42, 1.56), (1.55, 1.60), (1.55, 1.14)),
        ((1.65, 1.14), (1.65, 1.60), (2.50, 1.60), (3.05, 1.14)),
    ),
    wheels=(0.85, 3.65),
    wheel_radius=0.38,
    lamp_height=0.88,
    belt=1.12,
    tuck=0.15,
)
VAN = SALOON._replace(
    width=1.95,
    profile=((0.0, 0.35), (0.0, 1.10), (0.10, 2.05), (3.55, 2.10), (4.35, 1.20), (4.85, 1.05), (4.95, 0.35)),
    glass=(1, 3),
    side_windows=(((2.75, 1.20), (2.75, 1.90), (3.45, 1.90), (4.05, 1.20)),),
    wheels=(0.95, 3.95),
    wheel_radius=0.36,
    lamp_height=0.92,
    belt=1.2,
    tuck=0.08,
)
CARS = (SALOON, HATCHBACK, ESTATE, VAN)
BUS = Vehicle(
    label="bus",
    paint="bus",
    width=2.55,
    profile=(
        (0.0, 0.35),
        (0.0, 1.45),
        (0.0, 2.65),
        (0.15, 3.10),
        (10.85, 3.10),
        (11.0, 2.75),
        (11.0, 1.15),
        (11.0, 0.35),
    ),
    glass=(1, 5),
    side_windows=_window_row(0.4, 10.7, 7, 1.30, 2.55),
    wheels=(2.6, 8.4),
    wheel_radius=0.50,
    lamp_height=0.80,
    belt=2.6,
    tuck=0.04,
    stripe=(0.80, 1.08),
)
TRAIN = Vehicle(
    label="train",
    paint="train",
    width=2.50,
    profile=(
        (0.0, 0.30),
        (0.0, 1.35),
        (0.55, 2.75),
        (0.95, 3.35),
        (21.0, 3.35),
        (21.45, 2.75),
        (22.0, 1.35),
        (22.0, 0.30),
    ),
    glass=(1, 5),
    side_windows=_window_row(1.2, 20.8, 11, 1.40, 2.60),
    wheels=(),
    wheel_radius=0.0,
    lamp_height=0.85,
    belt=2.7,
    tuck=0.10,
    stripe=(0.55, 1.05),
)
TRUCK_CAB = Vehicle(
    label="truck",
    paint="cab",
    width=2.40,
    profile=((0.0, 0.50), (0.0, 2.65), (0.25, 2.80), (1.35, 2.80), (1.75, 1.55), (1.85, 0.45)),
    glass=(3,),
    side_windows=(((0.55, 1.60), (0.55, 2.40), (1.30, 2.40), (1.58, 1.60)),),
    wheels=(1.05,),
    wheel_radius=0.48,
    lamp_height=0.85,
    belt=1.6,
    tuck=0.05,
)
TRUCK_BOX = Vehicle(
    label="truck",
    paint="cargo",
    width=2.50,
    profile=((0.0, 0.75), (0.0, 3.25), (5.6, 3.25), (5.6, 0.75)),
    glass=(),
    side_windows=(),
    wheels=(1.0, 2.0, 4.6),
    wheel_radius=0.48,
    lamp_height=0.85,
    belt=3.0,
    tuck=0.0,
    stripe=(1.0, 1.35),
)
TRUCK_LENGTH = TRUCK_CAB.length + TRUCK_BOX.length + 0.15
