"""States how the streets of each tree are laid out: image size, camera, and how much of everything there is."""

from dataclasses import dataclass, replace
from typing import Mapping, Tuple

Range = Tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Statistics of the streets of one tree; a pair is the range of a uniform draw, lengths are metres.

    ``size`` is (width, height) in pixels; ``focal`` and ``centre`` are fractions of the width, ``horizon`` of the
    height: the higher the camera, the higher the horizon, as it looks further down. ``frontage`` weighs what stands
    along the street; ``*_rate`` is the chance that a scene has such a thing at all; ``*_gap`` is the distance between
    neighbours in a row.
    """

    size: Tuple[int, int]
    focal: Range
    centre: Range
    horizon: Range
    eye_height: Range
    bend: Range
    lane_width: Range
    lanes_per_side: Tuple[int, int]
    sidewalk: Range
    frontage: Mapping[str, float]
    storeys: Tuple[int, int]
    verge_rate: float
    junction_rate: float
    tree_gap: Range
    lamp_gap: Range
    sign_gap: Range
    light_rate: float
    parked_rate: float
    parked_gap: Range
    traffic_gap: Range
    people_gap: Range
    crossing_rate: float
    cyclist_rate: float
    motorcyclist_rate: float
    parked_cycles_rate: float
    truck_rate: float
    bus_rate: float
    train_rate: float
    clutter_rate: float
    hood_rate: float
    plate_rate: float


GTA5 = Layout(
    size=(240, 132),
    focal=(0.80, 0.84),
    centre=(0.42, 0.58),
    horizon=(0.43, 0.49),
    eye_height=(1.75, 1.85),
    bend=(-0.0016, 0.0016),
    lane_width=(3.4, 3.8),
    lanes_per_side=(1, 2),
    sidewalk=(3.8, 6.2),
    frontage={"building": 5.0, "park": 1.2, "wall": 2.2, "fence": 2.2, "hedge": 0.6},
    storeys=(2, 9),
    verge_rate=0.35,
    junction_rate=0.35,
    tree_gap=(9.0, 26.0),
    lamp_gap=(16.0, 28.0),
    sign_gap=(9.0, 24.0),
    light_rate=0.55,
    parked_rate=0.45,
    parked_gap=(2.0, 14.0),
    traffic_gap=(7.0, 26.0),
    people_gap=(2.0, 8.0),
    crossing_rate=0.4,
    cyclist_rate=0.65,
    motorcyclist_rate=0.60,
    parked_cycles_rate=0.60,
    truck_rate=0.34,
    bus_rate=0.32,
    train_rate=0.26,
    clutter_rate=0.4,
    hood_rate=0.25,
    plate_rate=0.05,
)

SYNTHIA = Layout(
    size=(160, 95),
    focal=(0.72, 0.86),
    centre=(0.38, 0.62),
    horizon=(0.18, 0.46),
    eye_height=(1.6, 4.6),
    bend=(-0.0022, 0.0022),
    lane_width=(3.2, 3.8),
    lanes_per_side=(1, 2),
    sidewalk=(3.4, 5.8),
    frontage={"building": 3.0, "park": 2.2, "wall": 1.4, "fence": 1.4, "hedge": 1.6},
    storeys=(2, 6),
    verge_rate=0.5,
    junction_rate=0.35,
    tree_gap=(5.0, 15.0),
    lamp_gap=(12.0, 24.0),
    sign_gap=(7.0, 18.0),
    light_rate=0.55,
    parked_rate=0.55,
    parked_gap=(1.0, 9.0),
    traffic_gap=(6.0, 22.0),
    people_gap=(3.0, 10.0),
    crossing_rate=0.4,
    cyclist_rate=0.60,
    motorcyclist_rate=0.55,
    parked_cycles_rate=0.45,
    truck_rate=0.34,
    bus_rate=0.32,
    train_rate=0.26,
    clutter_rate=0.4,
    hood_rate=0.0,
    plate_rate=0.0,
)

# Streets as in the source, seen from a car: what differs between the two domains is how things look, which adaptation
# can mend, and not where they are or how many, which it cannot.
CITYSCAPES = replace(GTA5, size=(256, 128), eye_height=(1.45, 1.65), hood_rate=0.9, plate_rate=0.0)
