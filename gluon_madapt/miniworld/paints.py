"""The paints of the three looks: which colours every material may take."""

from typing import Dict, NamedTuple, Tuple

Colour = Tuple[int, int, int]


class Paint(NamedTuple):
    """The colours (RGB) that a material may take.

    ``spread`` and ``tint`` are the standard deviations, as fractions, of its brightness and of each channel from thing
    to thing.
    """

    colours: Tuple[Colour, ...]
    spread: float = 0.08
    tint: float = 0.025


GTA5_PAINTS: Dict[str, Paint] = {
    "sky": Paint(((150, 195, 235),)),
    "foliage": Paint(((78, 118, 44), (88, 126, 50), (70, 108, 46))),
    "grass": Paint(((122, 150, 66), (132, 154, 74))),
    "trunk": Paint(((98, 76, 56),)),
    "road": Paint(((96, 96, 100),), 0.02),
    "pavement": Paint(((176, 168, 154),), 0.02),
    "kerb": Paint(((202, 196, 184),)),
    "marking": Paint(((236, 232, 214),)),
    "rail": Paint(((66, 64, 66),)),
    "facade": Paint(((204, 182, 150), (190, 148, 118), (214, 202, 180), (176, 164, 152), (202, 164, 128))),
    "plinth": Paint(((150, 130, 112), (128, 122, 118))),
    "roof": Paint(((142, 116, 98), (168, 152, 136))),
    "window": Paint(((86, 112, 136),)),
    "awning": Paint(((186, 70, 54), (58, 112, 96), (222, 178, 84))),
    "door": Paint(((92, 62, 44),)),
    "wall": Paint(((168, 138, 112), (156, 146, 134))),
    "cap": Paint(((206, 196, 178),)),
    "fence": Paint(((122, 126, 130), (148, 112, 80))),
    "fence gap": Paint(((92, 104, 88),)),
    "pole": Paint(((112, 114, 116),)),
    "lamp": Paint(((232, 226, 200),)),
    "signal box": Paint(((42, 44, 44),)),
    "signal green": Paint(((70, 222, 130),)),
    "signal amber": Paint(((250, 188, 60),)),
    "signal red": Paint(((240, 62, 50),)),
    "sign red": Paint(((212, 44, 44),)),
    "sign white": Paint(((242, 240, 234),)),
    "sign blue": Paint(((36, 92, 178),)),
    "sign yellow": Paint(((246, 200, 58),)),
    "bin": Paint(((62, 84, 66), (92, 88, 84))),
    "hood": Paint(((58, 60, 66),)),
    "car": Paint(((182, 40, 38), (38, 74, 142), (226, 226, 222), (44, 46, 50), (166, 170, 174), (222, 172, 58))),
    "glass": Paint(((50, 66, 80),)),
    "tyre": Paint(((36, 36, 38),)),
    "rim": Paint(((152, 154, 156),)),
    "taillamp": Paint(((206, 36, 32),)),
    "headlamp": Paint(((250, 246, 222),)),
    "plate": Paint(((236, 234, 222),)),
    "stripe": Paint(((246, 244, 236), (52, 92, 150))),
    "bus": Paint(((232, 152, 40), (206, 60, 48))),
    "train": Paint(((226, 222, 210), (70, 130, 112))),
    "cab": Paint(((54, 92, 158), (196, 62, 46), (230, 228, 222))),
    "cargo": Paint(((222, 222, 216), (196, 200, 200))),
    "skin": Paint(((226, 178, 144), (150, 104, 76), (200, 148, 112))),
    "hair": Paint(((52, 38, 30), (112, 78, 46), (34, 32, 34))),
    "jacket": Paint(((184, 52, 58), (52, 84, 140), (232, 226, 214), (64, 116, 92), (226, 166, 64))),
    "trousers": Paint(((50, 60, 88), (76, 70, 66), (44, 44, 48))),
    "shoe": Paint(((42, 38, 38),)),
    "bag": Paint(((122, 82, 52), (56, 60, 72))),
    "helmet": Paint(((232, 230, 224), (206, 52, 48), (40, 42, 48))),
    "frame": Paint(((190, 56, 52), (46, 98, 140), (40, 42, 44))),
    "spokes": Paint(((134, 136, 138),)),
    "saddle": Paint(((34, 32, 32),)),
    "engine": Paint(((84, 84, 88),)),
    "fairing": Paint(((196, 44, 40), (40, 42, 48), (42, 88, 150))),
}

SYNTHIA_PAINTS: Dict[str, Paint] = {
    **GTA5_PAINTS,
    "sky": Paint(((188, 206, 226),)),
    "foliage": Paint(((56, 136, 76), (84, 158, 72), (120, 164, 58))),
    "grass": Paint(((108, 178, 84), (92, 164, 78))),
    "trunk": Paint(((122, 88, 66),)),
    "road": Paint(((132, 126, 138), (118, 114, 128))),
    "pavement": Paint(((206, 178, 162), (194, 186, 182))),
    "kerb": Paint(((230, 218, 206),)),
    "facade": Paint(
        ((226, 132, 104), (238, 206, 138), (150, 178, 206), (214, 220, 226), (186, 150, 196), (232, 170, 150))
    ),
    "plinth": Paint(((172, 108, 92), (122, 136, 160))),
    "roof": Paint(((164, 74, 62), (108, 102, 122))),
    "window": Paint(((118, 168, 204), (96, 132, 172))),
    "wall": Paint(((202, 142, 112), (172, 168, 178))),
    "cap": Paint(((236, 222, 206),)),
    "fence": Paint(((232, 228, 220), (96, 108, 128))),
    "fence gap": Paint(((126, 162, 112), (138, 146, 150))),
    "pole": Paint(((94, 102, 120), (142, 146, 156))),
    "glass": Paint(((76, 104, 138),)),
    "car": Paint(((238, 84, 70), (64, 138, 210), (250, 246, 238), (84, 176, 130), (250, 196, 70), (98, 84, 130))),
    "bus": Paint(((84, 158, 96), (222, 74, 72))),
    "train": Paint(((240, 206, 84), (86, 132, 196))),
    "cab": Paint(((236, 122, 56), (70, 150, 170))),
    "cargo": Paint(((236, 232, 240), (170, 198, 220))),
    "jacket": Paint(((240, 92, 92), (72, 132, 212), (250, 210, 92), (122, 196, 132), (178, 110, 190))),
    "trousers": Paint(((66, 84, 142), (112, 96, 90))),
}

# The same things in the same colours, from thing to thing a little more apart.
REAL_PAINTS: Dict[str, Paint] = {name: paint._replace(spread=0.08, tint=0.03) for name, paint in GTA5_PAINTS.items()}
